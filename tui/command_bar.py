"""The command bar: one line with history, ghost, completion and live colours.

prompt_toolkit's completer, history and suggestions work here without its screen; they are
imported in a thread after the first paint.
"""

from __future__ import annotations

import os
from contextlib import suppress

from rich.highlighter import Highlighter
from textual import on, work
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from core.commands import MODULES
from core.commands.lines import last_part, parts_of, split_pipe
from core.commands.scan import Span, scan, signature
from core.errors import Error
from tui.bridge import state_directory
from tui.own_words import WORDS, completions
from tui.theme import Tones, glyphs
from tui.widgets.completion_popup import CompletionPopup
from tui.widgets.rows import has_letters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from prompt_toolkit.history import History
    from rich.text import Text
    from textual.app import ComposeResult

    from core.commands.complete import LimpetCompleter
    from core.engine import Engine

TONE_OF = {
    "verb": "good",
    "flag": "primary",
    "value": "",
    "argument": "",
    "rest": "dim",
    "error": "bad",
}


MOST_PAST = 200
PLACEHOLDERS = {
    "filter": "a word, !not, -s state, -l label, -f letters",
    "history": "a part of a line, or letters of it",
}
HOST_WORDS = "runs on this host: !COMMAND, ! for a shell, … | PROGRAM reads the answer"
HISTORY_WORDS = "enter takes the line   ctrl-r, up, down another   esc back to what was typed"


