"""Removing a tree goes no further than the tree: not through links, not into what is mounted."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from core.linux import mount
from core.trees import remove_tree


@pytest.mark.parametrize("source", ["a file system of its own", "the same file system"])
def test_what_is_mounted_in_a_tree_stays(tmp_path: Path, source: str) -> None:
    other, tree = tmp_path / "other", tmp_path / "tree"
    (tree / "deep/place").mkdir(parents=True)
    other.mkdir()
    if source.startswith("the same"):
        mount.mount(str(other), str(tree / "deep/place"), flags=mount.MS_BIND)
    else:
        mount.mount("tmpfs", str(tree / "deep/place"), "tmpfs")
    try:
        (tree / "deep/place/file").write_text("somebody's")
        with pytest.raises(OSError, match="cross-device") as caught:
            remove_tree(str(tree))
        assert caught.value.errno == errno.EXDEV
        assert (tree / "deep/place/file").read_text() == "somebody's"
    finally:
        mount.umount2(str(tree / "deep/place"))
    remove_tree(str(tree))
    assert not tree.exists()


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    other, tree = tmp_path / "other", tmp_path / "tree"
    other.mkdir()
    tree.mkdir()
    (other / "file").touch()
    (tree / "folder").symlink_to(other)
    (tree / "file").symlink_to(other / "file")
    remove_tree(str(tree))
    assert (other / "file").exists()
    assert not tree.exists()
