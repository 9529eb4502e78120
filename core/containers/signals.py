"""Signals by name.  signal(7); the `signal` module would cost `re` and `enum`."""

from __future__ import annotations

SIGNALS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8,
    "KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15,
    "CHLD": 17, "CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23,
    "WINCH": 28, "IO": 29, "PWR": 30, "SYS": 31,
}  # fmt: skip
"""The numbers of x86 and arm."""
RTMIN, RTMAX = 34, 64


def number_of(word: str) -> int:
    """Parse `TERM`, `SIGTERM`, `15` or `RTMIN+3`; ValueError for anything else."""
    if word.isdecimal() and 0 < int(word) <= RTMAX:
        return int(word)
    name = word.upper().removeprefix("SIG")
    if name in SIGNALS:
        return SIGNALS[name]
    base, sign, offset = name[:5], name[5:6], name[6:]
    if base == "RTMIN" and (not sign or (sign == "+" and offset.isdecimal())):
        number = RTMIN + int(offset or 0)
    elif base == "RTMAX" and (not sign or (sign == "-" and offset.isdecimal())):
        number = RTMAX - int(offset or 0)
    else:
        number = 0
    if RTMIN <= number <= RTMAX:
        return number
    raise ValueError(f"{word!r} is not a signal such as TERM, KILL or 9")
