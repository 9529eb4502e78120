"""The logs of several containers as one, in the order in which lines were written."""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_left

from core.containers.log.blocks import Block
from tui.widgets.log.ring import LONGEST, size_of
from tui.widgets.log.rows import STAMP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from core.containers.log.blocks import Line
    from tui.widgets.log.ring import Lot

    Source = Callable[[Callable[[], bool]], Iterator[Lot]]

SETTLE_S = 0.15
"""Lines wait so long for older ones of other containers."""
MOST_WAITING = 20_000
COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
"""SGR foregrounds of the names."""
HEAD = re.compile(rb"\x1b\[\d+m([^\x1b]*)\x1b\[0m")


def colourless(line: bytes | bytearray) -> bytes | bytearray:
    """Return a line of a merged log with its name as it is in a file; the rest as it came."""
    return line[:STAMP] + HEAD.sub(rb"\1", line[STAMP:], count=1)


class MergedBlock(Block):
    """What came from several containers at about one time; sorted when it is looked into."""

    def __init__(self, lots: Sequence[tuple[bytes, Lot]]) -> None:
        self.size = sum(size_of(lot) for _, lot in lots)
        self._lots = lots
        self._count = sum(len(lot) for _, lot in lots)

    def __len__(self) -> int:
        return self._count

    def lines(self) -> list[Line]:
        """Return the lines in the order of their times, each with its container's name."""
        lines = [
            (stream, text[:STAMP] + head + text[STAMP:])
            for head, lot in self._lots
            for stream, text in lot
        ]
        lines.sort(key=lambda line: line[1][:STAMP])
        return lines


class MergedLog:
    """Reads each source in a thread; `source(stopped)` is as in `LogsScreen`.

    A line gets its container's name behind its time.  A source that fails ends with its
    error as a line of stderr; the others go on.
    """

    def __init__(self, sources: Sequence[tuple[str, Source]]) -> None:
        self._sources = sources
        self._wide = max((len(name) for name, _ in sources), default=0)
        self.named = self._wide + 1
        """Cells of the name in front of each line."""
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, bytes, Lot]] = []
        """When it came, the name to put in front, and whole lines."""
        self._count = 0
        """Lines that wait."""
        self._came = time.monotonic()
        self._past = True
        self._running = 0

    def __call__(self, stopped: Callable[[], bool]) -> Iterator[Lot]:
        """Yield lines until all sources have ended or `stopped()` is true."""
        self._running = len(self._sources)
        for place, (name, source) in enumerate(self._sources):
            colour = COLOURS[place % len(COLOURS)]
            head = f"\x1b[{colour}m{name:<{self._wide}}\x1b[0m ".encode()
            threading.Thread(
                target=self._read, args=(head, source, stopped), name="limpet-merge", daemon=True
            ).start()
        while not stopped():
            ended = self._running == 0
            if settled := self._settled(all_of_them=ended):
                yield MergedBlock(settled)
            if ended:
                return
            time.sleep(SETTLE_S / 3)

    def _settled(self, *, all_of_them: bool) -> list[tuple[bytes, Lot]]:
        """Return what has waited long enough; at first: until the past is there."""
        with self._lock:
            old = time.monotonic() - SETTLE_S
            full = self._count >= MOST_WAITING
            if self._past and not (all_of_them or full or self._came < old):
                return []
            self._past = False
            enough = len(self._waiting)
            if not (all_of_them or full):
                enough = bisect_left(self._waiting, old, key=lambda waiting: waiting[0])
            taken, self._waiting = self._waiting[:enough], self._waiting[enough:]
            self._count -= sum(len(lot) for _, _, lot in taken)
        return [(head, lot) for _, head, lot in taken]

    def _read(self, head: bytes, source: Source, stopped: Callable[[], bool]) -> None:
        begun: dict[int, bytes] = {}
        try:
            for lot in source(stopped):
                while self._count >= MOST_WAITING and not stopped():
                    time.sleep(SETTLE_S / 3)
                self._add(head, lot if isinstance(lot, Block) and not begun else whole(lot, begun))
                if stopped():
                    break
        except Exception as error:  # noqa: BLE001 - shown among the lines
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z ", time.gmtime()).encode()
            self._add(head, [(2, stamp + str(error).encode() + b"\n")])
        self._add(head, [(stream, text + b"\n") for stream, text in begun.items()])
        with self._lock:
            self._running -= 1

    def _add(self, head: bytes, lot: Lot) -> None:
        if not len(lot):
            return
        with self._lock:
            self._came = time.monotonic()
            self._waiting.append((self._came, head, lot))
            self._count += len(lot)


def whole(pieces: Iterable[Line], begun: dict[int, bytes]) -> list[Line]:
    """Return the lines that end in the pieces; `begun` has those of each stream that have not."""
    lines: list[Line] = []
    for stream, piece in pieces:
        text = begun.pop(stream, b"") + piece
        if text.endswith(b"\n") or len(text) >= LONGEST:
            lines.append((stream, text))
        else:
            begun[stream] = text
    return lines
