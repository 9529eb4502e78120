"""Manifests and indexes, OCI's and docker's, as checked values.

https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md and image-index.md;
docker's schema 2 is the same thing under older media types.  What a registry sends is
checked field by field here, so that the rest can rely on the types.
"""

from __future__ import annotations

from core.errors import Corrupt, NotFound, UnsupportedMedia
from core.images.digest import is_digest
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_LIST)
ACCEPTED = (*MANIFEST_TYPES, *INDEX_TYPES)
"""Media types to ask a registry for."""

CONFIG_TYPES = (OCI_CONFIG, DOCKER_CONFIG)
LAYER_PREFIXES = (
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.",
)
SCHEMA1_PREFIX = "application/vnd.docker.distribution.manifest.v1"
MAX_SIZE = 4 << 20
"""Bytes of the largest manifest or index accepted, as in containerd and distribution."""
MAX_LAYERS = 1000


class Descriptor(Record):
    """A pointer to a blob."""

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()


class Manifest(Record):
    """One image for one platform; layers lowest first."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()


class Entry(Record):
    """One line of an index; `platform` is os/arch[/variant], empty where none is given."""

    descriptor: Descriptor
    platform: str


class Index(Record):
    """Several images under one name, one a platform."""

    media_type: str
    entries: tuple[Entry, ...]
    annotations: tuple[tuple[str, str], ...] = ()


def parse(content: bytes, media_type: str = "", what: str = "manifest") -> Manifest | Index:
    """Parse a manifest or an index.

    `media_type` is what the registry's header said; the document's own mediaType, if any,
    must not contradict it.  Raises Corrupt for what does not parse, UnsupportedMedia for
    documents that are no image; messages begin with `what`.
    """
    document = _document(content, what)
    kind = _media_type(document, media_type, what)
    if kind in INDEX_TYPES:
        entries = _list(document, "manifests", what)
        return Index(
            kind,
            tuple(_entry(item, f"{what}, manifests[{n}]") for n, item in enumerate(entries)),
            _annotations(document, what),
        )
    layers = _list(document, "layers", what)
    if len(layers) > MAX_LAYERS:
        raise Corrupt(f"{what}: {len(layers)} layers, {MAX_LAYERS} are the limit")
    config = _descriptor(document.get("config"), f"{what}, config")
    if config.media_type not in CONFIG_TYPES:
        raise UnsupportedMedia(
            f"{what} is not a container image: its config is of type {config.media_type}",
            subject=config.media_type,
        )
    return Manifest(
        kind,
        config,
        tuple(_layer(item, f"{what}, layers[{n}]") for n, item in enumerate(layers)),
        _annotations(document, what),
    )


def contents(
    content: bytes, what: str = "manifest"
) -> tuple[tuple[Descriptor, ...], tuple[Entry, ...]]:
    """Return the blobs and the manifests that a manifest names, whatever it is the manifest of.

    Raises Corrupt for what is no manifest at all.
    """
    document = _document(content, what)
    config = document.get("config")
    blobs = [] if config is None else [_descriptor(config, f"{what}, config")]
    for name in ("layers", "blobs"):
        items = _list(document, name, what) if document.get(name) is not None else []
        blobs += [_descriptor(item, f"{what}, {name}[{n}]") for n, item in enumerate(items)]
    items = _list(document, "manifests", what) if document.get("manifests") is not None else []
    entries = [_entry(item, f"{what}, manifests[{n}]") for n, item in enumerate(items)]
    return tuple(dict.fromkeys(blobs)), tuple(entries)


def is_elsewhere(blob: Descriptor) -> bool:
    """Return whether a registry need not hold a blob: it has addresses, or a type, for that."""
    kinds = ("nondistributable", ".foreign.")
    return bool(blob.urls) or any(kind in blob.media_type for kind in kinds)


def parse_config(content: bytes, what: str = "image config") -> dict[str, Any]:
    """Parse an image's config and check what the store relies on; Corrupt if it is wrong.

    https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md
    """
    document = _document(content, what)
    for name in ("os", "architecture", "variant", "created"):
        if not isinstance(document.get(name) or "", str):
            raise Corrupt(f"{what}: {name} is not a string")
    _check_settings(document.get("config") or {}, f"{what}: config")
    rootfs = document.get("rootfs") or {}
    if not isinstance(rootfs, dict):
        raise Corrupt(f"{what}: rootfs is not an object")
    diff_ids = rootfs.get("diff_ids") or []
    if not isinstance(diff_ids, list) or not all(
        isinstance(item, str) and is_digest(item) for item in diff_ids
    ):
        raise Corrupt(f"{what}: rootfs.diff_ids is not a list of digests")
    history = document.get("history") or []
    if not isinstance(history, list) or not all(isinstance(item, dict) for item in history):
        raise Corrupt(f"{what}: history is not a list of objects")
    return document


def _check_settings(settings: Any, what: str) -> None:
    """Check what containers get of an image; Corrupt for a field of another type than Go's."""
    if not isinstance(settings, dict):
        raise Corrupt(f"{what} is not an object")
    for name in ("User", "WorkingDir", "StopSignal"):
        if not isinstance(settings.get(name), str | None):
            raise Corrupt(f"{what}.{name} is not a string")
    for name in ("Env", "Cmd", "Entrypoint", "Shell", "OnBuild"):
        _check_strings(settings.get(name), f"{what}.{name}")
    for name in ("Labels", "ExposedPorts", "Volumes", "Healthcheck"):
        if not isinstance(settings.get(name), dict | None):
            raise Corrupt(f"{what}.{name} is not an object")
    if not all(isinstance(text, str) for text in (settings.get("Labels") or {}).values()):
        raise Corrupt(f"{what}.Labels is not an object of strings")
    health = settings.get("Healthcheck") or {}
    _check_strings(health.get("Test"), f"{what}.Healthcheck.Test")
    for name in ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"):
        number = health.get(name) or 0
        if not isinstance(number, int) or not -(1 << 63) <= number < 1 << 63:
            raise Corrupt(f"{what}.Healthcheck.{name} is not a number of 64 bits")


