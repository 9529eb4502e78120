"""The files that tell a container who it is, on a disk that gets full."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.containers.starting import _write_file
from tests.short_of_room import files_of_at_most


def test_a_file_that_has_no_room_is_an_error_and_never_empty(tmp_path: Path) -> None:
    own = tmp_path / "resolv.conf"
    _write_file(str(own), "nameserver 192.0.2.1\n" * 3)
    longer = "nameserver 192.0.2.99\n" * 10
    with files_of_at_most(70), pytest.raises(OSError, match="No space left"):
        _write_file(str(own), longer)
    assert own.read_text() == longer[:70]
    _write_file(str(own), longer)
    assert own.read_text() == longer
    _write_file(str(own), "nameserver 192.0.2.1\n")
    assert own.read_text() == "nameserver 192.0.2.1\n"
