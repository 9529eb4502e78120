"""The layer browser: what each layer did, opened, filtered and searched by key."""

from __future__ import annotations

import os
import re
import tarfile
import time
from pathlib import Path

import pytest
from textual.app import App
from textual.events import Key
from textual.geometry import Region, Size
from textual.pilot import Pilot

from core.errors import Corrupt
from core.images.file_table import FileEntry, FileTable
from core.model import LayerInfo
from tests.tui.screen_host import ScreenHost, until
from tui.screens.file_text import is_text, text_lines
from tui.screens.file_view import visible_lines
from tui.screens.layers import contents
from tui.screens.layers.file_actions import link_target
from tui.screens.layers.screen import LayersScreen
from tui.screens.pick import PickScreen
from tui.theme import LIMPET, plain
from tui.views.layer_sources import ImageSource
from tui.widgets.file_tree import FileTree
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.strip import Strip


def entry(path: str, kind: str = "file", size: int = 0, mode: int = 0o644) -> FileEntry:
    return FileEntry(path, kind, mode, 0, 0, size, 0, "00" * 32 if kind == "file" else "", "")


LAYERS = [
    (
        LayerInfo("sha256:1", "", 0, 300, 4, "COPY rootfs /", 0),
        [
            entry("etc", "dir", mode=0o755),
            entry("etc/passwd", size=100),
            entry("etc/shadow", size=50),
            entry("old", "dir", mode=0o755),
            entry("old/big", size=150),
        ],
    ),
    (
        LayerInfo("sha256:2", "", 0, 120, 3, "RUN change \x1b[31m", 0),
        [
            entry("etc", "dir", mode=0o755),
            entry("etc/passwd", size=120),
            entry("etc/shadow", "whiteout"),
            entry("new", size=0),
            entry("old", "whiteout"),
        ],
    ),
]


class Given(ImageSource):
    """Layers that a test makes up."""

    def __init__(self, layers: list[tuple[LayerInfo, list[FileEntry]]]) -> None:
        self.name = self.title = "thing:1"
        self._given = layers

    def steps(self) -> list[LayerInfo]:
        return [layer for layer, _ in self._given]

    def files(self, diff_id: str) -> FileTable:
        return FileTable.of(
            next(entries for layer, entries in self._given if layer.diff_id == diff_id)
        )

    def open(self, diff_id: str, path: str) -> int:
        return open_content(diff_id, path)


def screen_of(layers: list[tuple[LayerInfo, list[FileEntry]]]) -> LayersScreen:
    return LayersScreen(Given(layers))


async def opened(pilot: Pilot[None]) -> LayersScreen:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, LayersScreen)
    return screen


def lines(screen: LayersScreen) -> list[str]:
    pane = screen.file_list
    return [pane.render_line(y).text.rstrip() for y in range(pane.size.height)]


async def test_marks_totals_and_layers() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        assert [line.split()[-1] for line in lines(screen)[:2]] == ["etc/", "old/"]
        await pilot.press("]")
        shown = [line for line in lines(screen) if line]
        assert [(line[1], line.split()[-1]) for line in shown] == [
            ("·", "etc/"), ("A", "new"), ("D", "old"),
        ]  # fmt: skip
        layers = [screen.layer_list.render_line(y).text for y in range(2)]
        assert "\x1b" not in layers[1]
        assert layers[1][1] == ">"


async def test_the_first_tree_is_painted_before_the_other_layers_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    painted: list[str] = []
    seen: dict[str, list[str]] = {}
    paint = FileTree.render_line

    def note(tree: FileTree, y: int) -> Strip:
        strip = paint(tree, y)
        time.sleep(0 if y else 0.03)  # in which a thread that does not wait would go on
        painted.append(strip.text.strip())
        return strip

    class Noting(Given):
        def files(self, diff_id: str) -> FileTable:
            seen[diff_id] = [*filter(None, painted)]
            return super().files(diff_id)

    monkeypatch.setattr(FileTree, "render_line", note)
    async with ScreenHost(LayersScreen(Noting(LAYERS))).run_test(size=(100, 24)) as pilot:
        await opened(pilot)
    assert [one.split()[-1] for one in seen["sha256:2"]] == ["etc/", "old/"]


async def test_open_close_and_filter() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("]", "enter")
        shown = [line for line in lines(screen) if line]
        assert [line[1] for line in shown] == ["·", "M", "D", "A", "D"]
        await pilot.press("d")
        assert [line.split()[-1] for line in lines(screen) if line] == ["etc/", "shadow", "old"]
        await pilot.press("left")
        assert [line.split()[-1] for line in lines(screen) if line] == ["etc/", "old"]


