"""Bytes that go to a file or to stdout, and come from a file or from stdin."""

from __future__ import annotations

import os

from core.commands.result import Foreground, Running, Text
from core.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.commands.result import Result
    from core.engine import Engine
    from core.jobs import Job


def write_out(
    engine: Engine, title: str, output: str, write: Callable[[int, Job | None], None]
) -> Result:
    """Return what writes to the file `output`, or to stdout if that is empty or `-`.

    A file appears only when it is whole; a pipe or a device is written to.  Raises
    UsageError when stdout is a terminal.
    """
    if output not in ("", "-"):
        return Running(
            engine.jobs.start(
                title, lambda job: guarded(output, lambda: _to_file(output, write, job))
            ),
            lambda _: Text(""),
        )

    def relay(_stdin: int, stdout: int, _stderr: int) -> int:
        if os.isatty(stdout):
            raise UsageError(
                f"{title}: an archive is nothing for a terminal",
                hint="-o FILE writes it to a file; or send it into a pipe",
            )
        guarded("the output", lambda: write(stdout, None))
        return 0

    return Foreground(title, relay)


def guarded(where: str, write: Callable[[], None]) -> None:
    """Write, and raise HostError naming the place when it takes no more."""
    try:
        write()
    except BrokenPipeError:
        raise  # whoever read it has gone
    except OSError as error:
        raise HostError(
            f"{where} cannot be written: {error.strerror}", subject=where, errno=error.errno or 0
        ) from error


def _to_file(output: str, write: Callable[[int, Job | None], None], job: Job) -> None:
    from core.output_file import OutputFile

    with OutputFile(output) as fd:
        write(fd, job)


def read_in(
    engine: Engine, title: str, source: str, read: Callable[[int, Job | None], Result]
) -> Result:
    """Return what reads the file `source`, or stdin if that is `-`; `read` gives the answer.

    Raises UsageError for a file that cannot be opened, or when stdin is a terminal.
    """
    if source == "-":

        def relay(stdin: int, _stdout: int, _stderr: int) -> int:
            if os.isatty(stdin):
                raise UsageError(f"{title}: a tar is expected on stdin", hint="or name a file")
            read(stdin, None)
            return 0

        return Foreground(title, relay)
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{source}: {error.strerror}", subject=source) from error

    def work(job: Job) -> Result:
        try:
            return read(fd, job)
        finally:
            os.close(fd)

    return Running(engine.jobs.start(title, work), lambda result: result)