class CommandBar(Horizontal):
    """Reads one command line, or a filter for the table."""

    class Submitted(Message):
        """A line is to be carried out."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    class Filtered(Message):
        """The filter of the table is now this."""

        def __init__(self, wanted: str, *, done: bool) -> None:
            super().__init__()
            self.wanted = wanted
            self.done = done

    class Left(Message):
        """The person goes back to the table."""

    class Interrupted(Message):
        """ctrl-c on an empty line."""

    class Paged(Message):
        """The session is to be scrolled while the bar keeps the keys."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class Hinted(Message):
        """What the line at hand means; empty for nothing."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, engine: Engine, popup: CompletionPopup, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.line = BarInput(self)
        self._engine = engine
        self._popup = popup
        self._completer: LimpetCompleter | None = None
        self._history: History | None = None
        self._place = 0
        self._draft = ""
        self._mode = ""
        """`filter`: a filter is read; `history`: a line of the past is looked for."""
        self.known: dict[str, frozenset[str]] = {}

    def compose(self) -> ComposeResult:
        """Make the prompt and the line."""
        yield Static(f" {glyphs().prompt} ", id="prompt")
        yield self.line

    @property
    def aliases(self) -> Mapping[str, str]:
        """Words of the person's own."""
        return self._engine.config.aliases

    # Opening

    def open(self, text: str = "", after: str = "") -> None:
        """Give the bar the keys, with `text` to be finished and what is to stand behind it."""
        self._set_mode("")
        self.line.value = text + after
        self.line.cursor_position = len(text)
        self.screen.set_focus(self.line)  # now: focus() would let the next keys pass by

    def open_filter(self, wanted: str) -> None:
        """Read a filter, which takes effect while it is typed."""
        self._set_mode("filter")
        self.line.value = wanted
        self.line.cursor_position = len(wanted)
        self.screen.set_focus(self.line)  # now: focus() would let the next keys pass by

    def _set_mode(self, mode: str) -> None:
        self._mode = mode
        sign = {"filter": "/", "history": "?"}.get(mode, glyphs().prompt)
        self.query_one("#prompt", Static).update(f" {sign} ")
        self.line.placeholder = PLACEHOLDERS.get(mode, "")

    @property
    def filtering(self) -> bool:
        """Whether a filter is read instead of a command."""
        return self._mode == "filter"

    @property
    def searching(self) -> bool:
        """Whether what is typed is no command line."""
        return bool(self._mode)

    # After the first paint

    @work(thread=True, group="load", exit_on_error=False)
    def load(self) -> None:
        """Import what completes and read the history."""
        from prompt_toolkit.history import FileHistory, InMemoryHistory

        from core.commands.complete import LimpetCompleter

        path = os.path.join(state_directory(), "history")
        try:
            os.makedirs(state_directory(), 0o700, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            history: History = FileHistory(path)
        except OSError:
            history = InMemoryHistory()
        self._completer = LimpetCompleter(self._engine)
        self.app.call_from_thread(self._loaded, history)

    @work
    async def _loaded(self, history: History) -> None:
        async for _ in history.load():
            pass  # a history is empty until it has been read through
        self._history = history
        self._place = len(history.get_strings())
        if self.line.value and self.line.has_focus and not self._mode:
            self._complete(self.line.value, self.line.cursor_position)

    # Typing

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.filtering:
            self.post_message(self.Filtered(event.value, done=False))
            return
        if self._mode == "history":
            self._offer_history()
            return
        if event.value == ":":  # the key that opens the bar, pressed while it is open
            self.line.value = ""
            return
        if not event.value.strip() or not self.line.has_focus:
            self._popup.close()
            self.post_message(self.Hinted(""))
            return
        before = event.value[: self.line.cursor_position]
        last = last_part(before)
        if own_part(last) != last:
            self._popup.close()
            self.post_message(self.Hinted(HOST_WORDS))
            return
        self.post_message(self.Hinted(meaning(last, self.aliases)))
        if self._completer:
            self._complete(event.value, self.line.cursor_position)

    @work(thread=True, exclusive=True, group="complete", exit_on_error=False)
    def _complete(self, value: str, cursor: int) -> None:
        from prompt_toolkit.completion import CompleteEvent, Completion
        from prompt_toolkit.document import Document
        from textual.worker import get_current_worker

        completer = self._completer
        if completer is None:
            return
        document = Document(value, cursor)
        found = list(completer.get_completions(document, CompleteEvent()))
        line = last_part(value[:cursor])
        typed = line.rpartition(" ")[2]
        found += [
            Completion(word, -len(typed), display_meta=meaning)
            for word, meaning in completions(self._engine, line).items()
        ]
        with suppress(Error, OSError):  # running the line will say why
            self.known = completer.names.known()
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._offer, value, found)

    def _offer(self, value: str, found: list[object]) -> None:
        line = self.line
        if line.value != value or not line.has_focus or self._mode:
            return
        word_start = line.cursor_position
        if found:
            word_start += found[0].start_position  # type: ignore[attr-defined]
        self._popup.offer(found, line.region.x + word_start)  # type: ignore[arg-type]
        line.refresh()

    @property
    def offers(self) -> bool:
        """Whether the word at hand can still become something."""
        return bool(self._popup.items)

    def accept(self) -> bool:
        """Take the picked completion, or the first; return whether there was one."""
        chosen = self._popup.picked or self._popup.first
        if chosen is None:
            return False
        line = self.line
        if self._mode == "history":
            self.open(chosen.text)
            return True
        at = line.cursor_position
        before = line.value[: at + chosen.start_position] + chosen.text
        after = line.value[at:]
        if not after and not before.endswith(("/", "=", ":")):
            before += " "
        self._popup.close()
        line.value = before + after
        line.cursor_position = len(before)
        return True

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.filtering:
            self.post_message(self.Filtered(event.value, done=True))
            self.close()
            return
        if self._mode == "history":
            if not self.accept():
                self.open(event.value)
            return
        if self._popup.picked is not None:
            self.accept()
            return
        line = event.value.strip()
        self._popup.close()
        self.line.value = ""
        if line:
            self.remember(line)
            self.post_message(self.Submitted(line))

    def remember(self, line: str) -> None:
        """Put a line into the history, unless it is the last one there."""
        if self._history is None:
            return
        strings = self._history.get_strings()
        if not strings or strings[-1] != line:
            self._history.append_string(line)
        self._place = len(self._history.get_strings())

    def walk(self, by: int) -> None:
        """Pick in the popup when it is open and in use, else go through the history."""
        if self._popup.items and (by > 0 or self._popup.picked is not None):
            self._popup.pick(by)
            return
        if self._history is None or self._mode:
            return
        lines = [*self._history.get_strings(), self._draft]
        if self._place >= len(lines) - 1:
            self._draft = lines[-1] = self.line.value
        self._place = max(0, min(self._place + by, len(lines) - 1))
        with self.prevent(Input.Changed):
            self.line.value = lines[self._place]
        self.line.cursor_position = len(self.line.value)
        self._popup.close()

    def find_history(self) -> None:
        """Look for a line of the past; once more: go on to the next that fits."""
        if self._history is None or self.filtering:
            return
        if self._mode == "history":
            self._popup.pick(1)
            return
        self._draft = self.line.value
        self._set_mode("history")
        self._offer_history()

    def _offer_history(self) -> None:
        from prompt_toolkit.completion import Completion

        found = past(self._history.get_strings() if self._history else [], self.line.value)
        self._popup.offer([Completion(line) for line in found], 0)
        self.post_message(self.Hinted(HISTORY_WORDS if found else "no such line in the history"))

    def leave(self) -> None:
        """Go back to where one was: the line, or the table."""
        if self._mode == "history":
            self.open(self._draft)
            return
        if self._popup.picked is not None:
            self._popup.close()
            return
        if self.filtering:
            self.post_message(self.Filtered("", done=True))
        self.close()

    def close(self) -> None:
        """Empty the bar and give the keys back."""
        self._popup.close()
        self._set_mode("")
        with self.prevent(Input.Changed):
            self.line.value = ""
        self.post_message(self.Hinted(""))
        self.post_message(self.Left())

    def ghost(self, value: str) -> str | None:
        """Return the newest line of the history that starts with what is typed."""
        if self._history is None or self._mode:
            return None
        from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
        from prompt_toolkit.document import Document

        found = AutoSuggestFromHistory().get_suggestion(_Holder(self._history), Document(value))  # type: ignore[arg-type]
        return value + found.text if found and found.text else None


