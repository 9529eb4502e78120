"""Records what a limpet shows, and the shells one opens from it, as an asciicast.

`limpet --record FILE …` runs limpet again on a terminal of its own and stands between it
and the person's.  The file has version 2 of asciinema's format (docs/manual/asciicast/v2):
a header, then one JSON array a line: seconds, `o` for output or `r` for a new size, data.
What is typed is not recorded, only what is shown: passwords are typed.
"""

from __future__ import annotations

import codecs
import json
import os
import pty
import select
import signal
import sys
import termios
import time
import tty
from contextlib import suppress

from core.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

AT_ONCE = 64 << 10


class Cast:
    """An asciicast that is being written."""

    def __init__(self, file: IO[str], size: os.terminal_size) -> None:
        self._file = file
        self._start = time.monotonic()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        header = {
            "version": 2,
            "width": size.columns,
            "height": size.lines,
            "timestamp": int(time.time()),
            "env": {"TERM": os.environ.get("TERM", ""), "SHELL": os.environ.get("SHELL", "")},
        }
        file.write(json.dumps(header) + "\n")

    def output(self, data: bytes) -> None:
        """Add what was shown; a character that is cut in two is kept for the next time."""
        text = self._decoder.decode(data)
        if text:
            self._event("o", text)

    def resize(self, size: os.terminal_size) -> None:
        """Add a new size."""
        self._event("r", f"{size.columns}x{size.lines}")

    def _event(self, kind: str, data: str) -> None:
        event = [round(time.monotonic() - self._start, 6), kind, data]
        self._file.write(json.dumps(event, ensure_ascii=False) + "\n")


def record(path: str, words: Sequence[str]) -> int:
    """Run `limpet WORDS` on a terminal of its own into the file; return its exit code.

    Raises UsageError without a terminal or when the file exists, HostError when it cannot
    be made.
    """
    if not (os.isatty(0) and os.isatty(1)):
        raise UsageError("only what a terminal shows is recorded", hint="run it at a terminal")
    try:
        # What is shown may be secret: only the owner reads it.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        hint = f"choose another name, or remove it: rm {path}"
        raise UsageError(f"{path} is there already", hint=hint, subject=path) from None
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}", errno=error.errno or 0) from error
    with open(fd, "w", encoding="utf-8", buffering=1) as file:
        code = _run(Cast(file, os.get_terminal_size(1)), words)
    sys.stderr.write(f"limpet: recorded in {path}; asciinema play {path} shows it\n")
    return code


def _run(cast: Cast, words: Sequence[str]) -> int:
    pid, master = pty.fork()
    if pid == 0:
        # No shell: the words go on as they came.
        os.execv(  # noqa: S606
            sys.executable, [sys.executable, *_interpreter(), *words]
        )
    termios.tcsetwinsize(master, termios.tcgetwinsize(1))

    def resized(*_: object) -> None:
        termios.tcsetwinsize(master, termios.tcgetwinsize(1))
        cast.resize(os.get_terminal_size(1))

    signal.signal(signal.SIGWINCH, resized)
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        _pass_on(master, cast)
    finally:
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        os.close(master)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def _interpreter() -> list[str]:
    """Return how Python was told to run limpet, up to where the words begin."""
    given = sys.orig_argv[1:]
    return given[: len(given) - len(sys.argv) + 1]


def _pass_on(master: int, cast: Cast) -> None:
    """Carry bytes both ways until the program has ended."""
    while True:
        ready = select.select([0, master], [], [])[0]
        if master in ready:
            try:
                data = os.read(master, AT_ONCE)
            except OSError:  # EIO: nobody has the other side any more
                return
            if not data:
                return
            cast.output(data)
            with suppress(BlockingIOError):
                os.write(1, data)
        if 0 in ready:
            typed = os.read(0, AT_ONCE)
            if not typed:  # the person's terminal is gone, and nobody told us
                return
            os.write(master, typed)
