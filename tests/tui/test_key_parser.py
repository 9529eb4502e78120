"""Keys as terminals send them, and what only a bad line sends."""

from __future__ import annotations

import pytest
from textual.events import Key, MouseDown, Resize

from tui.tty.key_parser import KeyParser


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("\x1b\r", ["alt+enter"]),
        ("\x1b[13;3u", ["alt+enter"]),
        ("\x1b[13;2u", ["shift+enter"]),
        ("\r", ["enter"]),
        ("a\x1b\rb", ["a", "alt+enter", "b"]),
        ("\x1bv\x1bv", ["alt+v", "alt+v"]),  # held down
        ("\x1bmj", ["alt+m", "j"]),
        ("\x1bV", ["alt+shift+v"]),
        ("\x1b<\x1b>", ["alt+less_than_sign", "alt+greater_than_sign"]),
        ("\x1b:", ["escape", "colon"]),  # in one piece over a slow line
        ("\x1b/é", ["escape", "slash", "é"]),
        ("\x1b[1;3D\x1bOP", ["alt+left", "f1"]),
    ],
)
def test_keys(sent: str, keys: list[str]) -> None:
    assert [event.key for event in KeyParser().feed(sent) if isinstance(event, Key)] == keys


def test_a_sign_behind_escape_can_be_typed() -> None:
    assert [event.character for event in KeyParser().feed("\x1b.") if isinstance(event, Key)] == [
        "\x1b",
        ".",
    ]


@pytest.mark.parametrize(
    "noise",
    ["\x1b[1114112u", "\x1b[55296u", "\x1b[97;1;55296u", "\x1b[97;1;1114112u",
     "\x1b[99999999999999999999u"],
)  # fmt: skip
def test_what_is_no_character_is_no_key(noise: str) -> None:
    assert [event.key for event in KeyParser().feed(f"{noise}é") if isinstance(event, Key)] == ["é"]


def test_a_terminal_that_does_not_know_its_pixels_has_a_mouse() -> None:
    resized, clicked = KeyParser().feed("\x1b[48;24;80;0;0t\x1b[<0;5;3M")
    assert isinstance(resized, Resize)
    assert isinstance(clicked, MouseDown)
    assert (clicked.x, clicked.y) == (4, 2)
