"""`create` and `start`: a bundle becomes a process that waits, and then the program."""

from __future__ import annotations

import _socket
import marshal
import os
import select
import time

from core.containers.runtime import cgroups
from core.containers.state import start_ticks
from core.containers.supervision import protocol
from core.errors import HostError, RunError
from core.linux import process
from core.oci import bundle, cgroup, hooks, plan, scope, stage, steps, syscall_filter
from core.oci.process import FIRST_FD, make_process
from core.oci.state import CREATED, CREATING, STOPPED, Container
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_MESSAGE = 64 << 10


class Runtime(Record):
    """What the flags before the verb say."""

    root: str
    """Where the containers' states are."""
    cache: str
    """Where compiled system-call filters are kept."""
    systemd: bool = False
    """cgroupsPath has systemd's form, and systemd makes the cgroup."""
    log: Callable[[str, str], None] = lambda level, text: None
    """Takes a level (`debug`, `warning`) and a line."""
    debug: bool = False


class Creation(Record):
    """What is asked of `create`, besides the bundle."""

    bundle: str
    config: str = ""
    pid_file: str = ""
    console_socket: str = ""
    preserve_fds: int = 0
    pivot: bool = True
    new_keyring: bool = True


def create(
    runtime: Runtime, container_id: str, asked: Creation, *, wait: bool = True, console: int = -1
) -> Container:
    """Make a container whose first process waits for `start`; without `wait` it goes on at once.

    `console` is the socket that takes the terminal's master, where asked.console_socket names
    none.  What was made is taken back when it fails.  Raises Error.
    """
    spec = bundle.read_bundle(asked.bundle, asked.config)
    _check_terminal(spec, asked, console)
    check_descriptors(asked.preserve_fds)
    linux = spec.get("linux") or {}
    container = Container(runtime.root, container_id)
    find = cgroup.systemd_place if runtime.systemd else cgroup.place
    place = find(linux.get("cgroupsPath") or "", container_id)
    if runtime.systemd:
        place = scope.top() + place
    group = cgroup.make(place, linux.get("resources") or {})
    try:
        made = make_process(
            spec["process"],
            linux,
            filtered=syscall_filter.load_filter(linux.get("seccomp"), runtime.cache),
            preserve=asked.preserve_fds,
            keep_keyring=not asked.new_keyring,
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise bundle.Wrong("process", str(error)) from error
    planned = plan.make_plan(spec, os.path.realpath(asked.bundle), group, pivot=asked.pivot)
    container.make(
        spec,
        bundle=os.path.realpath(asked.bundle),
        rootfs=spec["root"]["path"],
        annotations=spec.get("annotations") or {},
        created=_now(),
        cgroup={
            "dirs": list(group["dirs"]),
            "joins": list(group["joins"]),
            "path": group["path"],
            "scope": place * runtime.systemd,
        },
        runtime=[os.getpid(), start_ticks(os.getpid())],
    )
    work = stage.Stage(spec, planned, made, container.show(CREATING))
    work.debug = runtime.debug
    try:
        with (
            scope.Scope(place * runtime.systemd, container_id),
            _Sockets(container, asked, work, console=console, wait=wait),
        ):
            for warning in cgroups.create(group):
                runtime.log("debug", warning)
            _run(runtime, container, work)
        if asked.pid_file:
            write_pid(asked.pid_file, container.pid)
    except OSError as error:
        destroy(runtime, container)
        where = f": {error.filename}" if error.filename else ""
        raise HostError(f"{error.strerror}{where}", errno=error.errno or 0) from error
    except BaseException:
        destroy(runtime, container)
        raise
    return container


def _check_terminal(spec: dict[str, Any], asked: Creation, console: int) -> None:
    tty = bool(spec["process"].get("terminal"))
    if tty and not asked.console_socket and console < 0:
        raise bundle.Wrong(
            "process.terminal",
            "needs a place to send the terminal to",
            hint="--console-socket PATH",
        )
    if asked.console_socket and not tty:
        raise bundle.Wrong("process.terminal", "is false, but --console-socket was given")


def check_descriptors(preserve: int) -> None:
    """Keep that many descriptors from 3 on for the program; HostError when one is not open."""
    for fd in range(FIRST_FD, FIRST_FD + preserve):
        try:
            os.set_inheritable(fd, True)
        except OSError as error:
            raise HostError(f"--preserve-fds {preserve}: descriptor {fd} is not open") from error


class _Sockets:
    """The sockets that the first process inherits."""

    def __init__(
        self, container: Container, asked: Creation, work: stage.Stage, *, console: int, wait: bool
    ) -> None:
        self._opened: list[_socket.socket] = []
        work.console = console
        if asked.console_socket:
            work.console = self._add(connect(asked.console_socket, _socket.SOCK_STREAM))
        if wait:
            listener = _socket.socket(
                _socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
            )
            work.listener = self._add(listener)
            with at_directory(container.directory) as folder:
                listener.bind(f"{folder}/{os.path.basename(container.start_socket)}")
            listener.listen(1)

    def _add(self, opened: _socket.socket) -> int:
        self._opened.append(opened)
        return opened.fileno()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for opened in self._opened:
            opened.close()


class at_directory:
    """A short name for a directory, inside the `with` block: a socket's path has 107 bytes."""

    def __init__(self, directory: str) -> None:
        self._directory = directory or "."

    def __enter__(self) -> str:
        self._fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def connect(path: str, kind: int) -> _socket.socket:
    """Connect to a Unix socket, however long its path is.  Raises OSError, HostError."""
    channel = _socket.socket(_socket.AF_UNIX, kind | _socket.SOCK_CLOEXEC)
    try:
        with at_directory(os.path.dirname(path)) as folder:
            channel.connect(f"{folder}/{os.path.basename(path)}")
    except OSError as error:
        channel.close()
        raise HostError(f"{path}: {error.strerror}", errno=error.errno or 0) from error
    return channel


def _run(runtime: Runtime, container: Container, work: stage.Stage) -> None:
    """Fork the stages and answer them until the container is created, or runs."""
    ours, theirs = protocol.pair()
    outer = os.fork()
    if outer == 0:
        try:
            ours.close()
            work.run_outer(theirs)
        finally:
            os._exit(stage.EXIT_OURS)
    theirs.close()
    with protocol.Closing(ours):
        try:
            _answer(runtime, container, work, ours, outer)
        finally:
            if container.pid == 0:
                os.waitpid(outer, 0)
    if work.listener < 0:
        container.update(status=CREATED)


def _answer(
    runtime: Runtime,
    container: Container,
    work: stage.Stage,
    channel: _socket.socket,
    outer: int,
) -> None:
    while True:
        message = receive(channel)
        if message == stage.MAPS and work.plan.maps:
            steps.write_maps(outer, work.plan.maps)
            channel.send(stage.GO)
        elif message.startswith(stage.PID):
            os.waitpid(outer, 0)
            pid = int(message.removeprefix(stage.PID))
            container.update(pid=pid, ticks=start_ticks(pid))
        elif message == stage.READY:
            state = container.show(CREATING)
            for kind in ("prestart", "createRuntime"):
                hooks.run_hooks(work.spec, kind, state)
            channel.send(stage.GO)
        elif message == stage.CREATED:
            container.update(status=CREATED)
            return
        elif message.startswith(stage.LOG):
            runtime.log("debug", message.removeprefix(stage.LOG).decode(errors="replace"))
        elif message.startswith(stage.FAILED):
            raise failure(message)
        elif not message and work.listener < 0 and container.pid:
            return  # execve has closed the first process's end
        else:
            raise RunError("the container's first process ended before it was ready", exit_code=1)


def receive(channel: _socket.socket) -> bytes:
    """Return a stage's next message, b"" at its end."""
    while True:
        try:
            return channel.recv(MAX_MESSAGE)
        except ConnectionResetError:
            continue  # its last message comes after this, see protocol.receive


def failure(message: bytes) -> RunError:
    """Return the error that one of the stages tells of."""
    doing, _, text, code = marshal.loads(message.removeprefix(stage.FAILED))  # noqa: S302 - our own
    return RunError(f"{doing}: {text}" if doing else text, exit_code=code)


def start(runtime: Runtime, container: Container) -> None:
    """Let a created container's program begin; RunError when it cannot.  Hooks run around it."""
    status = container.read().status()
    if status != CREATED:
        raise bundle.check_state(f"cannot be started: it is {status}", container.id)
    spec = container.spec()
    channel = connect(container.start_socket, _socket.SOCK_SEQPACKET)
    with protocol.Closing(channel):
        channel.send(stage.START)
        message = receive(channel)
    os.unlink(container.start_socket)
    if message.startswith(stage.FAILED):
        raise failure(message)
    poststart(runtime, container, spec)


def poststart(runtime: Runtime, container: Container, spec: dict[str, Any]) -> None:
    """Run the hooks after the start; one that fails is only told of."""
    try:
        hooks.run_hooks(spec, "poststart", container.show("running"))
    except hooks.HookFailed as error:
        runtime.log("warning", str(error))


def destroy(runtime: Runtime, container: Container) -> None:
    """Kill what is left of a container, take its cgroup and its state away, run its hooks."""
    container.read()
    dirs = container.cgroup_dirs
    if container.pid and container.alive():
        kill_first(container)
    cgroups.kill(dirs)
    scope.stop(container.facts["cgroup"].get("scope", ""))
    cgroups.remove(dirs)
    spec = container.spec()
    container.remove()
    try:
        hooks.run_hooks(spec, "poststop", container.show(STOPPED))
    except hooks.HookFailed as error:
        runtime.log("warning", str(error))


def kill_first(container: Container, timeout_ms: int = 10_000) -> None:
    """Kill the first process and wait until it is gone; a frozen one is thawed for that."""
    try:
        pidfd = process.pidfd_open(container.pid)
    except OSError:
        return
    try:
        if container.alive():
            process.pidfd_send_signal(pidfd, 9)
            try:
                cgroups.freeze(container.cgroup_dirs, frozen=False)
            except OSError:
                pass  # it has no freezer, so nothing is frozen
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(timeout_ms):
                raise HostError(f"process {container.pid} does not end, though killed")
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def write_pid(path: str, pid: int) -> None:
    """Write a PID file, whole or not at all.  Raises OSError."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        file.write(str(pid))
    os.rename(temporary, path)


def _now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{seconds % 1 * 1e9:09.0f}Z"
