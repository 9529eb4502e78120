"""The command bar: one line with history, ghost, completion and live colours.

prompt_toolkit's completer, history and suggestions work here without its screen; they are
imported in a thread after the first paint.
"""

from __future__ import annotations

from contextlib import suppress

from textual import on, work
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from core.commands.lines import last_part
from core.commands.read_only import PROGRAMS
from core.errors import Error
from tui.bar.completion_popup import CompletionPopup
from tui.bar.line import BarInput
from tui.bar.line_words import meaning, own_part
from tui.bar.past_lines import PastLines, open_history
from tui.own_words import completions
from tui.theme import glyphs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from prompt_toolkit.completion import Completion
    from prompt_toolkit.history import History
    from textual.app import ComposeResult

    from core.commands.complete import Facts, LimpetCompleter
    from core.engine import Engine
    from tui.app import LimpetApp
    from tui.bar.script import Script

PLACEHOLDERS = {
    "filter": "a word, !not, -s state, -l label, -f letters",
    "history": "a part of a line, or letters of it",
}
HOST_WORDS = "runs on this host: !COMMAND, ! for a shell, … | PROGRAM reads the answer"
NO_TERMINAL = "a browser has no terminal for this"
SCRIPT_WORDS = "ctrl-j or f5 runs all lines   esc keeps them   f4 in $EDITOR   # a remark"
HISTORY_WORDS = "enter takes the line   ctrl-r, up, down another   esc back to what was typed"


