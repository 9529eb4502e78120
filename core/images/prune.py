"""What of the store nothing needs any more: decided with reasons, shown, then done exactly so.

Images go as `rmi` takes them.  What no image, build, registry or trash holds, and what
interrupted work has left, goes for good once it is old enough to be nobody's work in hand.
"""

from __future__ import annotations

import fcntl
import os
import time

from core.images.blobs import TEMPORARY, unlink_unlocked
from core.images.holders import held_blobs, held_layers
from core.images.removal import RemovePlan, plan_removal
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from core.images.store import ImageStore
    from core.model import ImageInfo
    from core.paths import Paths
    from core.trash_bin import Bin

IDLE_S = 3600.0
"""What nothing holds, but was written or asked for since, may be part of a pull or a build."""
PARTIAL_S = 86400.0
"""A download that nobody went on with for so long is given up; one that is going on is locked."""


class PruneOptions(Record):
    """Which images may go: those without a name, and by choice more."""

    all: bool = False
    """Those with a name too, if no container is made from them."""
    keep: int = 0
    """Like `all`, but the newest N of every repository stay."""
    before: float = 0
    """Only what was made, and came here, before this time (seconds since the epoch)."""
    filters: tuple[Callable[[ImageInfo], bool], ...] = ()
    downloads: bool = False
    """Also downloads that were cut short lately: a pull would go on with them."""


class Leftover(Record):
    """Something that is in the store and nothing's: a layer, a blob, a file or a directory."""

    kind: str
    """layer, blob or file."""
    name: str
    """Digest, or path."""
    size: int
    reason: str
    ready: bool
    """Whether it may go: it is nobody's work in hand."""


