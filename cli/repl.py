"""The line-mode shell: the same grammar at a prompt, for slow lines and screen readers."""

from __future__ import annotations

import os
import sys

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.lexers import Lexer

from cli.steps import run_steps
from core.commands.complete import LimpetCompleter
from core.commands.lines import last_part
from core.commands.scan import scan, signature
from core.engine import open_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.engine import Engine

COLOURS = {
    "verb": "ansigreen",
    "flag": "ansicyan",
    "value": "",
    "argument": "",
    "rest": "",
    "error": "ansired",
}
WELCOME = "limpet: help lists the commands, tab completes, exit leaves (containers run on)\n"


class GrammarLexer(Lexer):
    """Colours a line by the grammar while it is typed."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return the function that gives one line's coloured parts."""
        lines = document.lines

        def line_parts(number: int) -> StyleAndTextTuples:
            line, parts, place = lines[number], [], 0
            for span in scan(line):
                parts += [
                    ("", line[place : span.start]),
                    (COLOURS[span.kind], line[span.start : span.end]),
                ]
                place = span.end
            return [*parts, ("", line[place:])]

        return line_parts


def history_file() -> str:
    """Return where the command history of this user is kept, shared with the app's bar."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(
        os.environ.get("HOME", "/"), ".local", "state"
    )
    return os.path.join(state, "limpet", "history")


def open_history(path: str) -> History:
    """Return the history in `path`, or one in memory where that cannot be written."""
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)


def repl(*, read_only: bool = False) -> int:
    """Read and run lines until `exit` or ctrl-d; returns 0."""
    engine = open_engine()
    session: PromptSession[str] = PromptSession(
        "limpet> ",
        completer=LimpetCompleter(engine),
        lexer=GrammarLexer(),
        history=open_history(history_file()),
        auto_suggest=AutoSuggestFromHistory(),
        complete_in_thread=True,
        complete_while_typing=False,
        bottom_toolbar=lambda: (
            signature(last_part(session.default_buffer.document.text_before_cursor)) or None
        ),
    )
    if sys.stdin.isatty():
        sys.stderr.write(WELCOME)
    try:
        while True:
            try:
                line = session.prompt()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return 0
            if line.strip() in ("exit", "quit"):
                return 0
            run(engine, line, read_only=read_only)
    finally:
        engine.close()


def run(engine: Engine, line: str, *, read_only: bool) -> None:
    """Run one typed line and show its answers or its errors."""
    try:
        run_steps(engine, line, read_only=read_only)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
