"""Looking at what a registry holds, without pulling it.

Everything that comes is checked by its digest; what is no image (a signature, a chart) is
shown as what its manifest says it is.
"""

from __future__ import annotations

from core.errors import Corrupt, Error, ImageError, NotFound, ProtocolError
from core.images.digest import is_digest
from core.images.manifest import (
    INDEX_TYPES,
    MAX_SIZE,
    choose,
    contents,
    created_at,
    join_platform,
    parse,
    parse_config,
)
from core.record import Record
from core.registry.client import pull_scope
from core.registry.transport.failures import printable
from core.side_by_side import side_by_side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from core.images.reference import Reference
    from core.images.tar.reader import TarEntry
    from core.registry.client import RegistryClient

    Check = Callable[[], None]

WORKERS = 8
CHUNK = 256 << 10
SEARCH_MAX = 16 << 20
REFERRERS_MAX = 16 << 20
HUB_SEARCH = "https://index.docker.io/v1/search"


class RemoteTag(Record):
    """A tag as the registry has it; `size` is what pulling this host's or the first image takes."""

    tag: str
    digest: str = ""
    created: float = 0
    size: int = 0
    platforms: tuple[str, ...] = ()
    kind: str = ""
    """image, index, or the artifact's type; or why it cannot be told."""


class Hit(Record):
    """A repository that a search found."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False


class Referrer(Record):
    """Something that points to an image: a signature, an SBOM, an attestation."""

    digest: str
    artifact_type: str
    size: int
    annotations: tuple[tuple[str, str], ...] = ()


def search(client: RegistryClient, term: str, limit: int) -> list[Hit]:
    """Return repositories by docker's search, or by the catalog where there is none."""
    from urllib.parse import urlencode

    query = urlencode({"q": term, "n": limit})
    hub = client.host == "docker.io"
    url = HUB_SEARCH if hub else f"{client.base.removesuffix('/v2/')}/v1/search"
    answer, body = client.document(
        f"{url}?{query}", f"search of {client.host}", SEARCH_MAX, (200, 400, 404, 405)
    )
    if answer.status == 200 and "json" in answer.header("Content-Type"):
        return _hits(body, client.host)[:limit]
    found = []
    for name in client.catalog():
        if term in name:
            found.append(Hit(name))
        if len(found) >= limit:
            break
    return found


def _hits(body: bytes, host: str) -> list[Hit]:
    document = _json(body, f"search of {host}")
    results = document.get("results")
    if not isinstance(results, list):
        raise ProtocolError(f"search of {host}: the answer holds no results", subject=host)
    return [
        Hit(
            printable(str(result.get("name") or "")),
            printable(str(result.get("description") or "")),
            _stars(result.get("star_count")),
            bool(result.get("is_official")),
        )
        for result in results
        if isinstance(result, dict)
    ]


def _stars(count: object) -> int:
    return count if isinstance(count, int) else 0


def describe_tags(client: RegistryClient, path: str, tags: Iterable[str]) -> list[RemoteTag]:
    """Return each tag's digest, date, size and platforms; some are asked for at once.

    A tag whose manifest is damaged is listed with the cause, a failing registry is raised.
    """
    names = list(tags)
    found: dict[str, RemoteTag] = {}

    def work(name: str) -> Callable[[Check], None]:
        def run(_: Check) -> None:
            found[name] = _describe(client, path, name)

        return run

    side_by_side(map(work, names), WORKERS)
    return [found[name] for name in names]


def _describe(client: RegistryClient, path: str, tag: str) -> RemoteTag:
    try:
        content, media_type, digest = client.manifest(path, tag)
        document = _json(content, tag)
        kind = kind_of(document, media_type)
        if kind == "index":
            platforms = _platforms(document)
            chosen = _chosen(content, media_type, document)
            if not chosen:
                return RemoteTag(tag, digest, 0, 0, platforms, kind)
            document = _json(client.manifest(path, chosen)[0], tag)
        else:
            platforms = ()
        size = sum(_size(item) for item in (document.get("config"), *_list(document, "layers")))
        config = _config(client, path, document) if kind in ("image", "index") else {}
    except (Corrupt, NotFound) as error:
        return RemoteTag(tag, kind=error.message)
    own = (_platform(config),) if config else ()
    return RemoteTag(tag, digest, created_at(config.get("created")), size, platforms or own, kind)


