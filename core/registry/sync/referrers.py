"""What belongs to copied images: signatures, SBOMs and attestations, which refer to them.

They are found by the referrers API, by the tag that stands in for it where a registry has
none, and by cosign's tags beside an image.  Each becomes a step of its own, and what refers to
a referrer (the signature of an SBOM) does, too.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema
"""

from __future__ import annotations

import json
import re

from core.errors import Corrupt, NotFound
from core.images.digest import digest_of, is_digest
from core.images.manifest import OCI_INDEX, contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from core.registry.sync.disk_ends import DiskEnd
    from core.registry.sync.ends import End, Found
    from core.registry.sync.plan import Step

    Compare = Callable[[Step, str], Step]

DEPTH = 4
"""How far referrers of referrers are followed."""
_TAG = re.compile(r"(sha256|sha512)-([0-9a-f]{64,128})(\.[A-Za-z0-9._-]+)?")


def referrer_tag(digest: str) -> str:
    """Return the tag that lists what refers to a digest where there is no referrers API."""
    return digest.replace(":", "-")


def subject_of(tag: str) -> str:
    """Return the digest that a tag belongs to: the stand-in's or one of cosign's; else ""."""
    match = _TAG.fullmatch(tag)
    digest = f"{match[1]}:{match[2]}" if match else ""
    return digest if is_digest(digest) else ""


def plan_referrers(
    source: End,
    target: End,
    base: Step,
    subject: str,
    tags: tuple[Collection[str], Collection[str]],
    compare: Compare,
) -> list[Step]:
    """Return a step for each thing that refers to `subject`, the nearest first.

    `base` tells the rule and the repositories, `tags` are those of its repositories at source
    and target; `compare` completes a step, given the digest that is at the target, or "".
    """
    steps: dict[str, Step] = {}
    level = [subject]
    for _ in range(DEPTH):
        found = [
            step
            for one in level
            for step in _of_subject(source, target, base, one, tags, compare)
            if step.target not in steps
        ]
        steps.update((step.target, step) for step in found)
        level = [step.source_digest for step in found]
    return list(steps.values())


def _of_subject(
    source: End,
    target: End,
    base: Step,
    subject: str,
    tags: tuple[Collection[str], Collection[str]],
    compare: Compare,
) -> Iterator[Step]:
    repository, place = base.places
    ours, theirs = tags
    listed = source.referrers(repository, subject, ours)
    there = target.referrers(place, subject, theirs) if listed else frozenset()
    for digest in sorted(listed):
        step = base.replace(
            source=f"{source.show(repository, '').rstrip(':')}@{digest}",
            target=f"{target.show(place, '').rstrip(':')}@{digest}",
            subject=subject, source_digest=digest,
        )  # fmt: skip
        yield compare(step, digest if digest in there else "")
    beside = f"{referrer_tag(subject)}."
    for tag in sorted(tag for tag in ours if tag.startswith(beside)):
        step = base.replace(
            source=source.show(repository, tag), target=target.show(place, tag),
            tag=tag, subject=subject, source_digest=source.digest(repository, tag),
        )  # fmt: skip
        yield compare(step, target.digest(place, tag) if tag in theirs else "")


def listed_in(end: End | DiskEnd, repository: str, subject: str) -> frozenset[str]:
    """Return the digests that the stand-in tag of a subject lists; none if there is no such tag."""
    try:
        content = end.manifest(repository, referrer_tag(subject))[0]
    except NotFound:
        return frozenset()
    return frozenset(entry.descriptor.digest for entry in contents(content)[1])


def list_in(end: End | DiskEnd, repository: str, subject: str, found: Found) -> None:
    """Let the stand-in tag of a subject list one more manifest; not safe between threads."""
    tag = referrer_tag(subject)
    content, media_type, digest = found
    try:
        listed = end.manifest(repository, tag)[0]
        if digest in (entry.descriptor.digest for entry in contents(listed, tag)[1]):
            return
        index = json.loads(listed)
    except NotFound:
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    if not isinstance(index.get("manifests"), list):
        raise Corrupt(f"{end.show(repository, tag)} is no index that could list {digest}")
    index["manifests"].append(_describe(content, media_type, digest))
    whole = json.dumps(index, separators=(",", ":")).encode()
    end.put(repository, tag, (whole, OCI_INDEX, digest_of(whole)))


def _describe(content: bytes, media_type: str, digest: str) -> dict[str, object]:
    document = json.loads(content)
    config = document.get("config") or {}
    kind = document.get("artifactType") or config.get("mediaType")
    described = {
        "mediaType": document.get("mediaType") or media_type,
        "digest": digest,
        "size": len(content),
        "artifactType": kind,
        "annotations": document.get("annotations"),
    }
    return {key: value for key, value in described.items() if value}
