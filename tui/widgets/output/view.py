"""The session: each command line with its answer below it, newest last.

Errors stay here with their hint, jobs show their progress in place, and only lines that
are on the screen become strips.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.theme import Tones, glyphs, plain
from tui.widgets.ansi import over
from tui.widgets.log.ring import Matches
from tui.widgets.output.blocks import Blocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from tui.answers import Parts
    from tui.session.live import Live
    from tui.theme import Part
    from tui.widgets.output.block import Block

HEAD = 1
NOTHING = "answers stand here; : types a command, ? shows every key"


class Output(ScrollView, can_focus=True):
    """Blocks of command lines and answers."""

    DEFAULT_CSS = "Output { overflow: hidden hidden; scrollbar-size: 0 0; }"
    BINDINGS = [
        Binding("down,j,ctrl+n", "scroll_by(1)", "Down", show=False),
        Binding("up,k,ctrl+p", "scroll_by(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f,ctrl+v", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b,alt+v", "page(-1)", "Page up", show=False),
        Binding("g,home,alt+less_than_sign", "top", "Oldest", show=False),
        Binding("G,end,alt+greater_than_sign", "bottom", "Newest", show=False),
        Binding("right,l", "sideways(8)", "Right", show=False),
        Binding("left,h", "sideways(-8)", "Left", show=False),
        Binding("left_square_bracket,K", "block(-1)", "Answer before", show=False),
        Binding("right_square_bracket,J", "block(1)", "Next answer", show=False),
        Binding("enter,space", "fold", "Fold or unfold", show=False),
        Binding("asterisk", "fold_all", "Fold or unfold all", show=False),
        Binding("n", "hit(1)", "Next match", show=False),
        Binding("N", "hit(-1)", "Match before", show=False),
        Binding("y", "copy", "Copy the answer", show=False),
        Binding("Y", "copy_line", "Copy the command line", show=False),
        Binding("o", "open", "Show the answer on a screen of its own", show=False),
        Binding("e", "again", "Put the command line into the bar", show=False),
        Binding("escape,ctrl+c", "cancel", "End what goes on", show=False),
    ]

    class Left(Message):
        """The person goes back to the table."""

    class Copied(Message):
        """The person wants this text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Again(Message):
        """The person wants to change this line and run it again."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    class Opened(Message):
        """The person wants the answer of this line on a screen."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    def __init__(self, *, id: str) -> None:  # noqa: A002 - the base's name
        super().__init__(id=id)
        self._at: Block | None = None
        """The answer that keys mean; None: the newest."""
        self._searched: Matches | None = None
        self._hit = -1
        """Number of the line that was found last."""
        self._tones = Tones(self)
        self._glyphs = glyphs()
        self._blocks = Blocks(self._glyphs.prompt)

    def begin(self, line: str) -> int:
        """Start a block for a command line and return its number."""
        self._at = None
        number = self._blocks.add(line).number
        self._flow(number, anew=True)
        return number

    def say(self, parts: Parts) -> None:
        """Add a line that answers no command."""
        block = self._blocks.add("")
        block.note, block.body = "", [parts]
        self._flow(block.number, anew=True)

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
        block = self._blocks.get(number)
        if block:
            block.body, block.note, block.tone, block.wraps = body, note, tone, wraps
            block.live = None
            self._flow(number)

    def track(self, number: int, live: Live) -> None:
        """Show something that goes on in the block."""
        block = self._blocks.get(number)
        if block:
            block.live = live
            self.update()

    def update(self) -> list[int]:
        """Paint what goes on; return the numbers of the blocks in which it has ended."""
        ended = []
        for block in self._blocks.all:
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
        return bool(self._blocks.going_on())

    def clear(self) -> None:
        """Forget everything except what goes on."""
        self._blocks.clear()
        self._flow(0, anew=True)

    # Lines

    @property
    def _below(self) -> int:
        """How many lines are below the pane."""
        return len(self._blocks.lines) - (self.size.height - HEAD) - round(self.scroll_y)

    def _flow(self, number: int, *, anew: bool = False) -> None:
        """Wrap the block anew and show it, unless the person has scrolled away from the end."""
        at_end = anew or self._below <= 0
        differs = self._blocks.wrap(number, self.size.width - 2)
        width = max(self._blocks.widest + 2, self.size.width)
        self.virtual_size = Size(width, len(self._blocks.lines) + HEAD)
        if at_end:
            self._show(number)
        if differs:
            self.refresh()

    def _show(self, number: int) -> None:
        """Bring the block into view: its end, or its head when it is taller than the pane."""
        room = max(1, self.size.height - HEAD)
        bottom = max(0, len(self._blocks.lines) - room)
        block = self._blocks.get(number)
        if block and len(block.lines) > room and block.live is None:
            bottom = min(bottom, self._blocks.start(block))
        self.scroll_to(x=0, y=bottom, animate=False, force=True)

    def on_resize(self) -> None:
        """Wrap for the new width."""
        for block in self._blocks.all:
            block.lines = []
        self._flow(self._blocks.count, anew=True)

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
        if not self._blocks.lines and y == HEAD:
            return self._segments([(f" {NOTHING}", "faint")]).adjust_cell_length(
                width, self.rich_style
            )
        parts = self._blocks.lines[place] if place < len(self._blocks.lines) else []
        here = (
            self.has_focus
            and bool(self._blocks.lines)
            and place == self._blocks.start(self._chosen)
        )
        sign: Part = (self._glyphs.cursor if here else " ", "accent")
        strip = self._lit(self._segments([sign, *parts]))
        left = round(self.scroll_x)
        return strip.crop_extend(left, left + width, self.rich_style)

    def _lit(self, strip: Strip) -> Strip:
        """Show where the line has what is searched."""
        found = self._searched.ranges(strip.text) if self._searched else []
        if not found:
            return strip
        spans = [(segment.text, segment.style or Style.null()) for segment in strip]
        hit = self._tones["accent"] + Style(reverse=True)
        return Strip([Segment(text, style) for text, style in over(spans, found, hit)])

    def _title(self, width: int) -> Strip:
        rule = self._glyphs.rule
        below = self._below
        more = f" /{self._searched.wanted} " if self._searched else ""
        more += f" {below} more below " if below > 0 else ""
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

    # Answers one by one

    @property
    def _chosen(self) -> Block | None:
        blocks = self._blocks.all
        if self._at in blocks:
            return self._at
        return blocks[-1] if blocks else None

    def _reveal(self, line: int) -> None:
        room = max(1, self.size.height - HEAD)
        top = round(self.scroll_y)
        if not top <= line < top + room:
            self.scroll_to(y=max(0, line - room // 3), animate=False, force=True)
        self.refresh()

    def action_block(self, by: int) -> None:
        """Go to another answer."""
        chosen = self._chosen
        if chosen is not None:
            blocks = self._blocks.all
            place = blocks.index(chosen) + by
            self._at = blocks[max(0, min(place, len(blocks) - 1))]
            self._reveal(self._blocks.start(self._at))

    def action_fold(self) -> None:
        """Fold the answer to its command line, or unfold it."""
        chosen = self._chosen
        if chosen is not None and chosen.line:
            self._fold([chosen], folded=not chosen.folded)

    def action_fold_all(self) -> None:
        """Fold all answers, or unfold them when they are."""
        blocks = [block for block in self._blocks.all if block.line]
        self._fold(blocks, folded=not all(block.folded for block in blocks))

    def _fold(self, blocks: Sequence[Block], *, folded: bool) -> None:
        for block in blocks:
            block.folded, block.lines = folded, []
        chosen = self._chosen
        if chosen is not None:
            self._flow(chosen.number, anew=True)
            self._reveal(self._blocks.start(chosen))

    def action_copy(self) -> None:
        """Copy the answer."""
        chosen = self._chosen
        if chosen is not None:
            self.post_message(self.Copied("\n".join(plain(parts) for parts in chosen.body)))

    def action_copy_line(self) -> None:
        """Copy the command line."""
        chosen = self._chosen
        if chosen is not None:
            self.post_message(self.Copied(chosen.line))

    def action_again(self) -> None:
        """Put the command line into the bar."""
        chosen = self._chosen
        if chosen is not None and chosen.line:
            self.post_message(self.Again(chosen.line))

    def action_open(self) -> None:
        """Show the answer on a screen of its own."""
        chosen = self._chosen
        if chosen is not None and chosen.line:
            self.post_message(self.Opened(chosen.line))

    @property
    def searched(self) -> str:
        """What is searched."""
        return self._searched.wanted if self._searched else ""

    def search(self, wanted: str) -> None:
        """Show where it stands, the newest first; nothing ends the search."""
        self._searched = Matches(wanted) if wanted else None
        self._hit = len(self._blocks.lines)
        self.refresh()
        self.action_hit(-1)

    def action_hit(self, by: int) -> None:
        """Go to the next line that holds what is searched, or the one before."""
        count = len(self._blocks.lines)
        if self._searched is None or not count:
            return
        for step in range(1, count + 1):
            line = (self._hit + by * step) % count
            if self._searched(plain(self._blocks.lines[line])):
                self._hit = line
                self._at = self._blocks.at(line)
                self._reveal(line)
                return

    # Actions

    def on_click(self, event: events.Click) -> None:
        """Take the keys; a click on a command line folds its answer or unfolds it."""
        line = event.y - HEAD + round(self.scroll_y)
        for block in self._blocks.all:
            if block.line and self._blocks.start(block) == line and event.y >= HEAD:
                self._at = block
                self.action_fold()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll, the keys stay where they are."""
        event.stop()
        self.action_scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll, the keys stay where they are."""
        event.stop()
        self.action_scroll_by(-3)

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
        self.scroll_to(y=len(self._blocks.lines), animate=False, force=True)

    def action_sideways(self, by: int) -> None:
        """Scroll wide tables."""
        self.scroll_to(x=round(self.scroll_x) + by, animate=False, force=True)

    def action_cancel(self) -> None:
        """End the search, else the newest thing that goes on, else give the keys back."""
        if self._searched is not None:
            self.search("")
            return
        if not self.cancel():
            self.post_message(self.Left())

    def cancel(self) -> bool:
        """End the newest thing that goes on; return whether there was one."""
        going_on = self._blocks.going_on()
        if going_on:
            going_on[-1].cancel()
        return bool(going_on)
