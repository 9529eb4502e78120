"""One container's monitor: its parent, from before its start until after its end.

It holds the terminal or the pipes, writes the log, serves attached front ends, reports
state and exit code, has the container started again as its restart policy says, and takes
back what the host gave.  It outlives whoever started the container, and nothing of the
caller's stays open in it.  Lean: the memory that it writes to is what every running
container costs, so a start is done by a child (`starter`), and so is whatever else is rare
and takes much.
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
from core.containers.runtime import cgroups
from core.containers.state import State
from core.containers.supervision import child, protocol, request, starter
from core.containers.supervision.health import Health
from core.containers.supervision.pump import Client, Loop, Pump
from core.containers.supervision.restarts import Restarts
from core.containers.supervision.samples import FILE, Sampler
from core.linux import process
from core.network import names, pasta, rewire
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, NoReturn

    from core.containers.supervision.restarts import Run

RUN = starter.Started.fields.index("run")
WHERE = ("address", "address6", "gateway", "table")
"""What the state tells of the network, if there is one."""


def run(door: int) -> NoReturn:
    """Be the monitor of one container; called in a fork of the spawner.

    `door` is the socket where the front end will ask for it, with a job (see
    `core.containers.starting`), whether descriptors of an owner's socket and a lock follow, and a
    report: a pipe that gets ASKED and a marshalled tuple, ("ok", pid) or ("error", stage, errno,
    text, exit code).  The owner is the front end that starts the container in the foreground.
    Nobody else has the container's lock before this start is over.
    """
    try:
        process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
        first = starter.fork(door)
        os.close(door)
        received = await_started(first)
        if received is not None:
            process.set_title(f"limpet: monitor at {received[0][RUN]}")
            Monitor(*received).main(first)
    finally:
        os._exit(1)


def await_started(forked: child.Forked) -> tuple[tuple[Any, ...], dict[str, int]] | None:
    """Wait for the values of a `Started`, and descriptors by their letters.

    None when the starter ends without a word.  Raises StartFailed.
    """
    received = request.receive(forked.channel, starter.MESSAGE_BYTES)
    if received is None:
        return None
    (kind, *told), fds = received
    if kind == "failed":
        raise child.StartFailed(*told)
    return tuple(told), dict(zip(told[1], fds, strict=True))


class Monitor:
    """The life of one container, from fork to clean-up."""

    def __init__(self, told: tuple[Any, ...], fds: dict[str, int]) -> None:
        *_, self._directory, self._run, self._changed, log, check = told
        self._job_file = fds.get("j", -1)
        """Only who starts the container, changes or ends it, looks into it."""
        self._loop = Loop()
        self._log = open_log(log)
        self._pump = Pump(self._loop, self._log.write, self._order, self._gone)
        self._made_restarts: Restarts | None = None
        self._sampler = Sampler(f"{self._run}/{FILE}", self._loop)
        self._health: Health | None = None
        if check:
            self._health = Health(
                check, self._load_plan, self._loop, self._directory, self._set_health, self._reap
            )
        self._bridges = -1
        self._published = told[3]
        self._status: int | None = None
        self._error = ""
        self._stop = b""
        """Who stops it: it is not started again."""
        self._due = False
        self._listen(_socket.socket(fileno=fds["l"]))
        if "w" in fds:
            self._pump.add_client(_socket.socket(fileno=fds["w"]), attached=True, owner=True)
        self._take_over(told, fds)

    def main(self, first: child.Forked) -> None:
        """Watch over the container that `first` has started, and clean up."""
        try:
            first.channel.send(protocol.ASKED)
            self._end_starter(first)
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
        if self._load_job()["auto_remove"]:
            self._remove()

    def play(self, health: str, now: float) -> None:
        """Do once what is done all the time, and let go of it all; see `rehearsal`."""
        assert self._health is not None
        self._loop.turn()
        self._sampler.take()
        self._health.note(now, 0, "")
        self._set_health(health)
        self._sampler.end()
        self._health.end()
        self._log.close()
        self._pump.forget_program()
        self._listener.close()
        os.close(self._pidfd)

    # -- the start -------------------------------------------------------------------

    def _take_over(self, told: tuple[Any, ...], fds: dict[str, int]) -> None:
        """Go on with a run that a starter has begun."""
        values, _, self._pasta, _, measured, zones, *_ = told
        self._state = State(*values)
        self._dirs: tuple[str, ...] = self._state.cgroup
        self._pid = self._state.pid
        if "m" in fds:
            self._pump.set_terminal(fds["m"], (0, 0))
        else:
            if "i" in fds:
                self._pump.set_stdin(fds["i"])
            self._pump.add_output(fds["o"], 1)
            self._pump.add_output(fds["e"], 2)
        self._pidfd = os.pidfd_open(self._pid)
        self._loop.add(self._pidfd, self._reap)
        if zones is not None:
            self._hold_bridges(zones)
        self._sampler.begin(measured, self._dirs)
        if self._health is not None:
            self._health.begin(self._pid, self._state.ticks)

    def _end_starter(self, forked: child.Forked) -> None:
        forked.channel.close()
        try:
            os.waitpid(forked.pid, 0)
        except ChildProcessError:
            pass  # reaped with others

    def _listen(self, channel: _socket.socket) -> None:
        self._listener = channel
        channel.setblocking(False)
        self._loop.add(channel.fileno(), lambda: self._accept(channel))

    def _load_job(self) -> dict[str, Any]:
        return starter.load_job(self._job_file)

    def _load_plan(self) -> dict[str, Any]:
        made_of: dict[str, Any] = marshal.loads(self._load_job()["plan"])  # noqa: S302 - root's
        return made_of

    def _keep_plan(self, made_of: dict[str, Any]) -> None:
        """Have the next run follow a changed plan."""
        starter.store_job(self._job_file, {**self._load_job(), "plan": marshal.dumps(made_of)})

    @property
    def _restarts(self) -> Restarts:
        """Made when the first run ends: most never do."""
        if self._made_restarts is None:
            self._made_restarts = Restarts(**self._load_job()["restart"])
        return self._made_restarts

    def _hold_bridges(self, zones: tuple[str, ...]) -> ModuleType:
        """Return what reaches an ordinary user's bridges; from now on they stay, as we do."""
        from core.network import user_bridges

        if self._bridges < 0:
            ticks = state.start_ticks(os.getpid())
            self._bridges = user_bridges.hold(names.Zones(*zones), ticks)
        return user_bridges

    def _end_pasta(self) -> None:
        """End the last run's; it is reaped with the others."""
        if self._pasta:
            try:
                os.kill(self._pasta, _signal.SIGTERM)
            except ProcessLookupError:
                pass
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
        if self._load_job()["pid_namespace"] != 0:
            cgroups.kill(self._dirs)  # no pid namespace ends with the first process
        self._pump.drain()
        self._log.end_lines()
        self._sampler.end()
        if self._health is not None:
            self._health.end()
        oom = cgroups.oom_kills(self._dirs) > 0
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
        cgroups.remove(self._dirs)
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
        self._end_pasta()
        carried = {
            "finished": self._state.finished, "wanted": self._restarts.wanted,
            "restarts": self._restarts.count, "runs": self._restarts.runs,
        }  # fmt: skip
        try:
            forked = starter.fork(-1, self._job_file, self._bridges, carried)
            try:
                started = await_started(forked)
                if started is None:
                    self._kill_children()
                    raise child.StartFailed("start", 0, "what starts it was killed", 125)
                self._take_over(*started)
            finally:
                self._end_starter(forked)
        except (child.StartFailed, OSError) as error:
            stage, text, code = "start", str(error), 125
            if isinstance(error, child.StartFailed):
                stage, _, text, code = error.args
            self._pid, self._status = 0, code << 8
            self._error = f"{stage}: {text}"
            self._state = self._state.replace(started=time.time())

    def _kill_children(self) -> None:
        """Kill what a starter had forked for us that was killed itself."""
        own = os.getpid()
        for pid in map(int, state.read_file(f"/proc/{own}/task/{own}/children").split()):
            os.kill(pid, _signal.SIGKILL)
        self._reap()

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
            made_of = self._load_plan()
            made_of["spec"]["linux"]["resources"] = marshal.loads(message[1:])  # noqa: S302 - root's
            self._keep_plan(made_of)

    def _signal(self, number: int) -> None:
        try:
            if self._pid:
                os.kill(self._pid, number)
        except OSError:
            pass  # not a signal

    def _freeze(self, *, frozen: bool) -> bytes:
        """Freeze or thaw; returns the answer for who asked."""
        try:
            cgroups.freeze(self._dirs, frozen=frozen)
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
        made_of = self._load_plan()
        network = made_of["network"]
        ports = network["ports"] if self._published else []
        try:
            if is_rootless():
                network = self._rewire_user(network, change)
            else:
                network = rewire.apply(self._pid, network, ports, change)
        except OSError as error:
            return bytes((protocol.ANSWER, error.errno or 255)) + str(error).encode()
        made_of["network"] = network  # for the next run
        self._keep_plan(made_of)
        self._published = bool(ports and network["ports"])
        self._state = self._state.replace(
            **{name: network.get(name, "") for name in WHERE}, ports=tuple(network["ports"])
        )
        self._write_state()
        return bytes((protocol.ANSWER, 0))

    def _rewire_user(self, network: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
        """Do the same for an ordinary user's container, whose way out is a pasta."""
        network["zones"] = change["zones"]
        if change["pasta"] and self._pid:
            self._pasta = pasta.start(change["pasta"], self._pid)
        bridges = self._hold_bridges(change["zones"])
        after: dict[str, Any] = bridges.apply(self._bridges, self._pid, network, change)
        if change["pasta"] is not None:
            after["program"] = change["pasta"]
            if not change["pasta"]:
                self._end_pasta()
        return after

    def _gone(self, client: Client) -> None:
        if not client.owner:
            return
        job = self._load_job()
        if job.get("ends_with_owner") and self._status is None and self._pid:
            os.kill(self._pid, _signal.SIGKILL)
        if not client.left and job["stdin_once"]:
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
        starter.give_back(self._run, self._load_plan(), self._dirs, self._published)

    def _linger(self) -> None:
        """Send what is still to be sent; wait for the owner who removes the container."""
        removes = self._load_job()["auto_remove"]
        while True:
            for client in list(self._pump.clients.values()):
                waited_for = removes and client.owner and not client.left
                if not client.pending and not waited_for:
                    self._pump.drop_client(client)
            if not self._pump.clients:
                return
            self._loop.turn()

    def _remove(self) -> None:
        """Remove what its owner has moved aside, or become the program that removes it all."""
        job, container_id = self._load_job(), os.path.basename(self._directory)
        if os.path.exists(f"{job['trash']}/{container_id}"):
            from core.containers.removal import remove_aside

            remove_aside(job["trash"], container_id)
            return
        if os.path.exists(self._directory):
            os.execv(sys.executable, job["remove"])  # noqa: S606 - no shell is the point

    def _write_state(self) -> None:
        try:
            state.write_state(self._directory, self._state)
            os.utime(self._changed)
        except OSError:
            pass  # a full disk, or somebody deleted the directory: the container goes on
