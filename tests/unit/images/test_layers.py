"""The store of unpacked layers, where several limpets work at once."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.images.layers import LayerStore
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def test_a_sweep_leaves_what_the_next_holder_of_a_lock_has_begun(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening a lock and taking it, its holder may fail and another unpack begin."""
    home = Path(paths.layers) / ".layer"
    lock, take = Path(f"{home}.lock"), fcntl.flock
    lock.touch()
    held: list[TextIO] = []

    def late(fd: int, how: int) -> None:
        if not held:
            lock.unlink()
            held.append(lock.open("w"))
            take(held[0], fcntl.LOCK_EX)
            home.mkdir()
        take(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    database = Database(paths)
    with LayerStore(paths, database, Config()).staging(lambda: None):
        assert home.exists()
        assert lock.exists()
    held[0].close()
    database.close()
