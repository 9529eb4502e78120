"""Draws what verbs answer as lines of parts, for the output pane."""

from __future__ import annotations

from rich.cells import cell_len

from core.commands.result import Document, Plan, Table, Text
from core.commands.show import cell, size
from core.errors import Error, disk_error, text_error
from tui import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.commands.result import Result
    from core.jobs import Item, JobView
    from tui.theme import Glyphs, Part

Parts = list["Part"]
GAP = "   "
BAR = 24
NAME = 14
"""Columns for an item's name: `sha256` digests are cut to twelve digits."""


def answer(result: Result) -> list[Parts]:
    """Return the lines of a Text, Table, Document or Plan."""
    if isinstance(result, Table):
        return table(result)
    if isinstance(result, Document):
        return document(result)
    if isinstance(result, Plan):
        return [[(line, "")] for line in result.lines]
    if isinstance(result, Text):
        return [[(visible(line), "")] for line in result.text.split("\n") if result.text]
    return []


def table(result: Table) -> list[Parts]:
    """Return the table as its format asks."""
    if result.quiet:
        kind = next((c.kind for c in result.columns if c.key == result.quiet), "text")
        shown = (cell(row[result.quiet], kind, full=result.full) for row in result.rows)
        return [[(visible(text), "")] for text in dict.fromkeys(shown)]
    if result.format == "json":
        import json

        return [[(json.dumps(row), "")] for row in result.rows]
    if result.format not in ("", "table"):
        return _templated(result)
    rows = [
        [visible(cell(row[c.key], c.kind, full=result.full)) for c in result.columns]
        for row in result.rows
    ]
    titles = [column.title for column in result.columns]
    widths = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]
    return [_aligned(titles, widths, "faint"), *(_aligned(row, widths, "") for row in rows)]


def _aligned(row: list[str], widths: list[int], tone: str) -> Parts:
    text = GAP.join(
        value + " " * (width - cell_len(value)) for value, width in zip(row, widths, strict=True)
    )
    return [(text.rstrip(), tone)]


def _templated(result: Table) -> list[Parts]:
    from core.commands.template import Template

    template = Template(result.format.removeprefix("table "))
    kinds = {column.key: column.kind for column in result.columns}
    return [
        [
            (
                visible(
                    template.render(
                        {
                            key: cell(value, kinds.get(key, "text"), full=result.full)
                            for key, value in row.items()
                        }
                    ),
                    tabs=True,
                ),
                "",
            )
        ]
        for row in result.rows
    ]


def document(result: Document) -> list[Parts]:
    """Return the document as JSON with its keys coloured, or through its template."""
    import json

    if result.format == "json":
        return [[(json.dumps(result.data), "")]]
    if result.format:
        from core.commands.template import Template

        template = Template(result.format)
        parts = result.data if isinstance(result.data, list) else [result.data]
        return [[(visible(template.render(part), tabs=True), "")] for part in parts]
    return [_json_line(line) for line in json.dumps(result.data, indent=2).split("\n")]


def _json_line(line: str) -> Parts:
    body = line.lstrip()
    indent = line[: len(line) - len(body)]
    if body.startswith('"') and '": ' in body:
        key, _, value = body.partition('": ')
        return [(indent, ""), (f'{key}"', "primary"), (": ", "faint"), (value, "")]
    return [(indent, ""), (body, "" if body[:1] not in "{}[]" else "faint")]


def failure(error: Exception, log: str = "") -> list[Parts]:
    """Return an error's message and its next step; `log` is where a bug was written down."""
    if isinstance(error, OSError):
        error = disk_error(error) or error
    elif isinstance(error, UnicodeEncodeError):
        error = text_error(error)
    elif isinstance(error, ImportError):
        error = replaced.as_error(error) or error
    if isinstance(error, Error):
        lines: list[Parts] = [[(visible(error.message), "bad")]]
        lines += [
            [("hint: " if not number else "      ", "faint"), (visible(text), "accent")]
            for number, text in enumerate(error.hint.splitlines())
        ]
        return lines
    if isinstance(error, OSError):
        return [[(visible(str(error)), "bad")]]
    lines = [[(f"this is a bug: {type(error).__name__}: {visible(str(error))}", "bad")]]
    if log:
        lines.append([("hint: ", "faint"), (f"{log} has the details for a report", "accent")])
    return lines


def cause(error: Exception) -> Parts:
    """Return an error in one line: the cause, then the next step."""
    first, *hints = failure(error)
    for parts in hints:
        first = [*first, ("  ", ""), *parts[1:]]
    return first


def progress(view: JobView, glyphs: Glyphs) -> list[Parts]:
    """Return one line an item of a job."""
    return [_item(item, glyphs) for item in view.items]


def _item(item: Item, glyphs: Glyphs) -> Parts:
    name: Part = (f"{visible(item.name)[: NAME - 1]:<{NAME}}", "dim")
    done = item.note in ("done", "exists")
    if not item.total and len(item.name) >= NAME:  # a build's step: all of it counts
        note: Part = (f"{visible(item.note)[: NAME - 1]:<{NAME}}", "good" if done else "")
        return [note, (visible(item.name), "dim")]
    if done:
        return [name, (item.note, "good")]
    if not item.total:
        return [name, (visible(item.note), "")]
    full = min(BAR, BAR * item.done // item.total)
    return [
        name,
        (glyphs.full * full, "primary"),
        (glyphs.full * (BAR - full), "faint"),
        (f"  {size(item.done)}/{size(item.total)}  {visible(item.note)}", "dim"),
    ]


def summary(view: JobView) -> str:
    """Return a running job in a few words: `pull alpine 62%`."""
    total = sum(item.total for item in view.items)
    done = sum(min(item.done, item.total) for item in view.items)
    return f"{view.title} {done * 100 // total}%" if total else view.title


def visible(text: str, *, tabs: bool = False) -> str:
    """Return the text with control characters made visible: names may be hostile."""
    if tabs or "\t" in text:
        text = text.expandtabs(8)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