async def test_find_opens_what_leads_there() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"shad", "enter")
        assert "shadow" in lines(screen)[screen.file_list.cursor]
        await pilot.press("slash", *"big", "enter")
        assert "big" in lines(screen)[screen.file_list.cursor]


async def test_whole_image_hides_what_was_removed_and_escape_leaves() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(60, 18)) as pilot:
        screen = await opened(pilot)
        await pilot.press("]", "t")
        assert [(line[1], line.split()[-1]) for line in lines(screen) if line] == [
            ("·", "etc/"), ("A", "new"), ("D", "old"),
        ]  # fmt: skip
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, LayersScreen)


def foot(screen: LayersScreen, name: str) -> str:
    return screen.query_one(f"#{name}", StatusLine).render_line(0).text


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (160, 50)])
async def test_edges_tell_totals_place_and_the_whole_path(size: tuple[int, int]) -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=size) as pilot:
        screen = await opened(pilot)
        assert "efficiency" in foot(screen, "head")
        assert "layer 1" in foot(screen, "right-title")
        assert foot(screen, "detail").startswith(" /etc  dir 0755 0:0 150B")
        await pilot.press("tab", "j")
        assert "layer 2" in foot(screen, "right-title")
        assert "RUN change" in foot(screen, "detail")
        assert "\x1b" not in foot(screen, "detail")
        await pilot.press("enter", "y")
        assert pilot.app.clipboard == "/etc"


async def test_filters_add_up_and_escape_takes_them_away_first() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("]", "space", "m", "a")
        shown = [line for line in lines(screen) if line]
        assert [line[1] for line in shown] == ["·", "M", "A"]
        assert "only added, changed" in foot(screen, "right-title")
        await pilot.press("escape")
        assert len([line for line in lines(screen) if line]) == 5
        await pilot.press("u")
        assert [line.split()[-1] for line in lines(screen) if line] == ["etc/"]
        await pilot.press("u", "o")
        assert any("0644" in line and "0:0" in line for line in lines(screen))


async def test_finding_goes_both_ways_and_says_when_there_is_nothing() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"S", "enter")
        assert "passwd" in lines(screen)[screen.file_list.cursor]
        await pilot.press("n")
        assert "shadow" in lines(screen)[screen.file_list.cursor]
        await pilot.press("N")
        assert "passwd" in lines(screen)[screen.file_list.cursor]
        await pilot.press("slash", *"old/b", "enter")
        assert "big" in lines(screen)[screen.file_list.cursor]
        await pilot.press("slash", *"zzz", "enter")
        assert "no file's name holds zzz" in foot(screen, "foot")


async def test_a_large_image_is_cut_into_trees_aside() -> None:
    many = [entry("d", "dir"), *(entry(f"d/{n}", size=n) for n in range(20_000))]
    layers = [
        (LayerInfo("sha256:1", "", 0, 9, 9, "ADD", 0), many),
        (LayerInfo("sha256:2", "", 0, 9, 1, "RUN", 0), [entry("d/5", size=7)]),
    ]
    app: App[None] = App()
    app.register_theme(LIMPET)
    app.theme = LIMPET.name
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(screen_of(layers))
        screen = await opened(pilot)
        await until(pilot, lambda: screen.file_list.count == 1)
        await pilot.press("]", "t")
        await until(pilot, lambda: screen.file_list.is_ready)
        await pilot.press("space", "G")
        await until(pilot, lambda: screen.file_list.count == 20_001)
        await pilot.press("m")
        await until(pilot, lambda: [line[1] for line in lines(screen) if line] == ["·", "M"])


async def test_what_goes_wrong_is_said() -> None:
    class Broken(Given):
        def files(self, diff_id: str) -> FileTable:
            raise Corrupt("the index of layer 1 is damaged")

    app: App[None] = App()
    app.register_theme(LIMPET)
    app.theme = LIMPET.name
    async with app.run_test(size=(100, 24)) as pilot:
        await app.push_screen(LayersScreen(Broken(LAYERS[:1])))
        screen = await opened(pilot)
        assert "the index of layer 1 is damaged" in foot(screen, "head")
        await pilot.press("enter", "t", "n", "y", "h", "l", "o", "a", "escape", "escape")
        assert not screen.is_current


CONTENT = {
    ("sha256:1", "etc/passwd"): b"root:x:0\nold:x:1\n",
    ("sha256:2", "etc/passwd"): b"root:x:0\nnew:x:2\n",
    ("sha256:1", "old/big"): bytes(range(256)),
}


