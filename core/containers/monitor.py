"""One container's monitor: its parent, from before its start until after its end.

It holds the terminal or the pipes, writes the log, serves attached front ends, reports
state and exit code, and takes back what the host gave.  It outlives whoever started the
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

from core.containers import cgroups, child, plan, protocol, state
from core.containers.log_writer import LogWriter
from core.containers.pump import Client, Loop, Pump
from core.containers.state import State
from core.linux import process
from core.network import hot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

BACKLOG = 16


def run(job: dict[str, Any], first: child.Forked, report: int, owner: int) -> NoReturn:
    """Be the monitor of one container; called in a fork of the spawner.

    `first` becomes the container's first process.  `report` is a pipe that gets one
    marshalled tuple: ("ok", pid), or ("error", stage, errno, text, exit code).  `owner` is
    the socket of the front end that started the container in the foreground, or -1.
    """
    try:
        process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
        Monitor(job, first).main(report, owner)
    except BaseException as error:  # noqa: BLE001 - a child must never return into its parent
        _report(report, ("error", "monitor", 0, f"{type(error).__name__}: {error}", 125))
    finally:
        os._exit(1)


def _report(fd: int, message: tuple[Any, ...]) -> None:
    try:
        os.write(fd, marshal.dumps(message))
        os.close(fd)
    except OSError:
        pass  # whoever asked is gone, or has been told already


class Monitor:
    """The life of one container, from fork to clean-up."""

    def __init__(self, job: dict[str, Any], first: child.Forked) -> None:
        self._job = job
        self._directory: str = job["directory"]
        self._first = first
        self._cgroup = plan.make_cgroup(job["plan"]["spec"], job["plan"]["container_id"])
        self._network: dict[str, Any] = job["plan"]["network"] or {}
        self._loop = Loop()
        self._log = LogWriter(job["log"], job["log_max_bytes"], job["log_max_files"])
        self._pump = Pump(self._loop, self._log.write, self._order, self._gone)
        self._pid = 0
        self._status: int | None = None
        self._published = False
        self._state = State()

    def main(self, report: int, owner: int) -> None:
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
        _report(report, ("ok", self._pid))
        try:
            while self._status is None:
                self._loop.turn()
            self._end("")
        except Exception as error:  # noqa: BLE001 - whatever it is, the container must not stay
            os.kill(self._pid, _signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._status = _signal.SIGKILL
            self._end(f"the monitor failed: {type(error).__name__}: {error}")
        self._linger()
        if self._job["auto_remove"] and os.path.exists(self._directory):
            self._remove()

    # -- the start -------------------------------------------------------------------

    def _start(self) -> None:
        started = child.start(
            self._first,
            self._job["plan"],
            stdin=self._job["stdin"],
            tty=self._job["plan"]["spec"]["process"]["terminal"],
            meanwhile=self._prepare,
            ready=self._attach,
        )
        self._pid = started.pid
        if started.master >= 0:
            self._pump.set_terminal(started.master, self._job["size"])
        else:
            if started.stdin >= 0:
                self._pump.set_stdin(started.stdin)
            self._pump.add_output(started.stdout, 1)
            self._pump.add_output(started.stderr, 2)
        self._loop.add(process.pidfd_open(self._pid), self._reap)
        self._state = self._state.replace(started=time.time())
        self._write_state()

    def _prepare(self) -> None:
        cgroups.create(self._cgroup)
        self._listen()

    def _listen(self) -> None:
        """Listen in the run-time directory, by a relative name: the path may be long."""
        os.makedirs(self._job["run"], 0o700, exist_ok=True)
        os.chdir(self._job["run"])
        if os.path.lexists(protocol.SOCKET_NAME):
            os.unlink(protocol.SOCKET_NAME)
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._socket.bind(protocol.SOCKET_NAME)
        self._socket.listen(BACKLOG)
        self._socket.setblocking(False)
        os.chdir("/")
        self._loop.add(self._socket.fileno(), self._accept)

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
            ports=tuple(self._network.get("ports", ())),
            address=self._network.get("address", ""),
            gateway=self._network.get("gateway", ""),
            cgroup=tuple(self._cgroup["dirs"]),
        )

    def _connect(self, pid: int) -> None:
        attachment = self._network.get("attachment")
        if attachment is None:
            return
        netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            hot.attach(netns, attachment)
        finally:
            os.close(netns)
        if self._network["ports"]:
            self._published = True
            hot.publish(self._network["table"], self._network["address"], self._network["ports"])

    def _accept(self) -> None:
        try:
            fd, _ = self._socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - all that the lean socket module has
        except OSError:
            return  # it has hung up already
        self._pump.add_client(_socket.socket(fileno=fd))

    # -- while it runs ---------------------------------------------------------------

    def _order(self, client: Client, message: bytes) -> None:
        kind = message[0]
        if kind == protocol.SIGNAL and len(message) >= 2:
            try:
                os.kill(self._pid, message[1])
            except OSError:
                pass  # not a signal
        elif kind in (protocol.PAUSE, protocol.UNPAUSE):
            self._pump.send(client, self._freeze(frozen=kind == protocol.PAUSE))

    def _freeze(self, *, frozen: bool) -> bytes:
        """Freeze or thaw; returns the answer for who asked."""
        try:
            cgroups.freeze(self._cgroup["dirs"], frozen=frozen)
        except OSError as error:
            return bytes((protocol.ANSWER, error.errno or 255)) + str(error).encode()
        self._state = self._state.replace(state=state.PAUSED if frozen else state.RUNNING)
        self._write_state()
        return bytes((protocol.ANSWER, 0))

    def _gone(self, client: Client) -> None:
        if client.owner and not client.left and self._job["stdin_once"]:
            self._pump.close_stdin()

    def _reap(self) -> None:
        """Collect the first process, and orphans that came to us as their subreaper."""
        while self._status is None:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == self._pid:
                self._status = status
            elif pid == 0:
                return

    # -- the end ---------------------------------------------------------------------

    def _end(self, error: str) -> None:
        """Record how it ended: whoever hears of the end finds everything in place."""
        assert self._status is not None
        code = child.exit_code(self._status)
        self._pump.drain()
        self._log.close()
        oom = cgroups.oom_kills(self._cgroup["dirs"]) > 0
        self._give_back()
        self._state = self._state.replace(
            state=state.EXITED, pid=0, ticks=0, finished=time.time(), exit_code=code,
            oom=oom, error=error, ports=(), address="", gateway="", cgroup=(),
        )  # fmt: skip
        self._write_state()
        self._pump.send_all(bytes((protocol.EXIT, code)))

    def _give_back(self) -> None:
        """Take the socket, the published ports and the cgroup away."""
        for path, remove in (
            (f"{self._job['run']}/{protocol.SOCKET_NAME}", os.unlink),
            (self._job["run"], os.rmdir),
        ):
            try:
                remove(path)
            except OSError:
                pass
        if self._published:
            self._published = False
            try:
                hot.unpublish(
                    self._network["table"], self._network["address"], self._network["ports"]
                )
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
        """Become the program that removes the container."""
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        process.setns(own, process.CLONE_NEWPID)  # the container's takes no more processes
        os.execv(sys.executable, self._job["remove"])  # noqa: S606 - no shell is the point

    def _write_state(self) -> None:
        try:
            state.write_state(self._directory, self._state)
            os.utime(self._job["changed"])
        except OSError:
            pass  # a full disk, or somebody deleted the directory: the container goes on
