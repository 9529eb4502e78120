"""One container's monitor: its parent, from before its start until after its end.

It holds the terminal or the pipes, writes the log, serves attached front ends, reports
state and exit code, starts the container again as its restart policy says, and takes back
what the host gave.  It outlives whoever started the
container, and nothing of the caller's stays open in it.  Lean: what it imports is memory
that every running container costs.
"""

from __future__ import annotations

import _signal
import _socket
import marshal
import os
import sys
import time

from core.containers import state
from core.containers.log.writer import open_log
from core.containers.runtime import cgroups, init, plan
from core.containers.state import State
from core.containers.supervision import child, protocol
from core.containers.supervision.health import STARTING, Health
from core.containers.supervision.pump import Client, Loop, Pump
from core.containers.supervision.restarts import Restarts
from core.containers.supervision.samples import FILE, Sampler
from core.linux import process
from core.network import hot, names, pasta, rewire
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, NoReturn

    from core.containers.supervision.restarts import Run

BACKLOG = 16
WHERE = ("address", "address6", "gateway", "table")
"""What the state tells of the network, if there is one."""


def run(
    job: dict[str, Any], first: child.Forked, report: int, owner: int, lock: int = -1
) -> NoReturn:
    """Be the monitor of one container; called in a fork of the spawner.

    `first` becomes the container's first process.  `report` is a pipe that gets one
    marshalled tuple: ("ok", pid), or ("error", stage, errno, text, exit code).  `owner` is
    the socket of the front end that started the container in the foreground, or -1.  `lock`
    is the container's: nobody else starts it before this start is over.
    """
    try:
        told = _tell(job, first)  # it is at work while we get ready
        process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
        process.set_title(f"limpet: monitor at {job['run']}")
        Monitor(job, told).main(report, owner, lock)
    except BaseException as error:  # noqa: BLE001 - a child must never return into its parent
        _report(report, ("error", "monitor", 0, f"{type(error).__name__}: {error}", 125))
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

    def __init__(self, job: dict[str, Any], told: child.Told) -> None:
        self._job = job
        self._directory: str = job["directory"]
        self._told = told
        self._cgroup = plan.make_cgroup(job["plan"]["spec"], job["plan"]["container_id"])
        self._network: dict[str, Any] = job["plan"]["network"] or {}
        self._loop = Loop()
        self._log = open_log(job["log"])
        self._pump = Pump(self._loop, self._log.write, self._order, self._gone)
        self._restarts = Restarts(**job["restart"])
        self._pid = self._pidfd = self._pasta = 0
        self._bridges = -1
        self._status: int | None = None
        self._error = ""
        self._stop = b""
        """Who stops it: it is not started again."""
        self._published = self._joined = self._due = False
        # systemd ends what we are in, a login or all of the host, and kills what then remains.
        self._terminated = process.signalfd(_signal.SIGTERM)
        self._loop.add(self._terminated, self._stop_for_host)
        self._socket: _socket.socket | None = None
        self._state = State()
        self._health = self._make_health()
        self._sampler = Sampler(f"{job['run']}/{FILE}", self._loop, tuple(self._cgroup["dirs"]))

    def main(self, report: int, owner: int, lock: int) -> None:
        """Start the container, watch over it, and clean up."""
        if owner >= 0:
            self._pump.add_client(_socket.socket(fileno=owner), attached=True, owner=True)
        try:
            self._start()
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
        try:
            self._watch()
        except Exception as error:  # noqa: BLE001 - whatever it is, the container must not stay
            if self._pid:
                os.kill(self._pid, _signal.SIGKILL)
                os.waitpid(self._pid, 0)
                self._status = _signal.SIGKILL
            self._error = f"the monitor failed: {type(error).__name__}: {error}"
            self._note_run()
        self._end()
        self._linger()
        if self._job["auto_remove"]:
            self._remove()

    def _make_health(self) -> Health | None:
        check, plan_ = self._job["health"], self._job["plan"]
        if not check:
            return None
        target = {
            "spec": plan_["spec"], "container_id": plan_["container_id"], "env": (), "cwd": "",
            "user": "", "tty": False, "privileged": False, "seccomp": plan_["seccomp"],
        }  # fmt: skip
        return Health(check, target, self._loop, self._directory, self._set_health, self._reap)

    # -- the start -------------------------------------------------------------------

    def _start(self) -> None:
        started = child.see_start(
            self._told, meanwhile=self._prepare, ready=self._attach, going=self._announce
        )
        self._pid = started.pid
        self._pump.take(started, self._job["size"])
        self._pidfd = process.pidfd_open(self._pid)
        self._loop.add(self._pidfd, self._reap)
        self._state = self._state.replace(started=time.time())
        self._sampler.begin(0 if self._network.get("mode") == "host" else self._pid)
        if self._health is not None:
            self._health.begin(self._pid, self._state.ticks)
            self._state = self._state.replace(health=STARTING)
        self._write_state()

    def _prepare(self) -> None:
        cgroups.create(self._cgroup)
        if self._socket is None:
            self._listen()

    def _listen(self) -> None:
        """Listen in the run-time directory, by a relative name: the path may be long."""
        os.makedirs(self._job["run"], 0o700, exist_ok=True)
        os.chdir(self._job["run"])
        if os.path.lexists(protocol.SOCKET_NAME):
            os.unlink(protocol.SOCKET_NAME)
        self._socket = channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        channel.bind(protocol.SOCKET_NAME)
        channel.listen(BACKLOG)
        channel.setblocking(False)
        os.chdir("/")
        self._loop.add(channel.fileno(), lambda: self._accept(channel))

    def _attach(self, pid: int) -> None:
        self._connect(pid)
        # Put together now, while the child is at work, and written once its program runs.
        self._state = State(
            state=state.RUNNING,
            pid=pid,
            ticks=state.start_ticks(pid),
            monitor=os.getpid(),
            monitor_ticks=state.start_ticks(os.getpid()),
            boot=state.boot_id(),
            finished=self._state.finished or self._job.get("finished", 0.0),
            ports=tuple(self._network.get("ports", ())),
            address=self._network.get("address", ""),
            gateway=self._network.get("gateway", ""),
            address6=self._network.get("address6", ""),
            table=self._network.get("table", ""),
            cgroup=tuple(self._cgroup["dirs"]),
            wanted=self._restarts.wanted,
            restarts=self._restarts.count,
            runs=self._restarts.runs,
        )

    def _connect(self, pid: int) -> None:
        if self._network.get("program"):
            self._end_pasta()
            self._pasta = pasta.start(self._network["program"], pid)
        attachments = self._network.get("attachments")
        if not attachments:
            return
        netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if is_rootless():
                self._user_bridges().attach(self._bridges, netns, attachments)
                return
            for attachment in attachments:
                hot.attach(netns, attachment)
        finally:
            os.close(netns)
        if self._network["ports"] and not self._published:
            self._published = True
            hot.publish(
                self._network["table"],
                self._network["address"],
                self._network["ports"],
                self._network["address6"],
            )

    def _announce(self) -> None:
        """Let the others on its networks find it."""
        if not self._joined and "members" in self._network:
            self._joined = True
            for name, values in self._network["members"]:
                names.join(self._zones(), name, names.Member(*values))

    def _zones(self) -> names.Zones:
        return names.Zones(*self._network["zones"])

    def _user_bridges(self) -> ModuleType:
        """Return what reaches an ordinary user's bridges; from now on they stay, as we do."""
        from core.network import user_bridges

        if self._bridges < 0:
            self._bridges = user_bridges.hold(self._zones(), state.start_ticks(os.getpid()))
        return user_bridges

    def _end_pasta(self) -> None:
        """End the last run's."""
        if self._pasta:
            pasta.end(self._pasta)
            self._pasta = 0

    def _accept(self, channel: _socket.socket) -> None:
        try:
            fd, _ = channel._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - all that the lean socket module has
        except OSError:
            return  # it has hung up already
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
            cgroups.kill(self._cgroup["dirs"])  # no pid namespace ends with the first process
        self._pump.drain()
        self._log.end_lines()
        self._sampler.end()
        if self._health is not None:
            self._health.end()
        oom = cgroups.oom_kills(self._cgroup["dirs"]) > 0
        run = (self._state.started, time.time(), code, oom)
        self._restarts.note(run)
        self._state = self._state.replace(
            pid=0, ticks=0, finished=run[1], exit_code=code, oom=oom, error=self._error, cgroup=(),
            runs=self._restarts.runs, health="",
        )  # fmt: skip
        return run

    def _rest(self, delay_s: float) -> None:
        """Wait before the next start; any order is served meanwhile."""
        self._pump.forget_program()
        cgroups.remove(self._cgroup["dirs"])
        looping = self._restarts.crash_looping
        self._state = self._state.replace(
            state=state.CRASH_LOOPING if looping else state.RESTARTING,
            restarts=self._restarts.count,
            next_start=self._state.finished + delay_s,
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
            self._told = _tell(self._job, first)
            self._start()
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
            made_of = self._job["plan"]
            made_of["spec"]["linux"]["resources"] = marshal.loads(message[1:])  # noqa: S302 - root's
            self._cgroup = plan.make_cgroup(made_of["spec"], made_of["container_id"])

    def _signal(self, number: int) -> None:
        try:
            if self._pid:
                os.kill(self._pid, number)
        except OSError:
            pass  # not a signal

    def _stop_for_host(self) -> None:
        """Stop the container until the host's next start."""
        os.read(self._terminated, process.SIGNAL_INFO_BYTES)
        self._stop = self._stop or protocol.BY_HOST
        number, patience_s = self._job["stop"]
        self._signal(number)
        if self._state.state == state.PAUSED:
            self._freeze(frozen=False)
        self._loop.later(patience_s, self._kill)

    def _kill(self) -> None:
        self._signal(_signal.SIGKILL)

    def _freeze(self, *, frozen: bool) -> bytes:
        """Freeze or thaw; returns the answer for who asked."""
        try:
            cgroups.freeze(self._cgroup["dirs"], frozen=frozen)
        except OSError as error:
            return bytes((protocol.ANSWER, error.errno or 255)) + str(error).encode()
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
        ports = self._network["ports"] if self._published else []
        try:
            if is_rootless():
                self._network = self._rewire_user(change)
            else:
                self._network = rewire.apply(self._pid, self._network, ports, change)
        except OSError as error:
            return bytes((protocol.ANSWER, error.errno or 255)) + str(error).encode()
        self._job["plan"]["network"] = self._network  # for the next run
        self._published = bool(ports and self._network["ports"])
        self._state = self._state.replace(
            **{name: self._network.get(name, "") for name in WHERE},
            ports=tuple(self._network["ports"]),
        )
        self._write_state()
        return bytes((protocol.ANSWER, 0))

    def _rewire_user(self, change: dict[str, Any]) -> dict[str, Any]:
        """Do the same for an ordinary user's container, whose way out is a pasta."""
        self._network["zones"] = change["zones"]
        if change["pasta"] and self._pid:
            self._pasta = pasta.start(change["pasta"], self._pid)
        after: dict[str, Any] = self._user_bridges().apply(
            self._bridges, self._pid, self._network, change
        )
        if change["pasta"] is not None:
            after["program"] = change["pasta"]
            if not change["pasta"]:
                self._end_pasta()
        return after

    def _gone(self, client: Client) -> None:
        if client.owner and self._job.get("ends_with_owner") and self._status is None and self._pid:
            os.kill(self._pid, _signal.SIGKILL)
        if client.owner and not client.left and self._job["stdin_once"]:
            self._pump.close_stdin()

    def _set_health(self, status: str) -> None:
        self._state = self._state.replace(health=status)
        self._write_state()

    def _reap(self) -> None:
        """Collect the first process, checks, and orphans: we are their subreaper."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._pid, self._status = 0, status
                self._loop.drop(self._pidfd)
                os.close(self._pidfd)
            elif self._health is not None:
                self._health.reaped(pid, status)

    # -- the end ---------------------------------------------------------------------

    def _end(self) -> None:
        """Record the end: whoever hears of it finds everything in place."""
        self._log.close()
        self._give_back()
        self._state = self._state.replace(
            state=state.EXITED, ports=(), address="", gateway="", address6="",
            table="", next_start=0, wanted=False,
            stopped=self._stop == protocol.BY_PERSON,
        )  # fmt: skip
        self._write_state()
        self._pump.send_all(bytes((protocol.EXIT, self._state.exit_code)))

    def _give_back(self) -> None:
        """Take the socket, the names, the published ports and the cgroup away."""
        self._end_pasta()
        for path, remove in (
            (f"{self._job['run']}/{protocol.SOCKET_NAME}", os.unlink),
            (self._job["run"], os.rmdir),
        ):
            try:
                remove(path)
            except OSError:
                pass
        if "zones" in self._network:
            try:
                names.leave(self._zones(), self._job["plan"]["container_id"])
            except OSError:
                pass  # the disk is full; the next that comes or goes will do it
        if self._published:
            self._published = False
            try:
                hot.unpublish(self._network["table"], self._network["ports"])
            except OSError:
                pass  # the table has been torn down
        cgroups.remove(self._cgroup["dirs"])

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
        os.execv(sys.executable, self._job["remove"])  # noqa: S606 - no shell is the point

    def _write_state(self) -> None:
        try:
            state.write_state(self._directory, self._state)
            os.utime(self._job["changed"])
        except OSError:
            pass  # a full disk, or somebody deleted the directory: the container goes on
