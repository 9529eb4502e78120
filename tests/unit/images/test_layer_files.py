"""Files are read out of a layer as it is; what its links name is never opened."""

from __future__ import annotations

import os

import pytest

from core.database import Database
from core.errors import NotFound, UnsupportedMedia
from core.images.files.layer_files import open_layer_file
from core.paths import Paths


@pytest.fixture
def database(paths: Paths) -> Database:
    paths.make()
    database = Database(paths)
    with database.write() as transaction:
        transaction.execute(
            "INSERT INTO layers (id, diff_id, size, files) VALUES (7, 'sha256:a', 0, 0)"
        )
    root = f"{paths.layers}/7"
    os.makedirs(f"{root}/etc")
    with open(f"{root}/etc/name", "w", encoding="utf-8") as file:
        file.write("hello")
    os.symlink("/etc/passwd", f"{root}/out")
    os.symlink("etc", f"{root}/inside")
    os.mkfifo(f"{root}/fifo")
    return database


def test_a_file_is_read(paths: Paths, database: Database) -> None:
    fd = open_layer_file(paths, database, "sha256:a", "etc/name")
    assert os.read(fd, 9) == b"hello"
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("out", UnsupportedMedia),
        ("inside/name", UnsupportedMedia),
        ("fifo", UnsupportedMedia),
        ("etc", UnsupportedMedia),
        ("etc/none", NotFound),
        ("../7/etc/name", NotFound),
        ("/etc/passwd", NotFound),
    ],
)
def test_links_devices_and_ways_out_are_refused(
    paths: Paths, database: Database, path: str, error: type[Exception]
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(error):
        open_layer_file(paths, database, "sha256:a", path)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_an_unknown_layer_is_named(paths: Paths, database: Database) -> None:
    with pytest.raises(NotFound, match="sha256:b"):
        open_layer_file(paths, database, "sha256:b", "x")
