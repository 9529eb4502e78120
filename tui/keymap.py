"""The keys in force: the app's own, and what a person has changed."""

from __future__ import annotations

from core.commands.keys import (
    ACTION,
    CONTAINERS,
    DEFAULT,
    FILL,
    IMAGES,
    REGISTRIES,
    SIGNS,
    Key,
    changes,
    sign,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOVING = frozenset((
    "j", "k", "g", "G", "up", "down", "home", "end", "pageup", "pagedown", "ctrl+f", "ctrl+b",
    "ctrl+n", "ctrl+p", "ctrl+v", "alt+v", "alt+less_than_sign", "alt+greater_than_sign",
    "asterisk", "less_than_sign", "greater_than_sign", "O",
))  # fmt: skip
"""Keys that tables keep for themselves."""


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
        self.keys = list(DEFAULT)
        self._read_only = read_only
        self._changed = dict(changed or {})
        self._aliases = tuple(aliases)
        for name, command in (changed or {}).items():
            place, key = self._named(name)
            self.keys = [k for k in self.keys if k.key != key or (place and k.place != place)]
            if command:
                self.keys.insert(0, Key(place, key, command, command.split("{")[0].strip()))

    def problems(self) -> list[str]:
        """Return what is wrong with the keys that a person has set."""
        from core.commands import MODULES
        from tui.own_words import WORDS

        known = {*MODULES, *WORDS, *self._aliases}
        actions = {key.command.partition("(")[0] for key in DEFAULT if key.command[:1] == ACTION}
        found: list[str] = []
        seen: dict[tuple[str, str], str] = {}
        for name, command in self._changed.items():
            place, key = self._named(name)
            if (place, key) in seen:
                found.append(f"{name} and {seen[place, key]} are the same key")
            seen[place, key] = name
            if key in MOVING:
                found.append(f"{name}: {sign(key)} moves in tables and stays what it is")
            word = command.split()[0].lstrip("!") if command.strip("! ") else ""
            if word.startswith(ACTION):
                if word.partition("(")[0] not in actions:
                    found.append(f"{name}: there is no action {word}")
            elif word and not command.startswith("!") and word.rstrip(FILL) not in known:
                found.append(f"{name}: {word} is no command")
        return found

    @staticmethod
    def _named(name: str) -> tuple[str, str]:
        from textual.keys import _character_to_key

        place, dot, key = name.partition(".")
        if not dot or place not in (CONTAINERS, IMAGES, REGISTRIES):
            place, key = "", name
        return place, _character_to_key(key) if len(key) == 1 else key

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
            if key.key == name and key.place == place and (not key.states or state in key.states):
                return key
        return None

    def refuses(self, command: str) -> bool:
        """Tell whether a key's command is refused, as this limpet only reads."""
        from core.commands import load_all

        return self._read_only and changes(command, load_all())

    def hints(self, place: str, state: str) -> list[tuple[str, str]]:
        """Return key signs and words for the line of hints, most useful first."""
        shown: dict[str, tuple[str, str]] = {}
        for key in self.keys:
            fits = not key.states or state in key.states
            if not (key.hint and fits and key.place in (place, "") and key.key not in shown):
                continue
            if not self.refuses(key.command):
                shown[key.key] = (sign(key.key), key.help)
        return list(shown.values())


def named(written: str) -> str:
    """Return Textual's name of a key that is written for people; the opposite of `sign`."""
    from textual.keys import _character_to_key

    names = {shown: name for name, shown in SIGNS.items()}
    return names.get(written) or (_character_to_key(written) if len(written) == 1 else written)


def fill(command: str, name: str, names: Sequence[str]) -> str:
    """Put names into the places of a command; each is quoted where it must be."""
    from core.commands.scan import quote

    return command.replace("{names}", " ".join(map(quote, names))).replace("{name}", quote(name))
