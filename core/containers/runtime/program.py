"""Finds and runs the program of a container, with docker's exit codes for failures.

A container that is being entered may be hostile: its program could be a link to
/proc/self/exe, which is the host's interpreter (CVE-2019-5736).  So no program and no
interpreter of a script is ever reached through such a magic link.
"""

from __future__ import annotations

import errno
import os
import stat

from core.linux import path
from core.linux.libc import address, string, syscall
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_FOUND, NOT_EXECUTABLE = 127, 126
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_SCRIPTS = 4
"""The kernel follows as many scripts that are interpreters of scripts."""
NR_EXECVEAT = {"x86_64": 322}.get(os.uname().machine, 281)
AT_EMPTY_PATH = 0x1000
AT_FDCWD = -100
HEAD_BYTES = 256
"""What the kernel looks at for a script's first line (BINPRM_BUF_SIZE)."""


class CannotRun(Exception):
    """The program cannot be run; `exit_code` is docker's."""

    def __init__(self, number: int, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.errno = number
        self.text = text
        self.exit_code = exit_code


def find(name: str, environment: Sequence[str]) -> str:
    """Return the path of a program, looked up in the environment's PATH.

    Raises CannotRun: 127 when there is none, 126 when it may not be executed.
    """
    if not name:
        raise CannotRun(errno.ENOENT, 'exec: "": no command', NOT_FOUND)
    if "/" in name:
        _check(name, name)
        return name
    folders = next((e[5:] for e in environment if e.startswith("PATH=")), DEFAULT_PATH)
    for folder in folders.split(":"):
        candidate = f"{folder or '.'}/{name}"
        try:
            facts = os.stat(candidate)
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode) and facts.st_mode & 0o111:
            return candidate
    raise CannotRun(errno.ENOENT, f'exec: "{name}": executable file not found in $PATH', NOT_FOUND)


def _check(name: str, candidate: str) -> None:
    try:
        facts = os.stat(candidate)
    except (FileNotFoundError, NotADirectoryError) as error:
        text = f'exec: "{name}": stat {candidate}: no such file or directory'
        raise CannotRun(errno.ENOENT, text, NOT_FOUND) from error
    except OSError as error:
        raise CannotRun(
            error.errno or 0, f'exec: "{name}": {error.strerror}', NOT_EXECUTABLE
        ) from error
    if stat.S_ISDIR(facts.st_mode):
        raise CannotRun(errno.EISDIR, f'exec: "{name}": is a directory', NOT_EXECUTABLE)
    if not facts.st_mode & 0o111:
        raise CannotRun(errno.EACCES, f'exec: "{name}": permission denied', NOT_EXECUTABLE)


class Opened(Record):
    """A program that was checked: what is run, and the arguments that belong to it."""

    name: str
    """As the user wrote it."""
    found: str
    fd: int
    """Of the program, or of the interpreter of the script that it is."""
    arguments: tuple[str, ...]
    """For `fd`: the script's path is among them."""


def open_program(found: str, argv: Sequence[str]) -> Opened:
    """Open the program, or the interpreter of the script that it is, past no magic link.

    Called before privileges are dropped: a script that its user may execute but not read
    would otherwise keep its interpreter from us, and the kernel would still follow it.
    Raises CannotRun; a program that cannot be read at all is refused.
    """
    arguments = tuple(argv)
    path_now = found
    for _ in range(MAX_SCRIPTS + 1):
        fd = _open_plainly(path_now, argv[0])
        line = _interpreter(os.read(fd, HEAD_BYTES))
        if not line:
            return Opened(argv[0], found, fd, arguments)
        os.close(fd)
        arguments = (*line, path_now, *arguments[1:])
        path_now = line[0]
    raise CannotRun(errno.ELOOP, f'exec: "{argv[0]}": too many interpreters', NOT_EXECUTABLE)


def execute(opened: Opened, argv: Sequence[str], environment: Sequence[str]) -> None:
    """Replace this process by the program; comes back only as CannotRun.

    Only for a container in which nothing runs yet: what was checked is still there when it
    is run, and the process keeps the program's own name.
    """
    try:
        os.execve(opened.found, list(argv), _environ(environment))  # noqa: S606 - that is the point
    except OSError as error:
        raise _cannot(argv[0], error) from error


def execute_in_hostile(opened: Opened, environment: Sequence[str]) -> None:
    """Replace this process by the program, through the very descriptor that was checked."""
    texts = [string(word) for word in opened.arguments]
    values = [string(word) for word in environment]
    pointers, variables = _array(texts), _array(values)
    no_path = string("")  # kept: the kernel reads it where it lies
    try:
        syscall(
            "execveat",
            NR_EXECVEAT,
            opened.fd,
            address(no_path),
            address(pointers),
            address(variables),
            AT_EMPTY_PATH,
        )
    except OSError as error:
        raise _cannot(opened.name, error) from error


def _open_plainly(found: str, name: str) -> int:
    try:
        # Not blocking: a FIFO in the program's place must not hold us up.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
        fd = path.openat2(AT_FDCWD, found, flags, 0, path.RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        raise _cannot(name, error) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise CannotRun(errno.EACCES, f'exec: "{name}": permission denied', NOT_EXECUTABLE)
    return fd


def _interpreter(head: bytes) -> list[str]:
    """Return the words of a script's first line, [] for anything else (execve(2)).

    As the kernel splits it: at the first blank or tab, the rest being one argument.
    """
    if not head.startswith(b"#!"):
        return []
    line = head[2:].split(b"\n")[0].strip(b" \t")
    first = line.replace(b"\t", b" ").partition(b" ")[0]
    rest = line[len(first) :].strip(b" \t")
    return [os.fsdecode(word) for word in (first, rest) if word]


def _array(texts: Sequence[bytearray]) -> bytearray:
    return bytearray(b"".join(address(text).to_bytes(8, "little") for text in texts) + bytes(8))


def _environ(environment: Sequence[str]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in environment if "=" in entry[1:])


def _cannot(name: str, error: OSError) -> CannotRun:
    text = {errno.ENOEXEC: "exec format error", errno.ELOOP: "its path leads through /proc"}.get(
        error.errno or 0, (error.strerror or "").rpartition(": ")[2].lower()
    )
    code = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
    return CannotRun(error.errno or 0, f'exec: "{name}": {text}', code)