def past(lines: Sequence[str], wanted: str) -> list[str]:
    """Return lines of the history, newest first and each once, that fit what is typed.

    Those that hold it come before those that only have its letters in their order.
    """
    small = wanted.lower()
    newest = list(dict.fromkeys(reversed(lines)))
    holding = [line for line in newest if small in line.lower()]
    others = [line for line in newest if small not in line.lower()]
    return (holding + [line for line in others if has_letters(line.lower(), small)])[:MOST_PAST]


def spans(line: str, known: dict[str, frozenset[str]], aliases: Container[str]) -> Sequence[Span]:
    """Say what each part of one command line is; own words and aliases are verbs, too."""
    word = line.partition(" ")[0]
    if word in aliases or (word in WORDS and word not in MODULES):
        return [Span(0, len(word), "verb")]
    return scan(line, known)


def meaning(line: str, aliases: Mapping[str, str]) -> str:
    """Return what a line asks for: its verb's signature, what an alias or own word does."""
    word = line.partition(" ")[0]
    if word in aliases:
        return f"= {aliases[word]}"
    return WORDS[word] if word in WORDS and word not in MODULES else signature(line)


def own_part(line: str) -> str:
    """Return what of a line is limpet's own grammar: not `!…`, nor what is behind a `|`."""
    return "" if line.startswith("!") else split_pipe(line)[0]


class _Holder:
    """What AutoSuggestFromHistory needs of a buffer."""

    def __init__(self, history: History) -> None:
        self.history = history


class _Ghost(Suggester):
    """Suggests from the history."""

    def __init__(self, bar: CommandBar) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._bar = bar

    async def get_suggestion(self, value: str) -> str | None:
        return self._bar.ghost(value)


class _Colours(Highlighter):
    """Colours a line by what the grammar says about its words."""

    def __init__(self, bar: CommandBar) -> None:
        self._bar = bar
        self._tones = Tones(bar)

    def highlight(self, text: Text) -> None:
        if self._bar.searching:
            return
        whole = text.plain
        for part in parts_of(whole):
            line = whole[part.start : part.end]
            start = part.start + len(line) - len(line.lstrip())
            for span in spans(own_part(line.lstrip()), self._bar.known, self._bar.aliases):
                end = start + span.end
                kind = span.kind
                if kind == "error" and end == len(whole) and self._bar.offers:
                    kind = "value"  # it is still being typed
                text.stylize(self._tones[TONE_OF[kind]], start + span.start, end)


class BarInput(Input, inherit_bindings=True):
    """The line itself: keys that Textual's Input lacks."""

    BINDINGS = [
        Binding("tab", "complete", "Complete", show=False),
        Binding("up,ctrl+p", "walk(-1)", "Line before", show=False),
        Binding("down,ctrl+n", "walk(1)", "Next line", show=False),
        Binding("pageup", "page(-1)", "Scroll the session up", show=False),
        Binding("pagedown", "page(1)", "Scroll the session down", show=False),
        Binding("ctrl+r", "find_history", "Look for a line of the past", show=False),
        Binding("escape", "leave", "Back to the table", show=False),
        Binding("ctrl+c", "empty", "Empty the line, or leave it", show=False),
    ]

    def __init__(self, bar: CommandBar) -> None:
        super().__init__(
            id="line",
            compact=True,
            select_on_focus=False,
            highlighter=_Colours(bar),
            suggester=_Ghost(bar),
        )
        self.cursor_blink = False
        self._bar = bar

    def action_complete(self) -> None:
        """Take the completion."""
        self._bar.accept()

    def action_walk(self, by: int) -> None:
        """Go through completions or history."""
        self._bar.walk(by)

    def action_find_history(self) -> None:
        """Look for a line of the past."""
        self._bar.find_history()

    def action_page(self, by: int) -> None:
        """Scroll the session."""
        self.post_message(CommandBar.Paged(by))

    def action_leave(self) -> None:
        """Go back to the table."""
        self._bar.leave()

    def action_empty(self) -> None:
        """Empty the line; on an empty one, end what goes on, or leave."""
        if self.value:
            self.value = ""
        else:
            self.post_message(CommandBar.Interrupted())
