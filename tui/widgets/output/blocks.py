"""The command lines of a session with their answers, as lines of one width."""

from __future__ import annotations

from rich.cells import cell_len

from tui.answers import visible
from tui.theme import plain
from tui.widgets.output.block import INDENT, Block, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tui.answers import Parts
    from tui.session.live import Live

MOST_LINES = 5000
"""Older blocks fall out."""
NARROWEST = 10


class Blocks:
    """Blocks, newest last, each known by its number."""

    def __init__(self, prompt: str) -> None:
        self.all: list[Block] = []
        self.lines: list[Parts] = []
        """Those of all blocks, one below the other."""
        self.count = 0
        """The number of the newest."""
        self._prompt = prompt

    def add(self, line: str) -> Block:
        """Begin a block for a command line; an empty one for words that answer none."""
        self.count += 1
        block = Block(self.count, line)
        self.all.append(block)
        return block

    def get(self, number: int) -> Block | None:
        """Return a block by its number, None when it fell out."""
        return next((block for block in reversed(self.all) if block.number == number), None)

    def going_on(self) -> list[Live]:
        """Return what goes on, newest last."""
        return [block.live for block in self.all if block.live]

    def clear(self) -> None:
        """Forget all but what goes on."""
        self.all = [block for block in self.all if block.live]

    @property
    def widest(self) -> int:
        """The width of the widest line."""
        return max((block.width for block in self.all), default=0)

    def start(self, wanted: Block | None) -> int:
        """Return the number of a block's first line; without a block of the line after the last."""
        start = 0
        for block in self.all:
            if block is wanted:
                break
            start += len(block.lines)
        return start

    def at(self, line: int) -> Block | None:
        """Return the block that a line is of."""
        return next((b for b in self.all if line < self.start(b) + len(b.lines)), None)

    def wrap(self, number: int, width: int) -> bool:
        """Wrap a block anew, and those that must be; return whether other lines came of it."""
        width = max(NARROWEST, width)
        for block in self.all:
            if block.number == number or not block.lines:
                block.lines = self._wrapped(block, width)
                block.width = max((cell_len(plain(line)) for line in block.lines), default=0)
        while len(self.all) > 1 and sum(len(b.lines) for b in self.all) > MOST_LINES:
            del self.all[0]
        old = self.lines
        self.lines = [line for block in self.all for line in block.lines]
        return old != self.lines

    def _wrapped(self, block: Block, width: int) -> list[Parts]:
        lines: list[Parts] = []
        if block.line:
            head: Parts = [(f"{self._prompt} ", "accent"), (visible(block.line), "bold")]
            if block.note:
                head.append((f"   {block.note}", block.tone))
            if block.folded and block.body:
                count = len(block.body)
                return [[*head, (f"   {count} line{'s' * (count != 1)} folded", "dim")]]
            lines.append(head)
        for parts in block.body:
            indented: Parts = [(INDENT, ""), *parts]
            lines += wrap(indented, width) if block.wraps else [indented]
        return lines