def inspect(client: RegistryClient, reference: Reference, platform: str = "") -> dict[str, Any]:
    """Return manifest, config, history and referrers of a remote image as one document.

    Of an index, the image for `platform` (empty: this host's) is shown, beside the index.
    """
    name = reference.tag or reference.digest
    content, media_type, digest = client.manifest(reference.path, name)
    document = _json(content, reference.familiar)
    shown: dict[str, Any] = {
        "Name": reference.canonical,
        "Digest": digest,
        "MediaType": document.get("mediaType") or media_type,
    }
    if kind_of(document, media_type) == "index":
        shown["Index"] = document
        index = parse(content, media_type, reference.familiar)
        chosen = choose(index, platform, reference.familiar)  # type: ignore[arg-type]
        content, media_type, _ = client.manifest(reference.path, chosen.digest)
        document = _json(content, reference.familiar)
        shown["ImageDigest"] = chosen.digest
    contents(content, reference.familiar)
    shown["Manifest"] = document
    if kind_of(document, media_type) == "image":
        shown["Config"] = _config(client, reference.path, document)
    shown["Size"] = sum(
        _size(item) for item in (document.get("config"), *_list(document, "layers"))
    )
    found = referrers(client, reference.path, digest)
    shown["Referrers"] = [
        {"Digest": item.digest, "ArtifactType": item.artifact_type, "Size": item.size,
         "Annotations": dict(item.annotations)}
        for item in found
    ]  # fmt: skip
    return shown


def referrers(client: RegistryClient, path: str, digest: str) -> list[Referrer]:
    """Return what points to a manifest, by the referrers API, its tag, and cosign's tags.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
    """
    what = f"referrers of {client.host}/{path}@{digest}"
    indexes = referrers_pages(client, path, digest)
    fallback = digest.replace(":", "-")
    if not indexes:
        try:
            indexes = [client.manifest(path, fallback)[0]]
        except NotFound:
            indexes = []
    found = []
    for item in (item for body in indexes for item in _list(_json(body, what), "manifests")):
        if isinstance(item, dict) and is_digest(str(item.get("digest"))):
            kind = str(item.get("artifactType") or item.get("mediaType") or "")
            notes = item.get("annotations")
            pairs = notes.items() if isinstance(notes, dict) else ()
            kept = tuple((str(key), str(value)) for key, value in pairs)
            found.append(Referrer(str(item["digest"]), printable(kind), _size(item), kept))
    for ending, kind in COSIGN.items():
        signed = client.digest_of_manifest(path, fallback + ending)
        if signed:
            found.append(Referrer(signed, kind, 0))
    return found


def referrers_pages(client: RegistryClient, path: str, digest: str) -> list[bytes]:
    """Return the indexes of what refers to a manifest, none from a registry without that API."""
    what = f"referrers of {client.host}/{path}@{digest}"
    target = f"{path}/referrers/{digest}"
    found, size = [], 0
    for page in client.pages(target, pull_scope(path), what, (200, 400, 404, 405)):
        found.append(page)
        size += len(page)
        if size > REFERRERS_MAX:
            raise ProtocolError(f"{what}: more than {REFERRERS_MAX} bytes", subject=client.host)
    return found


COSIGN = {".sig": "cosign signature", ".att": "cosign attestation", ".sbom": "cosign SBOM"}
"""Tags that cosign makes beside an image, where there is no referrers API."""


def sharing_tags(client: RegistryClient, path: str, digest: str) -> list[str]:
    """Return the tags of a repository that stand for a digest: one HEAD each."""
    shared: list[str] = []

    def work(tag: str) -> Callable[[Check], None]:
        def run(_: Check) -> None:
            if client.digest_of_manifest(path, tag) == digest:
                shared.append(tag)

        return run

    side_by_side(map(work, client.tags(path)), WORKERS)
    return sorted(shared)


