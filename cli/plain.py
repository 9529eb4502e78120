"""The prompt without any drawing: for scripts, screen readers and terminals that only print.

One line in, lines out, top to bottom: nothing is painted over, no list pops up, no colour,
and a table is read as sentences (see `cli.render`).  Tab completes through readline.
"""

from __future__ import annotations

import os
import sys

from cli.steps import run_steps
from core.engine import open_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine

PROMPT = "limpet> "
WELCOME = "limpet, line by line: help lists the commands, tab completes, exit leaves\n"
MOST_PAST = 2000


def plain(*, read_only: bool = False) -> int:
    """Read and run lines until `exit` or the end; returns the last line's exit code."""
    os.environ["LIMPET_PLAIN"] = os.environ["NO_COLOR"] = "1"
    engine = open_engine()
    talks = sys.stdin.isatty()
    if talks:
        sys.stderr.write(WELCOME)
        _complete_by_readline(engine)
    code = 0
    try:
        while True:
            line = _read(talks)
            if line is None or line.strip() in ("exit", "quit"):
                return code
            try:
                code = run_steps(engine, line, read_only=read_only)
            except KeyboardInterrupt:
                code = 130
    finally:
        engine.close()


def _read(talks: bool) -> str | None:
    """Return the next line, None at the end; a backslash at its end takes the next one in."""
    lines: list[str] = []
    while True:
        try:
            line = input(PROMPT if not lines else "... ") if talks else sys.stdin.readline()
        except EOFError:
            return None
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            lines.clear()
            continue
        if not talks and not line:
            return "\n".join(lines) if lines else None
        lines.append(line.rstrip("\n"))
        if not lines[-1].endswith("\\"):
            return "\n".join(lines)


def _complete_by_readline(engine: Engine) -> None:
    import readline

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from core.commands.complete import LimpetCompleter

    completer = LimpetCompleter(engine)
    found: list[str] = []

    def complete(typed: str, number: int) -> str | None:
        if number == 0:
            line = readline.get_line_buffer()[: readline.get_endidx()]
            start = readline.get_begidx() - len(line)
            items = completer.get_completions(Document(line), CompleteEvent())
            words = (_word(item.text, start, item.start_position) for item in items)
            found[:] = [word for word in words if word.startswith(typed)]
        return found[number] if number < len(found) else None

    readline.set_completer_delims(" \t\n")
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    readline.set_history_length(MOST_PAST)


def _word(text: str, start: int, begins: int) -> str:
    """Return a completion as readline wants it: from the last blank on."""
    done = text if text.endswith(("/", "=")) else text + " "
    return done[start - begins :] if start > begins else done
