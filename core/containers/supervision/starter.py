"""Starts a container for its monitor, in a process of its own that ends when that is done.

It takes the front end's request and answers it.  A start takes most of limpet's code and
dirties the memory it runs in; the monitor, which stays, is spared that.  The container's
first process is forked ahead by one between that ends at once, so its parent is the monitor,
the nearest subreaper.

What it says to the monitor (`core.containers.supervision.request`):

    ("failed", stage, errno, text, exit code)     a further run; of the first nobody waits there
    ("started", what `Started` says)              with descriptors; answered by ASKED, when the
                                                  monitor has taken over
"""

from __future__ import annotations

import _signal
import _socket
import marshal
import os
import time

from core.containers import state
from core.containers.runtime import cgroups, init, plan
from core.containers.state import State
from core.containers.supervision import child, protocol, request, restarts, surroundings
from core.containers.supervision.health import STARTING
from core.linux import process, terminal
from core.network import hot, names, pasta
from core.privileges import is_rootless
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, NoReturn

BACKLOG = 16
MESSAGE_BYTES = 8 << 10
"""What a monitor keeps room for; a longer message comes as a memory file."""


class Started(Record):
    """A run that has begun, as the monitor hears of it: no more than it needs at once.

    Sent as a bare tuple: each name in a message is memory that is the monitor's own.
    """

    state: tuple[Any, ...]
    """The fields of `State`."""
    descriptors: str
    """A letter for each that comes with it: stdin, stdout, stderr, master, listener, owner, job."""
    pasta: int
    published: bool
    measured: int
    """A process in the container's network namespace, 0 if that is the host's."""
    zones: tuple[str, ...] | None
    """Of an ordinary user's bridges, which are to be held open."""
    directory: str
    run: str
    changed: str
    log: tuple[Any, ...]
    health: dict[str, Any] | None


def fork(
    door: int, job: int = -1, bridges: int = -1, carried: dict[str, Any] | None = None
) -> child.Forked:
    """Fork the starter of the calling monitor's next run.

    The first run's has a request to read from the socket `door`; another's has the `job` of the
    first, a memory file, `bridges`, where the monitor keeps an ordinary user's network open,
    and what is `carried` over into its state.
    """
    ours, theirs = protocol.pair()
    pid = os.fork()
    if pid == 0:
        try:
            # Without its monitor it must not go on; what it has forked sees it end.
            process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
            if carried is not None:
                child.keep_only((theirs.fileno(), job, bridges))
                _start_again(theirs, load_job(job), bridges, carried)
            else:
                ours.close()
                _start_first(theirs, _socket.socket(fileno=door))
        finally:
            os._exit(1)
    theirs.close()
    return child.Forked(pid, ours)


def load_job(file: int) -> dict[str, Any]:
    """Return what a memory file holds that `store_job` has written."""
    job: dict[str, Any] = marshal.loads(os.pread(file, os.fstat(file).st_size, 0))  # noqa: S302 - ours
    return job


def store_job(file: int, job: dict[str, Any]) -> None:
    """Write a job into a memory file.  Raises OSError."""
    data = marshal.dumps(job)
    os.ftruncate(file, os.pwrite(file, data, 0))


def _start_first(channel: _socket.socket, door: _socket.socket) -> NoReturn:
    if surroundings.has_new_code():
        os._exit(0)  # whoever asks starts a spawner that has it, too
    first = _try_fork(0)
    received = request.receive(door)
    door.close()
    if received is None:
        os._exit(0)
    (job, owned), (report, *others) = received
    os.write(report, protocol.ASKED)
    owner = others.pop(0) if owned else -1
    lock = others.pop(0) if others else -1
    if job["pid_namespace"]:
        if isinstance(first, child.Forked):
            child.abandon(first)
        first = _try_fork(job["pid_namespace"])
    try:
        pid = Starter(channel, job, owner).start(first)
    except child.StartFailed as error:
        _report(report, ("error", *error.args))
        os._exit(0)
    if protocol.receive(channel) != protocol.ASKED:
        os._exit(1)  # the monitor is about to end, and we are
    if lock >= 0:
        os.close(lock)
    _report(report, ("ok", pid))
    os._exit(0)


def _start_again(
    channel: _socket.socket, job: dict[str, Any], bridges: int, carried: dict[str, Any]
) -> NoReturn:
    first = _try_fork(job["pid_namespace"])
    try:
        Starter(channel, job, -1, bridges, carried).start(first)
        protocol.receive(channel)
    except child.StartFailed as error:
        request.send(channel, ("failed", *error.args), most_bytes=MESSAGE_BYTES)
    os._exit(0)


def _report(fd: int, message: tuple[Any, ...]) -> None:
    try:
        os.write(fd, marshal.dumps(message))
    except OSError:
        pass  # whoever asked is gone


def _try_fork(shared: int) -> child.Forked | tuple[int, str]:
    """Fork a container's first process; errno and text where the host does not let us."""
    try:
        return child.fork_first(init.run, shared)
    except OSError as error:
        return error.errno or 0, str(error.strerror)


