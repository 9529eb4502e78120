"""Screens of what goes on: the list of jobs, one of them, a build with its steps."""

from __future__ import annotations

from core.commands.result import Column, Table
from tui.answers import summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.screen import Screen

    from core.engine import Engine
    from core.jobs import Job
    from tui.screens.detail.tab import Line, Tab
    from tui.session.build_watch import BuildWatch

JOB_COLUMNS = (
    Column("Number", "JOB"),
    Column("State", "STATE"),
    Column("Progress", "WHAT"),
    Column("Note", "LAST WORDS"),
)


def job_table(engine: Engine) -> Table:
    """Return the jobs of this limpet, newest first."""
    rows = []
    for job in reversed(engine.jobs.all()):
        view = job.snapshot()
        items = [item for item in view.items if item.note]
        note = f"{items[-1].name[:14]} {items[-1].note}" if items else ""
        rows.append({"Number": view.id, "State": view.state, "Progress": summary(view),
                     "Note": note})  # fmt: skip
    return Table(JOB_COLUMNS, tuple(rows))


def job_screen(running: Job, watch: BuildWatch | None = None) -> Screen[None]:
    """Return how far a job is, what it said, and why it failed; of a build its steps.

    Of a build that is watched, those that follow it are shown, too.
    """
    if running.board is not None:
        from tui.screens.build import BuildScreen

        return BuildScreen(running, running.board, watch)
    from tui.answers import failure, progress, visible
    from tui.screens.detail.own_key import OwnKey
    from tui.screens.detail.screen import DetailScreen
    from tui.screens.detail.tab import Tab
    from tui.theme import glyphs

    def read() -> list[Tab]:
        view = running.snapshot()
        tone = {"done": "good", "failed": "bad"}.get(view.state, "accent")
        head: list[Line] = [
            [("state         ", "dim"), (view.state, tone)],
            [("time          ", "dim"), (f"{view.seconds:.0f} s", "")],
            [],
        ]
        error = failure(view.error) if view.error else []
        said: list[Line] = [[(visible(line), "")] for line in running.log]
        return [
            Tab("Progress", (*head, *error, *progress(view, glyphs()))),
            Tab("Log", tuple(said or [[("it said nothing", "dim")]])),
        ]

    keys = {"c": OwnKey("cancel", running.cancel)}
    return DetailScreen(f"job {running.id}  {running.title}", read, keys=keys, read_every_s=0.5)
