"""One container's monitor: its parent, from before its start until after its end.

It holds the terminal or the pipes, writes the log, serves attached front ends, reports
state and exit code, starts the container again as its restart policy says, and takes back
what the host gave.  It outlives whoever started the
container, and nothing of the caller's stays open in it.  All this is done by a deputy of the
monitor (`deputy`) as long as there is something to do; then it hands the container to the
monitor, which watches over it (`watch`), and ends.  Lean: what it imports is memory that every
running container costs.
"""

from __future__ import annotations

import _signal
import _socket
import errno
import marshal
import os
import select
import sys
import time

from core.containers import state
from core.containers.log.writer import LineWriter, open_log
from core.containers.runtime import cgroups, copies, init, plan
from core.containers.state import State
from core.containers.supervision import child, protocol
from core.containers.supervision.health import STARTING, Health
from core.containers.supervision.pump import Client, Loop, Pump
from core.containers.supervision.restarts import Restarts
from core.containers.supervision.samples import FILE, PERIOD_S, Sampler
from core.containers.supervision.watch import BOOK, LISTENER, PIDFD, Watch
from core.containers.supervision.wiring import Wiring
from core.linux import process
from core.network.ports import publishing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from core.containers.supervision.deputy import Principal
    from core.containers.supervision.restarts import Run

BACKLOG = 16
SETTLE_S, LINGER_S = 1.0, 0.1
"""A container that has run so long, or of which nothing was wanted for so long, will run on."""
WHERE = ("address", "address6", "gateway", "table")
"""What the state tells of the network, if there is one."""


def run(
    principal: Principal,
    job: dict[str, Any],
    first: child.Forked,
    report: int,
    owner: int,
    lock: int = -1,
) -> NoReturn:
    """Do the start of one container for its monitor, `principal`, and what follows.

    `first` becomes the container's first process.  `report` is a pipe that gets one
    marshalled tuple: ("ok", pid), or ("error", stage, errno, text, exit code).  `owner` is
    the socket of the front end that started the container in the foreground, or -1.  `lock`
    is the container's: nobody else starts it before this start is over.
    """
    try:
        told = _tell(job, first)  # it is at work while we get ready
        process.set_title(f"limpet: monitor at {job['run']}")
        Monitor(job, principal).main(told, report, owner, lock)
    except BaseException as error:  # noqa: BLE001 - a child must never return into its parent
        _report(report, ("error", "monitor", 0, f"{type(error).__name__}: {error}", 125))
    finally:
        os._exit(1)


def go_on(principal: Principal, watch: Watch) -> NoReturn:
    """Do what is to be done for a container that the monitor, `principal`, has watched over."""
    try:
        book = watch.fds[BOOK]
        known = marshal.loads(os.pread(book, os.fstat(book).st_size, 0))  # noqa: S302 - ours
        monitor = Monitor(known["job"], principal, watch.log, watch.sampler)
        monitor.take_over(known, watch)
        if watch.is_terminated:
            monitor.stop_for_host()
        monitor.go_on(watch.failure)
    finally:
        os._exit(1)


def _tell(job: dict[str, Any], first: child.Forked) -> child.Told:
    made_of = job["plan"]
    return child.tell(
        first, made_of, stdin=job["stdin"], tty=made_of["spec"]["process"]["terminal"]
    )


def _report(fd: int, message: tuple[Any, ...]) -> None:
    try:
        os.write(fd, marshal.dumps(message))
        os.close(fd)
    except OSError:
        pass  # whoever asked is gone, or has been told already


