"""A build as it goes: its stages and steps, and what the chosen step has printed."""

from __future__ import annotations

from textual.binding import Binding
from textual.screen import Screen

from core.build import board as states
from core.commands.show import seconds
from tui.answers import failure, visible
from tui.theme import glyphs
from tui.tty.near_compositor import PaintsNear
from tui.widgets.foot import Foot
from tui.widgets.kept_focus import KeepsFocus
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.build.board import Board, StepBoard
    from core.jobs import Job
    from tui.app import LimpetApp
    from tui.session.build_watch import BuildWatch
    from tui.theme import Part

EVERY_S = 0.2
SILENT = {
    states.CACHED: "the cache had it: nothing was run",
    states.DONE: "it printed nothing",
    states.SKIPPED: "not needed: nothing was run",
}
"""What is said of a step without output."""
HINTS = (
    ("j k", "step"), ("f", "follow"), ("tab", "output"), ("c", "cancel"),
    ("d", "debug shell"),
)  # fmt: skip
TONES = {states.DONE: "good", states.CACHED: "primary", states.FAILED: "bad",
         states.RUNNING: "warn"}  # fmt: skip


class BuildScreen(KeepsFocus, PaintsNear, Screen[None], inherit_bindings=False):
    """The steps of one build, stage by stage, above the output of the one under the cursor.

    It follows what runs until the cursor is moved, and a watched build to the one after it.
    """

    DEFAULT_CSS = """
    BuildScreen { background: $background; }
    BuildScreen #head { height: 1; background: $panel; }
    BuildScreen #steps { height: 1fr; }
    BuildScreen #middle { height: 1; background: $panel; }
    BuildScreen #log { height: 1fr; }
    """
    app: LimpetApp
    BINDINGS = [
        Binding("escape,q", "leave", "Leave; the build goes on"),
        Binding("c", "cancel", "Cancel the build, end the watch"),
        Binding("f", "follow", "Follow what runs"),
        Binding("d", "debug", "A shell where a RUN failed"),
        Binding("tab", "app.focus_next", "Steps, output", show=False),
    ]
    AUTO_FOCUS = "#steps"

    def __init__(self, job: Job, board: Board, watch: BuildWatch | None = None) -> None:
        super().__init__()
        self._job = job
        self._board = board
        self._watch = watch
        self._head = StatusLine(id="head")
        self._middle = StatusLine(id="middle")
        self._foot = Foot()
        self._steps = LineList(id="steps")
        self._log = LineList(cursor=False, id="log")
        self._rows: list[StepBoard | None] = []
        """What each line of the list is: a step, or a stage's heading."""
        self._following = True
        self._current = 0
        """Where the cursor was put last without a person."""
        self._shown: tuple[int, int] = (-1, -1)
        """The step whose output is shown, and how many lines of it."""
        self._glyphs = glyphs()

    def compose(self) -> ComposeResult:
        """Place the two halves."""
        yield self._head
        yield self._steps
        yield self._middle
        yield self._log
        yield self._foot

    def on_mount(self) -> None:
        """Look, and go on looking."""
        self.set_interval(EVERY_S, self._look)
        self._look()

    def _look(self) -> None:
        if self._watch is not None and self._watch.job is not self._job:
            self._take(self._watch.job)
        lines, self._rows = self._lines()
        self._steps.show(len(lines), lambda number: lines[number])
        if self._following:
            self._go_to_current()
            self._current = self._steps.cursor
        self._show_head()
        self._show_output()
        self._foot.offer(HINTS)

    def _take(self, job: Job) -> None:
        """Show the build that a change has brought about."""
        if job.board is not None:
            self._job, self._board = job, job.board
            self._following, self._shown = True, (-1, -1)

    def _lines(self) -> tuple[list[list[Part]], list[StepBoard | None]]:
        """Return the lines of the graph: a heading a stage where there are several."""
        board = self._board
        lines: list[list[Part]] = []
        rows: list[StepBoard | None] = []
        titles = {stage.index: stage.title for stage in board.stages}
        several = len(board.stages) > 1
        steps = list(board.steps)
        for stage in [*board.stages, None]:
            index = stage.index if stage is not None else -1
            own = [step for step in steps if step.stage == index]
            if stage is not None and several:
                needs = ", ".join(titles.get(number, str(number)) for number in stage.needs)
                after = f"  after {needs}" if needs else ""
                lines.append([(f"{stage.title}", "bold"), (after, "dim")])
                rows.append(None)
            for step in own:
                lines.append(self._line(step, indent="  " if several else ""))
                rows.append(step)
        return lines, rows

    def _line(self, step: StepBoard, *, indent: str) -> list[Part]:
        done = step.state in (states.DONE, states.CACHED)
        other = self._glyphs.failed if step.state == states.FAILED else self._glyphs.stopped
        sign = self._glyphs.running if done else other
        took = "cached" if step.state == states.CACHED else seconds(step.seconds)
        if step.state in (states.WAITING, states.SKIPPED):
            took = step.state
        parts: list[Part] = [
            (f"{indent}{sign} ", TONES.get(step.state, "faint")),
            (f"{took:>7} ", "dim"),
            (visible(step.title), "" if step.state != states.SKIPPED else "faint"),
        ]
        if step.why:
            parts.append((f"  {visible(step.why)}", "accent"))
        return parts

    def _go_to_current(self) -> None:
        places = [
            place for place, step in enumerate(self._rows)
            if step is not None and step.state in (states.RUNNING, states.FAILED)
        ]  # fmt: skip
        if not places and self._job.finished:
            places = [place for place, step in enumerate(self._rows) if step is not None][-1:]
        if places:
            self._steps.go(places[-1])

    @property
    def _chosen(self) -> StepBoard | None:
        place = self._steps.cursor
        return self._rows[place] if place < len(self._rows) else None

    def _show_head(self) -> None:
        view = self._job.snapshot()
        tone = {"done": "good", "failed": "bad", "cancelled": "warn"}.get(view.state, "dim")
        counts = [step.state for step in self._board.steps]
        cached, all_ = counts.count(states.CACHED), len(counts)
        ended = cached + counts.count(states.DONE)
        parts: list[Part] = [
            (f" {view.title} ", "bold"), (f" {view.state} ", tone),
            (f" {ended} of {all_} steps, {cached} cached", "dim"),
        ]  # fmt: skip
        if self._watch is not None and not self._watch.ended:
            waits = ", waits for a change" if self._job.finished else ""
            parts.append((f"  build {self._watch.count}{waits}", "accent"))
        self._head.show(parts, [(f"{seconds(view.seconds)} ", "dim")])

    def _show_output(self) -> None:
        step = self._chosen
        if step is None:
            # A heading, or a build that came to no step: its Dockerfile is wrong.
            error = None if self._rows else self._job.snapshot().error
            self._middle.show([(" ", "")])
            self._log.show_lines([list(parts) for parts in failure(error)] if error else [])
            return
        lines = [[(visible(line, tabs=True), "")] for line in list(step.log)]
        if step.state == states.FAILED and (error := self._job.snapshot().error) is not None:
            lines += [list(parts) for parts in failure(error)]
        if self._job.finished:
            lines += [[("warning: ", "warn"), (visible(text), "")] for text in self._board.warnings]
        if not lines and step.state in SILENT:
            lines = [[(SILENT[step.state], "dim")]]
        self._middle.show([(f" {step.name} ", "dim"), (visible(step.title), "bold")])
        shown = (step.number, len(lines))
        if shown != self._shown:
            at_end = self._shown[0] != step.number or self._log.below == 0
            self._shown = shown
            self._log.show_lines(lines)
            if at_end:
                self._log.action_end(1)

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        """Show the output of the step that the cursor is on now; who went there wants to stay."""
        if event.lines is self._steps:
            self._following = self._following and self._steps.cursor == self._current
            self._show_output()

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        self._foot.forget()

    def on_resize(self) -> None:
        """Fit the edges."""
        self._look()

    # Keys

    def action_leave(self) -> None:
        """Go back; the build goes on."""
        self.dismiss(None)

    def action_follow(self) -> None:
        """Keep the cursor on what runs."""
        self._following = True
        self._look()

    def action_cancel(self) -> None:
        """End the build, and the watch."""
        if self._watch is not None:
            self._watch.cancel()
        self._job.cancel()

    def action_debug(self) -> None:
        """Open a shell where a RUN failed."""
        failed = [step for step in self._board.steps if step.state == states.FAILED]
        if self._job.finished and failed:
            self.dismiss(None)
            self.app.submit("debug")
        else:
            self._foot.say("no step has failed")
