"""Makes keys of what a terminal sends, where Textual's parser takes it for others or gives up.

Alt and a letter are the letter behind ESC, which Textual waits for, and takes for signs when
another sequence follows.  What is no text, or no character, comes over a bad line, from a
terminal with another encoding, and from whoever is no terminal: it ended the app.  They are
private names of Textual, whose release is pinned.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.events import Key
from textual.keys import Keys, _character_to_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codecs import IncrementalDecoder
    from collections.abc import Iterable

    from textual.message import Message

ESC = "\x1b"
OPENING = "[O]P_^X\\"
"""What begins or ends a longer sequence behind ESC; see ctlseqs."""


class KeyParser(XTermParser):
    """The parser of everything that is typed."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[Key]:
        if len(sequence) == 2 and sequence[0] == ESC and (keys := _behind_escape(sequence[1])):
            yield from keys
            return
        try:
            for key in super()._sequence_to_key_events(sequence, alt):
                yield key if _is_text(key) else _ignored(sequence)
        except (ValueError, OverflowError):  # a number that is no code point
            yield _ignored(sequence)

    def parse_mouse_code(self, code: str) -> Message | None:
        """Return what a mouse did; a terminal that does not know its pixels counts cells."""
        size, pixels = self.terminal_size, self.terminal_pixel_size
        if size is not None and pixels is not None and 0 in (*size, *pixels):
            self.mouse_pixels = False
        return super().parse_mouse_code(code)


def _behind_escape(character: str) -> list[Key]:
    """Return alt and a letter as one key; escape and a sign as two, which a slow line joins."""
    name = _character_to_key(character)
    if character == "\r":
        return [Key("alt+enter", None)]
    if ESC + character in ANSI_SEQUENCES_KEYS or character in OPENING:
        return []
    if character.isascii() and character.isalnum():
        return [Key(f"alt+shift+{name.lower()}" if name.isupper() else f"alt+{name}", None)]
    if character in "<>":
        return [Key(f"alt+{name}", None)]
    return [Key("escape", ESC), Key(name, character)] if character.isprintable() else []


def _is_text(key: Key) -> bool:
    try:
        (key.key + (key.character or "")).encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False
    return True


def _ignored(sequence: str) -> Key:
    return Key(Keys.Ignore, sequence)


def take() -> None:
    """Let Textual's reader of the terminal use it; for the whole process."""
    names = cast("dict[str, object]", vars(linux_driver))
    names["XTermParser"] = KeyParser
    names["getincrementaldecoder"] = _decoder


def _decoder(encoding: str) -> partial[IncrementalDecoder]:
    from codecs import getincrementaldecoder

    return partial(getincrementaldecoder(encoding), errors="replace")
