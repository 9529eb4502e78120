"""Shows a build while it runs: steps painted over in place, plain lines, or JSON lines."""

from __future__ import annotations

import os
import sys

from cli.screen import is_screen
from core.build import board as states
from core.commands.show import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.build.board import Board, Event, StepBoard
    from core.commands.result import Building
    from core.jobs import Job

EVERY_S = 0.1
LOG_LINES = 6
"""Output shown below a step that runs."""


def render_build(building: Building) -> int:
    """Show a build to its end, and those that follow it; return the exit code."""
    with _Signals():
        if building.again is not None:
            return _watch(building)
        return _render(building)


def _render(building: Building) -> int:
    from cli.render import render, report
    from core.errors import BuildError

    try:
        return render(building.show(follow_build(building.job, building.progress)))
    except BuildError as error:
        if not _wants_shell(building):
            raise
        assert building.debug is not None
        report(error)
        render(building.debug())
        return error.exit_code


def _watch(building: Building) -> int:
    """Show a build and those that changes bring about, until ctrl-c."""
    from cli.render import report
    from core.errors import Error

    following: Building | None = building
    while following is not None:
        try:
            _render(following)
        except Error as error:
            report(error)
        if following.job.cancelled or following.again is None:
            return 130
        sys.stderr.write("waiting for a change; ctrl-c ends\n")
        following = following.again(lambda: False)
    return 0


class _Signals:
    """Lets signals that end a process end a build as ctrl-c does: with nothing left."""

    def __enter__(self) -> None:
        import signal

        self._before = {
            number: signal.signal(number, self._interrupt)
            for number in (signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) == signal.SIG_DFL
        }

    def __exit__(self, *_: object) -> None:
        import signal

        for number, handler in self._before.items():
            signal.signal(number, handler)

    @staticmethod
    def _interrupt(*_: object) -> None:
        raise KeyboardInterrupt


def _wants_shell(building: Building) -> bool:
    """Ask on a terminal whether to look into what failed."""
    if building.debug is None or building.progress not in ("auto", "tty"):
        return False
    if not (os.isatty(0) and os.isatty(2)):
        return False
    from core.linux import terminal

    sys.stderr.write("d: a shell in the container as it stands; any other key ends\n")
    sys.stderr.flush()
    saved = terminal.make_raw(0)
    try:
        key = os.read(0, 16)
    finally:
        terminal.restore(0, saved)
    return key in (b"d", b"D")


def follow_build(job: Job, kind: str) -> Any:
    """Wait for a build, showing it on stderr; ctrl-c cancels it.

    Returns the job's result or raises what it raised.
    """
    board = job.board
    assert board is not None
    show = _choose(kind, board)
    try:
        while not job.wait(show.every_s):
            show.update()
    except KeyboardInterrupt:
        job.cancel()
        sys.stderr.write("\ncancelling…\n")
    job.wait()
    show.update()
    show.end()
    return job.result()


def _choose(kind: str, board: Board) -> _Plain:
    if kind == "json":
        return _Json(board)
    if kind == "quiet":
        return _Quiet(board)
    if kind == "tty" or (kind == "auto" and is_screen(2)):
        return _Painted(board)
    return _Plain(board)


class _Plain:
    """One line for all that happens, as it happens."""

    every_s = EVERY_S

    def __init__(self, board: Board) -> None:
        self.board = board
        self._place = 0
        self._begun: set[int] = set()

    def update(self) -> None:
        """Show what is new."""
        self._place, events = self.board.since(self._place)
        text = "".join(self.line(event) for event in events)
        if text:
            sys.stderr.write(text)
            sys.stderr.flush()

    def line(self, event: Event) -> str:
        """Return an event as text."""
        if not event.number:
            return f"{printable(event.text)}\n"
        step = self.board.steps[event.number - 1]
        head = f"#{event.number}"
        if event.kind == "log":
            return f"{head} {printable(event.text)}\n"
        if event.kind == "start":
            self._begun.add(event.number)
            why = f"  ({event.text})" if event.text else ""
            return f"{head} {step.name} {printable(step.title + why)}\n"
        if event.kind == states.CACHED:
            title = f"{head} {step.name} {printable(step.title)}\n"
            return f"{'' if event.number in self._begun else title}{head} CACHED\n"
        if event.kind == states.DONE:
            return f"{head} DONE {step.seconds:.1f}s\n"
        return f"{head} {event.kind.upper()}\n"

    def end(self) -> None:
        """Show what is to be said at the end."""
        for warning in self.board.warnings:
            sys.stderr.write(f"warning: {printable(warning)}\n")


class _Quiet(_Plain):
    """Nothing."""

    def update(self) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


class _Json(_Plain):
    """One JSON object a line, for programs."""

    def line(self, event: Event) -> str:
        from core.lean_json import dumps

        found: dict[str, Any] = {"time": event.time, "event": event.kind}
        if event.number:
            step = self.board.steps[event.number - 1]
            found |= {"step": step.number, "stage": step.stage, "name": step.name,
                      "instruction": step.title, "line": step.line}  # fmt: skip
        if event.kind in (states.DONE, states.FAILED):
            found["seconds"] = round(self.board.steps[event.number - 1].seconds, 3)
        if event.text:
            found["why" if event.kind == "start" else "text"] = event.text
        return dumps(found) + "\n"

    def end(self) -> None:
        from core.lean_json import dumps

        for warning in self.board.warnings:
            sys.stderr.write(dumps({"event": "warning", "text": warning}) + "\n")


class _Painted(_Plain):
    """All steps, painted over in place; output below those that run."""

    every_s = 0.05

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._painted = 0

    def update(self) -> None:
        self._paint(self._lines())

    def end(self) -> None:
        # What happened stays on the screen, whole.
        self._paint([line for step in self.board.steps for line in [self._step(step)]])
        self._painted = 0
        super().end()

    def _paint(self, lines: list[str]) -> None:
        columns, rows = os.get_terminal_size(2)
        lines = [line[: columns - 1] for line in lines][-(rows - 1) :]
        up = f"\033[{self._painted}A\r\033[J" if self._painted else ""
        sys.stderr.write(up + "".join(line + "\n" for line in lines))
        sys.stderr.flush()
        self._painted = len(lines)

    def _lines(self) -> list[str]:
        lines = []
        for step in self.board.steps:
            if step.state == states.WAITING:
                continue
            lines.append(self._step(step))
            if step.state in (states.RUNNING, states.FAILED):
                lines += [f"    {printable(line)}" for line in list(step.log)[-LOG_LINES:]]
        return lines

    def _step(self, step: StepBoard) -> str:
        mark = {states.DONE: "✓", states.CACHED: "=", states.FAILED: "✗", states.RUNNING: ">"}
        note = "cached" if step.state == states.CACHED else seconds(step.seconds)
        if step.state in (states.WAITING, states.SKIPPED):
            note = step.state
        why = f"  ({step.why})" if step.why and step.state == states.RUNNING else ""
        return f"{mark.get(step.state, ' ')} {note:>6} {step.name} {printable(step.title)}{why}"


def printable(text: str) -> str:
    """Return a line without what would move a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else "" for c in _uncoloured(text))


def _uncoloured(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b\][^\x07]*\x07", "", text)
