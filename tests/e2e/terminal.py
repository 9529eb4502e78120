"""A person's terminal: the real program on a pty, its screen read as a person would.

Nothing sleeps: `until` waits for what should appear and says what was there instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pexpect
import pyte

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

TIMEOUT_S = 40.0

TABLES = r"\A limpet (?:.*\n)*.*\? help"
"""The app's tables are there, whole, and have the keys."""

KEYS = {
    "enter": "\r", "escape": "\x1b", "tab": "\t", "backspace": "\x7f", "space": " ",
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D",
    "home": "\x1b[H", "end": "\x1b[F", "page-up": "\x1b[5~", "page-down": "\x1b[6~",
    "delete": "\x1b[3~", "shift-tab": "\x1b[Z", "f1": "\x1bOP", "f5": "\x1b[15~",
}  # fmt: skip

FOREIGN = re.compile(
    rb"\x1b\[[<=>?][0-9;]*\$?[a-zA-Z]|\x1bP.*?\x1b\\|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)", re.DOTALL
)
"""Private sequences and strings that pyte would print; modes it knows are not among them."""
KNOWN_MODES = re.compile(rb"\x1b\[\?(?:7|25|1049|6|5)[hl]")

COMPLETE = re.compile(
    rb"\x1b(?:\[[<-?]?[0-9;:]*\$?[@-~]|[()][0-9A-B]|[^\[P\]()]|.*(?:\x07|\x1b\\))", re.DOTALL
)
"""A whole escape sequence; one that is cut off goes on in the next read."""


def key(name: str) -> str:
    """Return what a terminal sends for a key: `enter`, `ctrl-p`, `alt-x`, or a plain character."""
    if name in KEYS:
        return KEYS[name]
    if name.startswith("ctrl-"):
        return chr(ord(name[5:].upper()) & 0x1F)
    if name.startswith("alt-"):
        return "\x1b" + key(name[4:])
    return name


class Terminal:
    """A program on a pty of `columns` x `rows`; a context manager that ends it."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._half = b""
        self.output = bytearray()
        """Every byte the program wrote."""
        self._child = pexpect.spawn(
            argv[0],
            list(argv[1:]),
            dimensions=(rows, columns),
            env=dict(env) if env is not None else None,
            cwd=str(cwd) if cwd else None,
        )
        self._child.delaybeforesend = None
        self.pid: int = self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close(force=True)

    def keys(self, *names: str) -> None:
        """Press keys one after the other; see `key`."""
        for name in names:
            self._child.send(key(name).encode())

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._child.send(text.encode())

    def send(self, data: bytes) -> None:
        """Send what no key sends."""
        self._child.send(data)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size, as dragging its corner does."""
        self.screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    @property
    def text(self) -> str:
        """The screen's lines as last seen, without trailing spaces."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, pattern: str, timeout_s: float = TIMEOUT_S) -> re.Match[str]:
        """Wait until the screen matches `pattern` (multi-line, `.` stays within a line)."""
        return self._wait(pattern, timeout_s, wanted=True)  # type: ignore[return-value]

    def until_gone(self, pattern: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until the screen no longer matches `pattern`."""
        self._wait(pattern, timeout_s, wanted=False)

    def _wait(self, pattern: str, timeout_s: float, *, wanted: bool) -> re.Match[str] | None:
        deadline = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern, self.text, re.MULTILINE)
            if bool(found) is wanted:
                return found
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                why = "the program ended" if left > 0 else f"{timeout_s:g} s passed"
                what = "did not show" if wanted else "still shows"
                raise AssertionError(f"{why}, the screen {what} {pattern!r}:\n{self._framed()}")

    def settle(self, seconds: float) -> None:
        """Take in what comes for a time, whatever it is; AssertionError when the program ends."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not self._read(left):
                raise AssertionError(f"the program ended:\n{self._framed()}")

    def wait(self, timeout_s: float = TIMEOUT_S) -> int:
        """Read until the program ends and return its exit code, 128 + n for signal n."""
        deadline = time.monotonic() + timeout_s
        while self._read(deadline - time.monotonic()):
            if time.monotonic() > deadline:
                raise AssertionError(f"still running after {timeout_s:g} s:\n{self._framed()}")
        self._child.wait()
        status: int | None = self._child.exitstatus
        return status if status is not None else 128 + int(self._child.signalstatus)

    def _read(self, timeout_s: float) -> bool:
        """Take in what comes within `timeout_s`; False at the end."""
        try:
            data = self._child.read_nonblocking(65536, max(timeout_s, 0.001))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.output += data
        self._show(data)
        return True

    def _show(self, data: bytes) -> None:
        data = self._half + data
        cut = data.rfind(b"\x1b")
        whole = cut < 0 or COMPLETE.match(data, cut)
        data, self._half = (data, b"") if whole else (data[:cut], data[cut:])
        self._stream.feed(readable(data))

    def _framed(self) -> str:
        edge = "+" + "-" * self.screen.columns + "+"
        lines = [f"|{line:{self.screen.columns}}|" for line in self.screen.display]
        return "\n".join([edge, *lines, edge])


def readable(data: bytes) -> bytes:
    """Return whole sequences without what pyte would print."""
    return FOREIGN.sub(_keep_known, data)


def _keep_known(found: re.Match[bytes]) -> bytes:
    return found[0] if KNOWN_MODES.fullmatch(found[0]) else b""


class Tmux:
    """A program inside tmux: another terminal between it and the person, with its own TERM."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        term: str = "tmux-256color",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = tempfile.mkdtemp(prefix="tmux-")
        config = Path(self._directory, "conf")
        config.write_text(
            f"set -g default-terminal {term}\nset -g status off\nset -g escape-time 0\n"
        )
        size = ["-x", str(columns), "-y", str(rows)]
        given = [word for name, value in (env or {}).items() for word in ("-e", f"{name}={value}")]
        self._tmux("-f", str(config), "new-session", "-d", *size, *given, *argv)
        self.set("remain-on-exit", "on")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")
        shutil.rmtree(self._directory)

    def _tmux(self, *words: str) -> str:
        socket = f"{self._directory}/socket"
        # What pytest says of its own terminal is not so for the pane.
        env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        ran = subprocess.run(
            ["tmux", "-S", socket, *words], capture_output=True, text=True, env=env
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def keys(self, *names: str) -> None:
        """Press keys one after the other; see `key`."""
        for name in names:
            self.type(key(name))

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._tmux("send-keys", "-H", *(f"{byte:x}" for byte in text.encode()))

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def set(self, option: str, value: str) -> None:
        """Set an option of tmux's own."""
        self._tmux("set", option, value)

    @property
    def copied(self) -> str:
        """What tmux would paste."""
        return self._tmux("show-buffer")

    @property
    def text(self) -> str:
        """The pane's lines now."""
        return self._tmux("capture-pane", "-p")

    def until(self, pattern: str, timeout_s: float = TIMEOUT_S) -> re.Match[str]:
        """Wait until the pane matches `pattern`; tmux tells nobody of a change, so look often."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern, shown := self.text, re.MULTILINE)
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{timeout_s:g} s passed without {pattern!r}:\n{shown}")
            time.sleep(0.02)
