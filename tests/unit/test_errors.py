"""What errors of Python's own come to, where a command ends."""

from __future__ import annotations

import os

import pytest

from core.database import Database
from core.errors import text_error
from core.paths import Paths


def test_a_name_that_is_no_text_is_told_as_such(paths: Paths) -> None:
    database = Database(paths)
    try:
        with pytest.raises(UnicodeEncodeError) as caught:
            database.query("SELECT 1 FROM containers WHERE name=?", (os.fsdecode(b"caf\xe9"),))
    finally:
        database.close()
    assert text_error(caught.value).message == "'caf\\udce9' is not text in UTF-8"


def test_of_a_stored_document_the_word_is_told() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        '{"env":["X=caf\udce9"],"user":""}'.encode()
    assert "'X=caf\\udce9' is" in text_error(caught.value).message
