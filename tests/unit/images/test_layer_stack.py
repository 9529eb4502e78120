"""Layer trees against the plain idea of them, and dive's way of counting waste."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.images.file_table import FileEntry, FileTable
from core.images.files.file_tree import ADDED, CHANGED, REMOVED, SAME, Rows
from core.images.files.layer_stack import Stack
from core.images.index import read_index
from tests.layers import write_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def entry(path: str, kind: str = "file", size: int = 0) -> FileEntry:
    return FileEntry(path, kind, 0o644, 0, 0, size, 0, "ab" * 32 if kind == "file" else "", "")


NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from(["file", "dir", "whiteout", "opaque", "symlink"])
LAYER = st.dictionaries(PATHS, st.tuples(KINDS, st.integers(0, 9)), max_size=5).map(
    lambda found: [
        entry(path, kind, size if kind == "file" else 0) for path, (kind, size) in found.items()
    ]
)


def plain_merge(layers: list[list[FileEntry]]) -> dict[str, FileEntry]:
    found: dict[str, FileEntry] = {}
    for layer in layers:
        below = dict(found)
        for item in layer:
            cuts = item.kind in ("whiteout", "opaque") or (
                item.path in below and below[item.path].kind == "dir" != item.kind
            )
            for path in below:
                if cuts and path.startswith(item.path + "/"):
                    found.pop(path, None)
            if item.kind == "whiteout":
                found.pop(item.path, None)
        found.update((item.path, item) for item in layer if item.kind not in ("whiteout", "opaque"))
    return found


def stacked(layers: list[list[FileEntry]]) -> Stack:
    stack = Stack()
    for layer in layers:
        stack.add(FileTable.of(layer))
    return stack


@given(st.lists(LAYER, min_size=1, max_size=4))
def test_merging_is_what_overlay_shows(layers: list[list[FileEntry]]) -> None:
    stack = stacked(layers)
    for number in range(len(layers)):
        assert stack.files(number) == plain_merge(layers[: number + 1])


def slow_waste(layers: list[list[FileEntry]]) -> tuple[int, int, int]:
    sizes: dict[str, list[int]] = {}
    for number, layer in enumerate(layers):
        below = plain_merge(layers[:number])
        for item in layer:
            if item.kind == "opaque":
                continue
            weight = item.size
            if item.kind == "whiteout":
                hidden = below.get(item.path)
                weight = (
                    sum(e.size for p, e in below.items() if p.startswith(item.path + "/"))
                    if hidden and hidden.kind == "dir"
                    else 0
                )
            sizes.setdefault(item.path, []).append(weight)
    many = [found for found in sizes.values() if len(found) > 1]
    return (
        sum(map(sum, sizes.values())), sum(map(min, sizes.values())), sum(map(sum, many)),
    )  # fmt: skip


@given(st.lists(LAYER, max_size=4))
def test_waste_is_what_the_slow_way_finds(layers: list[list[FileEntry]]) -> None:
    total, needed, wasted = slow_waste(layers)
    found = stacked(layers).waste()
    assert found.wasted_bytes == wasted
    assert found.efficiency == (needed / total if total else 1.0)


def directories(paths_of: Iterable[str]) -> set[str]:
    return {
        "/".join(path.split("/")[:n]) for path in paths_of for n in range(1, path.count("/") + 1)
    }


@given(st.lists(LAYER, min_size=1, max_size=4))
def test_trees_hold_every_file_once_with_its_mark_and_size(layers: list[list[FileEntry]]) -> None:
    top = len(layers) - 1
    stack = stacked(layers)
    below, merged = plain_merge(layers[:-1]), plain_merge(layers)
    own = {i.path: i for i in layers[top] if i.kind != "opaque"}
    for tree, expected in ((stack.layer_tree(top), own), (stack.image_tree(top), merged)):
        found = Rows(tree, set()).paths()
        assert len(found) == len(set(found))
        gone = {p for p, i in own.items() if i.kind == "whiteout" and p in below}
        needed = set(expected) | (gone if expected is merged else set())
        assert set(found) == needed | directories(needed)
        nodes = {row.path: row.node for row in Rows(tree, set(found)).lines}
        for path, node in nodes.items():
            item = own.get(path)
            if item and item.kind == "whiteout" and path not in merged and path in below:
                assert node.status == REMOVED
            elif item and item.kind != "whiteout":
                status = ADDED if path not in below else None
                status = status or (SAME if below[path] == item else CHANGED)
                assert node.status == status
            assert node.size == sum(
                i.size for p, i in expected.items()
                if (p == path or p.startswith(path + "/")) and i.kind != "whiteout"
            )  # fmt: skip


@given(st.lists(LAYER, min_size=1, max_size=4), st.data())
def test_folding_step_by_step_is_folding_at_once(
    layers: list[list[FileEntry]], data: st.DataObject
) -> None:
    tree = stacked(layers).image_tree(len(layers) - 1)
    statuses = data.draw(st.none() | st.sets(st.sampled_from((ADDED, CHANGED, REMOVED, SAME))))
    opened: set[str] = set()
    rows = Rows(tree, opened, statuses)
    for _ in range(6):
        if not rows.lines:
            break
        place = data.draw(st.integers(0, len(rows.lines) - 1))
        (rows.close if rows.lines[place].is_open else rows.open)(place)
        again = Rows(tree, set(opened), statuses)
        assert [(r.path, r.depth, r.is_open) for r in rows.lines] == [
            (r.path, r.depth, r.is_open) for r in again.lines
        ]
    for path in rows.paths():
        folded = Rows(tree, set(), statuses)
        assert folded.lines[folded.reveal(path)].path == path


def test_waste_is_counted_as_dive_does() -> None:
    below = [entry("d", "dir"), entry("d/x", size=60), entry("f", size=100), entry("g", size=40)]
    above = [entry("f", size=100), entry("g", "whiteout"), entry("d", "whiteout")]
    found = stacked([below, above]).waste()
    # f is stored twice; the whiteout of g weighs 0, that of d weighs the 60 it hides.
    assert found.wasted_bytes == 200 + 40 + 60
    assert found.efficiency == (100 + 0 + 0 + 60) / (100 + 100 + 40 + 60 + 60)


def test_an_index_comes_back(tmp_path: Path) -> None:
    rows = [entry("a/\udcff", size=3), entry("d", "dir"), entry("b", "whiteout")]
    path = str(tmp_path / "index")
    write_index(path, [tuple(row) for row in rows])
    assert list(read_index(path)) == rows
    write_index(path, [])
    assert not list(read_index(path))
