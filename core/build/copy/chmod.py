"""Modes as --chmod takes them: octal, or words such as `u=rwX,go=rX`."""

from __future__ import annotations

import re

CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*)+)")
BITS = {"r": 4, "w": 2, "x": 1}
SHIFTS = {"u": 6, "g": 3, "o": 0}


def check_mode(text: str) -> None:
    """Raise ValueError for what is no mode."""
    apply_mode(text, 0o644, directory=False)


def apply_mode(text: str, mode: int, *, directory: bool) -> int:
    """Return what --chmod makes of a mode; nothing changes it."""
    if not text:
        return mode
    if re.fullmatch(r"[0-7]{1,5}", text):
        return int(text, 8)
    for part in text.split(","):
        clause = CLAUSE.fullmatch(part)
        if clause is None:
            raise ValueError(f"{text!r} is no mode such as 0755 or u=rwX,go=rX")
        for sign, letters in re.findall(r"([-+=])([rwxXst]*)", clause[2]):
            mode = _change(mode, clause[1], sign, letters, directory=directory)
    return mode


def _change(mode: int, who: str, sign: str, letters: str, *, directory: bool) -> int:
    executable = directory or bool(mode & 0o111)
    users = "ugo" if not who or "a" in who else who
    bits = cleared = 0
    for user in users:
        shift = SHIFTS[user]
        cleared |= 7 << shift
        for letter in letters:
            if letter in BITS:
                bits |= BITS[letter] << shift
            elif letter == "X" and executable:
                bits |= 1 << shift
            elif letter == "s" and user in "ug":
                bits |= 0o4000 if user == "u" else 0o2000
    if "t" in letters:
        bits |= 0o1000
    if sign == "+":
        return mode | bits
    if sign == "-":
        return mode & ~bits
    return mode & ~cleared | bits
