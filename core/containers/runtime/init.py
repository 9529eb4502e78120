"""The container's first process, from fork to execve.

Everything is imported before: after pivot_root the image's files lie where modules are
looked for.  Whatever goes wrong is sent to the monitor and ends in os._exit.
"""

from __future__ import annotations

import _socket
import marshal
import os
import sys

from core.containers.runtime import becoming, copies, plan, program, steps, users
from core.linux import path, process, terminal
from core.network.attachment import veth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

READY, TTY, FAILED, GO = b"namespaces", b"tty", b"error", b"go"
"""The messages on the sync socket; its end without an error means that execve worked."""
SHARED = ("host", "container")
"""Networks that are set up already."""
EXIT_OURS = 125
MAX_MESSAGE = 16 << 10


def run(made_of: dict[str, Any], stdio: tuple[int, int, int] | None, sync: int) -> NoReturn:
    """Become the container's program; `made_of` is what `plan.make_launch` takes.

    Called in the child of a process that has called unshare(CLONE_NEWPID) once; `sync` is
    one end of a SEQPACKET socket pair.  `stdio` is None for a container with a terminal:
    its master is sent with TTY.
    """
    channel = _socket.socket(fileno=sync)
    stage = "start"
    try:
        pages = copies.open_map(copies.FIRST)
        becoming.forget_imports()
        os.setsid()
        becoming.default_signals()
        stage = "plan"
        launch = plan.make_launch(**made_of, host=plan.this_host())
        context = steps.Context()
        for step in launch["steps"]:
            if isinstance(step, steps.JoinCgroup):
                stage = "network"
                _await_host(channel)
                _configure_network(launch)
            stage = step.describe()
            step.apply(context)
            if isinstance(step, steps.Unshare):
                channel.send(READY)
            elif isinstance(step, steps.Terminal):
                _send_master(channel, context)
            elif context.root_fd >= 0 and "identity" not in launch:
                launch["identity"] = _identity(launch, context.root_fd)
        stage = "run " + launch["argv"][0]
        _become(launch, stdio, context, channel, pages)
    except program.CannotRun as error:
        fail(channel, stage, error.errno, error.text, error.exit_code)
    except LookupError as error:
        fail(channel, "user", 0, str(error), EXIT_OURS)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        fail(channel, stage, error.errno or 0, f"{error.strerror}{where}", EXIT_OURS)
    except BaseException as error:  # noqa: BLE001 - a child must never return into its parent
        fail(channel, stage, 0, f"{type(error).__name__}: {error}", EXIT_OURS)
    finally:
        os._exit(EXIT_OURS)


def make_network() -> bool:
    """Make a network namespace, with a loopback device, before there is a plan that wants it.

    It takes a millisecond, and as long as it takes while the kernel puts others away.  False
    when it cannot be made: whoever has the plan finds out why.
    """
    try:
        process.unshare(process.CLONE_NEWNET)
        veth.configure(())
    except OSError:
        return False
    return True


def fail(channel: _socket.socket, stage: str, errno: int, text: str, exit_code: int) -> None:
    """Tell the monitor why there will be no program."""
    message = marshal.dumps((stage[:1000], errno, text[:4000], exit_code))
    channel.send(FAILED + message)


def _await_host(channel: _socket.socket) -> None:
    """Wait until cgroup and network are there."""
    if channel.recv(64) != GO:
        os._exit(EXIT_OURS)  # the monitor has failed and says so itself
    channel.setblocking(False)  # see _end_with_monitor


def _configure_network(launch: dict[str, Any]) -> None:
    """Set the network up from inside, unless that has been done."""
    network = launch["network"]
    attachments = network["attachments"] if network else ()
    shared = network is not None and network["mode"] in SHARED
    if not shared and (attachments or not launch["has_network"]):
        veth.configure(attachments)


def _send_master(channel: _socket.socket, context: steps.Context) -> None:
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, context.master_fd.to_bytes(4, sys.byteorder))
    channel.sendmsg([TTY], [rights])
    os.close(context.master_fd)


def _identity(launch: dict[str, Any], root_fd: int) -> users.Identity:
    passwd = path.read_in_root(root_fd, "/etc/passwd")
    group = path.read_in_root(root_fd, "/etc/group")
    return users.lookup(launch["user"], passwd, group, launch["groups"])


def _become(
    launch: dict[str, Any],
    stdio: tuple[int, int, int] | None,
    context: steps.Context,
    channel: _socket.socket,
    pages: int,
) -> None:
    """Take on the program's user, descriptors and directory, and execve it."""
    becoming.enter_directory(launch["cwd"])
    if stdio is None:
        terminal.make_controlling(context.slave_fd)
        os.fchown(context.slave_fd, launch["identity"].uid, -1)
        stdio = (context.slave_fd,) * 3
    identity = launch["identity"]
    becoming.take_stdio(stdio, identity.uid)
    process.join_session_keyring()
    os.umask(0o022)
    environment = becoming.with_home(launch["env"], identity.home)
    opened = program.open_program(program.find(launch["argv"][0], environment), launch["argv"])
    becoming.set_rlimits(launch["rlimits"])
    becoming.take_identity(identity, launch["capabilities"])
    copies.note(copies.FIRST, pages)
    process.close_range(3, flags=process.CLOSE_RANGE_CLOEXEC)
    _end_with_monitor(channel)
    program.execute(opened, launch["argv"], environment)


def _end_with_monitor(channel: _socket.socket) -> None:
    """Be killed when the monitor ends, or end now when it has already.

    Its end is not to be seen by getppid(2): it lies in another pid namespace.
    """
    # After the credentials, which clear it.
    process.prctl(process.PR_SET_PDEATHSIG, 9)
    try:
        # By read(2), which every seccomp filter allows.
        if not os.read(channel.fileno(), 1):
            os._exit(EXIT_OURS)
    except BlockingIOError:
        pass  # it is there and says nothing