def _check_strings(value: Any, what: str) -> None:
    if not isinstance(value, list | None) or not all(isinstance(text, str) for text in value or ()):
        raise Corrupt(f"{what} is not a list of strings")


def diff_ids(config: dict[str, Any]) -> tuple[str, ...]:
    """Return the digests of the uncompressed layers, lowest first."""
    return tuple((config.get("rootfs") or {}).get("diff_ids") or ())


def platform_of(config: dict[str, Any]) -> str:
    """Return the platform an image config names, os/arch[/variant]."""
    return join_platform(
        config.get("os") or "linux", config.get("architecture") or "", config.get("variant") or ""
    )


def created_at(text: Any) -> float:
    """Return an RFC 3339 time as seconds since the epoch; 0 for one that is missing or odd.

    What comes back is in the years 1 to 9999 of UTC.
    """
    from datetime import UTC, datetime

    try:
        when = datetime.fromisoformat(str(text))
        return (when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON's")


def _document(content: bytes, what: str) -> dict[str, Any]:
    import json

    if len(content) > MAX_SIZE:
        raise Corrupt(f"{what}: {len(content)} bytes, {MAX_SIZE} are the limit")
    try:
        text = content.decode()  # json.loads would take UTF-16 and a mark before UTF-8, too
        document = json.loads(text, parse_constant=_no_constant)
        if "\\ud" in text.lower():
            json.dumps(document, ensure_ascii=False).encode()  # not with half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{what} is not JSON in UTF-8: {error}") from error
    if not isinstance(document, dict):
        raise Corrupt(f"{what} is not a JSON object")
    return document


def _media_type(document: dict[str, Any], header: str, what: str) -> str:
    own = document.get("mediaType") or ""
    header = header.partition(";")[0].strip()
    if not isinstance(own, str):
        raise Corrupt(f"{what}: mediaType is not a string")
    if own and header in ACCEPTED and own != header:
        raise Corrupt(f"{what}: sent as {header}, but calls itself {own}")
    kind = own or header
    if document.get("schemaVersion") == 1 or kind.startswith(SCHEMA1_PREFIX):
        raise UnsupportedMedia(
            f"{what} is in docker's schema 1, which was given up in 2015",
            hint="push the image again with a current tool",
            subject=kind,
        )
    if kind not in ACCEPTED:
        if kind and kind not in ("application/json", "application/octet-stream", "text/plain"):
            raise UnsupportedMedia(f"{what} is of type {kind}, not an image", subject=kind)
        kind = OCI_INDEX if "manifests" in document else OCI_MANIFEST
    # One document that is both could mean different images to different tools
    # (CVE-2021-41190).
    wrong = ("config", "layers") if kind in INDEX_TYPES else ("manifests",)
    if any(name in document for name in wrong):
        raise Corrupt(f"{what} is a manifest and an index at once")
    if document.get("schemaVersion") != 2:
        raise Corrupt(f"{what}: schemaVersion is {document.get('schemaVersion')!r}, not 2")
    return kind


def _list(document: dict[str, Any], name: str, what: str) -> list[Any]:
    value = document.get(name)
    if not isinstance(value, list):
        raise Corrupt(f"{what}: {name} is not a list")
    return value


def _descriptor(value: Any, what: str) -> Descriptor:
    if not isinstance(value, dict):
        raise Corrupt(f"{what} is not an object")
    digest, size, media_type = value.get("digest"), value.get("size"), value.get("mediaType")
    if not isinstance(digest, str) or not is_digest(digest):
        raise Corrupt(f"{what}: digest {str(digest)[:200]!r} is not a digest")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        raise Corrupt(f"{what}: size {str(size)[:40]} is not a size")
    if not isinstance(media_type, str) or not media_type:
        raise Corrupt(f"{what}: mediaType is missing")
    urls = value.get("urls") or []
    if not isinstance(urls, list) or not all(isinstance(item, str) for item in urls):
        raise Corrupt(f"{what}: urls is not a list of strings")
    return Descriptor(media_type, digest, size, tuple(urls), _annotations(value, what))


def _annotations(value: dict[str, Any], what: str) -> tuple[tuple[str, str], ...]:
    annotations = value.get("annotations") or {}
    if not isinstance(annotations, dict) or not all(
        isinstance(item, str) for item in annotations.values()
    ):
        raise Corrupt(f"{what}: annotations is not an object of strings")
    return tuple(annotations.items())


def _layer(value: Any, what: str) -> Descriptor:
    layer = _descriptor(value, what)
    if not layer.media_type.startswith(LAYER_PREFIXES) or "encrypted" in layer.media_type:
        raise UnsupportedMedia(
            f"{what}: {layer.media_type} is not a layer limpet can unpack",
            subject=layer.media_type,
        )
    return layer


def _entry(value: Any, what: str) -> Entry:
    descriptor = _descriptor(value, what)
    platform = value.get("platform") or {}
    if not isinstance(platform, dict):
        raise Corrupt(f"{what}: platform is not an object")
    names = [platform.get(key) or "" for key in ("os", "architecture", "variant")]
    if not all(isinstance(name, str) for name in names):
        raise Corrupt(f"{what}: platform holds something else than strings")
    system, architecture, variant = names
    named = join_platform(system, architecture, variant) if system and architecture else ""
    return Entry(descriptor, named)


_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armv8l": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armhf": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "loongarch64": ("loong64", ""),
}
"""Architectures by the names that kernels and people give them, as Go names them."""


