"""Layers made to reach outside, to fill the host or to confuse: nothing outside may change."""

from __future__ import annotations

import gzip
import os
import tarfile
import time
from pathlib import Path

import pytest
import zstandard

from core.errors import Cancelled, Corrupt, ImageError, UnsafePath, UnsupportedMedia
from core.images.index import read_index
from tests.layers import (
    END,
    archive,
    directory,
    entry,
    hardlink,
    pax_header,
    pax_record,
    raw_header,
    snapshot,
    symlink,
    unpack,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FIFO, CHARACTER = tarfile.FIFOTYPE, tarfile.CHRTYPE


@pytest.fixture(params=["all", "one"], autouse=True)
def _processors(request: pytest.FixtureRequest) -> Iterator[None]:
    """With all processors a thread inflates ahead, with one there is no such thread."""
    usable = os.sched_getaffinity(0)
    if request.param == "one":
        os.sched_setaffinity(0, {min(usable)})
    yield
    os.sched_setaffinity(0, usable)


def deep(depth: int) -> bytes:
    return archive(entry("/".join(["d"] * depth) + "/f", content=b"x"))


OUTSIDE = "../outside/victim"

# Refused, as the class says, with a message that holds the text.
REFUSED: dict[str, tuple[bytes, type[ImageError], str]] = {
    "lone-empty-block": (entry("a") + bytes(512) + entry("hidden") + bytes(1024), Corrupt, "lone"),
    "sparse-map-odd": (
        archive(pax_header(pax_record(b"GNU.sparse.map", b"0,4,8")), entry("a", content=b"text")),
        Corrupt,
        "'a'",
    ),
    "sparse-map-lies": (
        archive(
            pax_header(
                pax_record(b"GNU.sparse.size", b"9") + pax_record(b"GNU.sparse.map", b"0,4,99,4")
            ),
            entry("a", content=b"headtail"),
        ),
        Corrupt,
        "out of order",
    ),
    "dotdot": (archive(entry("../outside/new", content=b"x")), UnsafePath, "../outside"),
    "dotdot-inside": (archive(entry("a/../../outside/new")), UnsafePath, "a/.."),
    "dotdot-last": (archive(directory("a"), directory("a/..")), UnsafePath, "a/.."),
    "dotdot-only": (archive(directory("..")), UnsafePath, ".."),
    "dotdot-pax-path": (
        archive(pax_header(pax_record(b"path", b"../outside/new")), entry("ok")),
        UnsafePath,
        "../outside",
    ),
    "dotdot-gnu-long-name": (
        archive(
            raw_header(b"././@LongLink", b"L", size=b"%011o" % 16),
            b"../outside/new\0\0".ljust(512, b"\0"),
            entry("ok"),
        ),
        UnsafePath,
        "../outside",
    ),
    "hardlink-dotdot": (archive(hardlink("a", OUTSIDE)), UnsafePath, "outside"),
    "hardlink-missing": (archive(hardlink("a", "nowhere")), ImageError, "a"),
    "hardlink-missing-folder": (archive(hardlink("a", "no/where")), ImageError, "no"),
    "hardlink-to-directory": (archive(directory("d"), hardlink("a", "d")), ImageError, "a"),
    "hardlink-to-root": (archive(hardlink("a", "/")), UnsafePath, "a"),
    "hardlink-through-link": (
        archive(symlink("s", "../outside"), hardlink("a", "s/victim")), ImageError, "",
    ),
    "hardlink-absolute": (archive(hardlink("a", "/etc/hostname")), ImageError, ""),
    "hard-link-to-whiteout": (archive(entry(".wh.a"), hardlink("b", "a")), UnsafePath, "'b'"),
    "whiteout-of-dotdot": (archive(entry(".wh...")), UnsafePath, ".wh..."),
    "whiteout-of-dot": (archive(entry("a/.wh..")), UnsafePath, ".wh.."),
    "whiteout-of-nothing": (archive(entry("a/.wh.")), UnsafePath, ".wh."),
    "whiteout-dotdot-parent": (archive(entry("../outside/.wh.victim")), UnsafePath, "../"),
    "opaque-dotdot-parent": (archive(entry("../outside/.wh..wh..opq")), UnsafePath, "../"),
    "file-as-parent": (archive(entry("a", content=b"x"), entry("a/b")), ImageError, "a"),
    "link-loop-as-parent": (
        archive(symlink("a", "b"), symlink("b", "a"), entry("a/f")), ImageError, "a",
    ),
    "too-deep": (deep(300), UnsafePath, "deep"),
    "name-too-long": (archive(entry("n" * 300)), ImageError, "nnn"),
    "path-too-long": (archive(entry("/".join(["d" * 200] * 30))), UnsafePath, "long"),
    "pax-name-with-nul": (
        archive(pax_header(pax_record(b"path", b"a\0b")), entry("x")), ImageError, "NUL",
    ),
    "pax-no-length": (archive(pax_header(b"path=a\n"), entry("x")), Corrupt, "PAX"),
    "pax-length-lies": (archive(pax_header(b"9999 path=a\n"), entry("x")), Corrupt, "PAX"),
    "pax-length-zero": (archive(pax_header(b"0 path=a\n"), entry("x")), Corrupt, "PAX"),
    "pax-bad-number": (
        archive(pax_header(pax_record(b"size", b"-5")), entry("x")), Corrupt, "size",
    ),
    "pax-huge-header": (archive(raw_header(b"p", b"x", size=b"77777777777")), Corrupt, "header"),
    "size-negative": (
        archive(raw_header(b"a", size=b"\xff" * 12)), Corrupt, "negative",
    ),
    "size-huge": (
        archive(raw_header(b"a", size=b"\x80" + b"\x7f" * 11)), ImageError, "",
    ),
    "size-not-octal": (archive(raw_header(b"a", size=b"99999999999")), Corrupt, "octal"),
    "owner-negative": (archive(raw_header(b"a", uid=b"\xff" * 8)), Corrupt, "negative"),
    "checksum-wrong": (archive(entry("a")[:-200] + b"x" * 200), Corrupt, "checksum"),
    "unknown-type": (archive(raw_header(b"a", b"Z")), Corrupt, "type"),
    "cut-in-content": (entry("a", content=b"x" * 5000)[:2000], Corrupt, "'a': the layer ends"),
    "cut-in-header": (
        entry("a", content=b"x")[:1024] + b"x" * 100,
        Corrupt,
        "ends in the middle of an entry, after 'a'",
    ),
    "garbage": (b"\x01garbage " * 400, Corrupt, ""),
    "sparse-overlap": (
        archive(
            pax_header(
                pax_record(b"GNU.sparse.major", b"1") + pax_record(b"GNU.sparse.minor", b"0")
                + pax_record(b"GNU.sparse.realsize", b"100")
            ),
            entry("s", content=b"2\n50\n10\n0\n10\n".ljust(512, b"\0") + b"x" * 20),
        ),
        Corrupt,
        "sparse",
    ),
    "sparse-past-its-end": (
        archive(
            pax_header(
                pax_record(b"GNU.sparse.major", b"1") + pax_record(b"GNU.sparse.minor", b"0")
                + pax_record(b"GNU.sparse.realsize", b"5")
            ),
            entry("s", content=b"1\n0\n10\n".ljust(512, b"\0") + b"x" * 10),
        ),
        Corrupt,
        "sparse",
    ),
    "sparse-petabyte": (
        archive(
            pax_header(
                pax_record(b"GNU.sparse.major", b"1") + pax_record(b"GNU.sparse.minor", b"0")
                + pax_record(b"GNU.sparse.realsize", b"1125899906842624")
            ),
            entry("s", content=b"0\n".ljust(512, b"\0")),
        ),
        ImageError,
        "bytes",
    ),
}  # fmt: skip

# Unpacked, but only ever inside.
CONFINED: dict[str, bytes] = {
    "absolute-name": archive(entry("/outside-absolute", content=b"x")),
    "relative-link-then-file": archive(
        symlink("escape", "../outside"), entry("escape/victim", content=b"overwritten")
    ),
    "link-chain-then-file": archive(
        directory("a"), symlink("a/up", ".."), symlink("b", "a/up/.."),
        entry("b/outside/victim", content=b"overwritten"),
    ),
    "file-over-link": archive(
        symlink("victim", "../outside/victim"), entry("victim", content=b"overwritten")
    ),
    "directory-over-link": archive(
        symlink("d", "../outside"), directory("d", mode=0o777), entry("d/victim", content=b"new")
    ),
    "fifo-over-link": archive(symlink("p", "../outside/victim"), entry("p", FIFO)),
    "hardlink-to-link": archive(symlink("s", "../outside/victim"), hardlink("h", "s")),
    "chmod-through-hardlink": archive(
        symlink("s", "../outside/victim"), hardlink("h", "s"), entry("h", content=b"overwritten")
    ),
    "device": archive(entry("dev/sda", CHARACTER, devmajor=8, devminor=0)),
    "whiteout-through-link": archive(symlink("s", "../outside"), entry("s/.wh.victim")),
    "opaque-through-link": archive(symlink("s", "../outside"), entry("s/.wh..wh..opq")),
    "directory-over-file": archive(entry("a", content=b"x"), directory("a"), entry("a/b")),
    "file-over-directory": archive(directory("a"), entry("a/b"), entry("a", content=b"x")),
    "aufs-leftovers": archive(entry(".wh..wh.plnk"), entry(".wh..wh.aufs")),
    "setuid": archive(entry("su", content=b"x", mode=0o4755)),
    "overlay-attribute": archive(
        pax_header(pax_record(b"SCHILY.xattr.trusted.overlay.redirect", b"/../outside")),
        directory("d"),
    ),
}  # fmt: skip

MISSING_INSIDE = {"relative-link-then-file", "link-chain-then-file", "whiteout-through-link",
                  "opaque-through-link"}  # fmt: skip
"""Their links lead nowhere inside; refusing them is as good."""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the target with a file that layers aim at."""
    made = tmp_path / "outside"
    made.mkdir()
    (made / "victim").write_text("untouched")
    return made


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path, outside: Path) -> None:
    tar, kind, text = REFUSED[name]
    before = snapshot(outside)
    with pytest.raises(kind) as caught:
        unpack(tmp_path, tar)
    assert text in caught.value.message
    assert "layer sha256:" in caught.value.message
    assert snapshot(outside) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blob", "index", "outside", "target"]


@pytest.mark.parametrize("name", CONFINED)
def test_confined(name: str, tmp_path: Path, outside: Path) -> None:
    before = snapshot(outside)
    try:
        unpack(tmp_path, CONFINED[name])
    except ImageError:
        assert name in MISSING_INSIDE
    assert snapshot(outside) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blob", "index", "outside", "target"]
    assert not Path("/outside-absolute").exists()


def test_absolute_links_mean_the_inside(tmp_path: Path, outside: Path) -> None:
    before = snapshot(outside)
    tar = archive(
        symlink("file", f"{outside}/victim"),
        entry("file", content=b"overwritten"),
        symlink("folder", str(outside)),
        entry("folder/victim", content=b"overwritten"),
    )
    target = unpack(tmp_path, tar)
    assert snapshot(outside) == before
    assert (target / "file").read_bytes() == b"overwritten"
    inside = target / str(outside).lstrip("/") / "victim"
    assert inside.read_bytes() == b"overwritten"


def test_a_name_from_the_root_is_the_same_name_in_the_index(tmp_path: Path) -> None:
    names = ("b", "/a", "a", "./a", "//c", "/d/", "/d/e")
    unpack(tmp_path, archive(*(directory(n) if n.endswith("/") else entry(n) for n in names)))
    paths = [found.path for found in read_index(str(tmp_path / "index"))]
    assert sorted(paths) == ["a", "b", "c", "d", "d/e"]


def test_overlay_attributes_of_the_layer_are_dropped(tmp_path: Path) -> None:
    target = unpack(tmp_path, CONFINED["overlay-attribute"])
    assert os.listxattr(target / "d") == []


def test_gzip_bomb_meets_the_limit(tmp_path: Path) -> None:
    tar = archive(entry("zeros", content=bytes(64 << 20)))
    with pytest.raises(ImageError, match=r"bytes") as caught:
        unpack(tmp_path, tar, max_bytes=1 << 20)
    assert "max_layer_bytes" in caught.value.hint


def test_file_count_meets_the_limit(tmp_path: Path) -> None:
    tar = archive(*(entry(f"f{n}") for n in range(60)))
    with pytest.raises(ImageError, match=r"entries") as caught:
        unpack(tmp_path, tar, max_files=50)
    assert "max_layer_files" in caught.value.hint


@pytest.mark.parametrize(
    ("blob", "kind"),
    [
        pytest.param(gzip.compress(archive(entry("a")))[:-20], Corrupt, id="gzip-cut"),
        pytest.param(gzip.compress(archive(entry("a"))) + b"trailing", Corrupt, id="gzip-garbage"),
        pytest.param(
            gzip.compress(archive(entry("a", content=os.urandom(9999))))[:2000] + b"\0" * 3000,
            Corrupt,
            id="gzip-damaged",
        ),
        pytest.param(
            zstandard.compress(archive(entry("a"))) + b"trailing", Corrupt, id="zstd-garbage"
        ),
        pytest.param(
            zstandard.compress(archive(entry("a", content=os.urandom(9999))))[:4000],
            Corrupt,
            id="zstd-cut",
        ),
        pytest.param(b"<html>not a layer</html>" * 40, UnsupportedMedia, id="html"),
    ],
)
def test_damaged_compression(blob: bytes, kind: type[ImageError], tmp_path: Path) -> None:
    with pytest.raises(kind):
        unpack(tmp_path, archive(entry("a")), blob)


def test_wrong_blob_digest(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match=r"blob .* has digest"):
        unpack(tmp_path, archive(entry("a")), blob_digest="sha256:" + "0" * 64)


def test_wrong_diff_id(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match=r"layer .* has digest"):
        unpack(tmp_path, archive(entry("a")), diff_id="sha256:" + "1" * 64)


def test_cancelled(tmp_path: Path) -> None:
    def stop() -> None:
        raise Cancelled("stopped")

    tar = archive(*(entry(f"f{n}", content=os.urandom(1 << 20)) for n in range(20)))
    started = time.monotonic()
    with pytest.raises(Cancelled):
        unpack(tmp_path, tar, check=stop)
    assert time.monotonic() - started < 20


def test_names_that_are_not_text(tmp_path: Path) -> None:
    name = b"caf\xe9\n\x1b[31m"
    target = unpack(tmp_path, raw_header(name) + END)
    assert os.listdir(os.fsencode(target)) == [name]
    assert [e.path for e in read_index(str(tmp_path / "index"))] == [os.fsdecode(name)]
