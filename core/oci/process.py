"""The process of a bundle or of an exec: from its description to execve(2).

https://github.com/opencontainers/runtime-spec/blob/main/config.md#process
"""

from __future__ import annotations

import _socket
import errno
import os
import resource
import sys

from core.containers.runtime import becoming, program, users
from core.containers.runtime.steps import Context
from core.linux import capabilities, mount, path, process, scheduling, seccomp, terminal
from core.linux.sockets import Socket
from core.oci.bundle import Wrong
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
UNLIMITED = 1 << 63
PERSONALITIES = {"LINUX": 0, "LINUX32": 8}
FIRST_FD = 3


def make_process(
    spec: dict[str, Any],
    linux: dict[str, Any],
    *,
    filtered: tuple[bytes, int] = (b"", 0),
    preserve: int = 0,
    keep_keyring: bool = False,
) -> dict[str, Any]:
    """Return what `become` takes, from a configuration's `process`.

    `linux` is that part of the configuration, `filtered` the system-call filter and its
    flags; `preserve` descriptors from 3 on stay open for the program.  Raises Wrong.
    """
    personality = linux.get("personality") or {}
    user = spec.get("user") or {}
    env = list(spec.get("env") or ())
    if preserve:
        env += [f"LISTEN_FDS={preserve}", "LISTEN_PID=1"]
    return {
        "argv": tuple(spec["args"]),
        "env": env,
        "cwd": spec["cwd"],
        "uid": user.get("uid") or 0,
        "gid": user.get("gid") or 0,
        "groups": tuple(user.get("additionalGids") or ()),
        "umask": user.get("umask", 0o022),
        "capabilities": _capabilities(spec.get("capabilities")),
        "rlimits": _rlimits(spec.get("rlimits") or ()),
        "no_new_privileges": bool(spec.get("noNewPrivileges")),
        "seccomp": filtered,
        "notify": None,
        "tty": bool(spec.get("terminal")),
        "size": _size(spec.get("consoleSize") or {}),
        "apparmor": spec.get("apparmorProfile") or "",
        "selinux": spec.get("selinuxLabel") or "",
        "scheduler": scheduling.scheduler(spec["scheduler"]) if spec.get("scheduler") else b"",
        "io_priority": scheduling.io_priority(spec["ioPriority"]) if spec.get("ioPriority") else 0,
        "cpus": _cpus(spec),
        "preserve": preserve,
        "module": os.path.exists("/sys/fs/selinux/enforce"),
        "personality": PERSONALITIES[domain] if (domain := personality.get("domain")) else 0,
        "keep_keyring": keep_keyring,
    }


def _capabilities(asked: dict[str, list[str]] | None) -> dict[str, int]:
    """Return the five sets as bits; names this kernel's time does not know are left out."""
    known = set(capabilities.NAMES)
    return {
        name: capabilities.mask(
            [one for one in (asked or {}).get(name) or () if one.removeprefix("CAP_") in known]
        )
        for name in SETS
    }


def _rlimits(limits: Any) -> tuple[tuple[str, int, int], ...]:
    found = []
    for limit in limits:
        name = limit["type"]
        if not name.startswith("RLIMIT_") or not hasattr(resource, name):
            raise Wrong("process.rlimits", f"there is no {name}")
        soft, hard = (-1 if limit[key] >= UNLIMITED else limit[key] for key in ("soft", "hard"))
        found.append((name, soft, hard))
    return tuple(found)


def _size(size: dict[str, int]) -> tuple[int, int]:
    return size.get("height") or 0, size.get("width") or 0


def _cpus(spec: dict[str, Any]) -> tuple[int, ...]:
    """Return the processors the program may run on: `execCPUAffinity.final`, as cpuset(7)."""
    text = (spec.get("execCPUAffinity") or {}).get("final") or ""
    found: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def find_program(made: dict[str, Any]) -> None:
    """Raise CannotRun when there is no such program; called in the process's root."""
    becoming.enter_directory(made["cwd"])
    program.find(made["argv"][0], made["env"])


def open_console(context: Context, made: dict[str, Any], socket_fd: int, *, bind: bool) -> None:
    """Make a terminal out of the container's own devpts and hand its master out.

    Before the root is pivoted into with `bind`, which puts it on /dev/console; or after.
    """
    master = path.open_in_root(context.root_fd, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
    context.slave_fd = terminal.open_pty(master)
    if bind:
        console = context.target("/dev/console", directory=False)
        mount.bind(context.slave_fd, console, read_only=False, recursive=False)
        os.close(console)
    if any(made["size"]):
        terminal.set_size(master, *made["size"])
    name = os.readlink(f"/proc/self/fd/{context.slave_fd}") if bind else "/dev/pts/ptmx"
    send_descriptor(socket_fd, master, name.encode())
    os.close(master)


def send_descriptor(socket_fd: int, fd: int, data: bytes) -> None:
    """Send a descriptor over a connected Unix socket."""
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))
    with Socket(fileno=os.dup(socket_fd)) as channel:
        channel.sendmsg([data], [rights])


