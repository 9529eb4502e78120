"""Keys are command lines: which key runs which, and what a person has changed.

A command may hold places: `{name}` is the row under the cursor, `{names}` the marked rows
or that one.  A command that ends in `…` is put into the command bar to be finished; one
that starts with `@` is an action of the app itself.
"""

from __future__ import annotations

from core.record import Record
from tui.places import CONTAINERS, IMAGES, REGISTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FILL = "…"
ACTION = "@"


class Key(Record):
    """One key; an empty `place` means everywhere on the dashboard."""

    place: str
    key: str
    command: str
    help: str
    states: tuple[str, ...] = ()
    """Only for a row in one of these states; the first key that fits is taken."""
    hint: bool = True
    """Whether the line of hints offers it."""


RUNNING = ("running", "stopping", "restarting")

DEFAULT: tuple[Key, ...] = (
    Key(CONTAINERS, "enter", "@detail", "details"),
    Key(CONTAINERS, "l", "@logs", "logs"),
    Key(CONTAINERS, "e", "exec -it {name} sh", "exec"),
    Key(CONTAINERS, "a", "attach {name}", "attach"),
    Key(CONTAINERS, "s", "stop {names}", "stop", (*RUNNING, "paused")),
    Key(CONTAINERS, "s", "start {names}", "start"),
    Key(CONTAINERS, "r", "restart {names}", "restart"),
    Key(CONTAINERS, "d", "rm {names}", "rm"),
    Key(CONTAINERS, "x", "kill {names}", "kill"),
    Key(CONTAINERS, "P", "unpause {names}", "unpause", ("paused",), hint=False),
    Key(CONTAINERS, "P", "pause {names}", "pause", hint=False),
    Key(CONTAINERS, "i", "inspect {names}", "inspect", hint=False),
    Key(IMAGES, "enter", "@layers", "layers"),
    Key(IMAGES, "R", "run -it --rm {name} …", "run"),
    Key(IMAGES, "v", "@layers", "layers", hint=False),
    Key(IMAGES, "H", "history {name}", "history"),
    Key(IMAGES, "i", "@detail", "details"),
    Key(IMAGES, "t", "tag {name} …", "tag"),
    Key(IMAGES, "C", "@compare", "compare two", hint=False),
    Key(IMAGES, "d", "rmi {names}", "rmi"),
    Key(REGISTRIES, "enter", "registry catalog {name}", "repositories"),
    Key(REGISTRIES, "L", "login {name} -u …", "login"),
    Key(REGISTRIES, "o", "logout {name}", "logout"),
    Key(REGISTRIES, "p", "pull {name}/…", "pull"),
    Key("", "p", "pull …", "pull"),
    Key("", "S", "@starter", "starter image", hint=False),
    Key("", "space", "@mark", "mark"),
    Key("", "slash", "@filter", "filter"),
    Key("", "colon", "@bar", "command"),
    Key("", "q", "@leave", "quit"),
    Key("", "question_mark", "@help", "help"),
    Key("", "ctrl+@", "@bar", "command", hint=False),
    Key("", "1", "@place(0)", "containers", hint=False),
    Key("", "2", "@place(1)", "images", hint=False),
    Key("", "3", "@place(2)", "registries", hint=False),
    Key("", "4", "@listing('networks')", "networks", hint=False),
    Key("", "5", "@listing('volumes')", "volumes", hint=False),
    Key("", "6", "@listing('disk')", "disk", hint=False),
    Key("", "7", "@listing('doctor')", "doctor", hint=False),
    Key("", "f1", "@tour", "a tour", hint=False),
    Key("", "tab", "@next(1)", "next pane", hint=False),
    Key("", "shift+tab", "@next(-1)", "pane before", hint=False),
    Key("", "escape", "@back", "clear the filter and the marks", hint=False),
    Key("", "f", "@states", "only running, only ended, all", hint=False),
    Key("", "y", "@copy", "copy names", hint=False),
    Key("", "Y", "@copy_rows", "copy rows", hint=False),
    Key("", "exclamation_mark", "!…", "run a program of the host", hint=False),
    Key("", "plus", "@zoom", "zoom the pane", hint=False),
    Key("", "F", "@freeze", "freeze the tables", hint=False),
    Key("", "backslash", "@pane", "hide or show the session", hint=False),
    Key("", "J", "@jobs", "jobs", hint=False),
    Key("", "ctrl+l", "@redraw", "redraw", hint=False),
)

MOVING = frozenset((
    "j", "k", "g", "G", "up", "down", "home", "end", "pageup", "pagedown", "ctrl+f", "ctrl+b",
    "asterisk", "less_than_sign", "greater_than_sign", "O",
))  # fmt: skip
"""Keys that tables keep for themselves."""
SIGNS = {
    "slash": "/", "colon": ":", "question_mark": "?", "exclamation_mark": "!", "plus": "+",
    "backslash": "\\", "ctrl+@": "ctrl+space", "escape": "esc", "pagedown": "pgdn",
    "pageup": "pgup",
}  # fmt: skip


def moves_keys(key: Key) -> bool:
    """Return whether what is typed behind the key belongs to somebody else: bar or table."""
    moving = (f"{ACTION}bar", f"{ACTION}filter", f"{ACTION}place")
    return key.command.endswith(FILL) or key.command.startswith(moving)


class Keymap:
    """The keys in force."""

    def __init__(
        self, changed: Mapping[str, str] | None = None, aliases: Iterable[str] = ()
    ) -> None:
        """Take the defaults and what `[keys]` changes: `l`, or `images.l` for one place."""
        self.keys = list(DEFAULT)
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

    def hints(self, place: str, state: str) -> list[tuple[str, str]]:
        """Return key signs and words for the line of hints, most useful first."""
        shown: dict[str, tuple[str, str]] = {}
        for key in self.keys:
            fits = not key.states or state in key.states
            if key.hint and fits and key.place in (place, "") and key.key not in shown:
                shown[key.key] = (sign(key.key), key.help)
        return list(shown.values())


def sign(key: str) -> str:
    """Return how a key is written for people."""
    return SIGNS.get(key, key)


def fill(command: str, name: str, names: Sequence[str]) -> str:
    """Put names into the places of a command; each is quoted where it must be."""
    from core.commands.scan import quote

    return command.replace("{names}", " ".join(map(quote, names))).replace("{name}", quote(name))
