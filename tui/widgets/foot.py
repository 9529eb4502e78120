"""The last line of a screen: which keys are at hand, until something is said about the last one."""

from __future__ import annotations

from tui.widgets.status import StatusLine, screen_hints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Foot(StatusLine):
    """Shows hints; the screen has it `forget` what was said when the next key comes."""

    DEFAULT_CSS = "Foot { height: 1; dock: bottom; }"

    def __init__(self) -> None:
        super().__init__(id="foot")
        self._hints: Sequence[tuple[str, str]] = ()
        self._said = ""
        self._beside = ""

    def offer(self, hints: Sequence[tuple[str, str]], *, beside: str = "") -> None:
        """Show these keys and words; `beside` what is said instead stands how far that is."""
        self._hints, self._beside = hints, beside
        self._tell()

    def say(self, words: str) -> None:
        """Tell what a key did."""
        self._said = words
        self._tell()

    def forget(self) -> None:
        """Show the keys again."""
        if self._said:
            self.say("")

    def on_resize(self) -> None:
        """Show as many keys as there is room for."""
        self._tell()

    def _tell(self) -> None:
        if not self.is_attached:
            return
        if self._said:
            self.show([(f" {self._said}", "accent"), (f"  {self._beside}", "dim")])
        else:
            self.show(screen_hints(self._hints, self.app.size.width))
