"""Ten thousand keys that nobody would press in this order; the app still answers afterwards.

What lines would do is left out: here a line is answered by words, an error, a plan, a job or
a stream.  LIMPET_WALK=seed:keys walks another way.  A walk that fails
writes down what it did, and what the app showed, in a file that its message names.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import random
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.events import Key

from core.commands.result import Foreground, Lines, Plan, Result, Running, Text
from core.containers.lifecycle import Containers
from core.engine import Engine
from core.errors import NotFound
from core.images.file_table import FileTable
from core.model import Usage
from core.operations.files import Files
from core.operations.images import Images
from tests.tui.conftest import facts
from tests.tui.test_app import screen_text, session, until
from tests.tui.test_detail import CONTAINER
from tests.tui.test_layers import LAYERS
from tui.app import LimpetApp
from tui.bridge import Bridge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.pilot import Pilot

SEED, COUNT = map(int, os.environ.get("LIMPET_WALK", "7:10000").split(":"))
MOST_S = 90
"""A slow machine walks less far."""
STUCK_S = 280
"""After so long every thread's stack is written down, and the test ended."""
BATCH = 20
STAMP = b"2026-11-24T19:47:00.123456789Z "
SIZES = [(80, 24), (160, 50), (60, 18), (40, 10), (200, 60), (119, 33)]

KEYS = [
    *"jkgGhlnNwvJTVfFdDyYXxsSrRaAeEiImtuCUzZqoOpPbcLH0123456789",
    "space", "enter", "escape", "tab", "shift+tab", "up", "down", "left", "right", "home", "end",
    "pageup", "pagedown", "backspace", "ctrl+r", "ctrl+u", "ctrl+c", "ctrl+l", "ctrl+n", "ctrl+p",
    "ctrl+@", "ctrl+backslash", "f1", "slash", "colon", "question_mark", "exclamation_mark",
    "plus", "asterisk", "less_than_sign", "greater_than_sign", "left_square_bracket",
    "right_square_bracket", "backslash", "ampersand", "vertical_line", "minus", "日",
]  # fmt: skip
CHARACTERS = {
    "space": " ", "slash": "/", "colon": ":", "question_mark": "?", "exclamation_mark": "!",
    "plus": "+", "asterisk": "*", "less_than_sign": "<", "greater_than_sign": ">",
    "left_square_bracket": "[", "right_square_bracket": "]", "backslash": "\\",
    "ampersand": "&", "vertical_line": "|", "minus": "-", "apostrophe": "'",
}  # fmt: skip
WEIGHTS = [6 if key in ("escape", "enter", "j", "tab") else 1 for key in KEYS]


def event(name: str) -> Key:
    return Key(name, CHARACTERS.get(name, name if len(name) == 1 else None))


