"""The app as a line sees it: bytes sent, time from key to paint, processor, memory."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

from benchmarks.measure import Figure, Figures, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.bench_host import BenchHost

COLUMNS, ROWS = 160, 50
TICKS = os.sysconf("SC_CLK_TCK")
LAST_LINE = "last-line-of-all"
QUIET_S = 0.35
"""Without a byte for so long, what a key caused is over."""


class Line:
    """A program behind a pty, as sshd has it: what it writes is counted, not interpreted."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execvpe(
                argv[0],
                list(argv),
                {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
            )
        ioctl(self._fd, TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.started = time.perf_counter()

    def read(self, timeout_s: float) -> bytes:
        """Return what comes within the time, at once when something does."""
        if not select.select([self._fd], [], [], max(0.0, timeout_s))[0]:
            return b""
        try:
            return os.read(self._fd, 1 << 20)
        except OSError:
            return b""

    def until(self, *patterns: bytes, timeout_s: float = 30) -> float:
        """Read until all of them were written; return seconds since the start of the program."""
        seen, end = b"", time.monotonic() + timeout_s
        while not all(re.search(pattern, seen) for pattern in patterns):
            if time.monotonic() > end:
                raise TimeoutError(f"{patterns!r} were not written: …{seen[-400:]!r}")
            seen += self.read(0.1)
        return time.perf_counter() - self.started

    def drain(self, seconds: float) -> int:
        """Read for so long; return how many bytes came."""
        count, end = 0, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            count += len(self.read(left))
        return count

    def key(self, key: bytes) -> tuple[float, int]:
        """Press a key; return seconds to the first byte of its answer, and all its bytes."""
        while self.read(0):
            pass
        pressed = time.perf_counter()
        os.write(self._fd, key)
        count = len(self.read(5))
        first = time.perf_counter() - pressed
        while data := self.read(QUIET_S):
            count += len(data)
        return first, count

    def press(self, key: bytes) -> None:
        """Press a key and do not wait."""
        os.write(self._fd, key)

    def seconds_used(self) -> float:
        """Return processor seconds of the program so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mib(self) -> float:
        """Return its resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self._fd)


@contextmanager
def line(argv: Sequence[str], env: Mapping[str, str]) -> Iterator[Line]:
    """Run a program behind a pty."""
    program = Line(argv, env)
    try:
        yield program
    finally:
        program.close()


def made_up(rows: int, changing: int = 0) -> list[str]:
    """Return the command line of the app on facts that are made up."""
    return [sys.executable, "-m", "benchmarks.app_program", str(rows), str(changing)]


def app(host: BenchHost, rounds: int) -> Figures:
    """Measure each figure with its bound."""
    figures: list[Figure] = []
    for measure in (first_paint, typing_and_idle, moving_rows, fast_log):
        figures += measure(host)
    return Figures(
        "the app on a line of 160x50",
        "Time to paint: from the key to the first byte of the answer. 5,000 running containers "
        "of which 20 % change each second are made up, inside the app's process; the log is that "
        "of a container, which gets 200,000 lines a second from a pipe and writes them.",
        tuple(figures),
    )


def first_paint(host: BenchHost) -> list[Figure]:
    """The real engine with 500 containers and 500 images."""
    names = [f"bench-app-{number}" for number in range(500)]
    for name in names:
        run(
            host.limpet("create", "--network", "none", "--name", name, host.limpet_image, "true"),
            host.env,
        )
    for number in range(499):
        run(host.limpet("tag", host.limpet_image, f"bench/app:{number}"), host.env)
    try:
        rows, keys = [], []
        for _ in range(7):
            with line(host.limpet(), host.env) as program:
                rows.append(program.until(rb"bench-app-499"))
                keys.append(program.until(rb"bench/app:\d+", rb"help"))
        return [
            Figure(
                "first paint, 500 containers and 500 images: rows", median(rows) * 1e3, "ms", 300
            ),
            Figure("the same: both tables, keys answered", median(keys) * 1e3, "ms", 0),
        ]
    finally:
        run(host.limpet("rm", "-f", *names), host.env)
        run(host.limpet("rmi", "-f", *(f"bench/app:{number}" for number in range(499))), host.env)


