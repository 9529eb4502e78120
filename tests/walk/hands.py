"""What a terminal sends: for keys by Textual's names, for a mouse, for a paste, and for nothing."""

from __future__ import annotations

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.keys import key_to_character

TYPE_CHECKING = False
if TYPE_CHECKING:
    import random

FOCUS = b"\x1b[I"
"""A terminal says that it has the keys again; the app does nothing about it."""
LETTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    " -_/.:,;|&<>()[]{}'\"\\$*?!#%^~`=+@é日🐚"
)
BROKEN = (
    b"\x1b[", b"\x1b[<0;10;", b"\x1b[<0;99999;99999M\x1b[<0;99999;99999m", b"\x1b[<64;0;0M",
    b"\x1bO", b"\x1b[999999999999;99999999999H", b"\xff\xfe", b"\xe6\x97", b"\xf0\x9f", b"\x00",
    b"\x1b]52;c;aGFsbG8=\x07", b"\x1b]10;rgb:ffff/0000/0000\x1b\\", b"\x1bP>|xterm(999)\x1b\\",
    b"\x1b[?2026;2$y", b"\x1b[?2048;0$y", b"\x1b[5;5R", b"\x1b[97;5u", b"\x1b[1114112u",
    b"\x1b[27;5;9~", b"\x1b[57441u", b"\x1b[M!!!", b"\x1b[<35;5;5M", b"\x1b[?1;2c",
    b"\x1b[>41;354;0c", b"\x9b5~", b"\x1b[200~\x1b[201~", b"\x1b[201~",
    b"\x1b[1;2;3;4;5;6;7;8A", b"\x1b[;;;;~", b"\x1b[-1;-1R", b"\x1b\x1b\x1b[A",
    b"\x1b[<0;-5;3M", b"\x1b[<128;5;5M", b"\x1b[24;80t", b"\x1b[O", b"\x1b[0u", b"\x1b[;5u",
    b"\x1b[55296u", b"\x1b[48;24;80;0;0t", b"\x1b[97;1;55296u", b"caf\xe9",
)  # fmt: skip
"""Answers nobody asked for, halves, and what no terminal sends."""
PASTES = (
    "ps -a", "two\nlines", "tab\there", "\x1b[31mred\x1b[m", "日本語 🐚 é", "x" * 5000, "\n\n\n",
    "'", "a\x00b", "run --rm --network none starter echo pasted\n", "# several\nps\nimages\n",
    " ", "\x03\x04\x1a",
)  # fmt: skip


def sequences() -> dict[str, bytes]:
    """Return for each key that a terminal has a sequence for the shortest one."""
    found: dict[str, bytes] = {}
    for sequence, keys in sorted(ANSI_SEQUENCES_KEYS.items(), key=lambda item: len(item[0])):
        if isinstance(keys, tuple) and len(keys) == 1:
            found.setdefault(str(keys[0].value), sequence.encode())
    found.setdefault("escape", b"\x1b")
    return found


SEQUENCES = sequences()
MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4, "super": 8}
ARROWS = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
CODES = {"enter": 13, "tab": 9, "backspace": 127, "escape": 27, "space": 32}


def key(name: str) -> bytes:
    """Return what a terminal sends for a key; empty for one that it cannot send.

    As xterm does, and where it has nothing as kitty does: see ctlseqs, and CSI u.
    """
    if name in SEQUENCES:
        return SEQUENCES[name]
    *held, last = name.split("+")
    if not held:
        return (key_to_character(name) or "").encode()
    modifier = 1 + sum(MODIFIERS.get(one, 0) for one in held)
    if last in ARROWS:
        return f"\x1b[1;{modifier}{ARROWS[last]}".encode()
    if held == ["alt"] and len(key(last)) == 1:
        return b"\x1b" + key(last)
    code = CODES.get(last) or (ord(last) if len(last) == 1 else 0)
    return f"\x1b[{code};{modifier}u".encode() if code else b""


def mouse(choice: random.Random, columns: int, rows: int) -> bytes:
    """Return a click, a double click, some turns of the wheel, or a drag."""
    x, y = choice.randint(1, columns), choice.randint(1, rows)
    kind = choice.randrange(5)
    button = choice.choice((0, 0, 0, 0, 1, 2, 4, 8, 16))
    click = b"\x1b[<%d;%d;%dM\x1b[<%d;%d;%dm" % (button, x, y, button, x, y)
    if kind < 2:
        return click * (1 + kind)
    if kind == 2:
        return b"\x1b[<%d;%d;%dM" % (choice.choice((64, 65, 66, 67)), x, y) * choice.randint(1, 9)
    to = choice.randint(1, columns), choice.randint(1, rows)
    if kind == 3:
        return b"\x1b[<35;%d;%dM" % to
    return b"\x1b[<0;%d;%dM\x1b[<32;%d;%dM\x1b[<0;%d;%dm" % (x, y, *to, *to)


def paste(text: str) -> bytes:
    """Return a bracketed paste."""
    return b"\x1b[200~" + text.encode() + b"\x1b[201~"