def join_platform(system: str, architecture: str, variant: str = "") -> str:
    """Return os/arch[/variant] in the form that compares equal for equal platforms.

    As containerd normalises: amd64/v1 is amd64, arm64/v8 is arm64, arm is arm/v7.
    """
    architecture = architecture.lower()
    mapped = _ARCHITECTURES.get(architecture)
    if mapped:
        architecture, variant = mapped[0], variant or mapped[1]
    variant = variant.lower()
    if variant.isdigit():
        variant = f"v{variant}"
    if (architecture, variant) in (("amd64", "v1"), ("arm64", "v8")):
        variant = ""
    if architecture == "arm" and not variant:
        variant = "v7"
    return "/".join(part for part in (system.lower(), architecture, variant) if part)


def platform_fields(platform: str) -> dict[str, str]:
    """Return os/arch[/variant] as documents hold it; old images do not say their architecture."""
    return dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))


def parse_platform(text: str) -> str:
    """Return `text` (os/arch[/variant], or an architecture alone) normalised.

    Raises Corrupt for something else.
    """
    parts = text.split("/")
    if not all(parts) or len(parts) > 3:
        raise Corrupt(f"{text!r} is not a platform", hint="platforms look like linux/arm64")
    if len(parts) == 1:
        return join_platform("linux", parts[0])
    return join_platform(*parts)


def host_platform() -> str:
    """Return this host's platform."""
    import os

    return join_platform("linux", os.uname().machine)


def choose(index: Index, platform: str = "", what: str = "image") -> Descriptor:
    """Return the manifest of an index that suits a platform (empty: this host's).

    An exact match wins; an entry without a variant serves any, and a newer ARM runs what
    an older one runs.  Raises NotFound that lists what there is.
    """
    wanted = parse_platform(platform) if platform else host_platform()
    entries = [entry for entry in index.entries if entry.platform]
    for candidate in _candidates(wanted):
        for entry in entries:
            if entry.platform == candidate:
                return entry.descriptor
    unnamed = [entry for entry in index.entries if not entry.platform]
    if not platform and len(unnamed) == len(index.entries) == 1:
        return unnamed[0].descriptor
    known = sorted({entry.platform for entry in entries if not entry.platform.startswith("unk")})
    raise NotFound(
        f"{what} is not available for {wanted}",
        hint=f"it is for {', '.join(known) or 'no platform'}; choose one with --platform",
        subject=wanted,
    )


def _candidates(platform: str) -> list[str]:
    system, architecture, *variant = platform.split("/")
    if architecture == "arm":
        newest = _level(variant[0], 7)
        return [f"{system}/arm/v{level}" for level in range(newest, 4, -1)]
    if architecture == "amd64" and variant:
        newest = _level(variant[0], 1)
        levels = [f"{system}/amd64/v{level}" for level in range(newest, 1, -1)]
        return [*levels, f"{system}/amd64"]
    return [platform, f"{system}/{architecture}"]


def _level(variant: str, otherwise: int) -> int:
    """Return the number of a variant such as v7; an image may say that it is for any other."""
    digits = variant[1:]
    return int(digits) if digits.isdecimal() and len(digits) < 3 else otherwise
