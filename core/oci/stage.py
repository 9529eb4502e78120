"""The processes between the runtime and the container's program.

    runtime --fork--> outer stage --fork--> first process

The outer stage makes the namespaces and ends; the first process, in the new pid namespace,
makes the rest and waits on the container's socket until `start`.  Both tell the runtime how
they fare, with messages like those of `core.containers.runtime.init`.
"""

from __future__ import annotations

import _socket
import marshal
import os

from core.containers.runtime import becoming, program
from core.containers.runtime.steps import Context
from core.linux import process
from core.oci import hooks
from core.oci.process import Facts, become, find_program, gather, open_console
from core.oci.talk import CREATED, FAILED, GO, LOG, MAPS, MAX_MESSAGE, PID, PLACE, READY, START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from core.containers.runtime.steps import Step
    from core.oci.plan import Plan

EXIT_OURS = 1


class Stage:
    """What both processes hold."""

    def __init__(
        self, spec: dict[str, Any], plan: Plan, made: dict[str, Any], state: dict[str, Any]
    ) -> None:
        self.spec = spec
        self.plan = plan
        self.made = made
        """What `core.oci.process.make_process` returns."""
        self.state = state
        """As hooks get it."""
        self.console = -1
        """A connected socket that takes the terminal's master; -1 for none."""
        self.notify = -1
        """A connected socket that takes the filter's listener; -1 for none."""
        self.listener = -1
        """The socket that `start` connects to; -1 to go on at once (`run`)."""
        self.debug = False
        self.placed = False
        """Whether the runtime has this process put into its cgroup, by systemd."""
        self.context = Context()
        self.channel = _socket.socket()
        self.doing = "start"

    def run_outer(self, channel: _socket.socket) -> NoReturn:
        """Make the namespaces, fork the first process and end."""
        self.channel = channel
        with _Telling(self):
            if self.placed:
                self.doing = "join the cgroup"
                self._ask(PLACE)
            ordinary = os.geteuid() != 0
            if ordinary and self.plan.maps:
                # Nothing is his to mount before he is root of something.
                self._make_user_namespace()
                process.unshare(process.CLONE_NEWNS)
            self._apply(self.plan.outer)
            if self.plan.user_namespace:
                self._enter_user_namespace()
            elif self.plan.maps and not ordinary:
                becoming.take_stdio((0, 1, 2), self.plan.host_uid)
                self._make_user_namespace()
            self._apply((self.plan.unshare, *self.plan.late))
            told, tell = os.pipe()
            pid = os.fork()
            if pid:
                channel.send(PID + str(pid).encode())
                os._exit(0)
            # Nothing of the first process may be heard before its PID is.
            os.close(tell)
            os.read(told, 1)
            os.close(told)
            self._run_inner()

    def _make_user_namespace(self) -> None:
        self.doing = "make the user namespace"
        process.unshare(process.CLONE_NEWUSER)
        self._ask(MAPS)
        be_root()

    def _enter_user_namespace(self) -> None:
        self.doing = f"join user namespace {self.plan.user_namespace}"
        fd = os.open(self.plan.user_namespace, os.O_RDONLY | os.O_CLOEXEC)
        process.setns(fd, process.CLONE_NEWUSER)
        os.close(fd)
        be_root()

    def _run_inner(self) -> NoReturn:
        becoming.forget_imports()
        os.setsid()
        becoming.default_signals()
        context = self.context
        facts = gather()
        self._apply(self.plan.inner)
        state = self._ask(READY)
        if self.notify >= 0:
            self.made["notify"] = (self.notify, state)
        self.doing = "hooks"
        self.state["pid"] = os.getpid()
        hooks.run_hooks(self.spec, "createContainer", {**self.state, "status": "creating"})
        if self.made["tty"]:
            self.doing = "open the terminal"
            open_console(context, self.made, self.console, bind=self.plan.bind_console)
            os.close(self.console)
        self._apply(self.plan.last)
        self.doing = "run " + self.made["argv"][0]
        find_program(self.made)
        self._await_start()
        self._start(facts)

    def _await_start(self) -> None:
        """Report that all is ready, and wait; from then on `start` is the one to tell."""
        if self.listener < 0:
            return
        # Nothing that shares its namespaces may look into it while it is still the runtime.
        process.prctl(process.PR_SET_DUMPABLE, 0)
        self.channel.send(CREATED)
        self.channel.close()
        listener = _socket.socket(fileno=self.listener)
        while True:
            fd, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - `_socket` has no other
            self.channel = _socket.socket(fileno=fd)
            if self.channel.recv(64) == START:
                break
            self.channel.close()
        listener.close()

    def _start(self, facts: Facts) -> NoReturn:
        self.doing = "hooks"
        hooks.run_hooks(self.spec, "startContainer", {**self.state, "status": "created"})
        self.doing = "run " + self.made["argv"][0]
        become(self.made, facts, self.context.slave_fd, hostile=False)
        os._exit(EXIT_OURS)

    def _apply(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            self.doing = step.describe()
            if self.debug:
                self.channel.send(LOG + self.doing.encode("utf-8", "surrogateescape")[:4000])
            step.apply(self.context)

    def _ask(self, message: bytes) -> bytes:
        self.channel.send(message)
        answer = self.channel.recv(MAX_MESSAGE)
        if not answer.startswith(GO):
            os._exit(EXIT_OURS)  # the runtime has failed and says so itself
        return answer.removeprefix(GO)


def be_root() -> None:
    """Become the root of the user namespace that was entered; one without keeps what it has."""
    try:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    except OSError:
        pass


class _Telling:
    """Sends the reason of a failure to who waits for it, and ends the process."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        code = EXIT_OURS
        try:
            tell(self._stage.channel, self._stage.doing, error)
            if isinstance(error, program.CannotRun):
                code = error.exit_code
        finally:
            os._exit(code)


def tell(channel: _socket.socket, doing: str, error: BaseException | None) -> None:
    """Send why there will be no program: stage, errno, text, exit code."""
    number, code = 0, EXIT_OURS
    if isinstance(error, program.CannotRun):
        number, text, code, doing = error.errno, error.text, error.exit_code, ""
    elif isinstance(error, hooks.HookFailed):
        text, doing = str(error), ""
    elif isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        number, text = error.errno or 0, f"{error.strerror}{where}"
    else:
        text = f"{type(error).__name__}: {error}"
    message = marshal.dumps((doing[:1000], number, text[:8000], code))
    channel.send(FAILED + message)
