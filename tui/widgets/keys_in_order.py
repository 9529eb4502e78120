"""Lines that are typed into fast, or over a slow link, where keys come in bursts."""

from __future__ import annotations

from textual.events import Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.events import Paste
    from textual.widget import Widget
else:
    Widget = object  # a second widget among the bases would take the first one's styles away

UNTYPED = {**dict.fromkeys((*range(0x20), *range(0x7F, 0xA0))), 9: " ", 10: "\n"}
"""Characters that a line cannot show: a tab parts words as a blank does."""


def typable(text: str) -> str:
    """Return what was pasted without what cannot be typed into a line."""
    return "\n".join(text.splitlines()).translate(UNTYPED)


class KeysInOrder(Widget):
    """Part of a widget that carries out its own keys when their turn comes.

    Textual looks a binding up after the key has gone up to the app and back.  Meanwhile a
    letter that was typed behind it is in the line, at the wrong place, or lost with it.
    """

    @property
    def left(self) -> bool:
        """Whether a key before has given the keys to something else."""
        return self.app.focused is not self

    def on_paste(self, event: Paste) -> None:
        """Take only what a line can show."""
        event.text = typable(event.text)

    async def _on_key(self, event: Key) -> None:
        if self.left:
            event.stop()
            event.prevent_default()
            self.app.post_message(Key(event.key, event.character))
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            event.stop()
            event.prevent_default()
            await self.run_action(binding.action)
            return