class Answers:
    """Answers lines with one kind of result after the other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._count = 0

    def __call__(self, line: str) -> Result:
        self._count += 1
        kind = self._count % 6
        if kind == 0:
            raise NotFound(f"{line} is not there", hint="try another")
        if kind == 1:
            return Plan("remove it", tuple(f"container {n}" for n in range(40)), lambda: Text("ok"))
        if kind == 2:
            job = self._engine.jobs.start(line, lambda job: job.wait(0.05))
            return Running(job, lambda _: Text("ended"))
        if kind == 3:
            return Lines(iter([(1, b"one\n"), (2, b"two \x1b[31m\n")] * 300))
        if kind == 4:
            return Foreground("exec", lambda *_: 0)
        return Text("words\n" * 5)


@pytest.fixture
def walkable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {layer.diff_id: FileTable.of(entries) for layer, entries in LAYERS}

    def logs(*_: object, stopped: Callable[[], bool], **__: object) -> Iterator[tuple[int, bytes]]:
        for number in range(300):
            yield (
                1 + number % 2,
                b'2026-11-24T19:47:00.123456789Z {"level":"warn","n":%d}\n' % number,
            )
        while not stopped():
            time.sleep(0.05)

    @contextmanager
    def suspend(_: LimpetApp) -> Iterator[None]:
        yield

    monkeypatch.chdir(tmp_path)  # S and X write there
    monkeypatch.setattr(LimpetApp, "suspend", suspend)
    monkeypatch.setattr(Images, "history", lambda *_: [layer for layer, _ in LAYERS])
    monkeypatch.setattr(Files, "of_layer", lambda _, diff_id: files[diff_id])
    monkeypatch.setattr(Containers, "logs", logs)
    monkeypatch.setattr(
        Containers, "usage", lambda *_: Usage(time.monotonic_ns(), 1 << 20, 0, 3, 0)
    )
    monkeypatch.setattr(Containers, "inspect", lambda *_: CONTAINER)


async def test_ten_thousand_keys_leave_an_app_that_answers(
    make_app: Callable[..., LimpetApp], walkable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    answers = Answers(app.engine)
    monkeypatch.setattr(app, "exit", lambda *_: None)
    async with app.run_test(size=SIZES[0]) as pilot:
        with kept(app) as steps, monkeypatch.context() as patch:
            async with asyncio.timeout(2 * MOST_S):
                patch.setattr(Bridge, "_carry_out", lambda _, line: answers(line))
                await walk(app, pilot, steps)
                held = app._typed_ahead._held  # a slow machine has a hundred left
                await until(pilot, lambda: not (app.message_queue_size or held))
                await pilot.pause(1)  # keys may still be on their way to widgets
                patch.undo()
                await answer(app, pilot)


async def walk(app: LimpetApp, pilot: Pilot[int], steps: list[str]) -> None:
    """Press keys that nobody would, and write down what was done."""
    choice = random.Random(SEED)
    count = 0
    deadline = time.monotonic() + MOST_S
    app.dashboard.take(facts(40))
    while count < COUNT and time.monotonic() < deadline:
        batch = choice.choices(KEYS, WEIGHTS, k=BATCH)
        steps += batch
        count += BATCH
        for name in batch:
            app.post_message(event(name))
        await pilot.pause()
        if choice.random() < 0.02:
            size = choice.choice(SIZES)
            steps.append(f"({size[0]}x{size[1]})")
            await pilot.resize_terminal(*size)
        if choice.random() < 0.1:
            number = choice.randrange(60)
            steps.append(f"({number} containers)")
            app.dashboard.take(facts(number))
        assert app._exception is None
    assert count >= min(COUNT, 1000), "too slow to be a walk"


async def answer(app: LimpetApp, pilot: Pilot[int]) -> None:
    """Find the way back to the tables, and ask a question there."""
    await pilot.resize_terminal(80, 24)
    for _ in range(40):
        if app.screen is app.dashboard and app.dashboard.table.has_focus:
            break
        await pilot.press("escape")
    assert app.screen is app.dashboard
    app.submit("clear")
    await pilot.press("colon", "ctrl+u", *"version", "enter")
    await until(pilot, lambda: "limpet 0." in session(app))


@contextmanager
def kept(app: LimpetApp) -> Iterator[list[str]]:
    """Give a list for what is done to the app; write it down when that fails, and name the file."""
    steps: list[str] = []
    path = Path(tempfile.gettempdir(), f"walk-{SEED}.txt")
    stacks = path.with_suffix(".stacks").open("w")
    # For a loop that goes round and round, which nothing else would end.
    faulthandler.dump_traceback_later(STUCK_S, file=stacks, exit=True)
    try:
        yield steps
    except BaseException as error:
        with path.open("w") as file:
            keys = [step for step in steps if not step.startswith("(")]
            print(f"LIMPET_WALK={SEED}:{len(keys)}", file=file)
            print(*steps, file=file)
            for failure in filter(None, (error, app._exception)):
                traceback.print_exception(failure, file=file)
            print(app.screen_stack, app.focused, app.message_queue_size, file=file)
            print(*app.workers, sep="\n", file=file)
            print(screen_text(app), file=file)
        error.add_note(f"what was done is in {path}")
        raise
    finally:
        faulthandler.cancel_dump_traceback_later()
        stacks.close()
