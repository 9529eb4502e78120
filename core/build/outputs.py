"""What `--output` asks for: the image as an archive, or its files alone."""

from __future__ import annotations

import os

from core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.build.homes import Home
    from core.build.options import Output
    from core.images.store import ImageStore
    from core.model import ImageInfo
    from core.paths import Paths

FORMS = {"docker": "docker-archive", "oci": "oci-archive"}


class Target:
    """A file that appears under its name when it is whole, or stdout; a context."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._half = f"{place}.{os.getpid()}.part"
        self.fd = 1

    def __enter__(self) -> int:
        if self._place == "-":
            self.fd = os.dup(1)  # the worker's own stdout is its way to us
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            try:
                self.fd = os.open(self._half, flags, 0o644)
            except OSError as error:
                raise HostError(
                    f"{self._place}: {error.strerror}", errno=error.errno or 0
                ) from error
        return self.fd

    def __exit__(self, kind: object, *_: object) -> None:
        os.close(self.fd)
        if self._place == "-":
            return
        if kind is None:
            os.rename(self._half, self._place)
        else:
            os.unlink(self._half)


def write_image(
    store: ImageStore, output: Output, info: ImageInfo, names: tuple[str, ...],
    check: Callable[[], None], progress: Callable[[int, int], None],
) -> None:  # fmt: skip
    """Write an image as docker's archive or an OCI one."""
    from core.images.archive.write import Named, save

    with Target(output.place) as fd:
        save(store, [Named(info, names)], fd, FORMS[output.kind], check, progress)


def write_files(
    paths: Paths, output: Output, lower: Sequence[int], home: Home,
    check: Callable[[], None], progress: Callable[[int], None],
) -> None:  # fmt: skip
    """Write an image's files, into a directory or as a tar."""
    from core.build.filling import fill

    numbers = [str(number) for number in lower]
    job: dict[str, Any] = {"layers": paths.layers, "scratch": home.place(), "lower": []}
    if output.kind == "tar":
        with Target(output.place) as fd:
            job["actions"] = [{"kind": "tar", "lower": numbers, "fd": fd}]
            fill(job, check, progress, (fd,))
        return
    try:
        os.makedirs(output.place, exist_ok=True)
    except OSError as error:
        raise HostError(f"{output.place}: {error.strerror}", errno=error.errno or 0) from error
    job["root"] = os.path.abspath(output.place)
    job["actions"] = [{"kind": "stage", "lower": numbers, "sources": ["/"], "exclude": [],
                       "parents": False, "target": "/"}]  # fmt: skip
    fill(job, check, progress)