def typing_and_idle(host: BenchHost) -> list[Figure]:
    """What single keys send, and what nothing sends."""
    with line(made_up(500), host.env) as program:
        program.until(rb"service-00001", rb"help")
        program.drain(2)
        down = [program.key(b"\x1b[B") for _ in range(20)]
        page = [program.key(b"\x1b[6~") for _ in range(5)]
        program.key(b":")
        typed = [program.key(bytes([letter])) for letter in b"xyzzy-quux-plugh-frotz"]
        program.key(b"\x1b")
        program.drain(1)
    with line(host.limpet(), host.env) as program:
        program.until(rb"help")
        program.drain(3)
        before = program.seconds_used()
        sent = program.drain(10)
        idle = (program.seconds_used() - before) * 10
    return [
        Figure("a typed character", median([count for _, count in typed]), "B", 200),
        Figure("an arrow in a table", median([count for _, count in down]), "B", 500),
        Figure("a page in a table", median([count for _, count in page]), "B", 0),
        Figure(
            "key to paint, nothing else going on, p95",
            p95([s for s, _ in typed + down]) * 1e3,
            "ms",
            15,
        ),
        Figure("idle", sent / 10, "B/s", 0.5),
        Figure("idle, processor", idle, "%", 0.5),
    ]


def moving_rows(host: BenchHost) -> list[Figure]:
    """5,000 rows, 20 % of them changing each second, while somebody types."""
    with line(made_up(5000, 20), host.env) as program:
        program.until(rb"service-00001", rb"help")
        program.drain(3)
        before, began = program.seconds_used(), time.monotonic()
        sent = program.drain(10)
        busy = (program.seconds_used() - before) / (time.monotonic() - began) * 100
        program.key(b":")
        before, began, typed, times = program.seconds_used(), time.monotonic(), 0, []
        for letter in b"the quick brown fox jumps over the lazy dog and on" * 2:
            while data := program.read(0):
                typed += len(data)
            pressed = time.perf_counter()
            program.press(bytes([letter]))
            typed += len(program.read(5))
            times.append(time.perf_counter() - pressed)
            typed += program.drain(0.12)
        seconds = time.monotonic() - began
        typing = (program.seconds_used() - before) / seconds * 100
        memory = program.memory_mib()
    return [
        Figure("5,000 rows, 20 % changing: processor", busy, "%", 6),
        Figure("the same: sent", sent / 10, "B/s", 0),
        Figure("the same while typing: key to paint, p95", p95(times) * 1e3, "ms", 15),
        Figure("the same while typing: sent", typed / seconds, "B/s", 2048),
        Figure("the same while typing: processor", typing, "%", 0),
        Figure("resident memory with 5,000 rows", memory, "MiB", 70),
    ]


def fast_log(host: BenchHost) -> list[Figure]:
    """The log of a container that writes 200,000 lines a second, followed."""
    with fed_container(host) as feed, line(host.limpet(), host.env) as program:
        program.until(rb"bench-log", rb"help")
        program.key(b":")
        program.press(b"go containers bench-log logs\r")
        program.until(rb"request served")
        program.drain(3)
        before, began = program.seconds_used(), time.monotonic()
        sent = program.drain(8)
        seconds = time.monotonic() - began
        busy = (program.seconds_used() - before) / seconds * 100
        times = []
        for _ in range(30):
            while program.read(0):
                pass
            pressed = time.perf_counter()
            program.press(b"T")
            program.read(5)
            times.append(time.perf_counter() - pressed)
            program.drain(0.1)
        memory = program.memory_mib()
        began = time.monotonic()
        rate = int(feed.communicate()[0])
        program.until(LAST_LINE.encode())
        behind = time.monotonic() - began
    return [
        Figure("log of 200,000 lines/s: processor", busy, "%", 20),
        Figure("the same: key to paint, p95", p95(times) * 1e3, "ms", 50),
        Figure("the same: sent", sent / seconds, "B/s", 0),
        Figure("the same: resident memory", memory, "MiB", 0),
        Figure("the same: lines that the container wrote", rate, "1/s", 0),
        Figure("the same: its last line to paint", behind * 1e3, "ms", 0),
    ]


@contextmanager
def fed_container(host: BenchHost) -> Iterator[subprocess.Popen[str]]:
    """Run a container that prints what it is fed, until the end of the feeder's input."""
    with tempfile.TemporaryDirectory(dir=host.work) as shared:
        pipe = f"{shared}/pipe"
        os.mkfifo(pipe)
        words = ("--network", "none", "-v", f"{shared}:/feed", host.limpet_image)
        run(host.limpet("run", "-d", "--name", "bench-log", *words, "cat", "/feed/pipe"), host.env)
        argv = [sys.executable, "-m", "benchmarks.log_feed", pipe, "200000", LAST_LINE]
        feed = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=host.env, text=True
        )
        try:
            yield feed
        finally:
            feed.kill()
            feed.communicate()
            run(host.limpet("rm", "-f", "bench-log"), host.env)


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]
