"""The command `limpet`: no words open the app, words run one command.

This is the hot path of every one-shot command: only what the verb needs is imported.
"""

from __future__ import annotations

import os
import sys

from core.errors import Error, HostError, UsageError, disk_error, text_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.engine import Engine

HELP = ("-h", "--help", "help")
WITHOUT_NAMESPACE = (["doctor"], ["version"], ["--version"], ["-v"])
"""What answers even where the host gives an ordinary user no namespace."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's) and return the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    if words[:1] == ["oci"]:
        from cli.oci import oci

        return oci(words[1:])
    try:
        return _main(words)
    except Error as error:
        from cli.render import report

        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except PermissionError as error:
        from cli.render import report
        from core.errors import NotPermitted

        refused = NotPermitted(
            f"{error.filename}: permission denied", hint="start limpet with sudo, or as root"
        )
        report(refused)
        return refused.exit_code


def _main(words: list[str]) -> int:
    if words and words[0] not in ("--record", "--read-only"):
        code = _explain(words)
        if code is not None:
            return code
    _enter_namespace(words)
    if words[:1] == ["--record"]:
        return _record(words[1:])
    read_only = "--read-only" in words[:1]
    if read_only:
        words = words[1:]
    if not words:
        return _app(read_only=read_only)
    if words[0] in ("-v", "--version"):
        words = ["version"]
    if words[0] == "shell":
        return _shell(words[1:], read_only=read_only)
    if words[0] == "serve-web":
        return _serve_web(words[1:], read_only=read_only)
    from core.commands import MODULES

    if words[0] not in MODULES:
        code = _alias(words, read_only=read_only)
        if code is not None:
            return code
    return run_line(words, read_only=read_only)


def _explain(words: list[str]) -> int | None:
    """Do what only tells of the commands and touches no store; None for anything else."""
    if words[0] in HELP:
        from cli.help import show_help

        return show_help(words[1:])
    if words[0] == "man":
        from cli.man import page
        from cli.render import out

        out(page())
        return 0
    if words[0] == "completion":
        from cli.completion import completion

        return completion(words[1:])
    if len(words) == 2 and words[1] in HELP[:2]:
        from core.commands import MODULES

        if words[0] in MODULES:  # a command, or a noun: all that begin with it
            from cli.help import show_help

            return show_help(words[:1])
    return None


def _enter_namespace(words: list[str]) -> None:
    """Make an ordinary user root of a namespace of his own, where he may have one."""
    if os.geteuid() == 0:
        return
    from core.privileges import obstacle

    if obstacle()[0]:
        return
    from core import rootless
    from core.config import load_config
    from core.paths import configured_paths

    try:
        rootless.enter(configured_paths(load_config()))
    except HostError:
        if words[:1] not in WITHOUT_NAMESPACE:
            raise


def _record(words: Sequence[str]) -> int:
    """Run what follows the file's name, and record what it shows."""
    if not words:
        raise UsageError("--record needs a file", hint="limpet --record FILE.cast [COMMAND …]")
    from cli.record import record

    return record(words[0], words[1:])


def _serve_web(words: Sequence[str], *, read_only: bool) -> int:
    """Serve the app to a browser, where the extra that does it is installed."""
    try:
        from cli.serve_web import serve_web
    except ImportError as error:
        raise UsageError(
            f"serve-web needs {error.name}", hint="pip install 'limpet[web]', or textual-serve"
        ) from error
    return serve_web(words, read_only=read_only)


def _shell(words: Sequence[str], *, read_only: bool) -> int:
    """Open a prompt: with completion while one types, or without any drawing."""
    if set(words) - {"--plain"}:
        raise UsageError(
            f"{words[0]!r} is no option of shell", hint="usage: limpet shell [--plain]"
        )
    if words or not os.isatty(0) or os.environ.get("TERM") == "dumb":
        from cli.plain import plain

        return plain(read_only=read_only)
    from cli.repl import repl

    return repl(read_only=read_only)


def _alias(words: Sequence[str], *, read_only: bool) -> int | None:
    """Run what a word of the person's own stands for; None where it is none."""
    from core.engine import open_engine

    engine = open_engine()
    if words[0] not in engine.config.aliases:
        return None
    from cli.steps import run_steps
    from core.commands.scan import quote

    return run_steps(engine, " ".join(map(quote, words)), read_only=read_only)


def run_line(words: Sequence[str], *, read_only: bool = False, engine: Engine | None = None) -> int:
    """Run one command of the grammar and show its answer; Error is raised, not shown."""
    from core.commands import find, starts

    launcher, kind = None, starts(words)
    if kind and engine is None:
        from core.config import load_config
        from core.containers.supervision.launcher import Launcher
        from core.paths import configured_paths

        # It gets ready while we read what else was said.
        launcher = Launcher(configured_paths(load_config()).spawners)
        launcher.prepare(kind)
    verb, rest = find(words)
    from core.commands.grammar import asks_for_help, parse

    if asks_for_help(verb, rest):
        from cli.help import show_help

        return show_help(words)
    args = parse(verb, rest)
    if read_only:
        from core.commands.read_only import check

        check(verb, args)
    if engine is None:
        from core.engine import open_engine

        engine = open_engine(launcher)
    from cli.render import render

    try:
        return render(verb.run(engine, args))
    except OSError as error:
        if (refused := disk_error(error)) is not None:
            raise refused from error
        raise
    except UnicodeEncodeError as error:
        raise text_error(error) from error


def _app(*, read_only: bool) -> int:
    if os.environ.get("TEXTUAL_DRIVER"):
        return _app_in_browser(read_only=read_only)
    if not (os.isatty(0) and os.isatty(1)):
        raise UsageError("the app needs a terminal", hint="limpet help lists the commands")
    if os.environ.get("TERM") == "dumb":  # which moves no cursor, and has no screen
        return _shell((), read_only=read_only)
    from core.engine import open_engine
    from tui import opening

    engine = open_engine()
    with opening.Opening(engine, 0, 1) as opened:
        from tui.app import run

        opened.hand_over()
        return run(engine, read_only=read_only, containers=opened.containers)


def _app_in_browser(*, read_only: bool) -> int:
    """Run the app for `serve-web`: what it shows goes to a page, not to a terminal."""
    from core.engine import open_engine
    from tui.app import run

    return run(open_engine(), read_only=read_only)