def delete_manifest(client: RegistryClient, path: str, reference: str) -> bool:
    """Delete a tag or a digest; False if the registry does not do that to tags.

    Raises ProtocolError if deletion is switched off, NotFound if there is no such thing.
    """
    mark = "@" if is_digest(reference) else ":"
    what = f"{client.host}/{path}{mark}{reference}"
    scope = f"repository:{path}:delete,pull,push"
    refusals = (202, 200, 204) if is_digest(reference) else (202, 200, 204, 400, 404, 405)
    target = f"{path}/manifests/{reference}"
    try:
        answer = client.ask("DELETE", target, scope, what, accepted=refusals)
    except ProtocolError as error:
        if error.status == 405:
            error.hint = (
                "the registry does not delete: docker-registry needs storage.delete.enabled"
            )
        raise
    answer.close()
    return answer.status < 300


def files(
    client: RegistryClient, path: str, digest: str, media_type: str, most: int
) -> Iterator[TarEntry]:
    """Yield a layer's entries while its bytes come; nothing is stored, contents are skipped.

    Raises ImageError for more than `most` entries.
    """
    from core.images.tar.compression import Exact, open_layer
    from core.images.tar.reader import read_entries

    blob = client.blob(path, digest)
    stream = Exact(open_layer(blob, media_type))
    try:
        for number, entry in enumerate(read_entries(stream.read, stream.ended)):
            if number >= most:
                raise ImageError(
                    f"layer {digest}: more than {most} entries",
                    hint="raise image.max_layer_files in config.toml",
                )
            yield entry
            left = entry.stored
            while left > 0:
                left -= len(stream.read(min(left, CHUNK)))
    finally:
        blob.close()


def kind_of(document: dict[str, Any], media_type: str) -> str:
    """Return image, index, or the type of an artifact, by its manifest."""
    kind = document.get("mediaType") or media_type
    if kind in INDEX_TYPES or "manifests" in document:
        return "index"
    artifact = document.get("artifactType")
    config = document.get("config")
    named = str(config.get("mediaType") or "") if isinstance(config, dict) else ""
    if artifact or not named.endswith((".image.v1+json", ".image.config.v1+json")):
        return printable(str(artifact or named or kind))
    return "image"


def _chosen(content: bytes, media_type: str, document: dict[str, Any]) -> str:
    try:
        return choose(parse(content, media_type)).digest  # type: ignore[arg-type]
    except Error:
        entries = [item for item in _list(document, "manifests") if isinstance(item, dict)]
        first = str(entries[0].get("digest")) if entries else ""
        return first if is_digest(first) else ""


def _platforms(document: dict[str, Any]) -> tuple[str, ...]:
    entries = _list(document, "manifests")
    named = [item.get("platform") for item in entries if isinstance(item, dict)]
    found = [_platform(item) for item in named if isinstance(item, dict)]
    return tuple(dict.fromkeys(name for name in found if not name.startswith("unknown")))


def _platform(document: dict[str, Any]) -> str:
    parts = [str(document.get(key) or "") for key in ("os", "architecture", "variant")]
    return printable(join_platform(*parts))


def _list(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    return found if isinstance(found, list) else []


def _size(item: Any) -> int:
    size = item.get("size") if isinstance(item, dict) else 0
    return size if isinstance(size, int) and size > 0 else 0


def _config(client: RegistryClient, path: str, document: dict[str, Any]) -> dict[str, Any]:
    config = document.get("config")
    digest = str(config.get("digest")) if isinstance(config, dict) else ""
    if not is_digest(digest):
        raise Corrupt(f"{client.host}/{path}: the manifest names no config")
    return parse_config(client.small_blob(path, digest, MAX_SIZE), f"config {digest}")


def _json(content: bytes, what: str) -> dict[str, Any]:
    import json

    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Corrupt(f"{what} is not a JSON object", subject=what)
    return document
