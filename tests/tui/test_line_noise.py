"""What a bad line sends: left out, and what comes behind it is understood."""

from __future__ import annotations

import pytest
from textual.events import Key, MouseDown, Resize

from tui.line_noise import PatientParser


@pytest.mark.parametrize(
    "noise",
    ["\x1b[1114112u", "\x1b[55296u", "\x1b[97;1;55296u", "\x1b[97;1;1114112u",
     "\x1b[99999999999999999999u"],
)  # fmt: skip
def test_what_is_no_character_is_no_key(noise: str) -> None:
    assert [event.key for event in PatientParser().feed(f"{noise}é") if isinstance(event, Key)] == [
        "é"
    ]


def test_a_terminal_that_does_not_know_its_pixels_has_a_mouse() -> None:
    resized, clicked = PatientParser().feed("\x1b[48;24;80;0;0t\x1b[<0;5;3M")
    assert isinstance(resized, Resize)
    assert isinstance(clicked, MouseDown)
    assert (clicked.x, clicked.y) == (4, 2)