class CommandBar(Horizontal):
    """Reads one command line, or a filter for the table."""

    app: LimpetApp

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
        self.popup = popup
        popup.turned = self._recolour
        self._completer: LimpetCompleter | None = None
        self.past = PastLines()
        self._mode = ""
        """`filter`: a filter is read; `history`: a line of the past is looked for."""
        self._offered = ""
        """The line up to the cursor that the popup's completions were found for."""
        self.known: Mapping[str, Container[str]] = {}
        self.script: Script | None = None
        """Several lines, while they are edited."""
        self._kept = ""
        """Lines that were left without being run."""

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
        if "\n" in text:
            self.call_later(self.grow, text)
            return
        self._shrink()
        self._set_mode("")
        self.line.value = text + after
        self.line.cursor_position = len(text)
        self.line.take_keys()

    def open_filter(self, wanted: str) -> None:
        """Read a filter, which takes effect while it is typed."""
        self._shrink()
        self._set_mode("filter")
        self.line.value = wanted
        self.line.cursor_position = len(wanted)
        self.line.take_keys()

    @property
    def has_keys(self) -> bool:
        """Whether what is typed goes here."""
        return self.line.has_focus or (self.script is not None and self.script.has_focus)

    @property
    def in_use(self) -> bool:
        """Whether a person is typing here, from whom nothing may take the keys."""
        return self.has_keys and bool(self.line.value or self.script)

    def may_start_editor(self) -> bool:
        """Tell whether $EDITOR may be started, and the person why not."""
        no = PROGRAMS if self.app.read_only else NO_TERMINAL if self.app.is_web else ""
        if no:
            self.post_message(self.Hinted(no))
        return not no

    async def grow(self, text: str = "") -> None:
        """Edit several lines, from this text on, or from the lines that were left."""
        from tui.bar.script import Script

        if not self.is_attached:
            return  # the app was left meanwhile
        self.popup.close()
        self._set_mode("")
        with self.prevent(Input.Changed):
            self.line.value = ""
        self._shrink()
        script = self.script = Script(self)
        script.text = text or self._kept
        self.line.display = False
        await self.mount(script)
        if self.script is not script:
            return  # escape was pressed meanwhile
        script.move_cursor(script.document.end)
        self.screen.set_focus(script)
        self._fit()

    def _shrink(self) -> None:
        if self.script is not None:
            self.popup.close()
            self.script.remove()
            self.script, self.line.display = None, True
            self._fit()
            self.post_message(self.Hinted(""))

    def _fit(self) -> None:
        lines = self.script.fit() if self.script else 1
        self.styles.height = lines
        self.popup.styles.margin = (0, 0, lines + 1, 0)

    # Named after the messages, whose classes are loaded with the first script.

    def on_text_area_changed(self) -> None:
        """Be as high as the lines, and tell what the one at hand means."""
        if self.script is None:
            return
        self._fit()
        line = last_part(self.script.before)
        self.post_message(self.Hinted(meaning(line, self.aliases) or SCRIPT_WORDS))
        if self._completer and line and own_part(line) == line:
            self._complete(self.script.before, len(self.script.before))
        else:
            self.popup.close()

    def on_script_ran(self, event: Script.Ran) -> None:
        """Carry the lines out."""
        self._kept = ""
        self.open()
        if event.text.strip():
            self.past.remember(event.text.strip())
            self.post_message(self.Submitted(event.text))

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
    def load(self, facts: Facts) -> None:
        """Import what completes and read the history."""
        import prompt_toolkit.auto_suggest  # noqa: F401 - so that no key waits for it

        from core.commands import load_all
        from core.commands.complete import LimpetCompleter

        load_all()
        self._completer = LimpetCompleter(self._engine, facts)
        self.app.call_from_thread(self._loaded, open_history())

    @work
    async def _loaded(self, history: History) -> None:
        await self.past.take(history)
        if self.script is not None:
            self.on_text_area_changed()
        elif self.line.value and self.line.has_focus and not self._mode:
            self._complete(self.line.value, self.line.cursor_position)

    # Typing

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.script is not None:
            return  # told late: the line has become several meanwhile
        if self.filtering:
            self.post_message(self.Filtered(event.value, done=False))
            return
        if self._mode == "history":
            self._offer_history()
            return
        if not event.value.strip() or not self.line.has_focus:
            self.popup.close()
            self.post_message(self.Hinted(""))
            return
        before = event.value[: self.line.cursor_position]
        last = last_part(before)
        if own_part(last) != last:
            self.popup.close()
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
        known = self.known
        with suppress(Error, OSError):  # running the line will say why
            known = completer.names.known()
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._offer, value, cursor, found, known)

    def _offer(
        self, value: str, cursor: int, found: list[Completion], known: Mapping[str, Container[str]]
    ) -> None:
        if known != self.known:
            self.known = known
            self._recolour()
        if self.script is not None:
            if self.script.before == value:
                self._offered = value
                self.popup.offer(found, self.script.region.x)
            return
        line = self.line
        if line.value != value or not line.has_focus or self._mode:
            return
        word_start = line.cursor_position
        if found:
            word_start += found[0].start_position
        self._offered = value[:cursor]
        self.popup.offer(found, line.region.x + word_start)

    def _recolour(self) -> None:
        """Paint anew: what was wrong is not yet, or no longer."""
        if self.script is not None:
            self.script.recolour()
        else:
            self.line.refresh()

    @property
    def offers(self) -> bool:
        """Whether the word at hand can still become something."""
        return bool(self.popup.items)

    def accept(self) -> bool:
        """Take the picked completion, or the first; return whether there was one."""
        if self._mode == "history":
            if past := self.popup.picked or self.popup.first:
                self.popup.close()  # what is picked in it is for the next enter no more
                self.open(past.text)
            return past is not None
        line = self.line
        at = line.cursor_position
        before = line.value[:at] if self.script is None else self.script.before
        chosen, back = self._at_hand(before)
        self.popup.close()
        if chosen is None:
            return False
        blank = "" if chosen.text.endswith(("/", "=", ":")) else " "
        if self.script is not None:
            self.script.take(chosen.text + blank, back)
            return True
        after = line.value[at:]
        before = before[: at - back] + chosen.text + ("" if after else blank)
        line.value = before + after
        line.cursor_position = len(before)
        return True

    def _at_hand(self, before: str) -> tuple[Completion | None, int]:
        """Return what to take, and how many letters in front of the cursor it stands for.

        `before` may be longer or shorter than what the completions were found for: they come
        later than the keys. Without a pick only one that goes on from what stands there is taken.
        """
        offered, picked = self._offered, self.popup.picked
        for item in self.popup.items if picked is None else (picked,):
            start = len(offered) + item.start_position
            word = before[start:]
            if before == offered:
                return item, len(word)
            same = before[:start] == offered[:start] and " " not in word
            if same and (picked is not None or item.text.startswith(word)):
                return item, len(word)
        return None, 0

    def enter(self) -> None:
        """Take what is chosen, or what was typed, and leave the line empty for what comes next."""
        if self.filtering:
            self.post_message(self.Filtered(self.line.value, done=True))
            self.close()
            return
        if self._mode == "history":
            if not self.accept():
                self.open(self.line.value)
            return
        if self.popup.picked is not None:
            self.accept()
            return
        line = self.line.value.strip()
        self.popup.close()
        self.line.value = ""
        if line:
            self.past.remember(line)
            self.post_message(self.Submitted(line))

    def walk(self, by: int) -> None:
        """Pick in the popup when it is open and in use, else go through the history."""
        if self.popup.items and (by > 0 or self.popup.picked is not None):
            self.popup.pick(by)
            return
        line = None if self._mode else self.past.walk(by, self.line.value)
        if line is None:
            return
        if "\n" in line:
            self.call_later(self.grow, line)
            return
        with self.prevent(Input.Changed):
            self.line.value = line
        self.line.cursor_position = len(line)
        self.popup.close()

    def find_history(self) -> None:
        """Look for a line of the past; once more: go on to the next that fits."""
        if self.past.history is None or self.filtering:
            return
        if self._mode == "history":
            self.popup.pick(1)
            return
        self.past.draft = self.line.value
        self._set_mode("history")
        self._offer_history()

    def _offer_history(self) -> None:
        from prompt_toolkit.completion import Completion

        found = self.past.like(self.line.value)
        shown = [Completion(line, display="; ".join(line.splitlines())) for line in found]
        self.popup.offer(shown, 0)
        self.post_message(self.Hinted(HISTORY_WORDS if found else "no such line in the history"))

    def leave(self) -> None:
        """Go back to where one was: the line, or the table."""
        if self._mode == "history":
            self.open(self.past.draft)
            return
        if self.popup.picked is not None:
            self.popup.close()
            return
        if self.script is not None:
            self._kept = self.script.text
            self._shrink()
        if self.filtering:
            self.post_message(self.Filtered("", done=True))
        self.close()

    def close(self) -> None:
        """Empty the bar and give the keys back."""
        self.popup.close()
        self._set_mode("")
        self.line.leave()
        self.post_message(self.Hinted(""))
        self.post_message(self.Left())

    def page(self, by: int) -> None:
        """Scroll the session while the bar keeps the keys."""
        self.post_message(self.Paged(by))

    def interrupt(self) -> None:
        """End what goes on: there is nothing in the line to be emptied."""
        self.post_message(self.Interrupted())
