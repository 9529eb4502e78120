"""How images differ, where names share files."""

from __future__ import annotations

from pathlib import Path

from core.images.file_table import FileEntry, FileTable
from core.images.files.compare import Tree, compare
from core.images.index import read_index
from tests.layers import write_index


def file(path: str, content: str) -> FileEntry:
    return FileEntry(path, "file", 0o644, 0, 0, len(content), 0, content.ljust(64, "0"), "")


def folder(path: str) -> FileEntry:
    return FileEntry(path, "dir", 0o755, 0, 0, 0, 0, "", "")


def marker(path: str, kind: str) -> FileEntry:
    return FileEntry(path, kind, 0, 0, 0, 0, 0, "", "")


def link(path: str, target: str) -> FileEntry:
    return FileEntry(path, "hardlink", 0o644, 0, 0, 0, 0, "", target)


def tree(*layers: list[FileEntry]) -> Tree:
    return Tree("", tuple((f"sha256:{layer}", FileTable.of(layer)) for layer in layers), {})


def changes(old: Tree, new: Tree) -> list[tuple[str, str, str]]:
    return [(change.status, change.path, change.what) for change in compare(old, new)]


def test_a_name_keeps_its_content_when_another_layer_replaces_the_other_name() -> None:
    old = tree([file("a", "1"), link("b", "a")])
    lower = [file("a", "1"), link("b", "a"), file("c", "3")]
    assert changes(old, tree(lower, [file("a", "2")])) == [
        ("C", "a", "content"), ("A", "c", "file"),
    ]  # fmt: skip


def test_which_name_of_a_file_comes_first_is_no_difference() -> None:
    assert (
        changes(tree([file("a", "1"), link("b", "a")]), tree([file("b", "1"), link("a", "b")]))
        == []
    )


def test_a_link_to_another_content_is_a_difference() -> None:
    old = tree([file("a", "1"), file("x", "2"), link("b", "a")])
    new = tree([file("a", "1"), file("x", "2"), link("b", "x")])
    assert changes(old, new) == [("C", "b", "content")]


def test_what_a_layer_hides_is_gone() -> None:
    base = [folder("d"), folder("d/e"), file("d/e/f", "1"), file("d/g", "2"), file("h", "3"),
            folder("i"), file("i/j", "4")]  # fmt: skip
    above = [folder("d"), marker("d", "opaque"), file("d/new", "5"), marker("h", "whiteout"),
             marker("nothing", "whiteout"), file("i", "6")]  # fmt: skip
    assert changes(tree(base), tree(base, above)) == [
        ("D", "d/e", "dir"), ("D", "d/e/f", "file"), ("D", "d/g", "file"), ("A", "d/new", "file"),
        ("D", "h", "file"), ("C", "i", "type dir → file"), ("D", "i/j", "file"),
    ]  # fmt: skip


def test_where_a_file_is_listed_is_no_difference(tmp_path: Path) -> None:
    """A container's own files are entries, an image's the columns of an index."""
    entries = [
        folder("d"), file("d/f", "1"), link("l", "d/f"),
        FileEntry("s", "symlink", 0o777, 5, 6, 0, 7, "", "d/f"),
        FileEntry("x", "file", 0o4755, 1000, 70_000, 1 << 40, -1, "cd" * 32, ""),
    ]  # fmt: skip
    write_index(str(tmp_path / "index"), entries)
    indexed = Tree("", (("", read_index(str(tmp_path / "index"))),), {})
    assert changes(tree(entries), indexed) == []
    other = [one.replace(mode=0o600, uid=1, mtime_ns=9) for one in entries]
    assert changes(indexed, tree(other))[-1] == (
        "C", "x", "mode 4755 → 0600, owner 1000:70000 → 1:70000",
    )  # fmt: skip


def test_configs() -> None:
    old = Tree("", (), {"os": "linux", "config": {"Cmd": ["a", "b"], "Env": ["A=1"], "User": "x"}})
    new = Tree(
        "", (), {"os": "linux", "config": {"Cmd": ["a"], "Env": ["A=1"], "Labels": {"l": 1}}}
    )
    assert changes(old, new) == [
        ("C", "Cmd", '["a", "b"] → ["a"]'), ("A", "Label l", "1"), ("D", "User", "x"),
    ]  # fmt: skip
