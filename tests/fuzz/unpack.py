"""Unpacks layers that were changed at random, for as long as it is let: `python3 -m
tests.fuzz.unpack --seconds 3600`, as root.

A layer must be unpacked or refused with words that name it; nothing outside its directory may
change, no process die, no memory or time run away.  A finding is kept as a file, which the same
program takes to repeat it.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from core.errors import ImageError
from core.images.index import read_index
from core.images.unpacking.unpack import Unpacker
from tests.fuzz.seeds import NAMES, RECORDS, SEEDS, VALUES
from tests.layers import MEDIA_TYPE, digest, pax_header, pax_record, raw_header, snapshot

BLOCK = 512
MAX_BYTES, MAX_FILES = 8 << 20, 500
MEMORY = 1 << 30
"""Bytes of address space that a process of the unpacker gets."""
LONGEST_S = 20
FIELDS = {"mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12),
          "mtime": (136, 12), "kind": (156, 1), "link": (157, 100), "magic": (257, 8),
          "major": (329, 8), "prefix": (345, 155)}  # fmt: skip


class Finding(Exception):
    """A layer did what none may."""


class Fuzzer:
    """Makes layers of `seed` and unpacks them below the directory `place`."""

    def __init__(self, place: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        self._place = place
        self._jail = place / "jail"
        for outside in (place / "outside", self._jail / "outside"):
            outside.mkdir(parents=True)
            (outside / "victim").write_text("untouched")
        self._before = snapshot(place)
        self._unpacker = Unpacker()
        self.tried = self.unpacked = 0

    def close(self) -> None:
        """End the unpacker's process."""
        self._unpacker.close()

    def layer(self) -> bytes:
        """Return the next layer to try."""
        chance = self._chance
        tar = bytearray(chance.choice(SEEDS))
        for change in chance.choices(CHANGES, (5, 2, 4, 1, 4), k=chance.randint(1, 4)):
            change(chance, tar)
        return bytes(tar)

    def try_one(self, tar: bytes) -> None:
        """Unpack it; raises Finding."""
        blob, target, index = (self._jail / name for name in ("blob", "target", "index"))
        blob.write_bytes(tar)
        target.mkdir()
        self.tried += 1
        start = time.monotonic()
        try:
            self._unpacker.unpack(
                str(blob), str(target), str(index), media_type=MEDIA_TYPE.removesuffix("+gzip"),
                digest=digest(tar), diff_id=digest(tar), max_bytes=MAX_BYTES, max_files=MAX_FILES,
                progress=lambda _: None, check=lambda: None,
            )  # fmt: skip
        except ImageError as error:
            if "layer sha256:" not in error.message:
                raise Finding(f"refused without a name: {error.message}") from error
        except Exception as error:
            raise Finding(f"{type(error).__name__}: {error}") from error
        else:
            self.unpacked += 1
            self._read_index(index)
        took = time.monotonic() - start
        shutil.rmtree(target)
        for file in (blob, index):
            file.unlink(missing_ok=True)
        after = snapshot(self._place)
        if after != self._before:
            changed = {name for name in {*after, *self._before}
                       if after.get(name) != self._before.get(name)}  # fmt: skip
            outside = {name for name in changed if "outside" in name}
            if outside or len(after) != len(self._before):
                raise Finding(f"outside of the layer changed: {', '.join(sorted(changed))}")
        if took > LONGEST_S:
            raise Finding(f"took {took:.1f} s")

    @staticmethod
    def _read_index(index: Path) -> None:
        try:
            read_index(str(index))
        except Exception as error:
            raise Finding(f"its index cannot be read: {error}") from error


def _headers(tar: bytearray) -> list[int]:
    return [
        at for at in range(0, len(tar) - BLOCK + 1, BLOCK) if tar[at + 257 : at + 262] == b"ustar"
    ]


