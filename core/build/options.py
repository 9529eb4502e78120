"""What a person asks for when building, and what comes of it."""

from __future__ import annotations

from core.record import Record


class Secret(Record):
    """A secret for RUN --mount=type=secret: of a file, or of a variable of the environment."""

    id: str
    file: str = ""
    env: str = ""


class Output(Record):
    """Where the result goes beside the image store: kind is docker, oci, tar or local."""

    kind: str
    place: str
    """A file (`-`: stdout), or a directory for local."""


class BuildOptions(Record):
    """The options of `build`."""

    context: str
    """A directory, a tar archive, or `-` for one on stdin."""
    file: str = ""
    """The Dockerfile: beside the caller, or `-` for stdin; empty: Dockerfile in the context."""
    tags: tuple[str, ...] = ()
    """Canonical names."""
    target: str = ""
    args: tuple[tuple[str, str], ...] = ()
    platform: str = ""
    no_cache: bool = False
    cache_from: tuple[str, ...] = ()
    pull: bool = False
    secrets: tuple[Secret, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    network: str = ""
    output: Output | None = None
    squash: bool = False
    timestamp: int | None = None
    """Seconds since the epoch: no time in the image is later, and it was made then."""
    keep_failed: bool = False
    """Keep the file system of a failed RUN for a look into it."""


class Built(Record):
    """What a build came to."""

    digest: str
    """Of the manifest; empty where only files went out."""
    config_digest: str
    tags: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    exported: str = ""
