"""Paths in a hostile root are found and made inside it, whatever its links say."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from core.linux import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    fd = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def where(fd: int) -> str:
    found = os.readlink(f"/proc/self/fd/{fd}")
    os.close(fd)
    return found


@pytest.mark.parametrize("directory", [True, False])
@pytest.mark.parametrize(
    ("link", "aim", "target", "made"),
    [
        ("a", "/b", "a/c", "b/c"),
        ("a", "../../../../b", "a/c", "b/c"),
        ("a", "/etc/passwd.d", "a", "etc/passwd.d"),
        ("a", "../run/x/y", "a", "run/x/y"),
        ("a", ".", "a/c", "c"),
    ],
)
def test_links_stay_inside(
    link: str, aim: str, target: str, made: str, directory: bool, root: int, tmp_path: Path
) -> None:
    (tmp_path / "root" / link).symlink_to(aim)
    found = where(path.make_target(root, target, directory=directory))
    assert found == f"{tmp_path}/root/{made}"
    assert Path(found).is_dir() == directory
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["root"]


@pytest.mark.parametrize("directory", [True, False])
def test_links_that_go_round_are_an_error(directory: bool, root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "a").symlink_to("b/x")
    (tmp_path / "root" / "b").symlink_to("a/x")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="symbolic links"):
        path.make_target(root, "a", directory=directory)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_what_cannot_be_made_leaves_nothing_open(root: int, tmp_path: Path) -> None:
    """A descriptor of a container's file system keeps it mounted for as long as the app runs."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="too long"):
        path.make_dirs(root, f"new/{'x' * 300}/below")
    assert len(os.listdir("/proc/self/fd")) == before


def test_magic_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "proc").symlink_to("/proc")
    host = os.open("/", os.O_PATH)
    with pytest.raises(OSError, match="symbolic links"):
        path.open_in_root(host, "/proc/self/root/etc")
    os.close(host)


def test_only_plain_files_are_read(root: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root" / "pipe")
    (tmp_path / "root" / "file").write_bytes(b"x" * 100)
    assert path.read_in_root(root, "/pipe") == b""
    assert path.read_in_root(root, "/missing") == b""
    assert path.read_in_root(root, "/file", limit=10) == b"x" * 10


def test_renames_elsewhere_on_the_host_do_not_matter(root: int, tmp_path: Path) -> None:
    """The kernel gives up a ".." then (EAGAIN), which is not the container's failure."""
    deep = "/".join(["a", "b", "..", "b", "..", ".."] * 20)
    os.makedirs(tmp_path / "root/a/b")
    (tmp_path / "x").mkdir()
    over = threading.Event()

    def rename() -> None:
        while not over.is_set():
            for one, other in (("x", "y"), ("y", "x")):
                os.rename(tmp_path / one, tmp_path / other)

    renaming = threading.Thread(target=rename)
    renaming.start()
    try:
        for _ in range(3000):
            os.close(path.openat2(root, deep, os.O_PATH))
    finally:
        over.set()
        renaming.join()
