"""Where the file system puts trees that come and go."""

from __future__ import annotations

import os
import subprocess

import pytest

from core.linux.filesystem import spread_subdirectories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A directory on an ext4 of its own."""
    image, place = tmp_path / "disk", tmp_path / "mounted"
    image.touch()
    os.truncate(image, 512 << 20)
    # Small groups: even a small disk has many to choose from.
    words = ["mkfs.ext4", "-q", "-g", "4096", "-G", "1", str(image)]
    subprocess.run(words, check=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    yield str(place)
    subprocess.run(["umount", place], check=True)


def test_directories_of_one_that_spreads_do_not_lie_together(disk: str) -> None:
    assert len(_groups(f"{disk}/close", spread=False)) == 1
    assert len(_groups(f"{disk}/apart", spread=True)) > 5


def test_a_file_system_without_a_choice_is_left_as_it_is() -> None:
    spread_subdirectories("/proc")


def _groups(path: str, *, spread: bool) -> set[int]:
    """Return in which block groups ten directories of one come to lie."""
    os.mkdir(path)
    if spread:
        spread_subdirectories(path)
        spread_subdirectories(path)
    shown = subprocess.run(["dumpe2fs", "-h", _device(path)], capture_output=True, text=True)
    per_group = int(shown.stdout.partition("Inodes per group:")[2].split()[0])
    for number in range(10):
        os.mkdir(f"{path}/{number}")
    return {(os.stat(f"{path}/{number}").st_ino - 1) // per_group for number in range(10)}


def _device(path: str) -> str:
    words = ["findmnt", "-n", "-o", "SOURCE", "--target", path]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