class Starter:
    """One start of one container."""

    def __init__(
        self,
        channel: _socket.socket,
        job: dict[str, Any],
        owner: int,
        bridges: int = -1,
        carried: dict[str, Any] | None = None,
    ) -> None:
        """`carried`: into a further run, for which socket, ports and names are there."""
        self._channel = channel
        self._job = job
        self._plan: dict[str, Any] = marshal.loads(job["plan"])  # noqa: S302 - our front end's
        self._owner = owner
        self._bridges = bridges
        self._again = carried is not None
        restart = job["restart"]
        self._carried = carried or {
            "finished": job.get("finished", 0.0),
            "wanted": restarts.parse_policy(restart["policy"] or "no").name != "no",
            "restarts": restart["count"],
            "runs": restart["runs"],
        }
        self._network: dict[str, Any] = self._plan["network"] or {}
        self._cgroup: dict[str, Any] = {"dirs": ()}
        self._state = State()
        self._pasta = 0
        self._published = False
        self._listener = -1

    def start(self, first: child.Forked | tuple[int, str]) -> int:
        """Do it and hand over to the monitor; returns the first process.  Raises StartFailed."""
        if not isinstance(first, child.Forked):
            raise child.StartFailed("pid namespace", *first, 125)
        try:
            tty = self._plan["spec"]["process"]["terminal"]
            told = child.tell(first, self._plan, stdin=self._job["stdin"], tty=tty)
            self._cgroup = plan.make_cgroup(self._plan["spec"], self._plan["container_id"])
            started = child.see_start(told, self._prepare, self._attach, self._announce)
            self._hand_over(started)
        except child.StartFailed:
            self._give_back()
            raise
        except OSError as error:
            self._give_back()
            raise child.StartFailed("start", error.errno or 0, str(error), 125) from error
        return started.pid

    def _hand_over(self, started: child.Child) -> None:
        now = time.time()
        self._state = self._state.replace(started=now)
        if started.master >= 0 and self._job["size"] != (0, 0):
            terminal.set_size(started.master, *self._job["size"])
        fds = {
            "i": started.stdin, "o": started.stdout, "e": started.stderr, "m": started.master,
            "l": self._listener, "w": self._owner, "j": self._make_job_file(),
        }  # fmt: skip
        opened = {letter: fd for letter, fd in fds.items() if fd >= 0}
        job = self._job
        told = Started(
            state=tuple(self._state.as_dict().values()),
            descriptors="".join(opened),
            pasta=self._pasta,
            published=self._published,
            measured=0 if self._network.get("mode") == "host" else started.pid,
            zones=self._network.get("zones") if self._bridges >= 0 else None,
            directory=job["directory"],
            run=job["run"],
            changed=job["changed"],
            log=job["log"],
            health=job["health"],
        )
        state.write_state(job["directory"], self._state)
        os.utime(job["changed"])
        values = tuple(told.as_dict().values())
        request.send(self._channel, ("started", *values), tuple(opened.values()), MESSAGE_BYTES)

    def _make_job_file(self) -> int:
        if self._again:
            return -1
        file = os.memfd_create("job", os.MFD_CLOEXEC)
        store_job(file, self._job)
        return file

    def _give_back(self) -> None:
        if self._pasta:
            os.kill(self._pasta, _signal.SIGTERM)
        if not self._again:
            give_back(self._job["run"], self._plan, self._cgroup["dirs"], self._published)

    def _prepare(self) -> None:
        cgroups.create(self._cgroup)
        if not self._again:
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
        channel.setblocking(False)
        os.chdir("/")
        self._listener = channel.detach()

    def _attach(self, pid: int) -> None:
        self._connect(pid)
        # Put together now, while the child is at work, and written once its program runs.
        monitor = os.getppid()
        self._state = State(
            state=state.RUNNING,
            pid=pid,
            ticks=state.start_ticks(pid),
            monitor=monitor,
            monitor_ticks=state.start_ticks(monitor),
            boot=state.boot_id(),
            ports=tuple(self._network.get("ports", ())),
            address=self._network.get("address", ""),
            gateway=self._network.get("gateway", ""),
            address6=self._network.get("address6", ""),
            table=self._network.get("table", ""),
            cgroup=tuple(self._cgroup["dirs"]),
            health=STARTING if self._job["health"] else "",
            **self._carried,
        )

    def _connect(self, pid: int) -> None:
        if self._network.get("program"):
            self._pasta = pasta.start(self._network["program"], pid, child.fork_away)
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
        if self._network["ports"] and not self._again:
            self._published = True
            hot.publish(
                self._network["table"],
                self._network["address"],
                self._network["ports"],
                self._network["address6"],
            )

    def _user_bridges(self) -> ModuleType:
        """Return what reaches an ordinary user's bridges, which stay as long as this process."""
        from core.network import user_bridges

        if self._bridges < 0:
            zones = names.Zones(*self._network["zones"])
            self._bridges = user_bridges.hold(zones, state.start_ticks(os.getpid()))
        return user_bridges

    def _announce(self) -> None:
        """Let the others on its networks find it."""
        if not self._again and "members" in self._network:
            zones = names.Zones(*self._network["zones"])
            for name, values in self._network["members"]:
                names.join(zones, name, names.Member(*values))


def give_back(
    run: str, made_of: dict[str, Any], dirs: tuple[str, ...] | list[str], published: bool
) -> None:
    """Take a container's socket, names, published ports and cgroup away."""
    removals: tuple[tuple[str, Callable[[str], None]], ...] = (
        (f"{run}/{protocol.SOCKET_NAME}", os.unlink),
        (run, os.rmdir),
    )
    for path, remove in removals:
        try:
            remove(path)
        except OSError:
            pass
    network = made_of["network"] or {}
    if "zones" in network:
        try:
            names.leave(names.Zones(*network["zones"]), made_of["container_id"])
        except OSError:
            pass  # the disk is full; the next that comes or goes will do it
    if published:
        try:
            hot.unpublish(network["table"], network["ports"])
        except OSError:
            pass  # the table has been torn down
    cgroups.remove(dirs)
