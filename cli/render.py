"""Answers to text: data on stdout, words on stderr."""

from __future__ import annotations

import os
import sys

from cli.screen import is_screen
from core.commands.result import (
    Building,
    Document,
    Foreground,
    Lines,
    Live,
    Plan,
    Running,
    Table,
    Text,
)
from core.commands.show import cell, printable
from core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.commands.result import Result
    from core.errors import Error

GAP = "   "


def render(result: Result) -> int:
    """Show an answer and return the exit code."""
    if isinstance(result, Text):
        if result.text:
            out(as_shown(result.text + "\n"))
    elif isinstance(result, Table):
        out(table_text(result))
        if isinstance(result, Live) and is_screen(1):
            _keep_looking(result.again)
        return result.code
    elif isinstance(result, Document):
        out(as_shown(document_text(result)))
    elif isinstance(result, Lines):
        _stream(result)
    elif isinstance(result, Building):
        from cli.build_progress import render_build

        return render_build(result)
    elif isinstance(result, Running):
        from cli.progress import follow

        return render(result.show(follow(result.job, quiet=result.quiet)))
    elif isinstance(result, Plan):
        return _carry_out(result)
    elif isinstance(result, Foreground):
        return _give_terminal(result)
    return 0


def _keep_looking(again: Callable[[], Table]) -> None:
    """Show one look in place of the other, from the screen's top, until ctrl-c."""
    try:
        out("\033[2J")
        while True:
            out("\033[H" + table_text(again()).replace("\n", "\033[K\n") + "\033[J")
    except KeyboardInterrupt:
        out("\n")


def out(text: str) -> None:
    """Write to stdout; names from images may hold bytes that are no UTF-8."""
    sys.stdout.flush()
    data = text.encode("utf-8", "surrogateescape")
    write(1, data)


def harmless(text: str) -> str:
    """Return text with its control characters made visible, but for tabs and line ends."""
    lines = ("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    return "\n".join(lines)


def as_shown(text: str) -> str:
    """Return text as stdout may have it: a terminal is given no orders, a pipe every byte."""
    return harmless(text) if os.isatty(1) else text


def write(fd: int, data: bytes) -> None:
    """Write all of it; HostError when the output takes no more (a full disk)."""
    try:
        while data:
            data = data[os.write(fd, data) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HostError(
            f"the answer cannot be written: {error.strerror}", errno=error.errno or 0
        ) from error


def report(error: Error) -> None:
    """Write an error and its next step to stderr."""
    red, plain = ("\033[31m", "\033[0m") if _colour(2) else ("", "")
    lines = [f"{red}limpet: {harmless(error.message)}{plain}"]
    lines += [f"  {harmless(line)}" for line in error.hint.splitlines()]
    sys.stderr.write("\n".join(lines) + "\n")


def table_text(table: Table) -> str:
    """Return the table as its format asks: aligned columns, JSON lines, or a template."""
    if table.quiet:
        kind = next((c.kind for c in table.columns if c.key == table.quiet), "text")
        shown = (cell(row[table.quiet], kind, full=table.full) for row in table.rows)
        return as_shown("".join(line + "\n" for line in dict.fromkeys(shown)))
    if table.format == "json":
        import json

        return "".join(json.dumps(row) + "\n" for row in table.rows)
    if table.format not in ("", "table"):
        return _templated(table)
    if os.environ.get("LIMPET_PLAIN"):
        return _spoken(table)
    rows = [
        [column.title for column in table.columns],
        *([cell(row[c.key], c.kind, full=table.full) for c in table.columns] for row in table.rows),
    ]
    words = [place for place, column in enumerate(table.columns) if column.kind == "words"]
    if words and is_screen(1) and (width := os.get_terminal_size(1).columns):
        from cli.folding import fold

        rows = fold(rows, words, width, len(GAP))
    return aligned(rows)


def _spoken(table: Table) -> str:
    """Return a line a row that can be listened to: `Names web, Image nginx, Status Up 3 hours`."""
    lines = []
    for row in table.rows:
        cells = [(c.title, cell(row[c.key], c.kind, full=table.full)) for c in table.columns]
        said = [f"{title.capitalize()} {printable(value)}" for title, value in cells if value]
        lines.append(", ".join(said) + "\n")
    return "".join(lines) or "nothing\n"


def aligned(rows: list[list[str]]) -> str:
    """Return rows of cells as lines with the columns under each other."""
    rows = [[printable(value) for value in row] for row in rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = (
        GAP.join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "".join(line + "\n" for line in lines)


def document_text(document: Document) -> str:
    """Return the document as JSON, or through its template, one line a part."""
    import json

    if document.format in ("", "json"):
        return json.dumps(document.data, indent=None if document.format else 4) + "\n"
    from core.commands.template import Template

    template = Template(document.format)
    parts = document.data if isinstance(document.data, list) else [document.data]
    return "".join(template.render(part) + "\n" for part in parts)


def _templated(table: Table) -> str:
    from core.commands.template import Template

    words = table.format.removeprefix("table ")
    template = Template(words)
    kinds = {column.key: column.kind for column in table.columns}
    lines = [
        template.render(
            {
                key: cell(value, kinds.get(key, "text"), full=table.full)
                for key, value in row.items()
            }
        )
        for row in table.rows
    ]
    if words == table.format:
        return as_shown("".join(line + "\n" for line in lines))
    titles = {column.key: column.title for column in table.columns}
    head = template.render(
        {key: titles.get(key, key.upper()) for row in table.rows[:1] for key in row} or titles
    )
    return aligned([line.split("\t") for line in (head, *lines)])


def _stream(lines: Lines) -> None:
    for stream, data in lines.source:
        write(stream, data)


def _carry_out(plan: Plan) -> int:
    if plan.ask:
        from core.errors import UsageError

        if not os.isatty(0):
            hint = "say --yes to go on without asking"
            raise UsageError(f"{plan.heading()}: needs a yes", hint=hint)
        sys.stderr.write(f"{plan.words()}\nGo on? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return 1
    return render(plan.apply())


def _give_terminal(foreground: Foreground) -> int:
    code = foreground.relay(0, 1, 2)
    return max(code, 0)


def _colour(fd: int) -> bool:
    return os.isatty(fd) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
