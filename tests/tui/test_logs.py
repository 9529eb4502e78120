"""The log screen, key by key: following, searching, keeping, wrapping, selecting, saving."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from core.containers.log.blocks import FileBlock
from core.containers.log.writer import entry
from core.errors import NotFound
from tests.tui.screen_host import ScreenHost, until
from tui.screens.logs import LogsScreen, Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.pilot import Pilot

    from tui.widgets.log.ring import Lot

SIZES = [(60, 18), (80, 24), (160, 50)]


def piece(number: int, text: str = "", stream: int = 1) -> tuple[int, bytes]:
    stamp = f"2026-11-24T19:47:{number % 60:02}.123456789Z"
    return stream, f"{stamp} line {number} {text}\n".encode()


class Feed:
    """A log that grows when the test says so."""

    def __init__(self, *pieces: tuple[int, bytes]) -> None:
        self.queue: queue.Queue[Lot | None] = queue.Queue()
        self.queue.put(list(pieces))
        self.ended = threading.Event()

    def __call__(self, stopped: Callable[[], bool]) -> Iterator[Lot]:
        while not stopped():
            try:
                batch = self.queue.get(timeout=0.02)
            except queue.Empty:
                continue
            if batch is None:
                break
            yield batch
        self.ended.set()


def shown(screen: LogsScreen) -> list[str]:
    view = screen.view
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def edge(screen: LogsScreen, name: str) -> str:
    from tui.widgets.status import StatusLine

    return screen.query_one(f"#{name}", StatusLine).render_line(0).text


async def opened(pilot: Pilot[None], screen: LogsScreen, count: int) -> None:
    await until(pilot, lambda: screen.is_current and screen.view.ring.end == count)
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_it_follows_holds_and_follows_again(size: tuple[int, int]) -> None:
    feed = Feed(*(piece(n) for n in range(100)))
    screen = LogsScreen("web-1", feed)
    async with ScreenHost(screen).run_test(size=size) as pilot:
        await opened(pilot, screen, 100)
        assert shown(screen)[-1] == "  line 99"
        assert "following" in edge(screen, "head")
        await pilot.press("k", "k")
        assert "held" in edge(screen, "head")
        assert shown(screen)[-1] == "  line 97"
        feed.queue.put([piece(n) for n in range(100, 150)])
        await opened(pilot, screen, 150)
        assert shown(screen)[-1] == "  line 97"
        await pilot.press("F")
        assert shown(screen)[-1] == "  line 149"
        await pilot.press("g")
        assert shown(screen)[0] == "  line 0"
        await pilot.press("G")
        assert shown(screen)[-1] == "  line 149"
        feed.queue.put(None)
        await until(pilot, lambda: "ended" in edge(screen, "head"))


async def test_what_falls_out_is_counted_and_the_view_stays() -> None:
    feed = Feed(*(piece(n) for n in range(50)))
    screen = LogsScreen("web-1", feed, max_bytes=100 * 150)
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 50)
        await pilot.press("k")
        before = shown(screen)
        feed.queue.put([piece(n) for n in range(50, 110)])
        await opened(pilot, screen, 110)
        assert screen.view.ring.first > 0
        assert "older lines dropped" in edge(screen, "head")
        assert shown(screen) == before
        feed.queue.put([piece(n) for n in range(110, 500)])
        await opened(pilot, screen, 500)
        assert shown(screen)[0] == f"  line {screen.view.ring.first}"


async def test_searching_goes_from_hit_to_hit() -> None:
    feed = Feed(*(piece(n, "needle" if n % 40 == 5 else "hay") for n in range(200)))
    screen = LogsScreen("web-1", feed)
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 200)
        await pilot.press("/", *"needle", "enter")
        assert ">line 165 needle" in [line.strip() for line in shown(screen)]
        await pilot.press("N")
        assert ">line 125 needle" in [line.strip() for line in shown(screen)]
        await pilot.press("n", "n")
        assert ">line 5 needle" in [line.strip() for line in shown(screen)]
        row = next(y for y, line in enumerate(shown(screen)) if ">line 5 " in line)
        styles = [s.style for s in screen.view.render_line(row) if s.text == "needle"]
        assert styles
        assert styles[0] is not None
        assert styles[0].reverse
        await pilot.press("/", *"absent", "enter")
        assert "nothing matches absent" in edge(screen, "foot")
        await pilot.press("escape")
        assert screen.view.rows.searched is None
        assert screen.is_current


async def test_only_matching_lines_are_kept_new_ones_too() -> None:
    feed = Feed(*(piece(n, "error" if n % 10 == 0 else "fine") for n in range(100)))
    screen = LogsScreen("web-1", feed)
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 100)
        await pilot.press("&", *"err|warn", "enter")
        await until(pilot, lambda: screen.view.count == 10)
        assert [line for line in shown(screen) if line][-1] == "  line 90 error"
        feed.queue.put([piece(100, "a WARNing"), piece(101, "fine")])
        await opened(pilot, screen, 102)
        await until(pilot, lambda: screen.view.count == 11)
        assert [line for line in shown(screen) if line][-1] == "  line 100 a WARNing"
        await pilot.press("&", "ctrl+u", *"nowhere", "enter")
        await pilot.press("k", "j", "g", "G", "V", "V", "n")
        assert "no line passes" in "".join(shown(screen))
        await pilot.press("escape")
        assert screen.view.count == 102


async def test_a_filter_on_a_long_log_that_is_quiet_looks_at_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.screens.logs.CALM_FRAMES", 0)
    feed = Feed(*(piece(n, "needle" if n % 1000 == 5 else "hay") for n in range(30_000)))
    screen = LogsScreen("web-1", feed)
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 30_000)
        await until(pilot, lambda: screen._calm > 0)
        await pilot.press("&", *"ne+dle", "enter")
        await until(pilot, lambda: screen.view.filter and not screen.view.pending)
        assert screen.view.count == 30


async def test_wrapping_times_and_sideways() -> None:
    screen = LogsScreen("web-1", Feed(piece(1, "x" * 100_000 + "END"), piece(2, "短" * 50)))
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 2)
        await pilot.press("l")
        assert shown(screen)[0].startswith("  xxx")
        await pilot.press("w", "k", "k")
        assert any(line.endswith("END") for line in shown(screen))
        await pilot.press("w", "T", "h")
        assert shown(screen)[0].startswith("  19:47:01.123  line 1 xxx")


async def test_hostile_output_is_harmless_and_stderr_is_marked() -> None:
    nasty = "\x1b[2J\x1b]0;owned\x07\x9b1mred\r\x08\x1b[31mtext\x1b["
    screen = LogsScreen("web-1", Feed(piece(1, nasty), piece(2, "oops", 2)))
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 2)
        first, second = shown(screen)[:2]
        assert "owned" not in first
        assert first.isprintable()
        assert "text" in first
        assert second.startswith(screen.view.render_line(1).text[0])
        assert second[0] != " "


async def test_selected_lines_are_copied() -> None:
    screen = LogsScreen("web-1", Feed(*(piece(n) for n in range(10))))
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 10)
        await pilot.press("V", "k", "k", "y")
        assert pilot.app.clipboard == "line 7 \nline 8 \nline 9 "
        assert "copied 3 lines" in edge(screen, "foot")
        assert not screen.view.selecting


async def test_saved_as_it_came_and_nothing_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    screen = LogsScreen("web-1", Feed(piece(1, "\x1b[31mred"), piece(2)))
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 2)
        await pilot.press("S", "enter")
        await until(pilot, lambda: "saved 2 lines" in edge(screen, "foot"))
        (file,) = tmp_path.iterdir()  # noqa: ASYNC240 - the loop may wait here
        assert file.read_bytes() == piece(1, "\x1b[31mred")[1] + piece(2)[1]
        await pilot.press("S", "ctrl+u", *file.name, "enter")
        await until(pilot, lambda: "File exists" in edge(screen, "foot"))


async def test_blocks_of_lines_are_searched_kept_and_saved_as_lines_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stamp = b"2026-11-24T19:47:00.123456789Z"
    texts = [b"line %d %s\n" % (n, b"needle" if n % 100 == 5 else b"hay") for n in range(1000)]
    feed = Feed()
    for start in range(0, 1000, 200):
        data = b"".join(entry(1, text, stamp) for text in texts[start : start + 200])
        feed.queue.put(FileBlock(data, 200))
    screen = LogsScreen("web-1", feed)
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 1000)
        await until(pilot, lambda: shown(screen)[-1] == "  line 999 hay")
        await pilot.press("/", *"needle", "enter")
        assert ">line 905 needle" in [line.strip() for line in shown(screen)]
        await pilot.press("/", *"line 123 hay", "enter")
        assert ">line 123 hay" in [line.strip() for line in shown(screen)]
        await pilot.press("/", *"absent", "enter")
        assert "nothing matches absent" in edge(screen, "foot")
        await pilot.press("T", "/", *"789Z line 42 ", "enter")
        assert ">19:47:00.123  line 42 hay" in [line.strip() for line in shown(screen)]
        await pilot.press("T", "escape", "&", *"needle", "enter")
        await until(pilot, lambda: screen.view.count == 10)
        await pilot.press("S", "ctrl+u", *"kept", "enter")
        await until(pilot, lambda: "saved 10 lines" in edge(screen, "foot"))
        assert (tmp_path / "kept").read_bytes() == b"".join(
            stamp + b" " + text for text in texts if b"needle" in text
        )


async def test_leaving_ends_the_reader_and_errors_are_shown() -> None:
    feed = Feed(piece(1))
    screen = LogsScreen("web-1", feed)
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 1)
        await pilot.press("q")
        await until(pilot, feed.ended.is_set)
        assert not screen.is_current

        def gone(_: Callable[[], bool]) -> Iterator[list[tuple[int, bytes]]]:
            raise NotFound("there is no container web-1")

        second = LogsScreen("web-1", gone)
        await pilot.app.push_screen(second)
        await until(pilot, lambda: "there is no container" in edge(second, "head"))
        assert not "".join(shown(second)).strip(), "nothing else is claimed"


async def test_levels_are_kept_and_json_is_told_in_words() -> None:
    lines = ('{"level":"info","msg":"served","ms":4}', "WARN slow", "ERROR broken", "plain")
    stamp = b"2026-11-24T19:47:00.123456789Z "
    screen = LogsScreen("web-1", Feed(*((1, stamp + line.encode() + b"\n") for line in lines)))
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 4)
        await pilot.press("J")
        assert shown(screen)[0].strip() == "INFO  served  ms=4"
        await pilot.press("J")
        assert [line.strip() for line in shown(screen)[:3]] == [
            "{",
            '"level": "info",',
            '"msg": "served",',
        ]
        await pilot.press("J", "v")
        assert [line.strip() for line in shown(screen)[:3]] == ["WARN slow", "ERROR broken", ""]
        await pilot.press("v")
        assert [line.strip() for line in shown(screen)[:2]] == ["ERROR broken", ""]
        await pilot.press("ampersand", *"zzz", "enter")
        await pilot.pause()
        assert "no line passes" in "".join(shown(screen))
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert screen.view.count == 4
        await pilot.press("ampersand", *"!plain", "enter")
        await pilot.pause()
        assert screen.view.count == 3


async def test_a_log_without_lines_says_so() -> None:
    screen = LogsScreen("web-1", Feed())
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: screen.is_current)
        await until(pilot, lambda: "nothing was printed yet" in "".join(shown(screen)))


@pytest.mark.parametrize(
    ("unstarted", "head", "words"),
    [(False, " ended", "it printed nothing"), (True, " not started", "it was never started")],
)
async def test_an_ended_log_without_lines_says_why(unstarted: bool, head: str, words: str) -> None:
    feed = Feed()
    screen = LogsScreen("web-1", feed, unstarted=lambda: unstarted)
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "nothing was printed yet" in "".join(shown(screen)))
        feed.queue.put(None)
        await until(pilot, lambda: head in edge(screen, "head"))
        assert words in shown(screen)[1]


async def test_the_past_is_not_taken_for_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(*(piece(number) for number in range(500)))
    screen = LogsScreen("web", feed)
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await opened(pilot, screen, 500)
        monkeypatch.setattr("tui.widgets.log.view.RATE_S", 0)
        screen.view.tick()
        assert screen.view.rate == 0
        screen.view.feed([[piece(501)]])
        screen.view.tick()
        assert screen.view.rate > 0


def test_what_nobody_takes_is_read_ahead_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.logs.MOST_WAITING", 2)
    read: list[int] = []

    def source(stopped: Callable[[], bool]) -> Iterator[Lot]:
        for number in range(8):
            read.append(number)
            yield [(1, b"x")]

    reader = Reader(source, lambda: None, lambda: False)
    reader.thread.join(2.5)  # a terminal that hangs takes nothing for hours
    assert len(read) == 2
    taken = len(reader.take())
    reader.stop()
    reader.thread.join(5)
    assert not reader.thread.is_alive()
    assert taken == 2
