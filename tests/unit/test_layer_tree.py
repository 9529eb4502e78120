"""Layer trees against the plain idea of them, and dive's way of counting waste."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.images.index import FileEntry, read_index, write_index
from core.images.layer_tree import image_tree, layer_tree, merged, visible_rows, waste


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


@given(st.lists(LAYER, max_size=4))
def test_merging_is_what_overlay_shows(layers: list[list[FileEntry]]) -> None:
    assert merged(layers) == plain_merge(layers)


@given(st.lists(LAYER, min_size=1, max_size=4))
def test_trees_hold_every_file_once(layers: list[list[FileEntry]]) -> None:
    top = len(layers) - 1
    for tree in (layer_tree(layers, top), image_tree(layers, top)):
        opened = {"a", "b", "c", *(f"{x}/{y}" for x in "abc" for y in "abc")}
        paths = [row.path for row in visible_rows(tree, opened)]
        assert len(paths) == len(set(paths))
    files = {i.path for i in layers[top] if i.kind != "opaque"}
    shown = {row.path for row in visible_rows(layer_tree(layers, top), opened)}
    assert files <= shown


def test_waste_is_counted_as_dive_does() -> None:
    below = [entry("d", "dir"), entry("d/x", size=60), entry("f", size=100), entry("g", size=40)]
    above = [entry("f", size=100), entry("g", "whiteout"), entry("d", "whiteout")]
    found = waste([below, above])
    # f is stored twice; the whiteout of g weighs 0, that of d weighs the 60 it hides.
    assert found.wasted_bytes == 200 + 40 + 60
    assert found.efficiency == (100 + 0 + 0 + 60) / (100 + 100 + 40 + 60 + 60)


def test_an_index_comes_back(tmp_path: Path) -> None:
    rows = [entry("a/\udcff", size=3), entry("d", "dir"), entry("b", "whiteout")]
    path = str(tmp_path / "index")
    write_index(path, [tuple(row.as_dict().values()) for row in rows])
    assert read_index(path) == rows
    write_index(path, [])
    assert read_index(path) == []
