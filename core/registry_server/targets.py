"""What a request is about: the paths, ranges and conditions of the distribution API."""

from __future__ import annotations

from core.errors import UsageError
from core.images.digest import is_digest
from core.images.reference import parse_reference
from core.record import Record
from core.registry_server.refusals import Refusal

KINDS = ("blobs", "manifests", "referrers")
MAX_PLACE = (1 << 63) - 1


class Target(Record):
    """What a path below /v2/ names.

    `kind` is ping, catalog, tags, blobs, manifests, referrers or uploads; `reference` is a tag,
    a digest, or the name of an upload.
    """

    kind: str
    name: str = ""
    reference: str = ""


def parse_target(path: str) -> Target:
    """Read a path; Refusal for one that the API does not have, or a name that is none."""
    if path in ("/v2", "/v2/"):
        return Target("ping")
    if path == "/v2/_catalog":
        return Target("catalog")
    parts = path.split("/")
    if parts[:2] != ["", "v2"] or len(parts) < 5:
        raise Refusal("NAME_UNKNOWN", f"there is nothing at {path[:200]}")
    if parts[-2:] == ["tags", "list"]:
        target = Target("tags", "/".join(parts[2:-2]))
    elif parts[-2:] == ["blobs", "uploads"]:
        target = Target("uploads", "/".join(parts[2:-2]))
    elif parts[-3:-1] == ["blobs", "uploads"]:
        target = Target("uploads", "/".join(parts[2:-3]), parts[-1])
    elif parts[-2] in KINDS:
        target = Target(parts[-2], "/".join(parts[2:-2]), parts[-1])
    else:
        raise Refusal("NAME_UNKNOWN", f"there is nothing at {path[:200]}")
    _check(target)
    return target


def check_tag(tag: str) -> None:
    """Return if `tag` is one; Refusal otherwise."""
    try:
        parse_reference(f"localhost/x:{tag}")
    except UsageError as error:
        raise Refusal("TAG_INVALID", error.message) from None


def _check(target: Target) -> None:
    try:
        parse_reference(f"localhost/{target.name}:x")
    except UsageError as error:
        raise Refusal("NAME_INVALID", error.message) from None
    if target.kind in ("blobs", "referrers") or ":" in target.reference:
        if not is_digest(target.reference):
            raise Refusal("DIGEST_INVALID", f"{target.reference[:200]!r} is not a digest")
    elif target.kind == "manifests":
        check_tag(target.reference)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return (first byte, bytes) that a Range header asks for, None for the whole.

    Refusal when none of it is there.  Several ranges are answered with the whole, as RFC 9110,
    section 14.2, allows.
    """
    unit, _, wanted = header.partition("=")
    first, dash, last = wanted.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or "," in wanted:
        return None
    if not all(word.isascii() and word.isdigit() for word in (first, last) if word):
        return None
    start, stop = _place(first), _place(last)
    if first and (not last or start <= stop) and start < size:
        end = min(stop, size - 1) if last else size - 1
        return start, end - start + 1
    if not first and stop and size:
        length = min(stop, size)
        return size - length, length
    raise Refusal(
        "RANGE_INVALID", f"there are {size} bytes", headers={"Content-Range": f"bytes */{size}"}
    )


def parse_span(header: str) -> tuple[int, int]:
    """Return first and last byte of an upload's Content-Range; Refusal for something else."""
    first, dash, last = header.removeprefix("bytes ").partition("/")[0].partition("-")
    words = (first.strip(), last.strip())
    if not dash or not all(word.isascii() and word.isdigit() for word in words):
        raise Refusal("BLOB_UPLOAD_INVALID", f"Content-Range {header[:100]!r} is not FIRST-LAST")
    return _place(words[0]), _place(words[1])


def _place(digits: str) -> int:
    """Return a place in a file; beyond all files for more digits than int() takes."""
    return int(digits or "0") if len(digits) < 20 else MAX_PLACE


def names_etag(header: str, etag: str) -> bool:
    """Return whether If-None-Match or If-Match holds an entity tag (RFC 9110, section 13.1)."""
    tags = (tag.strip().removeprefix("W/") for tag in header.split(","))
    return any(tag in ("*", etag) for tag in tags)
