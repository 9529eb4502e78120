"""A layer is unpacked while its blob is still on its way."""

from __future__ import annotations

import gzip
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import Cancelled, Corrupt
from core.images.manifest import Descriptor
from core.images.store import ImageStore
from core.images.unpacking.unpack import Unpacker
from core.paths import Paths
from tests.layers import MEDIA_TYPE, archive, digest, entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILES = 40


@pytest.fixture
def store(paths: Paths) -> Iterator[ImageStore]:
    database = Database(paths)
    paths.make()
    yield ImageStore(paths, database, Config())
    database.close()


class Delivery:
    """A layer of files that hardly compress, and the file it comes in."""

    def __init__(self, store: ImageStore, paths: Paths) -> None:
        chance = random.Random(4)
        self.tar = archive(
            *(entry(f"f{n}", content=chance.randbytes(50_000)) for n in range(FILES))
        )
        self.content = gzip.compress(self.tar, 1)
        self.descriptor = Descriptor(MEDIA_TYPE, digest(self.content), len(self.content))
        self.home = Path(paths.layers) / ("." + digest(self.tar).partition(":")[2])
        self.arriving = Path(store.blobs.partial_path(self.descriptor.digest))
        self.arriving.parent.mkdir(parents=True, exist_ok=True)
        self.arriving.touch()
        self._store = store

    def add(self, unpacker: Unpacker, check: Callable[[], None] = lambda: None) -> int:
        return self._store.layers.add(
            self._store.blobs.path(self.descriptor.digest), self.descriptor, digest(self.tar),
            lambda _: None, check, unpacker, str(self.arriving),
        )  # fmt: skip

    def bring(self, content: bytes) -> None:
        with self.arriving.open("ab") as file:
            file.write(content)

    def wait_for_file(self, number: int) -> None:
        deadline = time.monotonic() + 20
        while not (self.home / f"f{number}").exists():
            assert time.monotonic() < deadline, "nothing was unpacked"
            time.sleep(0.005)


def test_files_are_there_before_the_blob_is(store: ImageStore, paths: Paths) -> None:
    layer = Delivery(store, paths)
    half = len(layer.content) // 2

    def deliver() -> None:
        layer.bring(layer.content[:half])
        layer.wait_for_file(FILES // 2 - 10)
        assert not store.layers.has(digest(layer.tar))
        layer.bring(layer.content[half:])
        blob = Path(store.blobs.path(layer.descriptor.digest))
        blob.parent.mkdir(parents=True, exist_ok=True)
        layer.arriving.rename(blob)

    sender = threading.Thread(target=deliver)
    sender.start()
    with Unpacker() as unpacker:
        number = layer.add(unpacker)
    sender.join()
    assert len(os.listdir(f"{paths.layers}/{number}")) == FILES


def test_one_that_begins_anew_is_refused_and_unpacked_from_what_came(
    store: ImageStore, paths: Paths
) -> None:
    layer = Delivery(store, paths)
    damaged = bytearray(layer.content)
    damaged[len(damaged) // 2] ^= 0xFF
    layer.bring(bytes(damaged))
    with Unpacker() as unpacker:
        with pytest.raises(Corrupt):
            layer.add(unpacker)
        assert not store.layers.has(digest(layer.tar))
        layer.arriving.write_bytes(layer.content)
        assert layer.add(unpacker)


def test_who_gives_up_leaves_nothing(store: ImageStore, paths: Paths) -> None:
    layer = Delivery(store, paths)
    layer.bring(layer.content[:-100_000])

    def check() -> None:
        if (layer.home / "f5").exists():
            raise Cancelled("enough")

    with Unpacker() as unpacker, pytest.raises(Cancelled):
        layer.add(unpacker, check)
    assert os.listdir(paths.layers) == []


def test_whoever_unpacks_for_a_limpet_that_was_killed_ends(store: ImageStore, paths: Paths) -> None:
    layer = Delivery(store, paths)
    layer.bring(layer.content[:-100_000])
    limpet = os.fork()
    if limpet == 0:
        with Unpacker() as unpacker:
            layer.add(unpacker)
        os._exit(0)
    layer.wait_for_file(5)
    [server] = _children(limpet)
    [worker] = _children(server)
    os.kill(limpet, signal.SIGKILL)
    os.waitpid(limpet, 0)
    deadline = time.monotonic() + 10
    while any(_lives(pid) for pid in (server, worker)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
