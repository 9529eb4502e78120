"""One directory of an image, from the indexes of its layers."""

from __future__ import annotations

import pytest

from core.images.file_table import FileEntry, FileTable
from core.images.files.folder import names


def entry(path: str, kind: str = "file", link: str = "") -> FileEntry:
    return FileEntry(path, kind, 0o755, 0, 0, 0, 0, "", link)


LAYERS = (
    ("below", FileTable.of([
        entry("usr", "dir"), entry("usr/bin", "dir"), entry("usr/bin/ls"), entry("usr/bin/old"),
        entry("bin", "symlink", "usr/bin"), entry("up", "symlink", "../../usr"),
        entry("loop", "symlink", "loop"), entry("gone", "symlink", "/nowhere"),
    ])),
    ("above", FileTable.of([entry("usr/bin/old", "whiteout"), entry("usr/bin/new")])),
)  # fmt: skip


@pytest.mark.parametrize("folder", ["/usr/bin", "/bin/", "up/./bin", "/../bin/../bin"])
def test_layers_are_upon_each_other_and_links_are_followed(folder: str) -> None:
    assert sorted(names(LAYERS, folder)) == ["ls", "new"]


def test_directories_end_in_a_slash() -> None:
    assert sorted(names(LAYERS, "/")) == ["bin", "gone", "loop", "up", "usr/"]


@pytest.mark.parametrize("folder", ["/nosuch", "/usr/bin/ls", "/loop", "/gone"])
def test_what_is_no_directory_has_no_names(folder: str) -> None:
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        list(names(LAYERS, folder))
