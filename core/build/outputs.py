"""What `--output` asks for: the image as an archive, or its files alone."""

from __future__ import annotations

import os
from contextlib import contextmanager

from core.errors import HostError
from core.output_file import OutputFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from core.build.homes import Home
    from core.build.options import Output
    from core.images.store import ImageStore
    from core.model import ImageInfo
    from core.paths import Paths

FORMS = {"docker": "docker-archive", "oci": "oci-archive"}


@contextmanager
def _opened(place: str) -> Iterator[int]:
    """Give what to write to: a file that appears when it is whole, or stdout; HostError."""
    if place == "-":
        fd = os.dup(1)  # the worker's own stdout is its way to us
        try:
            yield fd
        finally:
            os.close(fd)
        return
    try:
        with OutputFile(place, 0o644) as fd:
            yield fd
    except OSError as error:
        raise HostError(
            f"{place} cannot be written: {error.strerror}", subject=place, errno=error.errno or 0
        ) from error


def write_image(
    store: ImageStore, output: Output, info: ImageInfo, names: tuple[str, ...],
    check: Callable[[], None], progress: Callable[[int, int], None],
) -> None:  # fmt: skip
    """Write an image as docker's archive or an OCI one."""
    from core.images.archive.write import Named, save

    with _opened(output.place) as fd:
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
        with _opened(output.place) as fd:
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
