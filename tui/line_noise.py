"""Takes what no terminal should send: bytes that are no UTF-8, keys that are no characters.

A slow or foreign line sends such things, and whoever pastes into it.  Textual's reader of the
terminal ends the app at the first.  They are private names of Textual, whose release is pinned.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.events import Key
from textual.keys import Keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codecs import IncrementalDecoder
    from collections.abc import Iterable

    from textual.message import Message


class PatientParser(XTermParser):
    """A parser that leaves out what it cannot make a character or a place of."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[Key]:
        try:
            for key in super()._sequence_to_key_events(sequence, alt):
                yield key if _is_text(key) else _ignored(sequence)
        except (ValueError, OverflowError):  # a number that is no code point
            yield _ignored(sequence)

    def parse_mouse_code(self, code: str) -> Message | None:
        """Return what a mouse did; a terminal that does not know its pixels counts cells."""
        if not (self.terminal_pixel_size and self.terminal_size):  # a size of nothing is false
            self.mouse_pixels = False
        return super().parse_mouse_code(code)


def _is_text(key: Key) -> bool:
    try:
        (key.key + (key.character or "")).encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False
    return True


def _ignored(sequence: str) -> Key:
    return Key(Keys.Ignore, sequence)


def bear() -> None:
    """Let Textual's reader go on whatever comes; for the whole process."""
    names = cast("dict[str, object]", vars(linux_driver))
    names["XTermParser"] = PatientParser
    names["getincrementaldecoder"] = _decoder


def _decoder(encoding: str) -> partial[IncrementalDecoder]:
    from codecs import getincrementaldecoder

    return partial(getincrementaldecoder(encoding), errors="replace")
