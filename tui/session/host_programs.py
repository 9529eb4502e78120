"""Programs of the host beside command lines: `logs web | grep x`, `!uptime`, `!`.

They start by vfork(2) through `subprocess`, which is safe in a process with threads.
"""

from __future__ import annotations

import os
import signal
import subprocess
import termios
import threading
from contextlib import contextmanager, suppress

from core.commands.lines import split_pipe
from core.commands.result import Document, Foreground, Lines, Result, Running, Table, Text
from core.commands.scan import split
from core.errors import HostError, UsageError
from tui.theme import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, Self

    Feed = Callable[[int], None]

FULL_SCREEN = frozenset((
    "less", "more", "most", "vi", "vim", "nvim", "nano", "emacs", "view", "man", "fzf", "top",
    "htop", "btop", "mc", "ssh", "tmux", "screen", "watch", "sh", "bash", "zsh", "fish", "lnav",
    "sudo", "su", "python3", "limpet",
))  # fmt: skip
"""Programs that are given the terminal; the output of others becomes a block."""
LONGEST = 8 << 10
"""Bytes of a line; the session keeps hundreds, and what goes on is another one."""
KEYBOARD = (signal.SIGINT, signal.SIGQUIT)
"""What a terminal's keys send to everybody in its foreground, a limpet that waits included."""


class OnHost(Foreground):
    """A program of the host that needs the terminal: one cannot detach from it."""


def wants_terminal(command: str) -> bool:
    """Tell whether the last program of a pipeline is one that fills the screen.

    What a shell or Python is given by `-c` prints, as a rule.
    """
    last: str | None = command
    while last and (rest := split_pipe(last)[1]):
        last = rest
    words = split(last or "")
    return not words or (os.path.basename(words[0]) in FULL_SCREEN and words[1:2] != ["-c"])


def host(command: str) -> Result:
    """Run a command line of the host's shell; without one, the person's shell itself."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    if not command:  # a shell ends with what its last program ended with: that says nothing
        return OnHost(shell, lambda *fds: 0 * _terminal([shell], fds, None))
    if wants_terminal(command):
        return OnHost(command, lambda *fds: _terminal([shell, "-c", command], fds, None))
    return Lines(Program(command, None))


def piped(result: Result, command: str) -> Result:
    """Give an answer to a host program's stdin, and answer with what that prints.

    UsageError for an answer that is a question.
    """
    if not command:
        raise UsageError("a program is missing behind |", hint="for example  ps -a | grep web")
    feed = _feed(result)
    if wants_terminal(command):
        argv = ["/bin/sh", "-c", command]
        return OnHost(command, lambda *fds: _terminal(argv, fds, feed))
    return Lines(Program(command, feed))


def _feed(result: Result) -> Feed:
    """Return what writes the answer into a file descriptor."""
    from tui.answers import answer

    if isinstance(result, Running):
        return lambda fd: _feed(result.show(result.job.result()))(fd)
    if isinstance(result, Foreground):
        return lambda fd: _relay(result, fd)
    if isinstance(result, Lines):
        source = result.source
        return lambda fd: _write(fd, (line for _, line in source))
    if isinstance(result, Table | Text | Document):
        lines = [
            plain(parts).encode("utf-8", "surrogateescape") + b"\n" for parts in answer(result)
        ]
        return lambda fd: _write(fd, iter(lines))
    raise UsageError("what has to be confirmed cannot be piped", hint="leave out the |")


def _write(fd: int, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        while piece:
            piece = piece[os.write(fd, piece) :]


def _relay(foreground: Foreground, fd: int) -> None:
    """Let what runs in a container print into the pipe; it reads nothing."""
    with open(os.devnull, "rb") as nothing:
        foreground.relay(nothing.fileno(), fd, fd)


def _terminal(argv: list[str], fds: tuple[int, ...], feed: Feed | None) -> int:
    """Run a program on the terminal; HostError when it does not exist."""
    stdin, stdout, stderr = fds
    with sane_modes(stdin):
        try:
            program = subprocess.Popen(
                argv, stdin=stdin if feed is None else subprocess.PIPE, stdout=stdout, stderr=stderr
            )
        except OSError as error:
            raise HostError(f"{argv[0]}: {error.strerror}", errno=error.errno or 0) from error
        failed: list[Exception] = []
        _start_pouring(feed, program, failed)
        code = _exit_code(program)
        if failed:
            raise failed[0]
        return code


def _exit_code(program: subprocess.Popen[bytes]) -> int:
    """Wait for a program's end; what a signal ended has 128 and its number, as in a shell."""
    code = program.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def sane_modes(fd: int) -> Iterator[None]:
    """Give a terminal the modes that a shell expects for a while."""
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    sane = termios.tcgetattr(fd)
    sane[0] |= termios.ICRNL | termios.IXON
    sane[1] |= termios.OPOST | termios.ONLCR
    sane[3] |= termios.ICANON | termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ISIG
    sane[3] |= termios.IEXTEN
    termios.tcsetattr(fd, termios.TCSADRAIN, sane)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def enter_ends_lines(fd: int) -> Iterator[None]:
    """Have enter end what is read in lines, as whoever is given the terminal expects.

    To the app it is a key of its own, from the opening on: other than ctrl-j.
    """
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    lines = termios.tcgetattr(fd)
    lines[0] |= termios.ICRNL
    termios.tcsetattr(fd, termios.TCSADRAIN, lines)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def keyboard_given_away() -> Iterator[None]:
    """Take no notice of what keys send as signals: they are for who has the terminal."""
    before = [signal.signal(number, _let_pass) for number in KEYBOARD]
    try:
        yield
    finally:
        for number, handler in zip(KEYBOARD, before, strict=True):
            signal.signal(number, handler)


def _let_pass(*_: object) -> None:
    """Do nothing.  (A signal that is ignored would be so in the program, too.)"""


def _start_pouring(
    feed: Feed | None, program: subprocess.Popen[bytes], failed: list[Exception]
) -> None:
    """Have a thread feed a program; what goes wrong is in `failed` when the program has ended."""
    if feed is not None and program.stdin is not None:
        args = (feed, program.stdin, failed)
        threading.Thread(target=_pour, args=args, name="limpet-pipe", daemon=True).start()


def _pour(feed: Feed, pipe: IO[bytes], failed: list[Exception]) -> None:
    """Write everything, then end the pipe; its reader may go at any time: `| head` has enough."""
    with suppress(BrokenPipeError), pipe:
        try:
            feed(pipe.fileno())
        except BrokenPipeError:
            pass
        except Exception as error:  # noqa: BLE001 - raised when the program has ended
            failed.append(error)  # before the pipe's end is seen


class Program:
    """The lines that a host program prints: an iterator of (1 stdout or 2 stderr, line)."""

    def __init__(self, command: str, feed: Feed | None) -> None:
        self._failed: list[Exception] = []
        self._program = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._lines = self._read()
        _start_pouring(feed, self._program, self._failed)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[int, bytes]:
        """Return the next line; what fed the program raises at their end."""
        return next(self._lines)

    def _read(self) -> Iterator[tuple[int, bytes]]:
        if self._program.stdout is None:
            return
        with self._program.stdout as output:
            while line := output.readline(LONGEST):
                yield 1, line
        code = _exit_code(self._program)
        if self._failed:
            raise self._failed[0]
        if code not in (0, 1):  # grep and diff say with 1 that they found nothing
            yield 2, f"ended with {code}\n".encode()

    def stop(self) -> None:
        """End the program and what it started."""
        if self._program.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._program.pid, signal.SIGTERM)
