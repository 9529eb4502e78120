"""What a session of many hours keeps: garbage is found, ended jobs are forgotten."""

from __future__ import annotations

import gc
import threading
import weakref

from textual._styles_cache import StylesCache
from textual.color import Color

from core import garbage
from core.jobs import KEPT, Jobs
from tui import turns
from tui.tty.gone_widgets import let_go
from tui.turns import QUIET_S, RESTLESS_S, Turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pytest


class Ring:
    """Garbage that only a search finds."""

    def __init__(self) -> None:
        self.own = self


def test_garbage_that_lay_there_when_the_last_was_found_is_found() -> None:
    ring = Ring()
    gc.collect(0)
    seen = weakref.ref(ring)
    del ring
    garbage.search()
    assert seen() is None


def test_what_was_there_at_the_search_before_is_found_everywhere_or_in_the_end() -> None:
    for searches, everywhere in ((1, True), (garbage.ROUNDS + 1, False)):
        ring = Ring()
        seen = weakref.ref(ring)
        gc.collect()
        gc.collect(1)
        del ring
        for _ in range(searches):
            assert seen() is not None
            gc.collect(0)
            garbage.search(everywhere=everywhere)
        assert seen() is None


def test_somebody_who_never_stops_typing_has_to_wait_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(turns, "monotonic", lambda: now)
    taken = Turns()
    assert taken.pause()
    waited = []
    for _ in range(1200):  # with gaps between the keys now and then, but none when asked
        taken.pressed()
        waited.append(taken.pause())
        now += 3 * QUIET_S if len(waited) % 40 == 0 else QUIET_S / 4
    assert 0 < sum(waited) <= (now - 1000) / RESTLESS_S
    now += 2 * QUIET_S
    assert taken.pause()


def test_what_a_widget_painted_goes_with_it() -> None:
    let_go()
    let_go()
    lines = StylesCache()
    colours = lines.get_inner_outer(Color.parse("red"), Color.parse("blue"))
    assert colours == StylesCache().get_inner_outer(Color.parse("red"), Color.parse("blue"))
    assert colours[1].background == Color.parse("red")
    seen = weakref.ref(lines)
    del lines
    assert seen() is None


def test_jobs_that_go_on_and_the_last_that_ended_are_known() -> None:
    jobs, end = Jobs(), threading.Event()
    lasting = jobs.start("lasting", lambda job: end.wait(10))
    for number in range(KEPT + 20):
        jobs.start(str(number), lambda job: None).wait()
    known = jobs.all()
    assert known[0] is lasting
    assert [job.title for job in known[1:]] == [str(n) for n in range(19, KEPT + 20)]
    assert jobs.get(2) is None
    end.set()
    lasting.wait()
