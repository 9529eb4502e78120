"""The session: each command line with its answer below it, newest last.

Errors stay here with their hint, jobs show their progress in place, and only lines that
are on the screen become strips.
"""

from __future__ import annotations

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.theme import Tones, glyphs, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.answers import Parts
    from tui.live import Live, Look
    from tui.theme import Part

MOST_LINES = 5000
"""Older blocks fall out."""
HEAD = 1
INDENT = "  "


class Block:
    """One command line and what came of it."""

    def __init__(self, number: int, line: str) -> None:
        self.number = number
        self.line = line
        self.note = "…"
        self.tone = "faint"
        self.body: Sequence[Parts] = ()
        self.wraps = True
        self.live: Live | None = None
        self.look: Look | None = None
        """As painted last."""
        self.lines: list[Parts] = []
        """As wrapped for the present width of the pane."""
        self.width = 0
        """Of the widest line."""


class Output(ScrollView, can_focus=True):
    """Blocks of command lines and answers."""

    DEFAULT_CSS = "Output { overflow: hidden hidden; scrollbar-size: 0 0; }"
    BINDINGS = [
        Binding("down,j", "scroll_by(1)", "Down", show=False),
        Binding("up,k", "scroll_by(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("g,home", "top", "Oldest", show=False),
        Binding("G,end", "bottom", "Newest", show=False),
        Binding("right,l", "sideways(8)", "Right", show=False),
        Binding("left,h", "sideways(-8)", "Left", show=False),
        Binding("escape,ctrl+c", "cancel", "End what goes on", show=False),
    ]

    class Left(Message):
        """The person goes back to the table."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - the base's name
        super().__init__(id=id)
        self._blocks: list[Block] = []
        self._flat: list[Parts] = []
        self._count = 0
        self._tones = Tones(self)
        self._glyphs = glyphs()

    def begin(self, line: str) -> int:
        """Start a block for a command line and return its number."""
        self._count += 1
        self._blocks.append(Block(self._count, line))
        self._flow(self._count)
        return self._count

    def say(self, parts: Parts) -> None:
        """Add a line that answers no command."""
        self._count += 1
        block = Block(self._count, "")
        block.note, block.body = "", [parts]
        self._blocks.append(block)
        self._flow(self._count)

    def finish(
        self,
        number: int,
        body: Sequence[Parts],
        *,
        note: str = "",
        tone: str = "faint",
        wraps: bool = True,
    ) -> None:
        """Put the answer below the line; tables and documents do not wrap."""
        block = self.block(number)
        if block:
            block.body, block.note, block.tone, block.wraps = body, note, tone, wraps
            block.live = None
            self._flow(number)

    def track(self, number: int, live: Live) -> None:
        """Show something that goes on in the block."""
        block = self.block(number)
        if block:
            block.live = live
            self.update()

    def update(self) -> list[int]:
        """Paint what goes on; return the numbers of the blocks in which it has ended."""
        ended = []
        for block in self._blocks:
            if block.live is None:
                continue
            look = block.live.look()
            if look.ended:
                ended.append(block.number)
                block.live = None
            if look != block.look or look.ended:
                block.look = look
                block.body, block.wraps = look.body, look.wraps
                block.note, block.tone = look.note, "faint" if look.ended else "accent"
                self._flow(block.number)
        return ended

    @property
    def busy(self) -> bool:
        """Whether something goes on."""
        return any(block.live for block in self._blocks)

    def block(self, number: int) -> Block | None:
        """Return a block by its number, None when it fell out."""
        return next((block for block in reversed(self._blocks) if block.number == number), None)

    def clear(self) -> None:
        """Forget everything except what goes on."""
        self._blocks = [block for block in self._blocks if block.live]
        self._flow(0)

    # Lines

    def _flow(self, number: int) -> None:
        """Wrap the block anew and show it."""
        width = max(10, self.size.width - 2)
        for block in self._blocks:
            if block.number == number or not block.lines:
                block.lines = self._wrap(block, width)
                block.width = max((cell_len(plain(line)) for line in block.lines), default=0)
        while len(self._blocks) > 1 and sum(len(b.lines) for b in self._blocks) > MOST_LINES:
            del self._blocks[0]
        old = self._flat
        self._flat = [line for block in self._blocks for line in block.lines]
        widest = max((block.width for block in self._blocks), default=0)
        self.virtual_size = Size(max(widest + 2, self.size.width), len(self._flat) + HEAD)
        self._show(number)
        if old != self._flat:
            self.refresh()

    def _wrap(self, block: Block, width: int) -> list[Parts]:
        lines: list[Parts] = []
        if block.line:
            head: Parts = [(f"{self._glyphs.prompt} ", "accent"), (block.line, "bold")]
            if block.note:
                head.append((f"   {block.note}", block.tone))
            lines.append(head)
        for parts in block.body:
            indented: Parts = [(INDENT, ""), *parts]
            lines += wrap(indented, width) if block.wraps else [indented]
        return lines

    def _show(self, number: int) -> None:
        """Bring the block into view: its end, or its head when it is taller than the pane."""
        room = max(1, self.size.height - HEAD)
        bottom = max(0, len(self._flat) - room)
        start = 0
        for block in self._blocks:
            if block.number == number:
                if len(block.lines) > room and block.live is None:
                    bottom = min(bottom, start)
                break
            start += len(block.lines)
        self.scroll_to(x=0, y=bottom, animate=False, force=True)

    def on_resize(self) -> None:
        """Wrap for the new width."""
        for block in self._blocks:
            block.lines = []
        self._flow(self._count)

    def on_focus(self) -> None:
        """Show that keys go here."""
        self.refresh()

    def on_blur(self) -> None:
        """Show that keys go elsewhere."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint one line."""
        width = self.size.width
        if y == 0:
            return self._title(width)
        place = y - HEAD + round(self.scroll_y)
        parts = self._flat[place] if place < len(self._flat) else []
        strip = self._segments([(" ", ""), *parts])
        left = round(self.scroll_x)
        return strip.crop_extend(left, left + width, self.rich_style)

    def _title(self, width: int) -> Strip:
        rule = self._glyphs.rule
        below = len(self._flat) - (self.size.height - HEAD) - round(self.scroll_y)
        more = f" {below} more below " if below > 0 else ""
        parts: list[Part] = [
            (rule + " ", "faint"),
            ("session ", "accent" if self.has_focus else "dim"),
        ]
        used = sum(cell_len(text) for text, _ in parts) + len(more) + 1
        parts += [(rule * max(0, width - used), "faint"), (more, "accent"), (rule, "faint")]
        return self._segments(parts).adjust_cell_length(width, self.rich_style)

    def _segments(self, parts: Sequence[Part]) -> Strip:
        base = self.rich_style
        return Strip([Segment(text, base + self._tones[tone]) for text, tone in parts])

    # Actions

    def action_scroll_by(self, by: int) -> None:
        """Scroll by lines."""
        self.scroll_to(y=round(self.scroll_y) + by, animate=False, force=True)

    def action_page(self, by: int) -> None:
        """Scroll by screens."""
        self.action_scroll_by(by * max(1, self.size.height - HEAD - 1))

    def action_top(self) -> None:
        """Go to the oldest line."""
        self.scroll_to(y=0, animate=False, force=True)

    def action_bottom(self) -> None:
        """Go to the newest line."""
        self.scroll_to(y=len(self._flat), animate=False, force=True)

    def action_sideways(self, by: int) -> None:
        """Scroll wide tables."""
        self.scroll_to(x=round(self.scroll_x) + by, animate=False, force=True)

    def action_cancel(self) -> None:
        """End the newest thing that goes on, or give the keys back to the table."""
        going_on = [block.live for block in self._blocks if block.live]
        if going_on:
            going_on[-1].cancel()
        else:
            self.post_message(self.Left())


def wrap(parts: Parts, width: int) -> list[Parts]:
    """Cut a line into lines of at most `width` cells, at blanks where there are some."""
    if sum(cell_len(text) for text, _ in parts) <= width:
        return [parts]
    lines: list[Parts] = [[]]
    used = 0
    for text, tone in parts:
        for word in _words(text, width - len(INDENT)):
            if used and used + cell_len(word.rstrip()) > width:
                lines.append([(INDENT, "")])
                used = len(INDENT)
                word = word.lstrip()
            lines[-1].append((word, tone))
            used += cell_len(word)
    return lines


def _words(text: str, width: int) -> list[str]:
    """Return the words with the blanks that follow them, long ones in pieces."""
    words: list[str] = []
    for piece in text.split(" "):
        words += chop_cells(piece, width) if cell_len(piece) > width else [piece]
        words[-1] += " "
    words[-1] = words[-1][:-1]
    return words
