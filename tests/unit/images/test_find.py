"""What a search of the whole store finds, and what it does not trip over."""

from __future__ import annotations

import zlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from core.database import Database
from core.images.files.find import find
from core.images.index import read_index
from core.paths import Paths
from tests.layers import write_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ONE, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def database(paths: Paths) -> Iterator[Database]:
    made = Database(paths)
    yield made
    made.close()


def row(path: str, kind: str = "file", digest: str = ONE, link: str = "") -> tuple[Any, ...]:
    return (path, kind, 0o644, 0, 0, 5, 0, digest if kind == "file" else "", link)


def add(paths: Paths, database: Database, *rows: tuple[Any, ...]) -> Path:
    """Make a layer that has an index alone; returns that."""
    with database.write() as sql:
        made = sql.execute(
            "INSERT INTO layers (diff_id, size, files) "
            "SELECT 'sha256:' || (1 + coalesce(max(id), 0)), 0, 0 FROM layers"
        )
    index = Path(f"{paths.layers}/{made.lastrowid}.index")
    write_index(str(index), list(rows))
    return index


def as_written_by(version: int, index: Path) -> None:
    """Make an index one of an earlier version: 3 has no names, 2 packs every column."""
    content = index.read_bytes()
    place = len(b"limpet-index-4\n") + 8
    parts = [b"limpet-index-%d\n" % version, content[place - 8 : place]]
    place += 1
    for column in range(9):
        length = int.from_bytes(content[place : place + 8], "little")
        data = content[place + 8 : place + 8 + length]
        if version == 2 and column in (0, 7):
            data = zlib.compress(data)
        parts += [len(data).to_bytes(8, "little"), data]
        place += 8 + length
    index.write_bytes(b"".join(parts))


def found(paths: Paths, database: Database, pattern: str) -> list[tuple[str, str, str]]:
    return [(hit.path, hit.kind, hit.digest) for hit in find(paths, database, pattern)]


@pytest.mark.parametrize("column", range(10))
def test_a_damaged_index_is_left_out(paths: Paths, database: Database, column: int) -> None:
    index = add(paths, database, row("a/name"), row("b/other"))
    add(paths, database, row("c/name"))
    content = bytearray(index.read_bytes())
    place = len(b"limpet-index-4\n") + 8 + 1
    for _ in range(column):
        place += 8 + int.from_bytes(content[place : place + 8], "little")
    length = int.from_bytes(content[place : place + 8], "little")
    content[place + 8 : place + 8 + length] = bytes(length)
    index.write_bytes(content)
    assert ("c/name", "file", ONE) in found(paths, database, "name")
    assert ("c/name", "file", ONE) in found(paths, database, f"sha256:{ONE}")


@pytest.mark.parametrize("version", [4, 3, 2])
def test_an_index_of_any_version_is_searched(
    paths: Paths, database: Database, version: int
) -> None:
    rows = [
        row(f"usr/share/{n % 7}/file-{n}.{('py', 'txt', 'pem')[n % 3]}",
            "file" if n % 5 else "symlink", f"{n:064x}")
        for n in range(1000)
    ]  # fmt: skip
    index = add(paths, database, row("usr/share", "dir"), *rows)
    if version < 4:
        as_written_by(version, index)
    assert [entry.path for entry in read_index(str(index))] == ["usr/share", *(r[0] for r in rows)]
    for pattern in ("file-0.py", "0.py", "*-77.txt", "file-1*", "*.pem", "*", "usr/*/3/*-9?.py"):
        fits = [
            (path, kind, digest)
            for path, kind, _, _, _, _, _, digest, _ in (row("usr/share", "dir"), *rows)
            if fnmatchcase(path if "/" in pattern else path.rpartition("/")[2], pattern)
        ]
        assert found(paths, database, pattern) == sorted(fits), pattern
    assert found(paths, database, f"sha256:{7:064x}") == [(rows[7][0], "file", f"{7:064x}")]


@pytest.mark.parametrize("version", [4, 3, 2])
def test_what_a_later_entry_of_the_layer_replaced_is_not_found(
    paths: Paths, database: Database, version: int
) -> None:
    index = add(
        paths, database,
        row("d", "dir"), row("d/below"), row("twice"), row("name", "hardlink", link="twice"),
        row("d", digest=OTHER), row("twice", digest=OTHER),
    )  # fmt: skip
    if version < 4:
        as_written_by(version, index)
    assert found(paths, database, "below") == []
    assert found(paths, database, "twice") == [("twice", "file", OTHER)]
    assert found(paths, database, "name") == [("name", "file", ONE)]
    assert found(paths, database, f"sha256:{ONE}") == [("name", "file", ONE)]


@pytest.mark.parametrize(
    ("pattern", "paths_found"),
    [
        ("x[]ab]", ["x]", "xa", "xb"]),
        ("x[!]a]", ["x[", "xb"]),
        ("[x]]", ["x]"]),
        ("x[", ["x["]),
        ("x[a", []),
        ("[", []),
        ("*[", ["x["]),
        ("?a", ["xa"]),
    ],
)
def test_brackets_mean_what_they_mean_to_a_shell(
    paths: Paths, database: Database, pattern: str, paths_found: list[str]
) -> None:
    add(paths, database, *(row(name) for name in ("x]", "xa", "xb", "x[")))
    assert [path for path, *_ in found(paths, database, pattern)] == paths_found
