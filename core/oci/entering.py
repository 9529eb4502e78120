"""`exec`: one more process in a container.

The container may be hostile; see `core.containers.runtime.enter`, whose ways are taken.
"""

from __future__ import annotations

import _socket
import os

from core.containers.runtime import becoming, cgroups, enter
from core.containers.runtime.steps import Context
from core.containers.supervision import protocol
from core.errors import HostError, RunError, UsageError
from core.linux import capabilities, process
from core.oci import scope, stage, syscall_filter, talk
from core.oci.bundle import Wrong, as_specified, check_process, wrong_state
from core.oci.creation import check_descriptors, write_pid
from core.oci.listener import listener_path, process_state
from core.oci.process import become, gather, make_process, open_console
from core.oci.state import PAUSED, STOPPED, Container
from core.oci.talk import connect, failure, receive
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from core.oci.talk import Runtime

KINDS = (*enter.KINDS[:-2], ("time", process.CLONE_NEWTIME), *enter.KINDS[-2:])


class Entering(Record):
    """What is asked of `exec`."""

    process: dict[str, Any]
    """As in a configuration."""
    pid_file: str = ""
    console_socket: str = ""
    preserve_fds: int = 0
    ignore_paused: bool = False
    cgroup: str = ""
    """A cgroup below the container's own."""


def enter_container(
    runtime: Runtime, container: Container, asked: Entering, *, console: int = -1
) -> int:
    """Start a process in a container and return its PID; a child of who reaps this process's.

    Raises Error.
    """
    status = container.read().status()
    if status == STOPPED or (status == PAUSED and not asked.ignore_paused):
        raise wrong_state(f"cannot be entered: it is {status}", container.id)
    spec = container.spec()
    linux = spec.get("linux") or {}
    check_descriptors(asked.preserve_fds)
    with as_specified("process"):
        check_process(asked.process)
        made = make_process(
            asked.process,
            linux,
            filtered=syscall_filter.load_filter(linux.get("seccomp"), runtime.cache),
            preserve=asked.preserve_fds,
        )
    if made["tty"] and not asked.console_socket and console < 0:
        raise Wrong("process.terminal", "needs a place to send the terminal to",
                    hint="--console-socket PATH")  # fmt: skip
    joins = tuple(container.facts["cgroup"]["joins"])
    if asked.cgroup:
        inner = asked.cgroup.strip("/")
        if ".." in inner.split("/"):
            raise UsageError(f"--cgroup {asked.cgroup}: must not lead upwards")
        joins = tuple(os.path.join(os.path.dirname(j), inner, os.path.basename(j)) for j in joins)
    if asked.console_socket:
        console = connect(asked.console_socket, _socket.SOCK_STREAM).detach()
    path = listener_path(linux.get("seccomp"))
    notify = connect(path, _socket.SOCK_STREAM).detach() if path else -1
    ours, theirs = protocol.pair()
    outer = os.fork()
    if outer == 0:
        try:
            ours.close()
            _Visit(container, made, joins, console, notify).run(theirs)
        finally:
            os._exit(stage.EXIT_OURS)
    theirs.close()
    try:
        with protocol.Closing(ours):
            pid = _answer(ours, outer, lambda pid: process_state(container, pid, linux, status))
        if asked.pid_file:
            write_pid(asked.pid_file, pid)
    except OSError as error:
        raise HostError(str(error), errno=error.errno or 0) from error
    return pid


def _answer(channel: _socket.socket, outer: int, state: Callable[[int], bytes]) -> int:
    pid = 0
    while True:
        message = receive(channel)
        if message.startswith(talk.PID):
            pid = int(message.removeprefix(talk.PID))
            os.waitpid(outer, 0)
            try:
                channel.send(talk.GO + state(pid))
            except BrokenPipeError:
                pass  # it has ended, and has said why
        elif message.startswith(talk.FAILED):
            raise failure(message)
        elif pid:
            return pid  # execve has closed its end
        else:
            raise RunError("the process ended before its program began", exit_code=1)


class _Visit:
    """What the stage between the runtime and the program holds."""

    def __init__(
        self,
        container: Container,
        made: dict[str, Any],
        joins: tuple[str, ...],
        console: int,
        notify: int,
    ) -> None:
        self._notify = notify
        self._container = container
        self._made = made
        self._joins = joins
        self._console = console

    def run(self, channel: _socket.socket) -> NoReturn:
        """Join the container, fork the process and end."""
        doing = "enter the container"
        error: BaseException | None = None
        try:
            process.prctl(process.PR_SET_DUMPABLE, 0)
            facts = gather()
            self._join_cgroup()
            joined = enter.join_namespaces(
                self._container.pid, self._container.facts["ticks"], KINDS
            )
            if process.CLONE_NEWUSER in joined:
                stage.be_root()
                facts = facts.replace(available=capabilities.ALL)
            pid = os.fork()
            if pid:
                channel.send(talk.PID + str(pid).encode())
                os._exit(0)
            becoming.forget_imports()
            os.setsid()
            becoming.default_signals()
            context = Context()
            state = channel.recv(talk.MAX_MESSAGE).removeprefix(talk.GO)
            if self._notify >= 0:
                self._made["notify"] = (self._notify, state)
            if self._made["tty"]:
                doing = "open the terminal"
                context.root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                open_console(context, self._made, self._console, bind=False)
            doing = "run " + self._made["argv"][0]
            become(self._made, facts, context.slave_fd, hostile=True)
        except BaseException as raised:  # noqa: BLE001 - a child must never return into its parent
            error = raised
        try:
            stage.tell(channel, doing, error)
        finally:
            os._exit(stage.EXIT_OURS)

    def _join_cgroup(self) -> None:
        """Join the container's cgroup, or where its first process has moved to below it (v2)."""
        try:
            cgroups.join({"joins": self._joins})
        except PermissionError:
            scope.join(self._container.facts["cgroup"].get("scope", ""))
        except OSError:
            with open(f"/proc/{self._container.pid}/cgroup") as file:
                where = next((line[3:].strip() for line in file if line.startswith("0::")), "")
            cgroups.join({"joins": (f"{cgroups.ROOT}{where}/cgroup.procs",)})
