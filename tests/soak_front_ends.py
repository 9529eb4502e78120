"""Front ends that somebody uses all the time while a soak goes on: the app, a prompt."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from tests.e2e.command_line import LIMPET
from tests.e2e.terminal import Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DASHBOARD = r"^ limpet .* 1 Containers \d"
VISITS = (
    ("1", "enter"), ("1", "l"), ("2", "enter"), ("2", "i"), ("3",), ("1", "?"), ("1", "m"),
    ("1", ":ps -a\r"), ("1", ":run --rm --network none starter echo from-the-app\r"),
    ("2", ":images\r"), ("1", ":stats --no-stream\r"), ("1", ":system df\r"),
)  # fmt: skip
"""Keys of the app, and lines for its command bar, one visit after the other."""
LINES = (
    "ps -a", "images", "run --rm --network none starter true", "system df", "network ls",
    "image find passwd", "run --network none --rm starter sh -c 'echo a | tee /b'",
)  # fmt: skip
PROBE = "version"
SETTLE_S = 0.3


class App:
    """The app on a terminal, with somebody who goes from screen to screen."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.terminal = Terminal([LIMPET], columns=120, rows=40, env=env)
        self.pid = self.terminal.pid
        self.visits = 0
        self.terminal.until(DASHBOARD)

    def use(self) -> None:
        """Visit one screen and come back; AssertionError with the screen when that fails."""
        visit = VISITS[self.visits % len(VISITS)]
        self.visits += 1
        for part in visit:
            if len(part) > 1 and part[0] == ":":
                self.terminal.type(part)
            else:
                self.terminal.keys(part)
            self._settle()
        for _ in range(4):
            self.terminal.keys("escape")
            self._settle()
        self.terminal.until(DASHBOARD)
        self.terminal.output.clear()

    def _settle(self) -> None:
        """Wait as a person does who sees what a key has done: on a busy host that takes a while."""
        self.terminal.settle(SETTLE_S)
        while self._is_at_work():
            self.terminal.settle(SETTLE_S / 10)

    def _is_at_work(self) -> bool:
        """Tell whether a thread of it has, or waits for, a processor or the disk."""
        for task in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(FileNotFoundError):
                if task.read_text().rpartition(")")[2].split()[0] in "RD":
                    return True
        return False

    def close(self) -> None:
        """Quit, as a person does; AssertionError when it does not end well."""
        self.terminal.keys("q")
        code = self.terminal.wait()
        assert code == 0, f"the app ended with {code}"


class Prompt:
    """`limpet shell --plain`, with somebody who types."""

    def __init__(self, env: Mapping[str, str], errors: Path) -> None:
        self._errors = errors.open("wb")
        self._process = subprocess.Popen(
            [LIMPET, "shell", "--plain"], env=dict(env), text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self.pid = self._process.pid
        self.lines = 0

    def use(self) -> None:
        """Type one line, and read until the answer to the next is there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = LINES[self.lines % len(LINES)]
        self.lines += 1
        self._process.stdin.write(f"{line}\n{PROBE}\n")
        for answer in self._process.stdout:
            if answer.startswith("limpet "):
                return
        raise AssertionError(f"the prompt ended at: {line}")

    def close(self) -> None:
        """Leave it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(15)
        self._errors.close()
        assert code == 0, f"the prompt ended with {code}"
