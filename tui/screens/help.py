"""Every key in force and every command, made from the bindings and the grammar themselves."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual import on
from textual.binding import Binding
from textual.screen import ModalScreen

from core.commands.keys import ACTION, CONTAINERS, IMAGES, PLACES, REGISTRIES, keys_of, sign
from core.record import Record
from tui.tty.near_compositor import PaintsNear
from tui.widgets.ask_line import AskLine
from tui.widgets.kept_focus import KeepsFocus
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine, hint_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from textual.app import ComposeResult
    from textual.dom import DOMNode
    from textual.screen import Screen

    from core.commands.grammar import Verb
    from core.commands.keys import Key
    from tui.app import LimpetApp
    from tui.keymap import Keymap
    from tui.theme import Part

    Line = list[Part]

WIDE = 130
"""From this width on keys and commands stand side by side."""
KEY, WORDS, VERB = 11, 26, 20
HINTS = (("j k", "scroll"), ("/", "find"), ("esc", "back"))
TABLE_KEYS = (
    ("j k g G", "down, up, first, last; pgup and pgdn for screens", ""),
    ("space *", "mark the row, mark all; esc clears the marks", ""),
    ("< >", "sort by the column before, by the next", ""),
    ("O", "reverse the order", ""),
)
TITLES = {
    CONTAINERS: "on a container",
    IMAGES: "on an image",
    REGISTRIES: "on a registry",
    "": "on the tables",
}
"""Where keys work; any other place is a screen of that name."""


class Section(Record):
    """Some keys or commands under a title: (sign, what it does, the command line it runs)."""

    title: str
    rows: tuple[tuple[str, str, str], ...]


def key_sections(keymap: Keymap, here: str = CONTAINERS) -> list[Section]:
    """Return the keys in force, by where they work; those of the place `here` come first."""
    found = []
    for place in dict.fromkeys((here, *TITLES, *PLACES)):
        rows = [
            (sign(key.key), key.help, "" if key.command.startswith(ACTION) else key.command)
            for key in keymap.keys
            if key.place == place and not keymap.refuses(key.command)
        ]
        found.append(Section(f"keys {TITLES.get(place, f'on {place}')}", tuple(rows)))
    return [*found, Section("keys in every table", TABLE_KEYS)]


def verb_section(verbs: dict[str, Verb], keys: Sequence[Key]) -> Section:
    """Return the commands, each once, with the keys that run them."""
    known = sorted(set(verbs.values()), key=lambda verb: verb.word)
    rows = ((verb.word, verb.summary, ", ".join(keys_of(verb, keys, verbs))) for verb in known)
    return Section("commands", tuple(rows))


def sections_here(screen: Screen[Any]) -> list[Section]:
    """Return the keys that work on a screen now: its own, of what has the keys, of all screens."""
    found: dict[DOMNode, dict[str, tuple[str, list[str]]]] = {screen: {}}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.description and not binding.action.startswith("scroll_"):  # Textual's own
            words = (binding.description, list[str]())
            actions = found.setdefault(active.node, {})
            actions.setdefault(binding.action, words)[1].append(sign(binding.key))
    titles: dict[DOMNode | None, str] = {
        screen: "keys here", screen.focused: "keys in the list", screen.app: "keys anywhere",
    }  # fmt: skip
    return [
        Section(
            titles.get(node, "more keys"),
            tuple((" ".join(keys), words, "") for words, keys in actions.values()),
        )
        for node, actions in found.items()
    ]


class HelpScreen(KeepsFocus, PaintsNear, ModalScreen[None], inherit_bindings=False):
    """Shows sections: keys at the left, commands at the right or below; `/` finds a word."""

    app: LimpetApp

    DEFAULT_CSS = """
    HelpScreen { background: $background; }
    HelpScreen #head { height: 1; background: $panel; }
    HelpScreen #foot { height: 1; dock: bottom; }
    HelpScreen LineList { margin: 1 2 0 2; }
    """
    BINDINGS = [
        Binding("escape", "back", "Back"),
        Binding("q,question_mark", "leave", "Leave"),
        Binding("slash", "find", "Find"),
        Binding("colon", "command", "Command line"),
    ]
    AUTO_FOCUS = "LineList"

    def __init__(self, keys: Sequence[Section], commands: Sequence[Section]) -> None:
        super().__init__()
        self._head = StatusLine(id="head")
        self._foot = StatusLine(id="foot")
        self._keys = keys
        self._commands = commands
        self._wanted = ""
        self._list = LineList(cursor=False)

    def compose(self) -> ComposeResult:
        """Place head, text and foot."""
        yield self._head
        yield self._list
        yield self._foot
        yield AskLine()

    def on_mount(self) -> None:
        """Show all."""
        self._show()

    def on_resize(self) -> None:
        """Choose the layout for the new width."""
        self._show()

    def _show(self) -> None:
        width = self.app.size.width - 4
        if width >= WIDE:
            half = width // 2
            left = self._lines(self._keys, KEY)
            right = self._lines(self._commands, VERB)
            lines = beside(left, right, half)
        else:
            keys, commands = self._lines(self._keys, KEY), self._lines(self._commands, VERB)
            lines = [*keys, *([[]] if keys and commands else []), *commands]
        self._list.show_lines(lines)
        self._tell()

    def _lines(self, sections: Sequence[Section], first: int) -> list[Line]:
        lines: list[Line] = []
        longest = (cell_len(row[0]) for section in sections for row in section.rows)
        first = max(first, *longest, 0)
        for section in sections:
            rows = [row for row in section.rows if self._wanted in " ".join(row).lower()]
            if not rows:
                continue
            lines += [[]] if lines else []
            lines.append([(section.title, "dim")])
            lines += [_line(row, first) for row in rows]
        return lines

    def on_line_list_moved(self) -> None:
        """Say how much is below."""
        self._tell()

    def _tell(self) -> None:
        below = self._list.below
        right: list[Part] = [(f"{below} more below " if below else "", "accent")]
        found: list[Part] = [(f"   /{self._wanted}", "accent")] if self._wanted else []
        self._head.show([(" help", "bold"), *found], right)
        self._foot.show(hint_parts(HINTS, self.app.size.width))

    def action_find(self) -> None:
        """Let the person type a word."""
        self.query_one(AskLine).ask("find", "/", self._wanted)

    @on(AskLine.Answered)
    def _answered(self, event: AskLine.Answered) -> None:
        self._list.focus()
        if event.text is not None:
            self._find(event.text)

    def _find(self, wanted: str) -> None:
        self._wanted = wanted.lower()
        self._list.go(0)
        self._show()

    def action_back(self) -> None:
        """Show all again, or leave."""
        if self._wanted:
            self._find("")
        else:
            self.dismiss(None)

    def action_command(self) -> None:
        """Type a command after what was read."""
        self.app.action_command()

    def action_leave(self) -> None:
        """Go back to where one was."""
        self.dismiss(None)


def _line(row: tuple[str, str, str], first: int) -> Line:
    name, words, command = row
    shown: Line = [(f"  {name:<{first}}  ", "accent"), (words, "")]
    if command:
        shown.append((" " * max(2, WORDS - cell_len(words)) + command, "dim"))
    return shown


def beside(left: Sequence[Line], right: Sequence[Line], width: int) -> list[Line]:
    """Return the lines of two columns as lines; the left one is `width` cells wide."""
    lines: list[Line] = []
    for number in range(max(len(left), len(right))):
        one = left[number] if number < len(left) else []
        other = right[number] if number < len(right) else []
        used, fitted = 0, list[tuple[str, str]]()
        for text, tone in one:
            room = width - 2 - used
            fitted.append((text if cell_len(text) <= room else set_cell_size(text, room), tone))
            used += min(cell_len(text), room)
        lines.append([*fitted, (" " * (width - used), ""), *other])
    return lines
