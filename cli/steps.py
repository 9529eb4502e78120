"""Runs typed lines: aliases, several commands in one, pipes into the host's programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from cli.main import run_line
from cli.render import report
from core.commands.lines import split_pipe, steps_of
from core.commands.scan import split
from core.errors import Error, HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine

SHELL = "/bin/sh"


def run_steps(engine: Engine, line: str, *, read_only: bool) -> int:
    """Run what a line stands for, one after the other; return the last exit code.

    A step that failed ends the line, unless the next stands behind a `;`.  Errors are shown.
    """
    code = 0
    try:
        for step in steps_of(line, engine.config.aliases):
            if code == 0 or step.anyway:
                code = _run(engine, step.line, read_only=read_only)
    except Error as error:
        report(error)
        return error.exit_code
    return code


def _run(engine: Engine, line: str, *, read_only: bool) -> int:
    own, command = split_pipe(line)
    is_host = line.startswith("!")
    try:
        if read_only and (is_host or command is not None):
            from core.commands.read_only import PROGRAMS, refusal

            raise refusal(PROGRAMS)
        if is_host:
            return _host(line[1:].strip() or os.environ.get("SHELL") or SHELL)
        if command is not None:
            return _piped(engine, own, command, read_only=read_only)
        return _own(engine, line, read_only=read_only)
    except Error as error:
        report(error)
        return error.exit_code


def _own(engine: Engine, line: str, *, read_only: bool) -> int:
    words = split(line)
    if words[0] in ("help", "-h", "--help"):
        from cli.help import show_help

        return show_help(words[1:])
    return run_line(words, read_only=read_only, engine=engine)


def _host(command: str) -> int:
    """Run a command line of the host's shell; keys that interrupt are for it alone."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.call([SHELL, "-c", command])
    except OSError as error:
        raise HostError(f"{SHELL}: {error.strerror}", errno=error.errno or 0) from error
    finally:
        signal.signal(signal.SIGINT, before)


def _piped(engine: Engine, line: str, command: str, *, read_only: bool) -> int:
    """Give a command's output to a host program; return that one's exit code."""
    if not command:
        raise UsageError("a program is missing behind |", hint="for example  ps -a | grep web")
    sys.stdout.flush()
    program = subprocess.Popen([SHELL, "-c", command], stdin=subprocess.PIPE)
    pipe = program.stdin.fileno() if program.stdin else -1
    stdout = os.dup(1)
    os.dup2(pipe, 1)
    try:
        _own(engine, line, read_only=read_only)
    except BrokenPipeError:
        pass  # `| head` has read enough
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        if program.stdin:
            program.stdin.close()
        code = program.wait()
    return code
