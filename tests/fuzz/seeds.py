"""Layers to begin with: what tar can say, well formed, and what was once an attack."""

from __future__ import annotations

import tarfile

from tests.layers import (
    archive,
    directory,
    entry,
    hardlink,
    pax_header,
    pax_record,
    raw_header,
    symlink,
)

NAMES = (b"..", b"../outside/victim", b"/etc/passwd", b"a/../..", b"./a", b"d/link/f", b".wh.a",
         b".wh..wh..opq", b".wh..wh.x", b".wh...", b"\xff\xfe", b"a\nb",
         b"d/" * 60 + b"f")  # fmt: skip
"""Put where a name stands."""
RECORDS = (b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime", b"GNU.sparse.major",
           b"GNU.sparse.minor", b"GNU.sparse.name", b"GNU.sparse.realsize", b"GNU.sparse.map",
           b"GNU.sparse.size", b"SCHILY.xattr.user.a", b"SCHILY.xattr.security.capability",
           b"SCHILY.xattr.trusted.overlay.opaque", b"hdrcharset")  # fmt: skip
VALUES = (
    b"",
    b"0",
    b"-1",
    b"1",
    b"9" * 19,
    b"1.5",
    b"-0.1",
    b"0,4,8,4",
    b"\0",
    b"../x",
    b"a" * 300,
)

SEEDS: tuple[bytes, ...] = (
    archive(directory("d"), entry("d/f", content=b"hello"), hardlink("again", "d/f")),
    archive(symlink("link", "d"), directory("d"), entry("link/f", content=b"x" * 5000)),
    archive(symlink("out", ".."), entry("out/outside/new", content=b"x")),
    archive(symlink("abs", "/"), entry("abs/etc/new", content=b"x"), hardlink("h", "/etc/passwd")),
    archive(entry("a", content=b"1"), directory("a"), entry("a/b"), entry("a", content=b"2")),
    archive(directory("d"), entry("d/.wh.gone"), entry("d/.wh..wh..opq"), entry(".wh.d")),
    archive(
        entry("pipe", tarfile.FIFOTYPE), entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3)
    ),
    archive(entry("n" * 180 + "/" + "é" * 60, content=b"long"), symlink("l" * 90, "t" * 200)),
    archive(
        pax_header(pax_record(b"mtime", b"1700000000.123456789") + pax_record(b"uid", b"1000")),
        entry("times", content=b"x"),
    ),
    archive(
        pax_header(
            pax_record(b"SCHILY.xattr.user.note", b"\0\1") + pax_record(b"SCHILY.xattr.user.b", b"")
        ),
        entry("attributes", content=b"x"),
    ),
    archive(
        pax_header(
            pax_record(b"GNU.sparse.size", b"12") + pax_record(b"GNU.sparse.map", b"0,4,8,4")
        ),
        entry("sparse", content=b"headtail"),
    ),
    archive(
        pax_header(
            pax_record(b"GNU.sparse.major", b"1")
            + pax_record(b"GNU.sparse.minor", b"0")
            + pax_record(b"GNU.sparse.name", b"new-sparse")
            + pax_record(b"GNU.sparse.realsize", b"9000")
        ),
        entry("GNUSparseFile.0/x", content=b"1\n8996\n4\n".ljust(512, b"\0") + b"tail"),
    ),
    archive(raw_header(b"big", size=b"\x80" + bytes(7) + b"\0\0\0\5") + b"12345".ljust(512, b"\0")),
    archive(
        raw_header(b"old", b"4", mtime=b"\xff" * 11 + b"\xfe", major=b"\x80" + bytes(6) + b"\x08"),
    ),
)
