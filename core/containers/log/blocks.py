"""A log in blocks of lines, which are taken apart only where somebody looks.

Of a log that grows by hundreds of thousands of lines a second few are ever seen.  What counts
the lines of a block looks for two short strings; decoding them would cost ten times as much.
"""

from __future__ import annotations

from _json import scanstring

from core.containers.log.reader import parse_entry, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Line = tuple[int, bytes | bytearray]
    """1 for stdout or 2 for stderr; text, with its newline."""

BEGIN, END = b'{"log":"', b'Z"}\n'
BETWEEN = END + BEGIN
LINE_END = b'\\n","stream":"std'
"""Of an entry that is a whole line."""
NO_LINE_END = b"\\" + LINE_END
"""Mostly of an entry that ends in a backslash and an n; of few that are whole lines."""
TEXT, STREAM, TIME = slice(-59), slice(-42, -41), slice(-29, None)
"""Where these are in an entry without BEGIN and END: what follows the text has one length."""
STDOUT = b"o"
"""Of what `STREAM` cuts out; stderr has another letter there."""


class Block:
    """Whole lines, each behind its time, as `reader.show` gives them: in order, none begun."""

    size: int
    """Bytes it takes in memory."""

    def __len__(self) -> int:
        raise NotImplementedError

    def lines(self) -> list[Line]:
        """Take it apart: as many lines as its length is."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines())

    def lacks(self, rules_out: Callable[[bytes], bool]) -> bool:
        """Tell whether `rules_out` is true of all its bytes as they stand in files; in doubt no."""
        return False


class FileBlock(Block):
    """Lines as they stand in the file; `count` is what `whole_lines` says of them."""

    def __init__(self, data: bytes, count: int) -> None:
        self.size = len(data)
        self._data = data
        self._count = count

    def __len__(self) -> int:
        return self._count

    def lacks(self, rules_out: Callable[[bytes], bool]) -> bool:
        """Ask it."""
        return rules_out(self._data)

    def lines(self) -> list[Line]:
        """Decode the entries; what is left of a damaged one before them is passed over."""
        entries = self._data[len(BEGIN) : -len(END)].split(BETWEEN)
        if self._data.count(BEGIN) != self._count:
            entries = [entry.rpartition(BEGIN)[2] for entry in entries]
        return [
            (
                1 if entry[STREAM] == STDOUT else 2,
                b"%bZ %b\n" % (entry[TIME], _decoded(entry[TEXT])),
            )
            for entry in entries
        ]


def _decoded(text: bytes) -> bytes:
    """Return what a JSON string stands for; where it is damaged, as it is."""
    if b"\\" not in text:
        return text
    if b"\\\\" not in text:
        plain = text.replace(b'\\"', b'"')  # all there is to do for most
        if b"\\" not in plain:
            return plain
    try:
        decoded: str = scanstring(text.decode() + '"', 0, True)[0]
    except ValueError:
        return text
    return decoded.encode("utf-8", "surrogateescape")


def whole_lines(data: bytes) -> int:
    """Return how many entries there are when each is a whole line; else, or if in doubt, 0."""
    if not (data.startswith(BEGIN) and data.endswith(END)) or NO_LINE_END in data:
        return 0
    count = data.count(BETWEEN) + 1
    return count if data.count(LINE_END) == count else 0


def in_blocks(data: Iterable[bytes]) -> Iterator[Block | list[Line]]:
    """Yield what stands in a log's file, a block for each: or its pieces, as `show` has them.

    Those it has where a line is longer than an entry, or something is damaged.
    """
    inside = {1: False, 2: False}
    for block in data:
        count = 0 if any(inside.values()) else whole_lines(block)
        if count:
            yield FileBlock(block, count)
            continue
        found = map(parse_entry, block.splitlines(keepends=True))
        entries = (entry for entry in found if entry is not None)
        yield list(show(entries, timestamps=True, inside=inside))
