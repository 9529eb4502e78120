"""`create`: a bundle becomes a process that waits to be started."""

from __future__ import annotations

import _socket
import os
import time

from core.containers.runtime import cgroups, delegation
from core.containers.state import start_ticks
from core.containers.supervision import protocol
from core.errors import HostError, RunError
from core.oci import bundle, cgroup, hooks, plan, scope, stage, steps, syscall_filter, talk
from core.oci.listener import listener_path, process_state
from core.oci.process import FIRST_FD, make_process
from core.oci.running import destroy
from core.oci.state import CREATED, CREATING, Container, processes
from core.oci.talk import at_directory, connect, failure, receive
from core.privileges import outer_uid
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.oci.talk import Runtime


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
    with bundle.as_specified():
        group = _plan_cgroup(runtime, container_id, linux)
        planned = plan.make_plan(spec, os.path.realpath(asked.bundle), group, pivot=asked.pivot)
    with bundle.as_specified("process"):
        made = make_process(
            spec["process"],
            linux,
            filtered=syscall_filter.load_filter(linux.get("seccomp"), runtime.cache),
            preserve=asked.preserve_fds,
            keep_keyring=not asked.new_keyring,
        )
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
            "scope": group["path"] * runtime.systemd,
        },
        runtime=[os.getpid(), start_ticks(os.getpid())],
    )
    if processes(group["dirs"]):
        container.remove()  # and nothing else: they would be killed with the container
        raise bundle.Wrong(
            "linux.cgroupsPath",
            f"there are processes in {group['path']} already",
            hint="name a cgroup that is not there yet, or leave it out",
        )
    work = stage.Stage(spec, planned, made, container.show(CREATING))
    work.debug = runtime.debug
    work.placed = runtime.systemd
    try:
        with _Sockets(container, asked, work, console=console, wait=wait):
            if not runtime.systemd:
                _make_cgroup(runtime, group)
            _run(runtime, container, work, group)
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
        if path := listener_path((work.spec.get("linux") or {}).get("seccomp")):
            work.notify = self._add(connect(path, _socket.SOCK_STREAM))
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


def _plan_cgroup(runtime: Runtime, container_id: str, linux: dict[str, Any]) -> dict[str, Any]:
    """Plan the cgroup; an ordinary user has one from his systemd, or where he was given some."""
    resources = linux.get("resources") or {}
    if runtime.systemd:
        place = cgroup.systemd_place(linux.get("cgroupsPath") or "", container_id)
        group = cgroup.make(scope.top() + place, resources)
    else:
        place = cgroup.place(linux.get("cgroupsPath") or "", container_id)
        if os.geteuid() == 0:
            return cgroup.make(place, resources)
        given = "" if cgroups.layout() else delegation.delegated()
        group = cgroup.make(given.removeprefix(cgroups.ROOT) + place, resources)
        if not given:
            group |= {"version": 0, "dirs": (), "joins": ()}
    return {**group, "devices": b""} if outer_uid() else group


def _make_cgroup(runtime: Runtime, group: dict[str, Any]) -> None:
    for warning in cgroups.create(group):
        runtime.log("debug", warning)


def _run(runtime: Runtime, container: Container, work: stage.Stage, group: dict[str, Any]) -> None:
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
    try:
        with protocol.Closing(ours):
            _answer(runtime, container, work, ours, outer, group)
    finally:
        if container.pid == 0:
            os.waitpid(outer, 0)  # should it wait for an answer, it has seen our end close
    if work.listener < 0:
        container.update(status=CREATED)


def _answer(
    runtime: Runtime,
    container: Container,
    work: stage.Stage,
    channel: _socket.socket,
    outer: int,
    group: dict[str, Any],
) -> None:
    while True:
        message = receive(channel)
        if message == talk.PLACE:
            scope.start(group["path"], container.id, outer)
            _make_cgroup(runtime, group)
            channel.send(talk.GO)
            continue
        if message == talk.MAPS and work.plan.maps:
            _write_maps(outer, work.plan.maps)
            channel.send(talk.GO)
        elif message.startswith(talk.PID):
            os.waitpid(outer, 0)
            pid = int(message.removeprefix(talk.PID))
            container.update(pid=pid, ticks=start_ticks(pid))
        elif message == talk.READY and container.pid:
            state = container.show(CREATING)
            for kind in ("prestart", "createRuntime"):
                hooks.run_hooks(work.spec, kind, state)
            linux = work.spec.get("linux") or {}
            channel.send(talk.GO + process_state(container, container.pid, linux, CREATING))
        elif message == talk.CREATED:
            container.update(status=CREATED)
            return
        elif message.startswith(talk.LOG):
            runtime.log("debug", message.removeprefix(talk.LOG).decode(errors="replace"))
        elif message.startswith(talk.FAILED):
            raise failure(message)
        elif not message and work.listener < 0 and container.pid:
            return  # execve has closed the first process's end
        else:
            raise RunError("the container's first process ended before it was ready", exit_code=1)


def _write_maps(pid: int, maps: steps.IdMaps) -> None:
    try:
        steps.write_maps(pid, maps)
    except OSError as error:
        raise HostError(
            f"the kernel refuses linux.uidMappings or gidMappings: {error.strerror}",
            hint="ranges must not overlap; an ordinary user may map nobody but himself",
            errno=error.errno or 0,
        ) from error


def write_pid(path: str, pid: int) -> None:
    """Write a PID file, whole or not at all.  Raises OSError."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        file.write(str(pid))
    os.rename(temporary, path)


def _now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{seconds % 1 * 1e9:09.0f}Z"
