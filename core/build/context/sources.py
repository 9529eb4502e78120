"""Where a build comes from: the context, the Dockerfile in it or elsewhere, stdin."""

from __future__ import annotations

import os
import re
import sys

from core.build.context.files import find_ignore
from core.build.context.ignore import Ignore
from core.build.copy.selection import SelectionError
from core.build.dockerfile import reader as dockerfile
from core.build.dockerfile.instruction_parser import parse_steps
from core.build.dockerfile.instructions import Step
from core.errors import HostError, NotFound, NotSupported, UsageError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from core.build.dockerfile.reader import Dockerfile
    from core.build.homes import Home
    from core.build.options import BuildOptions
    from core.paths import Paths

NAMES = ("Dockerfile", "Containerfile")
REMOTE = re.compile(r"(?:git@|[a-z+]+://|github\.com/)", re.IGNORECASE)
MAX_DOCKERFILE = 8 << 20
CHUNK = 1 << 20


class Sources(Record):
    """What is built."""

    file: Dockerfile
    steps: tuple[Step, ...]
    root: str
    """The context's directory; empty when there is none."""
    ignore: Ignore
    ignored_by: str
    """The file that says what is left out; empty for none."""
    identity: str
    """Names the Dockerfile, so that builds of it can be compared."""


def read_sources(
    paths: Paths, options: BuildOptions, home: Home, check: Callable[[], None]
) -> Sources:
    """Find and parse the Dockerfile.

    Raises NotFound for a context or a Dockerfile that is not there, DockerfileError,
    NotSupported for contexts of other kinds.
    """
    root, text = _context(options, home, check)
    name, path = "Dockerfile", ""
    if text is None and options.file == "-":
        name, text = "-", _read_stdin()
    elif text is None:
        path = _find_file(options, root)
        name = _shown(path)
        text = _read(path)
    ignore, ignored_by = find_ignore(root, path) if root else (Ignore(()), "")
    file = dockerfile.parse(name, text)
    steps = tuple(parse_steps(file))
    identity = f"{root or '-'}\0{os.path.abspath(path) if path else name}"
    if options.context == "-" or os.path.isfile(options.context):
        identity = f"{options.context}\0{options.file}"
    return Sources(file, steps, root, ignore, ignored_by, identity)


def _context(
    options: BuildOptions, home: Home, check: Callable[[], None]
) -> tuple[str, str | None]:
    """Return the context's directory, and the Dockerfile's text if that is what stdin has."""
    place = options.context
    if place == "-":
        return _from_stdin(options, home, check)
    if REMOTE.match(place) and not os.path.exists(place):
        raise NotSupported(
            f"{place}: contexts are not fetched from elsewhere",
            hint="git clone it, and build the directory", subject=place,
        )  # fmt: skip
    if os.path.isfile(place):
        return _unpack(os.path.abspath(place), place, home, check), None
    if not os.path.isdir(place):
        raise NotFound(
            f"there is no directory {place!r} to build from",
            hint="the last word is the context: build -t NAME .", subject=place,
        )  # fmt: skip
    return os.path.abspath(place), None


def _from_stdin(
    options: BuildOptions, home: Home, check: Callable[[], None]
) -> tuple[str, str | None]:
    import io

    if options.file == "-":
        raise UsageError("-f - and the context - cannot both be stdin")
    reader = io.BufferedReader(io.FileIO(0, closefd=False))
    head = reader.peek(512)
    if _is_text(head):
        data = reader.read(MAX_DOCKERFILE)
        return "", data.decode("utf-8", "surrogateescape")
    path = f"{home.path}/context.tar"
    _spool(reader, path, check)
    return _unpack(path, "stdin", home, check), None


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and not head.startswith(
        (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5")
    )


def _unpack(path: str, name: str, home: Home, check: Callable[[], None]) -> str:
    """Unpack a context's tar, confined to a directory, and return that."""
    from core.build.filling import fill

    folder = home.place()
    job = {"layers": folder, "scratch": folder, "lower": [],
           "actions": [{"kind": "unpack", "file": path, "target": "/"}]}  # fmt: skip
    try:
        fill(job, check, lambda _: None)
    except SelectionError as error:
        raise UsageError(f"{name} is no tar archive that can be a context: {error.text}") from None
    return f"{folder}/upper"


def _spool(reader: BinaryIO, path: str, check: Callable[[], None]) -> None:
    """Keep what comes only once in a file."""
    try:
        with open(path, "wb") as file:
            while part := reader.read(CHUNK):
                check()
                file.write(part)
    except OSError as error:
        raise HostError(f"the context of stdin cannot be kept: {error.strerror}",
                        errno=error.errno or 0) from error  # fmt: skip


def _find_file(options: BuildOptions, root: str) -> str:
    if options.file:
        for path in (options.file, os.path.join(root, options.file)):
            if os.path.isfile(path):
                return os.path.abspath(path)
        raise NotFound(f"there is no file {options.file}", hint="-f names the Dockerfile",
                       subject=options.file)  # fmt: skip
    for name in NAMES:
        if os.path.isfile(f"{root}/{name}"):
            return f"{root}/{name}"
    near = [entry for entry in os.listdir(root) if "dockerfile" in entry.lower()]
    hint = f"did you mean -f {min(near)}?" if near else "-f names one elsewhere"
    raise NotFound(f"there is no Dockerfile in {root}", hint=hint, subject=root)


def _shown(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read(MAX_DOCKERFILE)
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}", errno=error.errno or 0) from error


def _read_stdin() -> str:
    return sys.stdin.buffer.read(MAX_DOCKERFILE).decode("utf-8", "surrogateescape")
