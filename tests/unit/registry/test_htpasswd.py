"""Who may come in: what a file says now, not what it said while somebody was checked."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import bcrypt
import pytest

from core.registry_server.htpasswd import Htpasswd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def entry(password: bytes) -> str:
    return f"ann:{bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()}\n"


def header(password: bytes) -> str:
    return "Basic " + base64.b64encode(b"ann:" + password).decode()


def replaced(file: Path, text: str) -> Callable[[], None]:
    def replace() -> None:
        file.write_text(text)
        os.utime(file, (0, 0))

    return replace


def test_a_password_that_was_changed_while_it_was_checked_lets_in_nobody_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, check = tmp_path / "users", bcrypt.checkpw
    file.write_text(entry(b"old"))
    users = Htpasswd(str(file))
    change = replaced(file, entry(b"new"))

    def slow(password: bytes, known: bytes) -> bool:
        monkeypatch.setattr(bcrypt, "checkpw", check)
        change()
        assert users.allows(header(b"new"))  # somebody else, who has the file read again
        return check(password, known)

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    assert users.allows(header(b"old"))  # it was right when it was asked
    assert not users.allows(header(b"old"))
    assert users.allows(header(b"new"))