class Facts(Record):
    """What has to be asked of the host's /proc, while it can still be seen."""

    highest: int
    """The number of the highest capability."""
    available: int
    """What this process has, as bits."""
    proc: int
    """An O_PATH descriptor of /proc."""


def gather() -> Facts:
    """Return the facts, for this process: called where the host's /proc is still mounted."""
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return Facts(capabilities.last(), capabilities.permitted(), proc)


def become(made: dict[str, Any], facts: Facts, slave: int, *, hostile: bool) -> None:
    """Take on all that the process is to be and execve its program; comes back as an error.

    `hostile`: others run in the container already (see `core.containers.runtime.enter`).  Raises
    CannotRun, OSError.
    """
    becoming.enter_directory(made["cwd"])
    if slave >= 0:
        terminal.make_controlling(slave)
        os.fchown(slave, made["uid"], -1)
        becoming.take_stdio((slave, slave, slave), made["uid"])
    else:
        _give_stdio(made["uid"])
    if not made["keep_keyring"]:
        process.join_session_keyring()
    environment = becoming.with_home(made["env"], _home(made["uid"]))
    opened = program.open_program(program.find(made["argv"][0], environment), made["argv"])
    _schedule(made)
    _label(made, facts)
    becoming.set_rlimits(made["rlimits"])
    capabilities.drop_bounding(made["capabilities"]["bounding"], facts.highest)
    if not made["no_new_privileges"]:
        _filter(made)
    _take_user(made, facts.available)
    if made["no_new_privileges"]:
        process.prctl(process.PR_SET_NO_NEW_PRIVS, 1)
        _filter(made)
    if hostile:
        process.close_range(FIRST_FD + made["preserve"], flags=process.CLOSE_RANGE_CLOEXEC)
        program.execute_in_hostile(opened, environment)
    process.close_range(FIRST_FD + made["preserve"], flags=process.CLOSE_RANGE_CLOEXEC)
    program.execute(opened, made["argv"], environment)


def _give_stdio(uid: int) -> None:
    """A program that opens /dev/stdout opens the pipe again, and its mode is 0600."""
    try:
        becoming.take_stdio((0, 1, 2), uid)
    except PermissionError:
        pass  # its owner is no one in this user namespace; the outer stage has seen to it


def _home(uid: int) -> str:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return users.lookup(str(uid), path.read_in_root(root, "/etc/passwd"), b"").home
    except LookupError:
        return "/"
    finally:
        os.close(root)


def _schedule(made: dict[str, Any]) -> None:
    if made["cpus"]:
        os.sched_setaffinity(0, made["cpus"])
    if made["scheduler"]:
        scheduling.sched_setattr(made["scheduler"])
    if made["io_priority"]:
        scheduling.ioprio_set(made["io_priority"])
    if made["personality"]:
        scheduling.personality(made["personality"])


def _label(made: dict[str, Any], facts: Facts) -> None:
    """Ask for the security module's label at execve; without such a module it means nothing."""
    for name, text in (("apparmor/exec", made["apparmor"]), ("exec", made["selinux"])):
        if not text:
            continue
        try:
            place = f"thread-self/attr/{name}"
            fd = os.open(place, os.O_WRONLY | os.O_CLOEXEC, dir_fd=facts.proc)
        except FileNotFoundError:
            continue
        try:
            os.write(fd, (f"exec {text}" if name.startswith("apparmor") else text).encode())
        except OSError as error:
            # No module is there to read it.
            if error.errno != errno.EINVAL or made["module"]:
                raise
        finally:
            os.close(fd)


def _filter(made: dict[str, Any]) -> None:
    code, flags = made["seccomp"]
    if not code:
        return
    listener = seccomp.load(code, flags)
    if made["notify"]:
        # At once: from now on its own calls may be waiting for an answer.
        fd, state = made["notify"]
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, listener.to_bytes(4, sys.byteorder))
        _socket.socket(fileno=fd).sendmsg([state], [rights])
        os.close(listener)


def _take_user(made: dict[str, Any], available: int) -> None:
    """Become the user and keep exactly the capabilities that were asked for.

    What this process itself does not have cannot be given; it is left out.
    """
    process.prctl(process.PR_SET_KEEPCAPS, 1)
    os.umask(made["umask"])
    try:
        os.setgroups(made["groups"])
    except PermissionError:
        if made["groups"]:
            raise
        # A user namespace of an ordinary user: setgroups(2) is denied there for good.
    os.setresgid(made["gid"], made["gid"], made["gid"])
    os.setresuid(made["uid"], made["uid"], made["uid"])
    sets = {name: bits & available for name, bits in made["capabilities"].items()}
    permitted = sets["permitted"] | sets["effective"]
    capabilities.capset(sets["effective"], permitted, sets["inheritable"])
    for number in range(len(capabilities.NAMES)):
        if sets["ambient"] & permitted & sets["inheritable"] >> number & 1:
            capabilities.raise_ambient(number)
