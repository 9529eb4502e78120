"""One more process in a running container (`exec`): join, drop, execve.

The container may be hostile.  This process is not dumpable from before it enters, so
nothing inside can look into it or reach the host's interpreter through /proc/PID/exe.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys

from core.containers.runtime import becoming, cgroups, init, plan, program, users
from core.linux import capabilities, path, process, seccomp, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

KINDS = (("user", process.CLONE_NEWUSER), ("cgroup", process.CLONE_NEWCGROUP),
         ("ipc", process.CLONE_NEWIPC), ("uts", process.CLONE_NEWUTS),
         ("net", process.CLONE_NEWNET), ("pid", process.CLONE_NEWPID),
         ("mnt", process.CLONE_NEWNS))  # fmt: skip


def run(made_of: dict[str, Any], stdio: tuple[int, int, int] | None, sync: int) -> NoReturn:
    """Become a program inside a container; `made_of` is what `plan.make_target` takes.

    Forks once, because a pid namespace takes only children; this process waits for the
    child, passes signals on by ending with it, and exits with its code.  The messages on
    `sync` are those of `core.containers.runtime.init`.
    """
    channel = _socket.socket(fileno=sync)
    stage = "enter the container"
    try:
        process.prctl(process.PR_SET_DUMPABLE, 0)
        target = plan.make_target(**made_of, host=plan.this_host())
        cgroups.join(target["cgroup"])
        _join(target["pid"], target["ticks"])
        child = os.fork()
        if child:
            channel.close()
            _follow(child, stdio)
        becoming.forget_imports()
        os.setsid()
        becoming.default_signals()
        stage = "run " + target["argv"][0]
        _become(target, stdio, channel)
    except program.CannotRun as error:
        init.fail(channel, stage, error.errno, error.text, error.exit_code)
    except LookupError as error:
        init.fail(channel, "user", 0, str(error), 126)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        init.fail(channel, stage, error.errno or 0, f"{error.strerror}{where}", 126)
    except BaseException as error:  # noqa: BLE001 - a child must never return into its parent
        init.fail(channel, stage, 0, f"{type(error).__name__}: {error}", 126)
    finally:
        os._exit(126)


def join_namespaces(pid: int, ticks: int, kinds: tuple[tuple[str, int], ...] = KINDS) -> list[int]:
    """Join a process's namespaces, having opened them before joining the first.

    Returns the kinds of those that are not this process's own.
    """
    folder = process.open_process(pid, ticks)
    found = []
    for name, kind in kinds:
        fd = os.open(f"ns/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        own = os.stat(f"/proc/self/ns/{name}")
        if os.fstat(fd).st_ino == own.st_ino:
            os.close(fd)
        else:
            found.append((fd, kind))
    for fd, kind in found:
        process.setns(fd, kind)
        os.close(fd)
    os.close(folder)
    return [kind for _, kind in found]


def _join(pid: int, ticks: int) -> None:
    try:
        join_namespaces(pid, ticks)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessLookupError(errno.ESRCH, "the container has ended") from error


def _follow(child: int, stdio: tuple[int, int, int] | None) -> NoReturn:
    """Wait for the child and end as it ended."""
    for fd in set(stdio or ()):
        os.close(fd)  # so that the readers see the end when the child closes them
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(128 - code if code < 0 else code)


def _become(
    target: dict[str, Any], stdio: tuple[int, int, int] | None, channel: _socket.socket
) -> None:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    identity = users.lookup(
        target["user"],
        path.read_in_root(root, "/etc/passwd"),
        path.read_in_root(root, "/etc/group"),
        target["groups"],
    )
    becoming.enter_directory(target["cwd"])
    if stdio is None:
        stdio = _terminal(root, channel, identity.uid)
    becoming.take_stdio(stdio, identity.uid)
    process.join_session_keyring()
    os.umask(0o022)
    environment = becoming.with_home(target["env"], identity.home)
    argv = target["argv"]
    opened = program.open_program(program.find(argv[0], environment), argv)
    capabilities.drop_bounding(target["capabilities"], target["highest"])
    if target["no_new_privileges"]:
        process.prctl(process.PR_SET_NO_NEW_PRIVS, 1)
    if target["seccomp"]:
        seccomp.load(target["seccomp"])
    becoming.set_rlimits(target["rlimits"])
    becoming.take_identity(identity, target["capabilities"])
    process.close_range(3, flags=process.CLOSE_RANGE_CLOEXEC)
    # After the credentials, which clear it.
    process.prctl(process.PR_SET_PDEATHSIG, 9)
    program.execute_in_hostile(opened, environment)


def _terminal(root: int, channel: _socket.socket, uid: int) -> tuple[int, int, int]:
    master = path.open_in_root(root, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
    slave = terminal.open_pty(master)
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, master.to_bytes(4, sys.byteorder))
    channel.sendmsg([init.TTY], [rights])
    os.close(master)
    terminal.make_controlling(slave)
    os.fchown(slave, uid, -1)
    return slave, slave, slave
