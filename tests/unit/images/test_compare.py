"""How images differ, where names share files."""

from __future__ import annotations

from core.images.file_table import FileEntry, FileTable
from core.images.files.compare import Tree, compare


def file(path: str, content: str) -> FileEntry:
    return FileEntry(path, "file", 0o644, 0, 0, len(content), 0, content.ljust(64, "0"), "")


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
