"""The keys in force: the app's own, and what a person has changed."""

from __future__ import annotations

from core.commands.key_changes import in_force, problems
from core.commands.keys import ACTION, FILL, Key, changes, sign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def moves_keys(key: Key) -> bool:
    """Return whether what is typed behind the key belongs to somebody else: bar or table."""
    moving = (f"{ACTION}bar", f"{ACTION}filter", f"{ACTION}place")
    return key.command.endswith(FILL) or key.command.startswith(moving)


class Keymap:
    """The keys in force."""

    def __init__(
        self,
        changed: Mapping[str, str] | None = None,
        aliases: Iterable[str] = (),
        *,
        read_only: bool = False,
    ) -> None:
        """Take the defaults and what `[keys]` changes: `l`, or `images.l` for one place."""
        self._changed = dict(changed or {})
        self._aliases = tuple(aliases)
        self.keys = in_force(self._changed, self._aliases)
        self._read_only = read_only

    def problems(self) -> list[str]:
        """Return what is wrong with the keys that a person has set."""
        return problems(self._changed, self._aliases)

    def of(self, place: str) -> list[Key]:
        """Return the first key of each name that is bound in a place (`""`: everywhere)."""
        found: dict[str, Key] = {}
        for key in self.keys:
            if key.place == place:
                found.setdefault(key.key, key)
        return list(found.values())

    def find(self, place: str, name: str, state: str) -> Key | None:
        """Return what a key means in a place, for a row in `state`."""
        for key in self.keys:
            if key.key == name and key.place == place and key.fits(state):
                return key
        return None

    def changes(self, command: str) -> bool:
        """Tell whether a key's command changes something, or starts a program."""
        from core.commands import load_all

        return changes(command, load_all())

    def refuses(self, command: str) -> bool:
        """Tell whether a key's command is refused, as this limpet only reads."""
        return self._read_only and self.changes(command)

    def hints(self, place: str, state: str) -> list[tuple[str, str]]:
        """Return key signs and words for the line of hints, most useful first."""
        shown: dict[str, tuple[str, str]] = {}
        for key in self.keys:
            at_hand = key.hint and key.place in (place, "") and key.is_offered(state)
            if at_hand and key.key not in shown and not self.refuses(key.command):
                shown[key.key] = (sign(key.key), key.help)
        return list(shown.values())


def fill(command: str, name: str, names: Sequence[str]) -> str:
    """Put names into the places of a command; each is quoted where it must be."""
    from core.commands.scan import quote

    return command.replace("{names}", " ".join(map(quote, names))).replace("{name}", quote(name))
