"""The logs of several containers as one, in the order in which lines were written."""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_left

from tui.widgets.log.ring import LONGEST
from tui.widgets.log.rows import STAMP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tui.widgets.log.ring import Line

    Source = Callable[[Callable[[], bool]], Iterator[Line]]

SETTLE_S = 0.15
"""Lines wait so long for older ones of other containers."""
MOST_WAITING = 20_000
COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
"""SGR foregrounds of the names."""
HEAD = re.compile(rb"\x1b\[\d+m([^\x1b]*)\x1b\[0m")


def colourless(line: bytes | bytearray) -> bytes | bytearray:
    """Return a line of a merged log with its name as it is in a file; the rest as it came."""
    return line[:STAMP] + HEAD.sub(rb"\1", line[STAMP:], count=1)


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
        self._waiting: list[tuple[float, bytes, Line]] = []
        """When it came, when it was written, and the line."""
        self._came = time.monotonic()
        self._past = True
        self._running = 0

    def __call__(self, stopped: Callable[[], bool]) -> Iterator[Line]:
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
            yield from self._settled(all_of_them=ended)
            if ended:
                return
            time.sleep(SETTLE_S / 3)

    def _settled(self, *, all_of_them: bool) -> list[Line]:
        """Return what has waited long enough, in order; at first: until the past is there."""
        with self._lock:
            old = time.monotonic() - SETTLE_S
            full = len(self._waiting) >= MOST_WAITING
            if self._past and not (all_of_them or full or self._came < old):
                return []
            self._past = False
            enough = len(self._waiting)
            if not (all_of_them or full):
                enough = bisect_left(self._waiting, old, key=lambda waiting: waiting[0])
            taken, self._waiting = self._waiting[:enough], self._waiting[enough:]
        taken.sort(key=lambda waiting: waiting[1])
        return [line for _, _, line in taken]

    def _read(self, head: bytes, source: Source, stopped: Callable[[], bool]) -> None:
        begun: dict[int, bytes] = {}
        try:
            for stream, piece in source(stopped):
                while len(self._waiting) >= MOST_WAITING and not stopped():
                    time.sleep(SETTLE_S / 3)
                text = begun.pop(stream, b"") + piece
                if not text.endswith(b"\n") and len(text) < LONGEST:
                    begun[stream] = text
                    continue
                self._add(head, stream, text)
                if stopped():
                    break
        except Exception as error:  # noqa: BLE001 - shown among the lines
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z ", time.gmtime()).encode()
            self._add(head, 2, stamp + str(error).encode() + b"\n")
        for stream, text in begun.items():
            self._add(head, stream, text + b"\n")
        with self._lock:
            self._running -= 1

    def _add(self, head: bytes, stream: int, text: bytes) -> None:
        stamp = text[:STAMP]
        with self._lock:
            self._came = time.monotonic()
            self._waiting.append((self._came, stamp, (stream, stamp + head + text[STAMP:])))
