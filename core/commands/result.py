"""What a verb answers with: data, never print-outs.

`cli.render` and the app draw these; so `--format json` works everywhere and the same
verb serves a script, the line-mode shell and the full screen.
"""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from core.jobs import Job


class Column(Record):
    """One column; `key` is docker's name for it in templates (`.Names`)."""

    key: str
    title: str
    kind: str = "text"
    """How to show the value: text, id, size (bytes), age (seconds since the epoch), or words:
    sentences, which are folded on a narrow terminal."""


class Table(Record):
    """Rows of raw values by column key; extra keys serve templates and JSON."""

    columns: tuple[Column, ...]
    rows: tuple[dict[str, Any], ...]
    format: str = ""
    """What the person asked for: empty or table, json, or a template."""
    quiet: str = ""
    """Show only this key's values."""
    full: bool = False
    """Show identifiers whole."""
    code: int = 0
    """Exit code of a one-shot command."""


class Live(Table):
    """A table of what changes all the time; a terminal shows one look after the other."""

    again: Callable[[], Table] = lambda: Table((), ())
    """Takes the next look."""


class Text(Record):
    """Words that are the answer, without a final newline."""

    text: str


class Document(Record):
    """Structured facts (inspect); `format` as in Table."""

    data: Any
    format: str = ""


class Lines(Record):
    """A stream of output: pairs of stream number (1 or 2) and bytes, newline included."""

    source: Iterator[tuple[int, bytes]]


class Running(Record):
    """A job that has started; `show` turns its result into an answer."""

    job: Job
    show: Callable[[Any], Result]
    quiet: bool = False
    """Nothing is shown until it has ended."""


class Building(Running):
    """A build that has started; its job has a board."""

    progress: str = "auto"
    """auto, plain, json or quiet."""
    debug: Callable[[], Result] | None = None
    """Opens a shell where a RUN failed, if that is kept."""
    again: Callable[[Callable[[], bool]], Building | None] | None = None
    """Waits for a change of the context and builds again; None when asked to stop."""


class Foreground(Record):
    """Something that needs the terminal: `relay(stdin, stdout, stderr)` blocks meanwhile.

    It returns the exit code, or -1 when the person detached.
    """

    title: str
    relay: Callable[[int, int, int], int]


class Plan(Record):
    """What a destructive verb would do; `apply()` does exactly that and nothing else."""

    title: str
    lines: tuple[str, ...]
    """One thing each."""
    apply: Callable[[], Result]
    bytes_back: int = 0
    ask: bool = False
    """Whether a one-shot command asks before it applies it."""

    def unless(self, dry_run: bool) -> Plan | Text:
        """Return the plan, or with `dry_run` its words alone."""
        return Text(self.words()) if dry_run else self

    def heading(self) -> str:
        """Return its title, and how many bytes come back."""
        from core.commands.show import size

        return self.title + (f", {size(self.bytes_back)} come back" if self.bytes_back else "")

    def words(self) -> str:
        """Return what it would do, a line each."""
        return "\n".join([f"{self.heading()}:", *(f"  {line}" for line in self.lines)])


Result = Table | Text | Document | Lines | Running | Foreground | Plan