class PrunePlan(Record):
    """What goes, and why."""

    removal: RemovePlan
    leftovers: tuple[Leftover, ...]
    in_hand: tuple[Leftover, ...]
    """What nothing holds either, but stays: somebody is at it, or may be."""
    images: tuple[str, ...]
    """A line for each image, with the reason."""

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each thing that goes."""
        return (
            *self.images,
            *(f"{left.kind} {left.name}: {left.reason}" for left in self.leftovers),
        )

    @property
    def bytes_back(self) -> int:
        """The space that it gives back."""
        return self.removal.bytes_back + sum(left.size for left in self.leftovers)


def plan_prune(
    store: ImageStore, paths: Paths, images: Sequence[ImageInfo], asked: PruneOptions
) -> PrunePlan:
    """Decide what goes; `images` are all of the store, with the containers made from each."""
    chosen = _choose(images, asked)
    wanted = [(image.digest, image, "") for image, _ in chosen]
    removal = plan_removal(store.database, wanted, force=True, users={})
    lines = []
    for image, reason in chosen:
        name = ", ".join(image.tags) or f"<none> {image.config_digest[7:19]}"
        lines.append(f"image {name}: {reason}")
    found = list(_leftovers(store, paths, 0.0 if asked.downloads else PARTIAL_S))
    return PrunePlan(
        removal,
        tuple(left for left in found if left.ready),
        tuple(left for left in found if not left.ready),
        tuple(lines),
    )


def apply_prune(store: ImageStore, plan: PrunePlan, bin_: Bin | None = None) -> PrunePlan:
    """Remove exactly what the plan names; images into the trash, if there is one.

    What somebody has taken up since the plan was made stays.  Returns the plan without that.
    """
    from core.trees import remove_tree

    if plan.removal.images or plan.removal.tags:
        store.apply_removal(plan.removal, bin_)
    if not plan.leftovers:
        return plan
    removed: list[Leftover] = []
    gone: list[str] = []
    folders: list[str] = []
    with store.database.write() as sql:
        # Looked at again within the transaction: a new layer may have got an old one's number.
        still = {left.name for left in _leftovers(store, store.paths, 0.0) if left.ready}
        leftovers = [left for left in plan.leftovers if left.name in still]
        store.collect(sql, [left.name for left in leftovers if left.kind != "file"], gone)
        for left in leftovers:
            if left.kind != "file":
                removed.append(left)
            elif os.path.isdir(left.name):
                folders.append(_set_aside(left.name))
                removed.append(left)
            elif unlink_unlocked(left.name):  # a pull may go on with it by now
                removed.append(left)
    back = store.discard(gone)
    for folder in folders:
        remove_tree(folder)
    return plan.replace(
        leftovers=tuple(left for left in removed if left.kind != "blob" or left.name not in back)
    )


def _set_aside(path: str) -> str:
    """Give a directory a name that nobody else will take, and return it."""
    aside = f"{os.path.dirname(path)}/.gone-{os.urandom(8).hex()}"
    os.rename(path, aside)
    return aside


def _choose(images: Sequence[ImageInfo], asked: PruneOptions) -> list[tuple[ImageInfo, str]]:
    kept = _newest(images, asked.keep) if asked.keep else set()
    found = []
    for image in images:
        if image.used_by or image.digest in kept:
            continue
        if not all(test(image) for test in asked.filters):
            continue
        if asked.before and max(image.created, image.added) >= asked.before:
            continue
        if not image.tags:
            found.append((image, "it has no name"))
        elif asked.keep:
            found.append((image, f"not among the newest {asked.keep}, and no container uses it"))
        elif asked.all:
            found.append((image, "no container uses it"))
    return found


def _newest(images: Sequence[ImageInfo], count: int) -> set[str]:
    """Return the digests of the newest images of every repository."""
    repositories: dict[str, list[ImageInfo]] = {}
    for image in images:
        for tag in image.tags:
            name = tag.partition("@")[0].rpartition(":")[0] or tag
            repositories.setdefault(name, []).append(image)
    kept = set()
    for known in repositories.values():
        known.sort(key=lambda image: (image.created, image.added), reverse=True)
        kept |= {image.digest for image in list(dict.fromkeys(known))[:count]}
    return kept


def _leftovers(store: ImageStore, paths: Paths, partial_s: float) -> Iterator[Leftover]:
    """Yield all that nothing holds; what of a download is younger than `partial_s` is not ready."""
    now = time.time()
    sql = store.database.connection()
    rows = store.database.query("SELECT id, diff_id, size FROM layers")
    held = held_layers(sql, (diff_id for _, diff_id, _ in rows))
    for number, diff_id, size in rows:
        if diff_id not in held:
            idle = _age(f"{paths.layers}/{number}.index", now) > IDLE_S
            yield Leftover("layer", diff_id, size, "no image has it", idle)
    known = {str(number) for number, *_ in rows}
    for name in _names(paths.layers):
        path = f"{paths.layers}/{name}"
        if name.removesuffix(".index") in known or name.endswith(".lock"):
            continue
        idle = not _is_locked(path.removesuffix(".index") + ".lock") and _age(path, now) > IDLE_S
        why = "an interrupted unpack or removal left it"
        yield Leftover("file", path, _size(path), why, idle)
    for algorithm in _names(paths.blobs):
        digests = [f"{algorithm}:{value}" for value in _names(f"{paths.blobs}/{algorithm}")]
        held = held_blobs(sql, digests)
        for digest in digests:
            path = f"{paths.blobs}/{digest.replace(':', '/')}"
            if digest not in held:
                idle = _age(path, now) > IDLE_S
                yield Leftover("blob", digest, _size(path), "no image has it", idle)
    defined = {row[0] for row in store.database.query("SELECT id FROM containers")}
    for name in _names(paths.containers):
        path = paths.container(name)
        if name not in defined:
            idle = _age(path, now) > IDLE_S
            yield Leftover("file", path, 0, "an interrupted create left it", idle)
    for name in _names(paths.partial):
        path = f"{paths.partial}/{name}"
        is_write = name.startswith(TEMPORARY)
        if is_write or name.startswith("sha"):
            idle = not _is_locked(path) and (is_write or _age(path, now) >= partial_s)
            yield Leftover("file", path, _size(path), "an interrupted download left it", idle)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _age(path: str, now: float) -> float:
    """Return the seconds since a file or directory was last written or renamed."""
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return 0
    return now - max(facts.st_mtime, facts.st_ctime)


def _size(path: str) -> int:
    """Return a file's bytes, 0 when it has gone; a directory's are not counted."""
    try:
        return 0 if os.path.isdir(path) else os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _is_locked(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