def open_content(diff_id: str, path: str) -> int:
    if (diff_id, path) not in CONTENT:
        raise Corrupt(f"{path} cannot be read")
    fd = os.memfd_create("content")
    os.write(fd, CONTENT[diff_id, path])
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def text_of(pilot: Pilot[None]) -> str:
    pane = pilot.app.screen.query_one("#lines", LineList)
    return "\n".join(pane.render_line(y).text.rstrip() for y in range(pane.size.height))


async def test_a_file_is_read_searched_and_copied() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        await opened(pilot)
        await pilot.press("]", "slash", *"passwd", "enter", "enter")
        await until(pilot, lambda: "2  new:x:2" in text_of(pilot))
        await pilot.press("slash", *"new", "enter", "y")
        assert pilot.app.clipboard == "new:x:2"
        await pilot.press("Y")
        assert pilot.app.clipboard == "root:x:0\nnew:x:2"
        await pilot.press("x")
        assert "00000000  72 6f 6f 74" in text_of(pilot)
        await pilot.press("escape", "escape")
        assert isinstance(pilot.app.screen, LayersScreen)


async def test_bytes_are_shown_in_hex_and_what_fails_is_said() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        await opened(pilot)
        await pilot.press("slash", *"big", "enter", "enter")
        await until(pilot, lambda: "f8 f9 fa fb fc fd fe ff" in text_of(pilot))
        await pilot.press("escape", "slash", *"shadow", "enter", "enter")
        await until(pilot, lambda: "etc/shadow cannot be read" in text_of(pilot))


async def test_a_directory_tells_that_something_in_it_differs() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("]", "t")
        await until(pilot, lambda: "up to layer 2" in foot(screen, "right-title"))
        assert [(line[1], line.split()[-1]) for line in lines(screen) if line] == [
            ("·", "etc/"), ("A", "new"), ("D", "old"),
        ]  # fmt: skip
        await pilot.press("[")
        await until(pilot, lambda: "up to layer 1" in foot(screen, "right-title"))
        assert [line[1] for line in lines(screen) if line] == ["A", "A"]


async def test_of_a_file_that_one_layer_has_there_is_no_other_version() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"new", "enter", "v")
        assert "; there is no other version" in foot(screen, "foot")


async def test_versions_are_walked_and_compared() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"passwd", "enter", "v")
        assert "layer 2; versions in layers 1, 2" in foot(screen, "foot")
        await pilot.press("D")
        await until(pilot, lambda: "-old:x:1" in text_of(pilot))
        assert "+new:x:2" in text_of(pilot)
        await pilot.press("escape", "v")
        assert "layer 1" in foot(screen, "right-title")
        await pilot.press("D")
        await pilot.pause()
        assert "no earlier version" in foot(screen, "foot")


async def test_files_and_directories_are_extracted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"passwd", "enter", "X", "ctrl+u", *"out", "enter")
        await until(pilot, lambda: "17B written" in foot(screen, "foot"))
        assert (tmp_path / "out").read_bytes() == CONTENT["sha256:1", "etc/passwd"]
        await pilot.press("X", "ctrl+u", *"out", "enter")
        await until(pilot, lambda: "exists" in foot(screen, "foot"))
        await pilot.press("slash", *"old", "enter", "X", "ctrl+u", *"old.tar", "enter")
        await until(pilot, lambda: "2 entries written" in foot(screen, "foot"))
        with tarfile.open(tmp_path / "old.tar") as archive:
            assert archive.getnames() == ["old", "old/big"]
            content = archive.extractfile("old/big")
            assert content is not None
            assert content.read() == CONTENT["sha256:1", "old/big"]


async def test_names_are_found_by_pattern_and_in_other_layers() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"ne?", "enter")
        assert "new" in lines(screen)[screen.file_list.cursor]
        assert "it is in layer 2" in foot(screen, "foot")
        await pilot.press("slash", *"big", "enter")
        assert "it is in layer 1" in foot(screen, "foot")
        await pilot.press("slash", *"s*w", "enter")
        assert "shadow" in lines(screen)[screen.file_list.cursor]
        await pilot.press("slash", *"/etc/p*", "enter")
        assert "passwd" in lines(screen)[screen.file_list.cursor]


@pytest.mark.parametrize(
    ("path", "link", "target"),
    [
        ("usr/bin/sh", "dash", "usr/bin/dash"),
        ("usr/bin/sh", "../lib/x", "usr/lib/x"),
        ("bin", "/usr/bin", "usr/bin"),
        ("a", "../../../etc/passwd", "etc/passwd"),
    ],
)
def test_links_lead_inside_the_image(path: str, link: str, target: str) -> None:
    assert link_target(path, link) == target


