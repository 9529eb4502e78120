"""Lines that are typed into fast, or over a slow link, where keys come in bursts."""

from __future__ import annotations

from textual.events import Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.widget import Widget
else:
    Widget = object  # a second widget among the bases would take the first one's styles away


class KeysInOrder(Widget):
    """Part of a widget that carries out its own keys when their turn comes.

    Textual looks a binding up after the key has gone up to the app and back.  Meanwhile a
    letter that was typed behind it is in the line, at the wrong place, or lost with it.
    """

    @property
    def left(self) -> bool:
        """Whether a key before has given the keys to something else."""
        return self.app.focused is not self

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
