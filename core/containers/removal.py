"""Takes a container away: its files, its address, its row."""

from __future__ import annotations

import errno
import os
import stat
import time

from core.errors import HostError
from core.privileges import is_rootless
from core.trash_bin import insert, rows_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from core.database import Database
    from core.network.network import Network
    from core.paths import Paths
    from core.trash_bin import Bin

ID_LETTERS = 64
EMPTY_S = 60.0
"""A cgroup that has been made is not entered at once."""
CGROUP_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory")
"""Where a look is enough: what `core.containers.runtime.cgroups` needs is not loaded for it."""
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_container(
    paths: Paths,
    database: Database,
    network: Network,
    container_id: str,
    bin_: Bin | None = None,
    *,
    aside: bool = False,
) -> None:
    """Remove a container that does not run, for good or into the trash; the caller holds its lock.

    For others it is whole or gone: its directory, where the lock is, leaves its place together
    with its row, and what is to go for good is removed then.  `aside`: `remove_aside` does
    that.  Should it never come, whoever next looks after the trash does it.  Raises HostError
    naming the file that cannot be removed; the container is there still, and dead.
    """
    take_back(network, container_id)
    _remove_directory(paths.container_run(container_id), container_id)
    network.release(container_id)
    with database.write() as sql:
        rows = rows_of(sql, "containers", "id=?", (container_id,))
        if bin_ is None:
            os.makedirs(paths.trash, 0o700, exist_ok=True)
            os.rename(paths.container(container_id), f"{paths.trash}/{container_id}")
        else:
            edits = rows_of(sql, "container_edits", "container=?", (container_id,))
            kept = {"containers": rows, "container_edits": edits}
            for row in rows:
                bin_.put(sql, "container", row["name"], kept,
                         directory=paths.container(container_id))  # fmt: skip
        sql.execute("DELETE FROM containers WHERE id=?", (container_id,))
    if bin_ is None and not aside:
        try:
            remove_tree(f"{paths.trash}/{container_id}")
        except FileNotFoundError:
            pass  # somebody else has looked after the trash
        except OSError as error:
            raise _put_back(paths, database, rows[0], error) from error


def _put_back(paths: Paths, database: Database, row: dict[str, Any], error: OSError) -> HostError:
    """Have a container of which a part cannot be removed listed again; returns what to tell."""
    from core.containers import state

    aside, home = f"{paths.trash}/{row['id']}", paths.container(row["id"])
    file = str(error.filename or home).replace(aside, home)
    cause = f"{file} cannot be removed: {error.strerror}"
    state.write_state(aside, state.State(state.DEAD, error=f"{state.HALF_REMOVED}: {cause}"))
    with database.write() as sql:
        insert(sql, "containers", row, "INSERT OR IGNORE")  # its name may be another's by now
        if sql.execute("SELECT 1 FROM containers WHERE id=?", (row["id"],)).fetchone():
            os.rename(aside, home)
    mend = "chattr -R -i" if error.errno == errno.EPERM else "findmnt shows what is mounted:"
    return HostError(
        f"container {row['name']}: {cause}",
        hint=f"{mend} {home}, then limpet rm {row['name']}",
        errno=error.errno or 0,
        subject=row["id"],
    )


def remove_rest(paths: Paths, database: Database, network: Network, container_id: str) -> bool:
    """Remove what is left of a container whose removal was cut short: it has no lock any more.

    False, and nothing has happened, when its directory is there, or its row is not: somebody else
    is removing it, or has brought it back.
    """
    with database.write() as sql:
        # Directories go to the trash and come back from there within a transaction.
        if os.path.exists(paths.container(container_id)):
            return False
        if not sql.execute("DELETE FROM containers WHERE id=?", (container_id,)).rowcount:
            return False
    take_back(network, container_id)
    _remove_directory(paths.container_run(container_id), container_id)
    network.release(container_id)
    return True


def remove_aside(trash: str, container_id: str) -> None:
    """Remove what a removal has moved aside."""
    try:
        remove_tree(f"{trash}/{container_id}")
    except OSError:
        pass  # an immutable file, a mount: the next that looks after the trash tries again


