"""One line at the foot of a screen in which a person types what to search, keep or save to."""

from __future__ import annotations

from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from tui.tty.near_compositor import PaintsNear
from tui.widgets.kept_focus import KeepsFocus
from tui.widgets.keys_in_order import KeysInOrder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget


class AskLine(Horizontal):
    """Hidden until `ask` is called; then it has the keys until enter or escape."""

    DEFAULT_CSS = """
    AskLine { display: none; dock: bottom; height: 1; background: $surface; }
    AskLine Static { width: auto; color: $accent; }
    AskLine Input, AskLine Input:focus {
        width: 1fr; height: 1; border: none; padding: 0;
        background: $surface; background-tint: $surface 0%;
    }
    """

    class Answered(Message):
        """A person has ended the line; `text` is None when they left it with escape."""

        def __init__(self, question: str, text: str | None) -> None:
            super().__init__()
            self.question = question
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="ask")
        self._question = ""
        self._sign = Static(markup=False)
        self._input = AskInput(self)
        self._asked_from: Widget | None = None

    def compose(self) -> ComposeResult:
        """Place the sign and the line."""
        yield self._sign
        yield self._input

    def ask(self, question: str, sign: str, text: str = "") -> None:
        """Let the person type after `sign`; an `Answered` with `question` follows."""
        self._question = question
        self._sign.update(f" {sign}")
        self._input.value = text
        self._input.cursor_position = len(text)
        self.display = True
        self._asked_from = self.screen.focused
        self.screen.set_focus(self._input)  # now: focus() would let the next keys pass by

    def enter(self) -> None:
        """Pass the line on."""
        self._end(self._input.value)

    def leave(self) -> None:
        """Pass on that there is no answer."""
        self._end(None)

    def _end(self, text: str | None) -> None:
        self.display = False
        self.screen.set_focus(self._asked_from)  # the next keys are for what had them before
        self.post_message(self.Answered(self._question, text))


class AskInput(KeysInOrder, Input):
    """The part that is typed into."""

    BINDINGS = [Binding("escape,ctrl+c", "leave", "Leave it", show=False)]

    def __init__(self, line: AskLine) -> None:
        super().__init__()
        self.cursor_blink = False
        self._line = line

    async def action_submit(self) -> None:
        """Pass the line on."""
        self._line.enter()

    def action_leave(self) -> None:
        """Pass on that there is no answer."""
        self._line.leave()


class AskingScreen(KeepsFocus, PaintsNear, Screen[None], inherit_bindings=False):
    """A screen with an ask line; its actions `find` and `ask` open it.

    Their keys should be bound with priority: what is typed in one go behind them is then for
    the line.  While it is open, they are letters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ask_line = AskLine()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the keys that ask to the line while it is open."""
        if action in ("find", "ask") and self.ask_line.display:
            return False
        return super().check_action(action, parameters)