def test_text_and_bytes_are_told_apart_and_coloured() -> None:
    assert is_text(b"")
    assert is_text("grün\n".encode())
    assert is_text("grün".encode("latin-1") + b" and much more than that" * 9)
    assert not is_text(b"\x7fELF\0\0")
    assert not is_text(bytes(range(1, 256)))
    lines_of = text_lines(b"#!/bin/sh\necho 'a\x1b[2J'  # why\n", "x")
    assert [plain(line) for line in lines_of] == ["#!/bin/sh", "echo 'a\\x1b[2J'  # why"]
    assert ("# why", "dim") in lines_of[1]
    assert [plain(line) for line in text_lines(b'{"a": 1}\n\n', "a.json")] == ['{"a": 1}', ""]


async def test_what_is_typed_in_one_go_is_searched() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        for name in ("slash", *"etc", "slash", *"sha", "enter", "y"):
            character = "/" if name == "slash" else name if len(name) == 1 else None
            pilot.app.post_message(Key(name, character))
        await until(pilot, lambda: "shadow" in lines(screen)[screen.file_list.cursor])
        await until(pilot, lambda: pilot.app.clipboard == "/etc/shadow")


async def test_files_are_found_by_what_they_hold() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("]", "s", *"new:x", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PickScreen))
        shown = pilot.app.screen.query_one(LineList).render_line(0).text
        assert "etc/passwd" in shown
        assert "new:x:2" in shown
        await pilot.press("enter")
        await until(pilot, lambda: "passwd" in lines(screen)[screen.file_list.cursor])
        await pilot.press("s", *"old:x", "enter")  # only the version below had it
        await until(pilot, lambda: "no file holds old:x" in foot(screen, "foot"))


async def test_what_is_wasted_is_listed_and_gone_to() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(pilot.app.screen, PickScreen))
        listed = pilot.app.screen.query_one(LineList)
        shown = [listed.render_line(y).text.split()[-5:] for y in range(3)]
        assert shown == [
            ["etc/passwd", "220B", "in", "2", "layers"],
            ["old", "150B", "in", "2", "layers"],
            ["etc/shadow", "50B", "in", "2", "layers"],
        ]
        await pilot.press("enter")
        await until(pilot, lambda: "passwd" in lines(screen)[screen.file_list.cursor])
        assert "whole image up to layer 2" in foot(screen, "right-title")
    async with ScreenHost(screen_of(LAYERS[:1])).run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("w")
        await until(pilot, lambda: "no file is in more than one" in foot(screen, "foot"))


class Live(Given):
    """A container that writes between two looks."""

    live = True
    looks = 0

    def __init__(self) -> None:
        super().__init__([*LAYERS, (LayerInfo("", "", 0, 0, 0, "what web wrote", 0), [])])

    def files(self, diff_id: str) -> FileTable:
        if diff_id:
            return super().files(diff_id)
        self.looks += 1
        return FileTable.of([entry(f"log{self.looks}", size=10)])


def look_shown(screen: LayersScreen) -> int:
    """Return which of its looks at the container a screen shows."""
    return max(map(int, re.findall(r"log(\d+)", "\n".join(lines(screen)))), default=0)


async def test_what_a_container_writes_is_one_more_layer_and_live(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contents, "LIVE_EVERY_S", 0.05)
    app: App[None] = App()
    app.register_theme(LIMPET)
    app.theme = LIMPET.name
    async with app.run_test(size=(100, 24)) as pilot:
        screen = LayersScreen(Live())
        await app.push_screen(screen)
        await until(pilot, lambda: look_shown(screen) > 3)
        assert "layer 3" in foot(screen, "right-title")
        assert "live" in foot(screen, "head")
        await pilot.press("t")
        await until(
            pilot, lambda: any("passwd" in line or "etc/" in line for line in lines(screen))
        )
        before = look_shown(screen)
        await until(pilot, lambda: look_shown(screen) > before)
        await pilot.press("q")


async def test_layers_tell_their_files_also_when_the_screen_has_changed_and_not_the_list() -> None:
    async with ScreenHost(screen_of(LAYERS)).run_test(size=(200, 24)) as pilot:
        screen = await opened(pilot)
        whole = [line.text for line in screen.layer_list.render_lines(Region(0, 0, 64, 2))]
        pilot.app._size = Size(80, 24)  # as between two changes of the size that come at once
        screen.layer_list.refresh()
        assert [line.text for line in screen.layer_list.render_lines(Region(0, 0, 64, 2))] == whole


def test_megabytes_that_are_no_text_are_shown_as_text_soon() -> None:
    began = time.process_time()
    (line,) = visible_lines(b"\0" * (8 << 20))
    assert time.process_time() - began < 2
    assert line.startswith(r"\x00\x00")
    assert visible_lines(b"a\tb\n\xe9\x9b") == ["a       b", r"é\x9b"]
