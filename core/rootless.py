"""limpet for an ordinary user: a user namespace in which this process is root.

Nothing stays behind for it: whoever comes first makes the namespace, later limpets join that
of another limpet, or of a monitor while a container runs.  All namespaces map the same users,
so files made in one have the same owners in the next.
user_namespaces(7), subuid(5), newuidmap(1)
"""

from __future__ import annotations

import os

from core.containers.state import (
    is_process,
    monitored,
    read_file,
    read_state,
    replace_file,
    start_ticks,
)
from core.errors import HostError
from core.file_lock import FileLock
from core.linux import process
from core.privileges import MAPPERS, program, sub_ids, user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.paths import Paths

MEMBERS = "namespace"
"""The run-time file of the limpets in the namespace: PID and start ticks, a line each."""


def enter(paths: Paths) -> None:
    """Become root of a user namespace, with mounts of its own; for a process with one thread.

    Raises HostError with the kernel's or newuidmap's reason.
    """
    os.makedirs(paths.run, 0o700, exist_ok=True)
    with FileLock(f"{paths.run}/{MEMBERS}.lock"):
        others = [line for line in _lines(paths) if is_process(*map(int, line.split()))]
        if not any(map(_join, (*_members(others), _living_monitor(paths)))):
            _make_namespace()
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        os.setgroups([])
        # Cleared by the change of user; without it nobody may open our or our children's
        # namespaces.
        process.prctl(process.PR_SET_DUMPABLE, 1)
        lines = [*others, f"{os.getpid()} {start_ticks(os.getpid())}"]
        replace_file(f"{paths.run}/{MEMBERS}", "\n".join(lines).encode())


def _lines(paths: Paths) -> list[str]:
    try:
        return read_file(f"{paths.run}/{MEMBERS}").decode().splitlines()
    except FileNotFoundError:
        return []


def _members(lines: list[str]) -> Iterator[int]:
    """Yield pidfds of the limpets that have not ended."""
    for line in lines:
        pid, ticks = map(int, line.split())
        try:
            fd = process.pidfd_open(pid)
        except ProcessLookupError:
            continue
        if is_process(pid, ticks):  # still: it is this process that the descriptor refers to
            yield fd
        else:
            os.close(fd)


def _join(member: int) -> bool:
    """Join the namespace of a process by its pidfd, 0 for none; False when it has just ended."""
    if not member:
        return False
    here = _directory()
    try:
        process.setns(member, process.CLONE_NEWUSER | process.CLONE_NEWNS)
    except ProcessLookupError:
        return False
    finally:
        os.close(member)
    os.chdir(here)  # setns(2) has gone to the root of the mounts it joined
    return True


def _directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"  # it has been removed


def _living_monitor(paths: Paths) -> int:
    """Return a pidfd of a monitor of this user's, 0 when no container runs."""
    try:
        names = os.listdir(f"{paths.run}/containers")
    except FileNotFoundError:
        return 0
    for name in names:
        found = read_state(paths.container(name))
        if monitored(found):
            try:
                fd = process.pidfd_open(found.monitor)
            except ProcessLookupError:
                continue
            if monitored(found):  # still: it is this process that the descriptor refers to
                return fd
            os.close(fd)
    return 0


def _make_namespace() -> None:
    user, pid = user_name(), os.getpid()
    uid, gid = os.geteuid(), os.getegid()
    own = {"newuidmap": uid, "newgidmap": gid}
    maps = {name: _map(own[name], sub_ids(file, user)) for name, file in MAPPERS.items()}
    ready_read, ready_write = os.pipe()
    said_read, said_write = os.pipe()
    # They have to be called from outside, where this user is still who he is.
    helper = os.fork()
    if helper == 0:
        try:
            os.close(ready_write)
            os.dup2(said_write, 2)
            os.read(ready_read, 1)
            codes = [
                os.spawnv(os.P_WAIT, program(name), [name, str(pid), *words])  # noqa: S606 - no shell is the point
                for name, words in maps.items()
            ]
            os._exit(1 if any(codes) else 0)
        finally:
            os._exit(1)
    os.close(ready_read)
    os.close(said_write)
    try:
        process.unshare(process.CLONE_NEWUSER | process.CLONE_NEWNS)
    except OSError as error:
        raise HostError(
            f"this host gives ordinary users no user namespace: {error.strerror}",
            hint="limpet doctor tells more; or start limpet with sudo",
            errno=error.errno or 0,
        ) from error
    finally:
        os.close(ready_write)
        said = os.read(said_read, 4096).decode("utf-8", "replace").strip()
        os.close(said_read)
        _, status = os.waitpid(helper, 0)
    if status:
        raise HostError(f"newuidmap refused: {said}", hint="limpet doctor tells what is missing")


def _map(own: int, ranges: list[tuple[int, int]]) -> list[str]:
    """Return newuidmap's words: root is the user, what follows are his ranges, one by one."""
    words, inside = ["0", str(own), "1"], 1
    for start, count in ranges:
        words += [str(inside), str(start), str(count)]
        inside += count
    return words