def _change_field(chance: random.Random, tar: bytearray) -> None:
    """Put something else into a header, and make its checksum right again."""
    places = _headers(tar)
    if not places:
        return
    at = chance.choice(places)
    if chance.random() < 0.4:
        name = chance.choice(NAMES)[:100]
        tar[at : at + 100] = name.ljust(100, b"\0")
    else:
        start, width = FIELDS[chance.choice(list(FIELDS))]
        tar[at + start : at + start + width] = chance.choice((
            bytes(width),
            b"\xff" * width,
            b"7" * width,
            b"\x80" + chance.randbytes(width - 1),
            chance.randbytes(width),
            b"%0*o" % (width, chance.randrange(8**3)),
            chance.choice(NAMES).ljust(width, b"\0"),
            chance.choice(b"0123456789xgLKSVD\0").to_bytes(1, "little") * width,
        ))[:width]  # fmt: skip
    tar[at + 148 : at + 156] = b" " * 8
    tar[at + 148 : at + 156] = b"%06o\0 " % sum(tar[at : at + BLOCK])


def _change_byte(chance: random.Random, tar: bytearray) -> None:
    if tar:
        tar[chance.randrange(len(tar))] = chance.randrange(256)


def _splice(chance: random.Random, tar: bytearray) -> None:
    """Put blocks of another layer in between, or of this one once more."""
    other = chance.choice((*SEEDS, bytes(tar)))
    start = chance.randrange(0, len(other), BLOCK) if other else 0
    at = chance.randrange(0, len(tar) + 1, BLOCK)
    tar[at:at] = other[start : start + BLOCK * chance.randint(1, 6)]


def _cut(chance: random.Random, tar: bytearray) -> None:
    del tar[chance.randrange(len(tar) + 1) :]


def _add_records(chance: random.Random, tar: bytearray) -> None:
    """Put an extended header, or a long name, before an entry."""
    records = b"".join(
        pax_record(chance.choice(RECORDS), chance.choice((*VALUES, *NAMES)))
        for _ in range(chance.randint(1, 3))
    )
    kind = chance.choice(b"xxxgLK").to_bytes(1, "little")
    header = pax_header(records)
    if kind != b"x":
        body = records if kind == b"g" else chance.choice(NAMES)
        header = raw_header(b"long", kind, size=b"%011o" % len(body))
        header += body + bytes(-len(body) % BLOCK)
    places = _headers(tar)
    at = chance.choice(places) if places else 0
    tar[at:at] = header


CHANGES = (_change_field, _change_byte, _splice, _cut, _add_records)


def run(seed: int, keep: Path, *, seconds: float = math.inf, layers: float = math.inf) -> Fuzzer:
    """Try so many layers, or for that long; a Finding's layer is kept in the directory `keep`."""
    place = Path(tempfile.mkdtemp(prefix="limpet-fuzz-"))
    fuzzer = Fuzzer(place, seed)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end and fuzzer.tried < layers:
            tar = fuzzer.layer()
            try:
                fuzzer.try_one(tar)
            except Finding as found:
                file = keep / f"{digest(tar).partition(':')[2][:12]}.tar"
                file.write_bytes(tar)
                raise Finding(f"{found}\nkept in {file}, seed {seed}") from found
    finally:
        fuzzer.close()
        shutil.rmtree(place)
    return fuzzer


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.fuzz.unpack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    parser.add_argument("--keep", type=Path, default=Path(), help="where findings are put")
    parser.add_argument("files", nargs="*", type=Path, help="layers to try, instead of others")
    words = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        if words.files:
            with tempfile.TemporaryDirectory() as place:
                fuzzer = Fuzzer(Path(place), 0)
                for file in words.files:
                    fuzzer.try_one(file.read_bytes())
                fuzzer.close()
        else:
            fuzzer = run(words.seed, words.keep, seconds=words.seconds)
    except Finding as found:
        sys.exit(f"found: {found}")
    sys.stdout.write(f"{fuzzer.tried} layers, {fuzzer.unpacked} of them unpacked\n")


if __name__ == "__main__":
    main()
