"""Which files a COPY means: sources, globs, links, exclusions, and where each goes.

Works on any directory tree: the context, or the mounted root of a stage.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat

from core.build.context.ignore import Ignore, to_regex
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINKS = 40
MAX_DEPTH = 256
"""As `core.images.unpacking.extract` has it; each takes two frames of the stack."""
GLOB = re.compile(r"[*?\[]")


class SelectionError(Exception):
    """A source that cannot be copied; says why, and what to do."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


class Root(Record):
    """A source that is to be copied: `path` is relative to the tree, links resolved."""

    path: str
    """Empty for the tree itself."""
    target: str
    """Where it goes below the COPY's target; empty: to the target itself."""
    is_directory: bool


class Tree:
    """A directory tree to copy from.

    `closed`: links that lead outside are an error, as in a context; otherwise they are
    followed as a process would that has the tree as its root.
    """

    def __init__(self, root: str, ignore: Ignore, *, closed: bool) -> None:
        self.root = root
        self.ignore = ignore
        self._closed = closed

    def roots(self, source: str, *, parents: bool) -> list[Root]:
        """Return what a COPY's source names; SelectionError when that is nothing.

        `..` goes no higher than the tree, as in BuildKit: `../a` is `a`.
        """
        pivot, source = _pivot(source) if parents else ("", source)
        clean = posixpath.normpath("/" + source).lstrip("/")
        paths = self._glob(clean) if GLOB.search(clean) else [clean]
        found = []
        for path in paths:
            resolved = self.resolve(path)
            facts = None if resolved is None else self._facts(resolved)
            if resolved is None or facts is None:
                continue
            is_directory = stat.S_ISDIR(facts.st_mode)
            name = path
            if parents:
                name = path.removeprefix(pivot).lstrip("/")
            else:
                name = "" if is_directory else posixpath.basename(path)
            found.append(Root(resolved, name, is_directory))
        if not found:
            raise self._nothing(source, clean)
        return found

    def walk(self, top: str, exclude: Ignore) -> Iterator[tuple[str, str, os.stat_result]]:
        """Yield (path, path below `top`, facts) of all in a directory, parents first, in order."""
        above = self._matched(top) if self.ignore.negates else self.ignore.top()
        yield from self._walk(top, "", above, exclude, exclude.top())

    def _walk(
        self,
        top: str,
        below: str,
        above: tuple[bool, ...],
        exclude: Ignore,
        excluded: tuple[bool, ...],
    ) -> Iterator[tuple[str, str, os.stat_result]]:
        folder = "/".join(part for part in (top, below) if part)
        if folder.count("/") > MAX_DEPTH:
            raise SelectionError(f"{folder[:100]}…: directories too deep for a layer")
        try:
            with os.scandir(f"{self.root}/{folder}") as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return  # gone, or a file by now
        for entry in ordered:
            path = f"{folder}/{entry.name}" if folder else entry.name
            inner = f"{below}/{entry.name}" if below else entry.name
            out, matched = self.ignore.below(path, above) if self.ignore else (False, above)
            gone, dropped = exclude.below(inner, excluded) if exclude else (False, excluded)
            is_directory = entry.is_dir(follow_symlinks=False)
            out_for_good = (out and not (is_directory and self.ignore.may_return(path))) or (
                gone and not (is_directory and exclude.may_return(inner))
            )
            if out_for_good:
                continue
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since the directory was read
            if stat.S_ISSOCK(facts.st_mode):
                continue
            if not (out or gone):
                yield path, inner, facts
            if is_directory:
                kept = self._walk(top, inner, matched, exclude, dropped)
                yield from self._with_parent(kept, path, inner, facts, late=out or gone)

    @staticmethod
    def _with_parent(
        entries: Iterator[tuple[str, str, os.stat_result]],
        path: str,
        inner: str,
        facts: os.stat_result,
        *,
        late: bool,
    ) -> Iterator[tuple[str, str, os.stat_result]]:
        """Give a directory that is itself left out only in front of what is taken back in it."""
        for entry in entries:
            if late:
                yield path, inner, facts
                late = False
            yield entry

    def resolve(self, path: str) -> str | None:
        """Return a path with all links followed; None if there is nothing or it is ignored.

        SelectionError for a link that leads out of a closed tree.
        """
        done: list[str] = []
        pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                done = done[:-1]
                continue
            here = "/".join([*done, part])
            if self.ignore and self.ignore.excludes(here) and not self.ignore.may_return(here):
                return None
            facts = self._facts(here)
            if facts is None:
                return None
            if not stat.S_ISLNK(facts.st_mode):
                done.append(part)
                continue
            links += 1
            aim = os.readlink(f"{self.root}/{here}")
            if links > MAX_LINKS:
                raise SelectionError(f"{path}: too many links in a row")
            if self._closed and (aim.startswith("/") or _climbs("/".join([*done, aim]))):
                raise SelectionError(
                    f"{here} is a link to {aim}, outside the context",
                    "copy the file itself into the context",
                )
            if aim.startswith("/"):
                done = []
            pending += [piece for piece in reversed(aim.split("/")) if piece not in ("", ".")]
        return "/".join(done)

    def _facts(self, path: str) -> os.stat_result | None:
        try:
            return os.lstat(f"{self.root}/{path}" if path else self.root)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _matched(self, path: str) -> tuple[bool, ...]:
        matched = self.ignore.top()
        parts = path.split("/") if path else []
        for length in range(1, len(parts) + 1):
            _, matched = self.ignore.below("/".join(parts[:length]), matched)
        return matched

    def _glob(self, pattern: str) -> list[str]:
        """Return the paths that a pattern matches; `**` goes any number of directories down."""
        found = [""]
        for part in pattern.split("/"):
            step = []
            for folder in found:
                if part == "**":
                    step.append(folder)
                    step += [path for path, _ in self._directories(folder)]
                elif GLOB.search(part):
                    try:
                        compiled = re.compile(to_regex(part))
                    except (ValueError, re.error) as error:
                        raise SelectionError(f"{part!r} is no pattern: {error}") from None
                    step += [
                        f"{folder}/{name}".lstrip("/")
                        for name in self._names(folder) if compiled.fullmatch(name)
                    ]  # fmt: skip
                else:
                    step.append(f"{folder}/{part}".lstrip("/"))
            found = list(dict.fromkeys(step))
        return [
            path for path in found
            if self._facts(path) is not None and not (self.ignore and self.ignore.excludes(path))
        ]  # fmt: skip

    def _names(self, folder: str) -> list[str]:
        resolved = self.resolve(folder)
        if resolved is None:
            return []
        try:
            return sorted(os.listdir(f"{self.root}/{resolved}" if resolved else self.root))
        except NotADirectoryError:
            return []

    def _directories(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        for path, _, facts in self.walk(folder, Ignore(())):
            if stat.S_ISDIR(facts.st_mode):
                yield path, facts

    def _nothing(self, source: str, clean: str) -> SelectionError:
        if self._closed and _climbs(source):
            return SelectionError(
                f"{source} lies outside the context", "COPY takes only what is in the context"
            )
        if self.ignore and self._facts(clean) is not None:
            return SelectionError(
                f"{source} is left out by .dockerignore", f"add !{clean} to .dockerignore"
            )
        if GLOB.search(clean):
            return SelectionError(f"nothing matches {source}")
        import difflib

        folder, name = posixpath.split(clean)
        near = difflib.get_close_matches(name, self._names(folder), 1)
        hint = f"did you mean {posixpath.join(folder, near[0])}?" if near else ""
        return SelectionError(f"{source} does not exist", hint)


def _pivot(source: str) -> tuple[str, str]:
    """Return what --parents does not rebuild (before `/./`) and the whole path."""
    while source.startswith("./"):
        source = source[2:].lstrip("/")
    before, pivot, _ = source.partition("/./")
    return (posixpath.normpath("/" + before).lstrip("/") if pivot else ""), source


def _climbs(path: str) -> bool:
    """Return whether a relative path leaves where it starts on its way."""
    depth = 0
    for part in path.split("/"):
        if part == "..":
            depth -= 1
            if depth < 0:
                return True
        elif part not in ("", "."):
            depth += 1
    return False
