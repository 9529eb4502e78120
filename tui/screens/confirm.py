"""Asks before something is done that cannot be taken back, naming all of it."""

from __future__ import annotations

from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widgets import Static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class ConfirmScreen(ModalScreen[bool], inherit_bindings=False):
    """Shows what would happen; answers True for yes."""

    BINDINGS = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q,ctrl+c", "answer(False)", "No"),
    ]

    def __init__(self, title: str, lines: Sequence[str], yes: str, no: str = "keep") -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        """Make the box."""
        from rich.text import Text

        room = max(3, self.app.size.height - 10)
        shown = list(self._lines[:room])
        if len(self._lines) > room:
            shown.append(f"… and {len(self._lines) - room} more")
        text = Text(self._title + "\n\n", style="bold")
        text.append("\n".join(f"  {line}" for line in shown) + "\n\n", style="not bold")
        text.append("y ", style="bold")
        text.append(f"{self._yes}    ", style="not bold")
        text.append("n ", style="bold")
        text.append(self._no, style="not bold")
        yield Static(text, id="question")

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)
