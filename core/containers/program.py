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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_FOUND, NOT_EXECUTABLE = 127, 126
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_SCRIPTS = 4
"""The kernel follows as many scripts that are interpreters of scripts."""
NR_EXECVEAT = {"x86_64": 322}.get(os.uname().machine, 281)
AT_EMPTY_PATH = 0x1000


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


def execute(found: str, argv: Sequence[str], environment: Sequence[str]) -> None:
    """Replace this process by the program; comes back only as CannotRun.

    Only for a container in which nothing runs yet: what is checked is still there when it
    is run, and the process keeps the program's own name.
    """
    fd, _ = _open_program(found, argv)
    os.close(fd)
    try:
        os.execve(found, list(argv), _environ(environment))  # noqa: S606 - that is the point
    except OSError as error:
        raise _cannot(argv[0], error) from error


def execute_in_hostile(found: str, argv: Sequence[str], environment: Sequence[str]) -> None:
    """Replace this process by the program, through the very descriptor that was checked."""
    fd, arguments = _open_program(found, argv)
    texts = [string(word) for word in arguments]
    values = [string(word) for word in environment]
    pointers, variables = _array(texts), _array(values)
    no_path = string("")  # kept: the kernel reads it where it lies
    try:
        syscall(
            "execveat",
            NR_EXECVEAT,
            fd,
            address(no_path),
            address(pointers),
            address(variables),
            AT_EMPTY_PATH,
        )
    except OSError as error:
        raise _cannot(argv[0], error) from error


def _open_program(found: str, argv: Sequence[str]) -> tuple[int, list[str]]:
    """Open the program, or the interpreter of the script that it is, past no magic link.

    Returns a close-on-exec descriptor and the arguments that belong to it.
    """
    arguments = list(argv)
    for _ in range(MAX_SCRIPTS + 1):
        fd = _open_plainly(found, argv[0])
        line = _interpreter(fd)
        if not line:
            return fd, arguments
        os.close(fd)
        arguments = [*line, found, *arguments[1:]]
        found = line[0]
    raise CannotRun(errno.ELOOP, f'exec: "{argv[0]}": too many interpreters', NOT_EXECUTABLE)


def _open_plainly(found: str, name: str) -> int:
    try:
        return path.openat2(-100, found, os.O_PATH, 0, path.RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        raise _cannot(name, error) from error


def _interpreter(fd: int) -> list[str]:
    """Return the words of a script's first line, [] for anything else (execve(2))."""
    try:
        readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return []  # executable but not readable: no script then
    try:
        head = os.read(readable, 256)
    finally:
        os.close(readable)
    if not head.startswith(b"#!"):
        return []
    first, _, argument = head[2:].split(b"\n")[0].strip().partition(b" ")
    return [os.fsdecode(word) for word in (first, argument.strip()) if word]


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
