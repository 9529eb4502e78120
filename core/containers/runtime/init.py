"""The container's first process, from fork to execve.

Everything is imported before: after pivot_root the image's files lie where modules are
looked for.  Whatever goes wrong is sent to the monitor and ends in os._exit.
"""

from __future__ import annotations

import _signal
import _socket
import marshal
import os
import resource
import stat
import sys

from core.containers.runtime import plan, program, steps, users
from core.linux import capabilities, path, process, terminal
from core.network import hot

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
        forget_imports()
        os.setsid()
        default_signals()
        stage = "plan"
        launch = plan.make_launch(**made_of, host=plan.this_host())
        context = steps.Context()
        for step in launch["steps"]:
            if isinstance(step, steps.JoinCgroup):
                stage = "network"
                _await_host(channel, launch["network"])
            stage = step.describe()
            step.apply(context)
            if isinstance(step, steps.Unshare):
                channel.send(READY)
            elif isinstance(step, steps.Terminal):
                _send_master(channel, context)
            elif context.root_fd >= 0 and "identity" not in launch:
                launch["identity"] = _identity(launch, context.root_fd)
        stage = "run " + launch["argv"][0]
        _become(launch, stdio, context, channel)
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


def fail(channel: _socket.socket, stage: str, errno: int, text: str, exit_code: int) -> None:
    """Tell the monitor why there will be no program."""
    message = marshal.dumps((stage[:1000], errno, text[:4000], exit_code))
    channel.send(FAILED + message)


def forget_imports() -> None:
    """Take away every way to load a module: the image's files must never be run as ours."""
    sys.meta_path.clear()
    sys.path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()


def default_signals() -> None:
    """Take back what Python does to signals: the program would inherit that."""
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _await_host(channel: _socket.socket, network: dict[str, Any] | None) -> None:
    """Wait until cgroup and network are there, and set the network up from inside."""
    if channel.recv(64) != GO:
        os._exit(EXIT_OURS)  # the monitor has failed and says so itself
    channel.setblocking(False)  # see _end_with_monitor
    if network is None or network["mode"] not in SHARED:
        hot.configure(network["attachments"] if network else ())


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
) -> None:
    """Take on the program's user, descriptors and directory, and execve it."""
    enter_directory(launch["cwd"])
    if stdio is None:
        terminal.make_controlling(context.slave_fd)
        os.fchown(context.slave_fd, launch["identity"].uid, -1)
        stdio = (context.slave_fd,) * 3
    identity = launch["identity"]
    take_stdio(stdio, identity.uid)
    process.join_session_keyring()
    os.umask(0o022)
    environment = with_home(launch["env"], identity.home)
    opened = program.open_program(program.find(launch["argv"][0], environment), launch["argv"])
    set_rlimits(launch["rlimits"])
    take_identity(identity, launch["capabilities"])
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


def take_stdio(stdio: tuple[int, int, int], uid: int) -> None:
    """Put descriptors on 0, 1 and 2, and give pipes to the user.

    A program that opens /dev/stdout opens the pipe again, and its mode is 0600.
    """
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            os.fchown(number, uid, -1)


def enter_directory(directory: str) -> None:
    """Change into a directory and prove that it lies inside the root (CVE-2024-21626)."""
    os.chdir(directory)
    if not os.getcwd().startswith("/"):
        raise OSError(2, "the working directory lies outside the container", directory)


def set_rlimits(rlimits: tuple[tuple[str, int, int], ...]) -> None:
    """Set resource limits; one above what limpet itself may have becomes that (setrlimit(2))."""
    for name, soft, hard in rlimits:
        number = getattr(resource, name)
        try:
            resource.setrlimit(number, (soft, hard))
        except ValueError:  # a hard limit raised without CAP_SYS_RESOURCE
            most = resource.getrlimit(number)[1]
            # Unlimited is -1.
            lower = most if soft < 0 or (most >= 0 and soft > most) else soft
            resource.setrlimit(number, (lower, most))


def take_identity(identity: users.Identity, bits: int) -> None:
    """Become a user; root keeps exactly the capabilities in `bits`."""
    os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    kept = bits if identity.uid == 0 else 0
    capabilities.capset(kept, kept, 0)


def with_home(environment: list[str], home: str) -> list[str]:
    """Return the environment with HOME, unless it is set."""
    if any(entry.startswith("HOME=") for entry in environment):
        return environment
    return [*environment, f"HOME={home}"]
