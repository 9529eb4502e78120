"""What a container used: a sample a second for ten minutes, one a minute for a day.

The monitor writes them into a file of fixed size beside its socket, where they outlive it
and the container's end until the next boot.  A sample's place follows from its time, so the
file needs no head and any process can read it at any time.
"""

from __future__ import annotations

import os
import time
from _struct import Struct

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

FILE = "stats"
SECONDS, MINUTES = 600, 1440
SHORT = 4000
"""Bytes that what the kernel tells mostly fits in: a buffer for more takes pages of its own."""
PERIOD_S = 1.0
_LAYOUT = Struct("<d7Q")


class Sample(Record):
    """One moment; all but memory and pids count up from the container's start."""

    time: float
    """Seconds since the epoch."""
    cpu_ns: int
    memory_bytes: int
    pids: int
    received_bytes: int = 0
    sent_bytes: int = 0
    read_bytes: int = 0
    """From block devices, as are the written."""
    written_bytes: int = 0


class Sampler:
    """Takes the samples of one container, inside its monitor."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._dirs: tuple[str, ...] = ()
        self._file = -1
        self._gauges: dict[str, int] = {}
        self._net = ""
        self.due = 0.0
        """The time of the next sample, in seconds of the monotonic clock."""
        self._minute = 0
        self._peak = [0, 0]

    def begin(self, pid: int, dirs: tuple[str, ...]) -> None:
        """The container runs in the cgroup `dirs`; `take` is to be called when `due`.

        `pid` is in its network namespace, 0 if that is the host's.
        """
        self._net = f"/proc/{pid}/net/dev" if pid else ""
        self._dirs = dirs
        self.due = time.monotonic() + PERIOD_S

    def values(self, place: Callable[[int], int]) -> tuple[Any, ...]:
        """Return what another process's `go_on` takes; `place` says where it finds a descriptor."""
        file = place(self._file) if self._file >= 0 else -1
        gauges = {name: place(fd) for name, fd in self._gauges.items()}
        return self._net, self._dirs, self.due, self._minute, self._peak, file, gauges

    def go_on(self, values: tuple[Any, ...], fds: list[int]) -> None:
        """Do so where another process has left off; `fds` has what it gave to `place`."""
        self._net, self._dirs, self.due, self._minute, self._peak, file, gauges = values
        if file >= 0:
            self._file = fds[file]
        for name in gauges:
            self._gauges[name] = fds[gauges[name]]

    def _open(self) -> None:
        """Open file and gauges, once there is something to write: most runs are short."""
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._file, _LAYOUT.size * (SECONDS + MINUTES))
        except OSError:
            return  # a full /run: there are no samples then
        for path in _gauge_paths(self._dirs):
            try:
                gauge = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                self._gauges[path.rpartition("/")[2]] = gauge
            except OSError:
                pass  # a controller that this host lacks

    def end(self) -> None:
        """The container has ended, or another process takes its samples."""
        for fd in (*self._gauges.values(), self._file):
            if fd >= 0:
                os.close(fd)
        self._gauges.clear()
        self._file = -1

    def take(self) -> None:
        """Take a sample now."""
        self.due = time.monotonic() + PERIOD_S
        if self._file < 0:
            self._open()
        now = time.time()
        try:
            values = self._read()
        except (ValueError, IndexError):
            return  # a kernel that tells it otherwise: a missing sample is no harm
        second, minute = int(now), int(now) // 60
        if minute != self._minute:
            self._minute, self._peak = minute, [0, 0]
        # The most of a minute is what one looks for later.
        self._peak = [max(self._peak[0], values[1]), max(self._peak[1], values[2])]
        self._put(second % SECONDS, now, values)
        self._put(SECONDS + minute % MINUTES, now, (values[0], *self._peak, *values[3:]))

    def _put(self, place: int, now: float, values: tuple[int, ...]) -> None:
        try:
            os.pwrite(self._file, _LAYOUT.pack(now, *values), place * _LAYOUT.size)
        except OSError:
            pass  # a full /run

    def _read(self) -> tuple[int, ...]:
        cpu = self._number("cpuacct.usage") or 1000 * self._field("cpu.stat", b"usage_usec ")
        used = self._number("memory.usage_in_bytes") or self._number("memory.current")
        # docker's rule: what the kernel can drop at once is not in use.
        cache = self._field("memory.stat", b"total_inactive_file ")
        cache = cache or self._field("memory.stat", b"\ninactive_file ")
        pids = self._number("pids.current")
        return cpu, max(0, used - cache), pids, *self._network(), *self._disk()

    def _text(self, name: str) -> bytes:
        if name not in self._gauges:  # the other version of cgroups has it
            return b""
        try:
            return _whole(self._gauges[name])
        except OSError:
            return b""

    def _number(self, name: str) -> int:
        return int(self._text(name) or 0)

    def _field(self, name: str, key: bytes) -> int:
        _, found, rest = self._text(name).partition(key)
        return int(rest[: rest.find(b"\n")]) if found else 0

    def _network(self) -> tuple[int, int]:
        if not self._net:
            return 0, 0
        try:
            # Opened anew: an open one would keep the namespace, and with it the cable, alive.
            fd = os.open(self._net, os.O_RDONLY | os.O_CLOEXEC)
            text = _whole(fd)
            os.close(fd)
        except OSError:
            return 0, 0
        received = sent = 0
        for line in text.splitlines()[2:]:
            name, _, rest = line.partition(b":")
            if name.strip() != b"lo":
                counts = rest.split()
                received, sent = received + int(counts[0]), sent + int(counts[8])
        return received, sent

    def _disk(self) -> tuple[int, int]:
        read = written = 0
        for line in self._text("blkio.throttle.io_service_bytes").splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in (b"Read", b"Write"):
                read += int(words[2]) * (words[1] == b"Read")
                written += int(words[2]) * (words[1] == b"Write")
        for line in self._text("io.stat").splitlines():
            for word in line.split()[1:]:
                key, _, value = word.partition(b"=")
                read += int(value) * (key == b"rbytes")
                written += int(value) * (key == b"wbytes")
        return read, written


