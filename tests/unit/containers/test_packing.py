"""What a monitor uses is laid together in memory, and does what it did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from core.containers.supervision import packing

ROOT = Path(__file__).parent.parent.parent.parent
SPREAD = """
import sys
sys.path.append(sys.argv[1])
from core.containers.supervision import packing, watch
called = {
    id(one.__code__): one.__module__ for one in (watch.keep, watch.Watch.run, watch.Watch._copy)
}
packing.fill_holes()
for size in (40, 100, 300):
    places = sorted(map(id, [bytes(size) for _ in range(8)]))
    assert places[-1] - places[0] < 8 * (size + 64), size
packing.move_together(called)
places = sorted(map(id, (watch.keep, watch.Watch.run, watch.Watch._copy)))
assert places[-1] - places[0] < 4096, places
"""
"""A process as small as a spawner."""
SOURCE = """
def outer(text, *, times=2):
    "Say it."
    return Twice().say(text, times)

class Twice:
    def say(self, text, times):
        return text * times

    def never(self):
        return None
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("core.packed")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec(SOURCE, vars(made))
    return made


def test_what_is_made_after_holes_are_filled_lies_together() -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SPREAD, str(ROOT)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_a_moved_function_does_what_it_did(module: ModuleType) -> None:
    before = {"outer": module.outer, "say": module.Twice.say, "never": module.Twice.never}
    called = packing.called_by(lambda: module.outer("a"))
    assert id(before["outer"].__code__) in called
    packing.move_together(called)
    assert module.outer is not before["outer"]
    assert module.Twice.say is not before["say"]
    assert module.Twice.never is before["never"]
    assert (module.outer("a"), module.outer("a", times=3)) == ("aa", "aaa")
    assert module.outer.__doc__ == "Say it."
    assert module.Twice.say.__qualname__ == "Twice.say"
