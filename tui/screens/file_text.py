"""The content of a file as lines: text in the colours of its language, or bytes in hex."""

from __future__ import annotations

import os

from tui.answers import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.theme import Part

    Line = Sequence[Part]

MOST_BYTES = 8 << 20
"""Of a larger file the beginning is read."""
COLOURED_BYTES = 400_000
"""A larger text is shown without colours: they take a second a megabyte."""
LOOKED_AT = 8192
TEXT_CONTROLS = b"\t\n\r\f\x1b\x08"
TONES = (
    ("Token.Comment", "dim"),
    ("Token.Keyword", "primary"),
    ("Token.Name.Tag", "primary"),
    ("Token.Name.Attribute", "accent"),
    ("Token.Name.Builtin", "primary"),
    ("Token.Name.Function", "bold"),
    ("Token.Name.Class", "bold"),
    ("Token.Name.Variable", "accent"),
    ("Token.Literal.String", "good"),
    ("Token.Literal.Number", "accent"),
    ("Token.Error", ""),
    ("Token.Generic.Deleted", "bad"),
    ("Token.Generic.Inserted", "good"),
    ("Token.Generic.Subheading", "primary"),
    ("Token.Generic.Heading", "bold"),
)


def read_bytes(fd: int) -> tuple[bytes, int]:
    """Return the beginning of the file and its whole size; closes the descriptor."""
    with os.fdopen(fd, "rb") as file:
        return file.read(MOST_BYTES), os.fstat(file.fileno()).st_size


def is_text(data: bytes) -> bool:
    """Tell whether the bytes are meant to be read: UTF-8 or nearly so, no odd controls."""
    start = data[:LOOKED_AT]
    controls = sum(byte < 32 and byte not in TEXT_CONTROLS for byte in start)
    if b"\0" in start or controls * 50 > len(start):
        return False
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.start > len(start) - 4 or _mostly_ascii(start)
    return True


def _mostly_ascii(data: bytes) -> bool:
    return sum(byte < 128 for byte in data) * 10 > len(data) * 9


def text_lines(data: bytes, name: str) -> list[list[Part]]:
    """Return the lines of a text, coloured as the file's name or first line says."""
    text = data.decode("utf-8", "replace")
    if len(data) <= COLOURED_BYTES:
        coloured = _coloured(text, name)
        if coloured is not None:
            return coloured
    return [[(visible(line), "")] for line in _split(text)]


def _split(text: str) -> list[str]:
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines and not lines[-1] else lines


def _coloured(text: str, name: str) -> list[list[Part]] | None:
    from pygments.lexers import (  # type: ignore[import-untyped]
        get_lexer_for_filename,
        guess_lexer,
    )
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        if text.startswith("#!"):
            lexer = guess_lexer(text[:200])
        else:
            lexer = get_lexer_for_filename(os.path.basename(name))
    except ClassNotFound:
        return None
    lexer.stripnl = lexer.ensurenl = False
    lines: list[list[Part]] = [[]]
    for kind, words in lexer.get_tokens(text):
        tone = _tone(str(kind))
        first, *others = words.split("\n")
        if first:
            lines[-1].append((visible(first), tone))
        lines += [[(visible(word), tone)] if word else [] for word in others]
    return lines[:-1] if not lines[-1] else lines


def _tone(kind: str) -> str:
    return next((tone for start, tone in TONES if kind.startswith(start)), "")


def hex_line(data: bytes, number: int, width: int) -> list[Part]:
    """Return line `number` of a dump with `width` bytes a line: place, bytes, characters."""
    piece = data[number * width : (number + 1) * width]
    halves = [piece[at : at + 8].hex(" ") for at in range(0, width, 8)]
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
    room = width * 3 + len(halves)
    return [
        (f"{number * width:08x}  ", "dim"),
        (f"{'  '.join(halves):<{room}}", ""),
        (letters, "primary"),
    ]


def difference(old: bytes, new: bytes, names: tuple[str, str]) -> list[list[Part]]:
    """Return how two texts differ, as `diff -u` shows it."""
    from difflib import unified_diff

    before, after = (_split(data.decode("utf-8", "replace")) for data in (old, new))
    lines: list[list[Part]] = []
    for line in unified_diff(before, after, *names, lineterm=""):
        tone = {"+": "good", "-": "bad", "@": "primary"}.get(line[:1], "")
        lines.append([(visible(line), "bold" if line.startswith(("+++", "---")) else tone)])
    return lines or [[("no difference in the content", "dim")]]