def _whole(fd: int) -> bytes:
    """Return what a file of the kernel's says."""
    text = os.pread(fd, SHORT, 0)
    return text if len(text) < SHORT else os.pread(fd, 64 << 10, 0)


def _gauge_paths(dirs: tuple[str, ...]) -> Iterator[str]:
    """Yield the files of a cgroup, v1 or v2, that tell what is used."""
    for folder in dirs:
        if "/cpuacct/" in folder:
            yield f"{folder}/cpuacct.usage"
        elif "/memory/" in folder:
            yield f"{folder}/memory.usage_in_bytes"
            yield f"{folder}/memory.stat"
        elif "/pids/" in folder:
            yield f"{folder}/pids.current"
        elif "/blkio/" in folder:
            yield f"{folder}/blkio.throttle.io_service_bytes"
        elif os.access(f"{folder}/cgroup.controllers", os.F_OK):
            for name in ("cpu.stat", "memory.current", "memory.stat", "pids.current", "io.stat"):
                yield f"{folder}/{name}"


def read_samples(run_directory: str, now: float, span_s: float) -> list[Sample]:
    """Return the samples of the last `span_s` seconds before `now`, the oldest first.

    They are a second apart when the span is at most ten minutes, else a minute.  Empty for a
    container that has not run since the host's start.
    """
    try:
        fd = os.open(f"{run_directory}/{FILE}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        seconds = span_s <= SECONDS
        first, count = (0, SECONDS) if seconds else (SECONDS, MINUTES)
        data = os.pread(fd, count * _LAYOUT.size, first * _LAYOUT.size)
    finally:
        os.close(fd)
    data = data[: len(data) // _LAYOUT.size * _LAYOUT.size]
    since = max(now - span_s, now - (SECONDS if seconds else MINUTES * 60))
    found = (Sample(*values) for values in _LAYOUT.iter_unpack(data))
    return sorted(
        (sample for sample in found if since < sample.time <= now), key=lambda sample: sample.time
    )


def cpu_percent(before: Sample, after: Sample) -> float:
    """Return the processor time between two samples, 100 for one processor's all.

    A counter that has fallen began anew: the container was started again.
    """
    elapsed = (after.time - before.time) * 1e9
    used = after.cpu_ns - before.cpu_ns if after.cpu_ns >= before.cpu_ns else after.cpu_ns
    return used / elapsed * 100 if elapsed > 0 else 0.0
