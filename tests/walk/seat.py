"""The seat at the terminal: sends bytes, reads what the app writes down of itself, looks seldom."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pty
import select
import signal
import struct
import termios
import time
from pathlib import Path

from tests.walk.glass import NEVER, Glass, differing, painted
from tests.walk.hands import FOCUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

PATIENCE_S = 30.0
"""An app that has not answered by then hangs."""
AGAIN_S = 1.0
"""A broken sequence may have swallowed the question."""
LATE_S = 1.0
"""A screen does not tell that it is about to be painted: what is wrong then may just be late."""
LOOKS = 3
"""What is wrong in so many looks, with LATE_S between them, stays so."""


class Finding(Exception):
    """Something is not as it should be; says what."""


class Seat:
    """One app on a terminal."""

    def __init__(self, argv: Sequence[str], env: dict[str, str], told: Path, cwd: Path) -> None:
        told.write_text("")
        self._told = told.open(encoding="utf-8", errors="replace", newline="\n")
        self._half = ""
        self.columns, self.rows = 80, 24
        self.away = False
        self.guest = ""
        """What has the terminal meanwhile."""
        self.ended = False
        self.keys: list[tuple[str, str, str]] = []
        """(key, screen, what has the focus), as the app got them; taken by who reads them."""
        self.screen, self.focus, self.address = "", "", ""
        self.active: list[str] = []
        """The keys that do something here."""
        self.sent_bytes = 0
        self._answers = 0
        self._tail = b""
        self._glass = Glass(80, 24)
        self._meant: list[dict[str, Any] | None] = []
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(argv[0], list(argv), env)
        os.set_blocking(self._fd, False)
        self.resize(80, 24)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        self.columns, self.rows = columns, rows
        self._glass.resize(columns, rows)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, data: bytes) -> None:
        """Type; what nobody reads within a few seconds is dropped, as a terminal does."""
        deadline = time.monotonic() + 3
        while data and not self.ended and time.monotonic() < deadline:
            if self._wait(0.1, writing=True):
                with contextlib.suppress(OSError):
                    data = data[os.write(self._fd, data[:1024]) :]

    def settle(self, seconds: float) -> None:
        """Take in what comes for a time."""
        deadline = time.monotonic() + seconds
        while not self.ended and (left := deadline - time.monotonic()) > 0:
            self._wait(left)
        self._read_told()

    def _wait(self, seconds: float, *, writing: bool = False) -> bool:
        """Read what is there, after a while at most; tell whether writing is possible."""
        wanted = [self._fd] if writing else []
        reads, writes, _ = select.select([self._fd], wanted, [], seconds)
        if reads:
            try:
                data = os.read(self._fd, 1 << 16)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                data = b""
            self.ended = not data
            self.sent_bytes += len(data)
            self._tail = (self._tail + data)[-4000:]
            self._glass.feed(data)
        return bool(writes)

    def _read_told(self) -> None:
        *lines, self._half = (self._half + self._told.read()).split("\n")
        for line in lines:
            kind, *words = line.split("\t")
            if kind == "key":
                self.keys.append((words[0], words[1], words[2]))
            elif kind == "here":
                self.screen, self.focus, self.address, *self.active = words
                self._answers += 1
            elif kind in ("away", "back"):
                self.away = kind == "away"
                self.guest = words[0] if words else ""
            elif kind == "picture":
                self._meant.append(json.loads(words[0]))
            elif kind == "bug":
                raise Finding(words[0].replace("\\n", "\n"))

    def ask(self) -> float:
        """Wait until all that was typed is done; return how long that took, in seconds.

        It may end, or give the terminal away, instead.
        """
        begun = time.monotonic()
        before = self._answers
        asked = 0.0
        while not (self.ended or self.away or self._answers > before):
            now = time.monotonic()
            if now - begun > PATIENCE_S:
                raise Finding(f"no answer within {PATIENCE_S:g} s\n{self.stacks()}")
            if now - asked > AGAIN_S:
                asked = now
                self.send(FOCUS)
            self._wait(0.01)
            self._read_told()
        return time.monotonic() - begun

    def stacks(self) -> str:
        """Return where each thread of the app is."""
        os.kill(self.pid, signal.SIGUSR1)
        self.settle(0.5)
        return Path(f"{self._told.name}.stacks").read_text()

    def picture(self) -> str:
        """Return what the terminal shows."""
        return self._glass.text

    def until(self, words: str, seconds: float) -> float:
        """Wait for words to be painted by the app; return how long that took, in seconds."""
        begun = time.monotonic()
        while words not in self._glass.text:
            if self.ended or time.monotonic() - begun > seconds:
                shown = self.picture()
                self.look()
                raise Finding(f"{words!r} did not show within {seconds:g} s:\n{shown}")
            self._wait(0.02)
            self._read_told()
        return time.monotonic() - begun

    def look(self) -> dict[str, Any] | None:
        """Have the app tell what it means to show; Finding unless that is what is shown.

        None when it paints all the time, or has given the terminal away, or ends.
        """
        for _ in range(LOOKS):
            meant = self._meant_now()
            if meant is None:
                return None
            wrong = self._wrong(meant)
            if not wrong:
                self._compare(meant)
                return meant
            self.settle(LATE_S)
        raise Finding("the terminal shows what is not meant:\n" + "\n".join(wrong))

    def _meant_now(self) -> dict[str, Any] | None:
        self._meant.clear()
        deadline = time.monotonic() + PATIENCE_S
        os.kill(self.pid, signal.SIGUSR2)
        while not self._meant:
            if self.ended or self.away:
                return None
            if time.monotonic() > deadline:
                raise Finding(f"no picture within {PATIENCE_S:g} s\n{self.stacks()}")
            self._wait(0.01)
            self._read_told()
        meant = self._meant.pop()
        if meant is None or meant["size"] != [self.columns, self.rows]:
            return None
        while meant["number"] not in self._glass.seen:
            if self.ended or time.monotonic() > deadline:
                return None
            self._wait(0.01)
        return meant

    def _wrong(self, meant: dict[str, Any]) -> list[str]:
        shown, _ = self._glass.seen[meant["number"]]
        return differing(shown, painted(self.columns, self.rows, meant["cells"]))

    def _compare(self, meant: dict[str, Any]) -> None:
        shown, cursor = self._glass.seen.pop(meant["number"])
        self._glass.seen.clear()
        cells = painted(self.columns, self.rows, meant["cells"])
        anew = painted(self.columns, self.rows, meant["anew"])
        wrong = differing(cells, anew)
        if wrong:
            raise Finding("a widget did not paint what it has now:\n" + "\n".join(wrong))
        if list(cursor) != meant["cursor"] or meant["cursor"] != meant["caret"]:
            raise Finding(f"the cursor is at {cursor}, not {meant['cursor']}, {meant['caret']}")
        if meant["twice"]:
            raise Finding(f"rows are shown twice: {meant['twice']}")
        text = "\n".join("".join(cell[0] for cell in row) for row in shown)
        if never := NEVER.search(text):
            raise Finding(f"{never[0]!r} is shown:\n{text}")

    def wait(self) -> int:
        """Read to the end; return the exit code, negative for a signal."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.ended:
            if time.monotonic() > deadline:
                raise Finding(f"it does not end:\n{self.words}")
            self._wait(0.1)
        self._read_told()
        os.close(self._fd)
        self._told.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    @property
    def words(self) -> str:
        """What was written last, as it is."""
        return self._tail.decode("utf-8", "replace")

    def memory_kb(self) -> int:
        """Return how much memory the app has."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])
