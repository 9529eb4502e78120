"""Terminals: a pty out of any devpts, sizes, raw mode.  ioctl_tty(2), pty(7)"""

from __future__ import annotations

import fcntl
import os
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TIOCGPTPEER, TIOCSPTLCK, TIOCSCTTY = 0x5441, 0x40045431, 0x540E
TIOCSWINSZ, TIOCGWINSZ = 0x5414, 0x5413


def open_pty(ptmx_fd: int) -> int:
    """Unlock the pty whose master `ptmx_fd` is; returns its other end, opened by descriptor.

    TIOCGPTPEER needs no path, so a hostile /dev/pts cannot put another file in its place.
    """
    fcntl.ioctl(ptmx_fd, TIOCSPTLCK, bytes(4))
    return fcntl.ioctl(ptmx_fd, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def make_controlling(fd: int) -> None:
    """Make the terminal the controlling one of this session, whose leader this process is."""
    fcntl.ioctl(fd, TIOCSCTTY, 0)


def set_size(fd: int, rows: int, columns: int) -> None:
    """Tell a terminal its size; the processes in its foreground get SIGWINCH."""
    size = rows.to_bytes(2, "little") + columns.to_bytes(2, "little") + bytes(4)
    fcntl.ioctl(fd, TIOCSWINSZ, size)


def get_size(fd: int) -> tuple[int, int]:
    """Return a terminal's rows and columns; OSError if `fd` is none."""
    size = fcntl.ioctl(fd, TIOCGWINSZ, bytes(8))
    return int.from_bytes(size[:2], "little"), int.from_bytes(size[2:4], "little")


def make_raw(fd: int) -> list[Any]:
    """Put a terminal into raw mode (cfmakeraw(3)); returns what `restore` takes."""
    saved = termios.tcgetattr(fd)
    mode = termios.tcgetattr(fd)
    mode[0] &= ~(
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    mode[1] &= ~termios.OPOST
    mode[2] = (mode[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSANOW, mode)
    return saved


def restore(fd: int, saved: list[Any]) -> None:
    """Put back what `make_raw` returned, after what is on its way out."""
    termios.tcsetattr(fd, termios.TCSADRAIN, saved)


def ask_hidden(question: str, stdin: int, stdout: int) -> str:
    """Ask for a line that is not shown while it is typed; `stdin` is a terminal.  termios(3)"""
    saved = termios.tcgetattr(stdin)
    mode = termios.tcgetattr(stdin)
    mode[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(stdin, termios.TCSAFLUSH, mode)
        os.write(stdout, question.encode())
        return read_line(stdin)
    finally:
        termios.tcsetattr(stdin, termios.TCSAFLUSH, saved)
        os.write(stdout, b"\n")


def read_line(fd: int) -> str:
    """Return one line without its end, and read not a byte of what comes behind it."""
    line = bytearray()
    while (byte := os.read(fd, 1)) not in (b"", b"\n"):
        line += byte
    return line.decode("utf-8", "surrogateescape").removesuffix("\r")
