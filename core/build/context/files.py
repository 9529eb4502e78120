"""The build context: its files, and their digests, which are kept from build to build.

A file whose inode, size and times are those of last time is not read again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time

from core.build.context.ignore import Ignore, PatternError, read_patterns
from core.build.copy.selection import Tree
from core.errors import HostError, UsageError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from core.paths import Paths

MAGIC = b"limpet-context-1\n"
YOUNG_NS = 100_000_000
"""Between the last write to a file and its reading: less could hide one more write in the
same tick of the clock."""
COARSE_NS = 2_000_000_000
"""The same where times have no fractions of a second (vfat, some network file systems)."""
HINT_FILES = 20_000
CHECK_EVERY = 256
"""Files between two looks at whether the build was cancelled."""


class Item(Record):
    """One file to copy."""

    path: str
    """Below the tree's root."""
    target: str
    """Below the COPY's target."""
    facts: os.stat_result


class Context:
    """A directory to build from."""

    def __init__(self, paths: Paths, root: str, ignore: Ignore) -> None:
        self.root = root
        self.tree = Tree(root, ignore, closed=True)
        self._digests = DigestCache(paths, root)

    def digest(
        self,
        items: Iterable[Item],
        check: Callable[[], None],
        progress: Callable[[int], None] = lambda _: None,
    ) -> str:
        """Return the digest of files as docker counts them: names, modes, links and content.

        Neither times nor owners count.
        """
        return items_digest(self.root, items, self._digests.of, check, progress)

    def changed(self) -> list[str]:
        """Return the files that were read because they are not as they were last time."""
        return self._digests.changed

    def save(self) -> None:
        """Keep the digests for the next build."""
        self._digests.save()


def forget_digests(paths: Paths) -> None:
    """Remove the digests of all contexts: the next build of each reads its files."""
    for name in os.listdir(paths.cache):
        if name.startswith("context-"):
            os.unlink(f"{paths.cache}/{name}")


def items_digest(
    root: str,
    items: Iterable[Item],
    digest_of: Callable[[str, os.stat_result], str],
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int], None] = lambda _: None,
    *,
    owners: bool = False,
) -> str:
    """Return the digest of files: names, modes, links, content, and `owners` if they count."""
    summer = hashlib.sha256()
    for number, item in enumerate(items):
        if number % CHECK_EVERY == 0:
            check()
            progress(number)
        facts = item.facts
        kind = stat.S_IFMT(facts.st_mode)
        if kind == stat.S_IFREG:
            content = digest_of(item.path, facts)
        elif kind == stat.S_IFLNK:
            content = os.readlink(f"{root}/{item.path}")
        else:
            content = str(facts.st_rdev)
        owner = f"{facts.st_uid}:{facts.st_gid}" if owners else ""
        line = f"{item.target}\0{facts.st_mode:o}\0{owner}\0{content}\0"
        summer.update(line.encode("utf-8", "surrogateescape"))
    return summer.hexdigest()


class DigestCache:
    """Digests of files by path, size, inode and times."""

    def __init__(self, paths: Paths, root: str) -> None:
        self._root = root
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:32]
        self._file = f"{paths.cache}/context-{name}"
        self._known: dict[str, str] | None = None
        self._added: dict[str, str] = {}
        self.changed: list[str] = []

    def of(self, path: str, facts: os.stat_result) -> str:
        """Return the digest of a regular file's content and extended attributes."""
        if self._known is None:
            self._known = self._load()
        stamp = f"{facts.st_ino} {facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} "
        known = self._known.get(path, "")
        if known.startswith(stamp):
            return known[len(stamp) :]
        now = time.time_ns()
        found = file_digest(f"{self._root}/{path}")
        if known or self._known:
            self.changed.append(path)
        margin = COARSE_NS if facts.st_mtime_ns % 1_000_000_000 == 0 else YOUNG_NS
        newest = max(facts.st_mtime_ns, facts.st_ctime_ns)
        if newest < now - margin and _same(facts, os.lstat(f"{self._root}/{path}")):
            self._added[path] = stamp + found
        return found

    def _load(self) -> dict[str, str]:
        try:
            with open(self._file, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return {}
        if not content.startswith(MAGIC):
            return {}
        fields = content[len(MAGIC) :].decode("utf-8", "surrogateescape").split("\0")
        return dict(zip(fields[0::2], fields[1::2], strict=False))

    def save(self) -> None:
        """Write what was added; files that are gone are forgotten when most are."""
        if not self._added or self._known is None:
            return
        self._known.update(self._added)
        self._added = {}
        if len(self.changed) > len(self._known) // 2 or len(self._known) > 2 * HINT_FILES:
            here = os.path.lexists
            self._known = {p: v for p, v in self._known.items() if here(f"{self._root}/{p}")}
        parts = [f"{path}\0{value}\0" for path, value in self._known.items()]
        temporary = f"{self._file}.{os.urandom(4).hex()}"
        try:
            with open(temporary, "wb") as file:
                file.write(MAGIC + "".join(parts).encode("utf-8", "surrogateescape"))
            os.rename(temporary, self._file)
        except OSError:  # a full disk: the next build reads the files once more
            if os.path.exists(temporary):
                os.unlink(temporary)


def file_digest(path: str) -> str:
    """Return the sha256 of a file's content; extended attributes count when there are any."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        summer = hashlib.sha256()
        while part := os.read(fd, 1 << 20):
            summer.update(part)
        for name in sorted(attributes(fd)):
            summer.update(b"\0" + name.encode() + b"\0" + os.getxattr(fd, name))
        return summer.hexdigest()
    finally:
        os.close(fd)


def attributes(fd: int) -> list[str]:
    """Return the extended attributes that are copied: file capabilities and the user's own."""
    try:
        names = os.listxattr(fd)
    except OSError:
        return []
    return [name for name in names if name == "security.capability" or name.startswith("user.")]


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_ino, before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_ino, after.st_size, after.st_mtime_ns, after.st_ctime_ns,
    )  # fmt: skip


def select(
    tree: Tree, sources: Sequence[str], exclude: Ignore, *, parents: bool
) -> list[tuple[Item, ...]]:
    """Return, for each thing that the sources name, itself and all below it."""
    found = []
    for source in sources:
        for root in tree.roots(source, parents=parents):
            place = f"{tree.root}/{root.path}" if root.path else tree.root
            items = [Item(root.path, root.target, os.lstat(place))]
            if root.is_directory:
                inner = tree.walk(root.path, exclude)
                prefix = root.target + "/" if root.target else ""
                items += [Item(path, prefix + below, facts) for path, below, facts in inner]
            elif exclude and exclude.excludes(root.path.rpartition("/")[2]):
                continue
            found.append(tuple(items))
    return found


def find_ignore(root: str, dockerfile: str) -> tuple[Ignore, str]:
    """Return what a context leaves out, and the file that says so ("" for none).

    FILE.dockerignore beside the Dockerfile wins over the context's own.  UsageError names
    file and line of a pattern that is none.
    """
    for path in (f"{dockerfile}.dockerignore" if dockerfile else "", f"{root}/.dockerignore"):
        if not path:
            continue
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", opener=_at_once) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise UsageError(f"{path} is no file of patterns", subject=path)
                text = file.read()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise HostError(f"{path}: {error.strerror}", errno=error.errno or 0) from error
        try:
            return Ignore(read_patterns(text)), path
        except PatternError as error:
            raise UsageError(f"{path}: {error}", subject=path) from None
    return Ignore(()), ""


def _at_once(path: str, flags: int) -> int:
    """Open a file that may be a pipe, which would be waited for."""
    return os.open(path, flags | os.O_NONBLOCK)
