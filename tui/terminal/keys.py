"""What a terminal sends for a key or the mouse, as xterm does (ctlseqs)."""

from __future__ import annotations

PLAIN = {
    "enter": b"\r", "tab": b"\t", "escape": b"\x1b", "backspace": b"\x7f", "space": b" ",
    "shift+tab": b"\x1b[Z", "insert": b"\x1b[2~", "delete": b"\x1b[3~", "pageup": b"\x1b[5~",
    "pagedown": b"\x1b[6~", "f5": b"\x1b[15~", "f6": b"\x1b[17~", "f7": b"\x1b[18~",
    "f8": b"\x1b[19~", "f9": b"\x1b[20~", "f10": b"\x1b[21~", "f11": b"\x1b[23~",
    "f12": b"\x1b[24~", "ctrl+@": b"\x00",
}  # fmt: skip
ARROWS = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
FUNCTIONS = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4}


def sequence(key: str, character: str | None, *, application: bool) -> bytes:
    """Return the bytes of a key by Textual's name; `application`: DECCKM is on."""
    if key in PLAIN:
        return PLAIN[key]
    *held, name = key.split("+")
    modifier = sum(MODIFIERS.get(one, 0) for one in held)
    if name in ARROWS:
        if modifier:
            return f"\x1b[1;{modifier + 1}{ARROWS[name]}".encode()
        return (b"\x1bO" if application else b"\x1b[") + ARROWS[name].encode()
    if name in FUNCTIONS and not modifier:
        return b"\x1bO" + FUNCTIONS[name].encode()
    if held in (["alt"], ["alt", "shift"]) and len(name) == 1:
        return b"\x1b" + (name.upper() if len(held) > 1 else name).encode()
    return character.encode() if character else b""


MOST_OLD = 223
"""Columns and lines that the first way to tell of the mouse has numbers for."""
MOVED = 32
WHEEL_UP, WHEEL_DOWN = 64, 65


def mouse(button: int, x: int, y: int, *, sgr: bool, pressed: bool = True) -> bytes:
    """Return the bytes of a button at a cell, both from 0; `sgr`: mode 1006 is on.

    To a button, MOVED is added while it is held and the mouse moves.
    """
    if sgr:
        return f"\x1b[<{button};{x + 1};{y + 1}{'M' if pressed else 'm'}".encode()
    if max(x, y) >= MOST_OLD:
        return b""
    return b"\x1b[M" + bytes((32 + (button if pressed else 3), 33 + x, 33 + y))
