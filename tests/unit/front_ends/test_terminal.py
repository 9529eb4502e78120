"""The terminal in a pane: what its screen shows, and what keys send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.terminal.emulator import PyteEmulator
from tui.terminal.keys import sequence


def emulator(columns: int = 20, rows: int = 4) -> tuple[PyteEmulator, bytearray]:
    answers = bytearray()
    return PyteEmulator(columns, rows, answers.extend), answers


def lines(screen: PyteEmulator, rows: int = 4) -> list[str]:
    return ["".join(part.text for part in screen.row(y)).rstrip() for y in range(rows)]


def test_colours_attributes_and_the_cursor() -> None:
    screen, _ = emulator()
    assert 0 in screen.feed(b"a\x1b[1;31mb\x1b[0;38;2;1;2;3mc\x1b[0;7md")
    styles = {part.text: part.style for part in screen.row(0) if part.text.strip()}
    assert [str(styles[letter]) for letter in "abcd"] == [
        "none", "bold red", "#010203", "reverse"
    ]  # fmt: skip
    assert screen.cursor == (4, 0)
    screen.feed(b"\x1b[?25l")
    assert screen.cursor is None


def test_the_alternate_screen_goes_and_comes_back() -> None:
    screen, _ = emulator()
    screen.feed(b"one\r\ntwo\x1b[?1049h\x1b[Hvim")
    assert lines(screen)[0] == "vim"
    screen.feed(b"\r\n" * 9)
    assert screen.scrolled == 0
    screen.feed(b"\x1b[?1049l")
    assert lines(screen)[:2] == ["one", "two"]
    assert screen.cursor == (3, 1)


def test_what_scrolls_away_is_kept() -> None:
    screen, _ = emulator()
    screen.feed(b"".join(b"line %d\r\n" % number for number in range(10)))
    assert screen.scrolled == 7
    assert "".join(part.text for part in screen.row(-1)).rstrip() == "line 6"
    assert lines(screen) == ["line 7", "line 8", "line 9", ""]


def test_what_a_smaller_screen_has_no_room_for_comes_back() -> None:
    screen, _ = emulator()
    screen.feed(b"one\r\n$ ")
    screen.resize(20, 2)
    assert lines(screen, 2) == ["one", "$"]
    screen.resize(20, 4)
    screen.feed(b"two\r\nthree\r\nfour")
    screen.resize(20, 2)
    assert lines(screen, 2) == ["three", "four"]
    assert (screen.scrolled, screen.cursor) == (2, (4, 1))
    screen.feed(b"\x1b[?1049h\x1b[Hvim")
    screen.resize(20, 3)
    assert lines(screen, 3)[0] == "vim"
    screen.resize(20, 1)
    screen.feed(b"\x1b[?1049l")
    assert (lines(screen, 1), screen.scrolled) == (["four"], 3)
    screen.resize(20, 4)
    assert lines(screen) == ["one", "$ two", "three", "four"]
    assert screen.scrolled == 0


def test_sequences_that_are_not_for_it_leave_no_trace() -> None:
    screen, answers = emulator()
    screen.feed(b"\x1b[>4;2m\x1b[?u\x1b[=1u\x1b[4 q\x1b[?2026$pa\x1bP1$r0m\x1b\\b\x1b]0;title\x07c")
    assert lines(screen)[0] == "abc"
    assert str(screen.row(0)[0].style) == "none"
    screen.feed(b"\x1b[6n\x1b[c")
    assert answers.startswith(b"\x1b[1;4R\x1b[?6")


def test_boxes_of_programs_without_utf8() -> None:
    screen, _ = emulator()
    screen.feed(b"\x1b(0lqk\x1b(B \xe2\x94\x8c\xe6\x97\xa5")
    assert lines(screen)[0] == "┌─┐ ┌日"


def test_what_terminfo_promises_of_xterm() -> None:
    screen, _ = emulator()
    screen.feed(b"|\x1b[5b*\x1b[H\x1b[20b")  # htop's meters; nothing was drawn at home since
    assert lines(screen)[0].startswith("****")
    screen, _ = emulator()
    screen.feed(b"one\r\ntwo\r\nthree\x1b[S")
    assert lines(screen) == ["two", "three", "", ""]
    assert screen.cursor == (5, 2)
    assert screen.scrolled == 1
    screen.feed(b"\x1b[2;3r\x1b[H\x1b[2T\x1b[r")
    assert lines(screen) == ["two", "", "", ""]
    screen.feed(b"\x1b[1;19H\x1b[2Zx\x1b[s\x1b[3;3Hy\x1b[uz")
    assert lines(screen)[0] == "two     xz"
    screen.feed(b"\x1b[9999b\x1b[9999S\x1b[9999T\x1b[9999Z")
    assert screen.cursor is not None


@given(st.lists(st.integers(1, 9), max_size=30))
def test_cut_anywhere_it_shows_the_same(cuts: list[int]) -> None:
    data = "\x1b[1;32m日本\x1b[0m\x1b[2;3Hx\x1b]0;t\x07\x1b[?1049h\x1b[?1049l\x1b[>1uä".encode()
    whole, _ = emulator()
    whole.feed(data)
    piecewise, _ = emulator()
    rest = data
    for size in cuts:
        piecewise.feed(rest[:size])
        rest = rest[size:]
    piecewise.feed(rest)
    assert [piecewise.row(y) for y in range(4)] == [whole.row(y) for y in range(4)]


PIECES = st.sampled_from([
    b"\x1b[", b"\x1b", b"\x1b]", b"\x1b[?", b"\x1b(", b"\x1bP", b";", b"1", b"99999", b"h", b"l",
    b"m", b"H", b"r", b"A", b"J", b"K", b"L", b"M", b"P", b"@", b"X", b"g", b"c", b"n", b"\n",
    b"b", b"S", b"T", b"Z", b"u",
    b"\r", b"\t", b"\x0f", b"\xff", "日".encode(), b"text", b"1049", b"38;5;300", b"48;2;1",
    b"\x08", b"D", b"\x07", b"E", b"0",
])  # fmt: skip


@given(st.lists(PIECES, max_size=60), st.integers(1, 40), st.integers(1, 10))
def test_nothing_that_is_printed_breaks_it(pieces: list[bytes], columns: int, rows: int) -> None:
    data = b"".join(pieces)
    screen, _ = emulator()
    screen.feed(data)
    screen.resize(columns, rows)
    screen.feed(data)
    for y in range(rows):
        screen.row(y)


@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        ("a", "a", b"a"),
        ("upper_a", "A", b"A"),
        ("ctrl+c", "\x03", b"\x03"),
        ("enter", "\r", b"\r"),
        ("up", None, b"\x1b[A"),
        ("ctrl+right", None, b"\x1b[1;5C"),
        ("f1", None, b"\x1bOP"),
        ("f12", None, b"\x1b[24~"),
        ("alt+b", None, b"\x1bb"),
        ("ä", "ä", "ä".encode()),
    ],
)
def test_keys_are_sent_as_xterm_does(key: str, character: str | None, sent: bytes) -> None:
    assert sequence(key, character, application=False) == sent


def test_arrows_in_application_mode() -> None:
    screen, _ = emulator()
    screen.feed(b"\x1b[?1h\x1b[?2004h")
    assert sequence("up", None, application=screen.is_on(1)) == b"\x1bOA"
    assert screen.is_on(2004)


def test_signs_without_a_width_take_nothing_with_them() -> None:
    screen, _ = emulator()
    screen.feed("⚠️ careful\r\na\u200bb\r\n".encode())
    assert lines(screen)[:2] == ["⚠ careful", "ab"]


def test_a_letter_has_only_so_many_accents() -> None:
    screen, _ = emulator()
    screen.feed("e\u0301".encode() + "\u0301".encode() * 100)
    screen.feed("\u0301".encode() * 100 + b"!")
    assert lines(screen)[0].startswith("é")
    assert lines(screen)[0].endswith("!")
    assert len(lines(screen)[0]) < 12


@pytest.mark.parametrize("begin", [b"\x1b]0;", b"\x1b["])
def test_a_sequence_without_end_is_given_up(begin: bytes) -> None:
    screen, _ = emulator()
    screen.feed(begin)
    for _ in range(20):
        screen.feed(b"1;" * (32 << 10))
    screen.feed(b"\r\n\x1b[2Jhello")
    assert "hello" in "".join(lines(screen))


def test_a_long_sequence_leaves_no_trace() -> None:
    screen, _ = emulator()
    screen.feed(b"a\x1b]52;c;")
    for _ in range(4):
        screen.feed(b"QUJD" * (16 << 10))
    screen.feed(b"\x07b")
    assert lines(screen)[0] == "ab"
