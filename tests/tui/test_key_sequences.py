"""Keys as terminals send them."""

from __future__ import annotations

import pytest
from textual._xterm_parser import XTermParser
from textual.events import Key

from tui.key_sequences import teach


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("\x1b\r", ["alt+enter"]),
        ("\x1b[13;3u", ["alt+enter"]),
        ("\x1b[13;2u", ["shift+enter"]),
        ("\r", ["enter"]),
        ("a\x1b\rb", ["a", "alt+enter", "b"]),
    ],
)
def test_alt_enter_is_a_key_of_its_own(sent: str, keys: list[str]) -> None:
    teach()
    assert [event.key for event in XTermParser().feed(sent) if isinstance(event, Key)] == keys
