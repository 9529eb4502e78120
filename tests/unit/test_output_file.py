"""Files that people ask for: whole or not there, and only what was meant is replaced."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from core.output_file import OutputFile


def write(path: Path, content: bytes) -> None:
    with OutputFile(str(path)) as fd:
        os.write(fd, content)


def test_it_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut an empty file would stand there under the archive's name."""
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(fd: int) -> None:
        fsync(fd)
        done.append(f"{os.fstat(fd).st_size} bytes")

    def renamed(source: str, target: str) -> None:
        rename(source, target)
        done.append("name")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    write(tmp_path / "a.tar", b"whole")
    assert done == ["5 bytes", "name"]
    assert (tmp_path / "a.tar").read_bytes() == b"whole"


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"before")

    def fail() -> None:
        with OutputFile(str(path)) as fd:
            os.write(fd, b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.tar"]


def test_what_a_link_leads_to_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    """/dev/stdout is one: where stdout is a file, the host would have lost it."""
    target, link = tmp_path / "there" / "a.tar", tmp_path / "stdout"
    target.parent.mkdir()
    target.write_bytes(b"before")
    link.symlink_to(target)
    write(link, b"after")
    assert link.is_symlink()
    assert target.read_bytes() == b"after"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=write, args=(path, b"content"))
    writer.start()
    assert path.read_bytes() == b"content"
    writer.join()
    assert path.is_fifo()