class Monitor:
    """The life of one container, from fork to clean-up."""

    def __init__(
        self,
        job: dict[str, Any],
        principal: Principal,
        log: LineWriter | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        """`principal` is the monitor whose deputy this process is."""
        self._job = job
        self._principal = principal
        self._directory: str = job["directory"]
        self._loop = Loop()
        self._log = log or open_log(job["log"])
        self._pump = Pump(self._loop, self._log.write, self._order, self._gone)
        self._wiring = Wiring(job["plan"]["network"], principal)
        self._restarts = Restarts(**job["restart"])
        self._pid = self._pidfd = 0
        self._status: int | None = None
        self._error = ""
        self._stop = b""
        """Who stops it: it is not started again."""
        self._due = self._is_ending = False
        self._listener = -1
        # systemd ends what we are in, a login or all of the host, and kills what then remains.
        self._terminated = process.signalfd(_signal.SIGTERM)
        self._loop.add(self._terminated, self._hear_termination)
        self._state = State()
        self._health = self._make_health()
        self._sampler = sampler or Sampler(f"{job['run']}/{FILE}")

    def main(self, told: child.Told, report: int, owner: int, lock: int) -> None:
        """Start the container, and go on until it has settled or has ended for good."""
        if owner >= 0:
            self._pump.add_client(_socket.socket(fileno=owner), attached=True, owner=True)
        try:
            self._start(told)
        except child.StartFailed as error:
            self._give_back()
            _report(report, ("error", *error.args))
            return
        except OSError as error:
            self._give_back()
            _report(report, ("error", "start", error.errno or 0, str(error), 125))
            return
        if lock >= 0:
            os.close(lock)
        _report(report, ("ok", self._pid))
        self.go_on()

    def go_on(self, failure: Exception | None = None) -> NoReturn:
        """See all through until the monitor takes over, or the container has ended for good.

        `failure` is of what the monitor has done itself.
        """
        try:
            if failure is not None:
                raise failure
            self._watch()
        except Exception as error:  # noqa: BLE001 - whatever it is, the container must not stay
            if self._pid:
                os.kill(self._pid, _signal.SIGKILL)
                self._status = self._principal.wait(self._pid)
            self._error = f"the monitor failed: {type(error).__name__}: {error}"
            self._note_run()
        self._end()
        self._linger()
        self._wiring.unplug()
        if self._job["auto_remove"]:
            self._remove()
        copies.note(copies.DEPUTY)
        os._exit(0)

    def _make_health(self) -> Health | None:
        check, plan_ = self._job["health"], self._job["plan"]
        if not check:
            return None
        target = {
            "spec": plan_["spec"], "container_id": plan_["container_id"], "env": (), "cwd": "",
            "user": "", "tty": False, "privileged": False, "seccomp": plan_["seccomp"],
        }  # fmt: skip
        return Health(check, target, self._loop, self._directory, self._set_health, self._reap)

    # -- to the monitor and back -----------------------------------------------------

    def _settle(self) -> None:
        """Hand over to the monitor, which ends this process, unless something is under way."""
        if self._is_calm():
            try:
                self._hand_over()
            except OSError:
                pass  # the host has no descriptor or memory to spare
        self._loop.later(SETTLE_S, self._settle)

    def _is_calm(self) -> bool:
        checking = self._health is not None and self._health.is_checking
        # An ordinary user's bridges are held by a process that others know of.
        held = self._is_ending or checking or self._wiring.holds_bridges
        # It may have ended in this very turn of the loop.
        return self._pid > 0 and self._pump.is_idle and not held

    def _hand_over(self) -> NoReturn:
        book = os.memfd_create("container", os.MFD_CLOEXEC)
        fds = [book, self._listener, self._pidfd]

        def place(fd: int) -> int:
            """Return where a descriptor will be found."""
            fds.append(fd)
            return len(fds) - 1

        outputs, stdin, close_stdin, terminal = self._pump.values()
        known = {
            "job": {**self._job, "restart": self._restarts.values()},
            "state": tuple(self._state.as_dict().values()),
            "error": self._error,
            "stop": self._stop,
            "stdin": place(stdin) if stdin >= 0 else -1,
            "terminal": place(terminal) if terminal >= 0 else -1,
            "close_stdin": close_stdin,
            "wiring": self._wiring.values(),
            "wires": [place(fd) for fd in publishing.reserved()],
            "checks": self._health.values() if self._health is not None else (),
        }
        to_watch = (
            self._job["run"], self._job["log"],
            place(self._log.fd) if self._log.fd >= 0 else -1, tuple(self._log.partial.values()),
            [(place(fd), stream) for fd, stream in outputs.items()],
            self._pid, self._sampler.values(place),
            self._health.due if self._health is not None else 0.0,
        )  # fmt: skip
        try:
            os.write(book, marshal.dumps(known))
            self._name_principal()
            self._principal.hand_over(to_watch, fds)
            copies.note(copies.DEPUTY)
            os._exit(0)
        finally:
            os.close(book)

    def _name_principal(self) -> None:
        """Show what the monitor is for: here, as a page of memory is what that takes of it."""
        try:
            process.set_title(f"limpet: monitor at {self._job['run']}", os.getppid())
        except OSError:
            pass  # a host that forbids it: ptrace(2), /proc/sys/kernel/yama/ptrace_scope

    def take_over(self, known: dict[str, Any], watch: Watch) -> None:
        """Go on with what `_hand_over` has written down, and with what has come since."""
        fds = [*watch.fds, -1]  # so that -1 is what it is
        self._state = State(*known["state"])
        self._pid, self._error, self._stop = self._state.pid, known["error"], known["stop"]
        self._pidfd = fds[PIDFD]
        self._loop.add(self._pidfd, self._reap)
        self._listen_at(fds[LISTENER])
        self._pump.go_on(
            watch.outputs, fds[known["stdin"]], known["close_stdin"], fds[known["terminal"]]
        )
        self._wiring.go_on(*known["wiring"])
        publishing.take_reserved([fds[place] for place in known["wires"]])
        self._loop.later(self._sampler.due - time.monotonic(), self._sample)
        if self._health is not None:
            self._health.go_on(self._pid, self._state.ticks, known["checks"])
        self._loop.later(LINGER_S, self._settle)

    def _sample(self) -> None:
        self._loop.later(PERIOD_S, self._sample)
        self._sampler.take()

    # -- the start -------------------------------------------------------------------

    def _start(self, told: child.Told) -> None:
        started = child.see_start(
            told, meanwhile=self._prepare, ready=self._attach, going=self._wiring.announce
        )
        self._pid = started.pid
        self._pump.take(started, self._job["size"])
        self._pidfd = process.pidfd_open(self._pid)
        self._loop.add(self._pidfd, self._reap)
        self._state = self._state.replace(started=time.time())
        on_host = self._wiring.network.get("mode") == "host"
        self._sampler.begin(0 if on_host else self._pid, self._state.cgroup)
        self._loop.later(PERIOD_S, self._sample)
        if self._health is not None:
            self._health.begin(self._pid, self._state.ticks)
            self._state = self._state.replace(health=STARTING)
        self._write_state()
        self._loop.later(SETTLE_S, self._settle)

    def _prepare(self) -> None:
        made_of = self._job["plan"]
        cgroup = plan.make_cgroup(made_of["spec"], made_of["container_id"])
        self._state = self._state.replace(cgroup=tuple(cgroup["dirs"]))
        cgroups.create(cgroup)
        if self._listener < 0:
            self._listen()

    def _listen(self) -> None:
        """Listen in the run-time directory, by a relative name: the path may be long."""
        os.makedirs(self._job["run"], 0o700, exist_ok=True)
        os.chdir(self._job["run"])
        if os.path.lexists(protocol.SOCKET_NAME):
            os.unlink(protocol.SOCKET_NAME)
        channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        channel.bind(protocol.SOCKET_NAME)
        channel.listen(BACKLOG)
        os.chdir("/")
        channel.setblocking(False)
        self._listen_at(channel.detach())

    def _listen_at(self, fd: int) -> None:
        self._listener = fd
        self._loop.add(fd, self._accept)

    def _attach(self, pid: int) -> None:
        self._wiring.connect(pid)
        network, monitor = self._wiring.network, os.getppid()
        # Put together now, while the child is at work, and written once its program runs.
        self._state = State(
            state=state.RUNNING,
            pid=pid,
            ticks=state.start_ticks(pid),
            monitor=monitor,
            monitor_ticks=state.start_ticks(monitor),
            boot=state.boot_id(),
            finished=self._state.finished or self._job.get("finished", 0.0),
            ports=tuple(network.get("ports", ())),
            address=network.get("address", ""),
            gateway=network.get("gateway", ""),
            address6=network.get("address6", ""),
            table=network.get("table", ""),
            cgroup=self._state.cgroup,
            wanted=self._restarts.wanted,
            restarts=self._restarts.count,
            runs=self._restarts.runs,
        )

    def _accept(self) -> None:
        listener = _socket.socket(fileno=self._listener)
        try:
            fd, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - all that the lean socket module has
        except OSError:
            return  # it has hung up already
        finally:
            listener.detach()
        self._pump.add_client(_socket.socket(fileno=fd))

    # -- from run to run -------------------------------------------------------------

    def _watch(self) -> None:
        """See one run after the other through, until the container is to stay as it is."""
        while True:
            while self._status is None:
                self._loop.turn()
            run = self._note_run()
            delay = None if self._stop else self._restarts.delay(run)
            if delay is None:
                return
            self._rest(delay)
            if self._stop:
                return
            self._start_again()

    def _note_run(self) -> Run:
        """Read the last output, and remember how the run ended."""
        assert self._status is not None
        code = child.exit_code(self._status)
        if self._job["pid_namespace"] != 0:
            cgroups.kill(self._state.cgroup)  # no pid namespace ends with the first process
        self._pump.drain()
        self._log.end_lines()
        self._loop.forget(self._settle)
        self._loop.forget(self._sample)
        self._sampler.end()
        if self._health is not None:
            self._health.end()
        oom = cgroups.oom_kills(self._state.cgroup) > 0
        run = (self._state.started, time.time(), code, oom)
        self._restarts.note(run)
        self._state = self._state.replace(
            pid=0, ticks=0, finished=run[1], exit_code=code, oom=oom, error=self._error,
            runs=self._restarts.runs, health="",
        )  # fmt: skip
        return run

    def _rest(self, delay_s: float) -> None:
        """Wait before the next start; any order is served meanwhile."""
        self._pump.forget_program()
        cgroups.remove(self._state.cgroup)
        looping = self._restarts.crash_looping
        self._state = self._state.replace(
            state=state.CRASH_LOOPING if looping else state.RESTARTING,
            restarts=self._restarts.count,
            next_start=self._state.finished + delay_s,
            cgroup=(),
        )
        self._write_state()
        self._pump.send_all(bytes((protocol.ENDED, self._state.exit_code)))
        self._due = False
        self._loop.later(delay_s, self._wake)
        while not (self._due or self._stop):
            self._loop.turn()
        self._loop.forget(self._wake)

    def _wake(self) -> None:
        self._due = True

    def _start_again(self) -> None:
        """Start the next run; one that cannot be started has ended at once."""
        self._status, self._error = None, ""
        try:
            own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            first = child.fork_first(init.run, own, self._job["pid_namespace"])
            os.close(own)
            self._start(_tell(self._job, first))
        except (child.StartFailed, OSError) as error:
            stage, text, code = "start", str(error), 125
            if isinstance(error, child.StartFailed):
                stage, _, text, code = error.args
            self._pid, self._status = 0, code << 8
            self._error = f"{stage}: {text}"
            self._state = self._state.replace(started=time.time())

    # -- while it runs ---------------------------------------------------------------

    def _order(self, client: Client, message: bytes) -> None:
        kind = message[0]
        if kind == protocol.SIGNAL and len(message) >= 2:
            self._stop = message[2:3] or self._stop
            self._signal(message[1])
            # Some kernels end what is frozen only when it is thawed.
            if message[1] == _signal.SIGKILL and self._state.state == state.PAUSED:
                self._freeze(frozen=False)
        elif kind in (protocol.PAUSE, protocol.UNPAUSE):
            self._pump.send(client, self._freeze(frozen=kind == protocol.PAUSE))
        elif kind == protocol.NETWORK:
            self._pump.send(client, self._rewire(marshal.loads(message[1:])))  # noqa: S302 - only root gets at the socket
        elif kind == protocol.GO:
            self._wake()
        elif kind == protocol.POLICY:
            self._restarts.set_policy(message[1:].decode())
            self._state = self._state.replace(wanted=self._restarts.wanted)
            self._write_state()
        elif kind == protocol.LIMITS:
            resources = marshal.loads(message[1:])  # noqa: S302 - root's
            self._job["plan"]["spec"]["linux"]["resources"] = resources

    def _signal(self, number: int) -> None:
        try:
            if self._pid:
                os.kill(self._pid, number)
        except OSError:
            pass  # not a signal

    def _hear_termination(self) -> None:
        os.read(self._terminated, process.SIGNAL_INFO_BYTES)
        self.stop_for_host()

    def stop_for_host(self) -> None:
        """Stop the container until the host's next start."""
        if self._is_ending:
            return
        self._is_ending = True
        self._stop = self._stop or protocol.BY_HOST
        number, patience_s = self._job["stop"]
        self._signal(number)
        if self._state.state == state.PAUSED:
            self._freeze(frozen=False)
        self._loop.later(patience_s, self._kill)

    def _kill(self) -> None:
        self._signal(_signal.SIGKILL)

    def _freeze(self, *, frozen: bool) -> bytes:
        """Freeze or thaw; returns the answer for who asked, ESRCH between two runs."""
        if not self._pid:
            return bytes((protocol.ANSWER, errno.ESRCH))
        try:
            cgroups.freeze(self._state.cgroup, frozen=frozen)
        except OSError as error:
            return bytes((protocol.ANSWER, error.errno or 255)) + str(error.strerror).encode()
        self._state = self._state.replace(state=state.PAUSED if frozen else state.RUNNING)
        self._write_state()
        if self._health is not None:
            if frozen:
                self._health.pause()
            else:
                self._health.resume()
        return bytes((protocol.ANSWER, 0))

    def _rewire(self, change: dict[str, Any]) -> bytes:
        """Put the container on a network or take it off one; returns the answer."""
        try:
            self._wiring.rewire(self._pid, change)
        except OSError as error:
            return bytes((protocol.ANSWER, error.errno or 255)) + str(error).encode()
        network = self._wiring.network
        self._job["plan"]["network"] = network  # for the next run
        self._state = self._state.replace(
            **{name: network.get(name, "") for name in WHERE}, ports=tuple(network["ports"])
        )
        self._write_state()
        return bytes((protocol.ANSWER, 0))

    def _gone(self, client: Client) -> None:
        if not client.owner:
            return
        if self._job.get("ends_with_owner") and self._status is None and self._pid:
            os.kill(self._pid, _signal.SIGKILL)
        if not client.left and self._job["stdin_once"]:
            self._pump.close_stdin()

    def _set_health(self, status: str) -> None:
        self._state = self._state.replace(health=status)
        self._write_state()

    def _reap(self) -> None:
        """Collect the first process from the monitor, and checks, which are our own."""
        if self._pid and self._has_ended():
            self._status = self._principal.wait(self._pid)
            self._pid = 0
            self._loop.drop(self._pidfd)
            os.close(self._pidfd)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._health is not None:
                self._health.reaped(pid, status)

    def _has_ended(self) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    # -- the end ---------------------------------------------------------------------

    def _end(self) -> None:
        """Record the end: whoever hears of it finds everything in place."""
        self._log.close()
        self._give_back()
        self._state = self._state.replace(
            state=state.EXITED, cgroup=(), ports=(), address="", gateway="", address6="",
            table="", next_start=0, wanted=False,
            stopped=self._stop == protocol.BY_PERSON,
        )  # fmt: skip
        self._write_state()
        self._pump.send_all(bytes((protocol.EXIT, self._state.exit_code)))

    def _give_back(self) -> None:
        """Take the socket, the names, the published ports and the cgroup away."""
        for path, remove in (
            (f"{self._job['run']}/{protocol.SOCKET_NAME}", os.unlink),
            (self._job["run"], os.rmdir),
        ):
            try:
                remove(path)
            except OSError:
                pass
        self._wiring.give_back(self._job["plan"]["container_id"])
        cgroups.remove(self._state.cgroup)

    def _linger(self) -> None:
        """Send what is still to be sent; wait for the owner who removes the container."""
        while True:
            for client in list(self._pump.clients.values()):
                waited_for = self._job["auto_remove"] and client.owner and not client.left
                if not client.pending and not waited_for:
                    self._pump.drop_client(client)
            if not self._pump.clients:
                return
            self._loop.turn()

    def _remove(self) -> None:
        """Remove what its owner has moved aside, or become the program that removes it all."""
        container_id, trash = self._job["plan"]["container_id"], self._job["trash"]
        if os.path.exists(f"{trash}/{container_id}"):
            from core.containers.removal import remove_aside

            remove_aside(trash, container_id)
            return
        if not os.path.exists(self._directory):
            return
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        process.setns(own, process.CLONE_NEWPID)  # the container's takes no more processes
        process.prctl(process.PR_SET_PDEATHSIG, 0)  # the monitor ends when it hears us no more
        os.execv(sys.executable, self._job["remove"])  # noqa: S606 - no shell is the point

    def _write_state(self) -> None:
        try:
            state.write_state(self._directory, self._state)
            os.utime(self._job["changed"])
        except OSError:
            pass  # a full disk, or somebody deleted the directory: the container goes on
