"""The keys that leave a container's terminal: their names, and finding them in the input."""

from __future__ import annotations

from core.errors import UsageError

CONTROLS = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    """Parse docker's notation, `ctrl-p,ctrl-q` or `a,b`; empty text means no keys.

    Raises UsageError naming the part that is no key.
    """
    keys = bytearray()
    for word in text.split(",") if text else ():
        lower = word.lower()
        letter = lower.removeprefix("ctrl-")
        if len(word) == 1 and word.isascii():
            keys.append(ord(word))
        elif lower.startswith("ctrl-") and len(letter) == 1 and "a" <= letter <= "z":
            keys.append(ord(letter) - 96)
        elif lower.startswith("ctrl-") and letter in CONTROLS:
            keys.append(CONTROLS[letter])
        else:
            raise UsageError(f"{word!r} is not a key", hint="keys look like ctrl-p,ctrl-q or a,b")
    return bytes(keys)


class DetachScanner:
    """Finds a key sequence in a stream that comes in arbitrary pieces."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""
        """The part of the sequence that has been typed and not been passed on."""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return what to pass on, and whether the sequence is complete.

        A begun sequence is held back until a key decides; what follows a complete one is
        dropped.
        """
        if not self._keys:
            return data, False
        stream = self._held + data
        found = stream.find(self._keys)
        if found >= 0:
            self._held = b""
            return stream[:found], True
        keep = next(
            length
            for length in range(min(len(self._keys) - 1, len(stream)), -1, -1)
            if stream.endswith(self._keys[:length])
        )
        self._held = stream[len(stream) - keep :]
        return stream[: len(stream) - keep], False