def with_cgroup(container_ids: Iterable[str]) -> list[str]:
    """Return which of some containers have a cgroup on this host."""
    there: set[str] = set()
    for home in _cgroup_homes():
        there.update(names(home))
    return [one for one in container_ids if one in there]


def has_parent() -> bool:
    """Return whether there is a parent of all containers' cgroups, in any hierarchy."""
    top = CGROUP_ROOTS[0]
    folders = (top, *(f"{top}/{name}" for name in names(top) if "." not in name))
    return any(os.path.exists(f"{folder}/limpet") for folder in folders)


def remove_empty_cgroups() -> None:
    """Remove cgroups that nobody has been in for a while: their monitors were killed at the end.

    Those of a RUN are meant, which no container names any more; one with processes stays.
    """
    from core.containers.runtime import cgroups

    before = time.time() - EMPTY_S
    # Every hierarchy is looked at: a removal may have been cut short between two of them.
    dirs = cgroups.make_cgroup("any", {})["dirs"]
    for parent in map(os.path.dirname, dirs):
        for name in names(parent):
            folder = f"{parent}/{name}"
            try:
                if len(name) == ID_LETTERS and os.stat(folder).st_mtime < before:
                    os.rmdir(folder)
            except OSError:
                continue  # somebody is in it, or it has just gone
    cgroups.remove_parents(dirs)


def take_back(network: Network, container_id: str) -> None:
    """Remove what a start made that was killed before anybody wrote it down."""
    if not with_cgroup((container_id,)):
        return
    from core.containers.runtime import cgroups

    dirs = cgroups.make_cgroup(container_id, {})["dirs"]
    cgroups.kill(dirs)
    # The cgroup last: it is what tells that something is left.
    network.withdraw_start(container_id)
    cgroups.remove_all(dirs)


def names(directory: str) -> list[str]:
    """Return what is in a directory; one that is not there is empty."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _cgroup_homes() -> Iterable[str]:
    """Return where containers of this user's may have their cgroups."""
    if not is_rootless():
        return [f"{root}/limpet" for root in CGROUP_ROOTS]
    from core.containers.runtime import delegation

    return filter(None, (delegation.home(),))


def _remove_directory(path: str, container_id: str) -> None:
    try:
        remove_tree(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise HostError(
            f"{error.filename or path} cannot be removed: {error.strerror}",
            hint="findmnt shows what is mounted there",
            errno=error.errno or 0,
            subject=container_id,
        ) from error


def remove_tree(path: str) -> None:
    """Remove a directory and all below it, however deep, never leaving its mount.

    Each directory found is first moved up beside the first ones: so no path grows long, no
    more than two descriptors are open, and rename(2) refuses whatever is mounted (EXDEV,
    EBUSY).  Symbolic links are removed, not followed.  Raises OSError.
    """
    top = os.open(path, OPEN_DIRECTORY)
    try:
        count = _empty(top, top, 0)
        while subdirectories := _directories(top):
            for name in subdirectories:
                inner = os.open(name, OPEN_DIRECTORY, dir_fd=top)
                try:
                    count = _empty(inner, top, count)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def _empty(directory: int, top: int, count: int) -> int:
    """Remove the files of a directory and move its directories up; returns the new count."""
    for name in os.listdir(directory):
        facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        try:
            if not stat.S_ISDIR(facts.st_mode):
                os.unlink(name, dir_fd=directory)
            elif directory != top:
                count = _move_up(name, directory, top, count)
        except OSError as error:
            error.filename = f"{os.readlink(f'/proc/self/fd/{directory}')}/{name}"
            error.filename2 = None
            raise
    return count


def _move_up(name: str, directory: int, top: int, count: int) -> int:
    while True:
        count += 1
        try:
            os.rename(name, f".moved-{count}", src_dir_fd=directory, dst_dir_fd=top)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            return count


def _directories(top: int) -> list[str]:
    with os.scandir(top) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
