"""The two ends of a copy, and docker's rules for what a path at either means.

An end is a root, of the host or of a container, and every path at it is resolved by the
kernel under that root.  What was found is held by descriptor from then on.
https://docs.docker.com/reference/cli/docker/container/cp/
"""

from __future__ import annotations

import os

from core.errors import Conflict, HostError, NotFound
from core.linux.path import MAX_LINKS, RESOLVE_IN_ROOT, is_directory, open_in_root, openat2
from core.record import Record

ITSELF = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class End(Record):
    """One end; `name` is the container's, empty for the host."""

    root: int
    name: str = ""

    def open(self, path: str, flags: int = os.O_PATH) -> int:
        """Open a path, links followed inside the root.  Raises OSError."""
        if self.name:
            return open_in_root(self.root, path, flags)
        return openat2(self.root, path, flags, 0, RESOLVE_IN_ROOT)

    def shown(self, path: str) -> str:
        """Return how a person writes the path."""
        return f"{self.name}:{path}" if self.name else path


class Source(Record):
    """What is copied; the caller closes it."""

    found: int
    """O_PATH."""
    name: str
    """The last part of its path."""
    content: bool
    """Only what is in the directory, not the directory itself (`/.`)."""

    @property
    def directory(self) -> bool:
        """Whether it is a directory."""
        return is_directory(self.found)


class Target(Record):
    """Where a copy goes; the caller closes it."""

    parent: int
    """The directory it goes into, O_PATH."""
    name: str
    """What it is called there; empty: the content goes into `parent` itself."""


def find_source(end: End, path: str, *, follow: bool = False) -> Source:
    """Return what a path names; a link itself unless `follow`, or a slash ends the path.

    Raises NotFound, Conflict when a slash ends the path of something that is no directory.
    """
    folder, _, name = path.rstrip("/").rpartition("/")
    content = name == "." or path in (".", "./")
    into = content or name in ("", "..") or path.endswith("/")
    try:
        if into or follow:
            found = end.open(path)
        else:
            parent = end.open(folder or "/")
            try:
                found = os.open(name, ITSELF, dir_fd=parent)
            finally:
                os.close(parent)
    except OSError as error:
        raise _unreachable(end, path, error) from error
    if into and not is_directory(found):
        os.close(found)
        raise Conflict(f"{end.shown(path)} is not a directory", hint="leave the last / out")
    if name in ("", ".", ".."):
        # As docker has it: `web:/ .` gives the content, for the root has no name.
        content = True
    return Source(found, name, content)


def find_target(end: End, path: str, source: Source) -> Target:
    """Return where a copy of `source` to `path` goes, by docker's rules.

    Raises NotFound when the directory to be in is missing, Conflict for a directory onto a file.
    """
    try:
        there = end.open(path)
    except FileNotFoundError:
        return _new(end, path, source)
    except OSError as error:
        raise _unreachable(end, path, error) from error
    if is_directory(there):
        return Target(there, "" if source.content else source.name)
    os.close(there)
    if source.directory:
        raise Conflict(
            f"{end.shown(path)} is no directory, and a directory cannot be copied onto it",
            hint="name a directory, or a path that is not there yet",
        )
    return _through_links(end, path)


def find_directory(end: End, path: str) -> int:
    """Return an O_PATH descriptor of the directory that a tar stream goes into.

    Raises NotFound, or Conflict when it is none.
    """
    try:
        found = end.open(path)
    except OSError as error:
        raise _unreachable(end, path, error) from error
    if not is_directory(found):
        os.close(found)
        raise Conflict(f"{end.shown(path)} is not a directory", hint="a tar needs one to go into")
    return found


def _new(end: End, path: str, source: Source) -> Target:
    if path.endswith("/") and not source.directory:
        raise NotFound(
            f"the directory {end.shown(path)} does not exist",
            hint=_make_it(end, path),
            subject=path,
        )
    return _through_links(end, path.rstrip("/"))


def _through_links(end: End, path: str) -> Target:
    """Return the directory and name that a path leads to, the last part's links followed too."""
    for _ in range(MAX_LINKS):
        folder, _, name = path.rpartition("/")
        try:
            parent = end.open(folder or "/", os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            raise _unreachable(end, folder or "/", error) from error
        try:
            aim = os.readlink(name, dir_fd=parent)
        except OSError:
            return Target(parent, name)  # no link, or nothing yet
        os.close(parent)
        path = (aim if aim.startswith("/") else f"{folder}/{aim}").rstrip("/")
    raise Conflict(f"{end.shown(path)}: too many links", hint="name what they lead to")


def _unreachable(end: End, path: str, error: OSError) -> Exception:
    shown = end.shown(path)
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{shown} does not exist", hint=_make_it(end, path), subject=path)
    if isinstance(error, NotADirectoryError):
        return Conflict(f"{shown}: a part of it is not a directory", subject=path)
    return HostError(f"{shown}: {error.strerror}", errno=error.errno or 0, subject=path)


def _make_it(end: End, path: str) -> str:
    folder = os.path.dirname(path.rstrip("/")) or "/"
    if not end.name:
        return f"ls {folder} shows what is there"
    return f"limpet exec {end.name} ls {folder} shows what is there, mkdir -p makes directories"
