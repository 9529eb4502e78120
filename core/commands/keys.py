"""The app's keys: each is a command line, so that a key and its command teach each other.

A command may hold places: `{name}` is the row under the cursor, `{names}` the marked rows
or that one.  A command with a `…` is put into the command bar to be finished there; one
that starts with `@` is an action of the app itself.
"""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.commands.grammar import Verb

CONTAINERS, IMAGES, REGISTRIES = "containers", "images", "registries"
TABLES = (CONTAINERS, IMAGES, REGISTRIES)
"""The tables of the dashboard; every other place is a screen's."""
FILL = "…"
ACTION = "@"
PANE = "pane "
"""Before a command whose terminal is to be beside the tables."""
GO = "go "
"""Before a command whose answer is to be a screen of its own."""


class Key(Record):
    """One key; an empty `place` means everywhere on the dashboard."""

    place: str
    key: str
    command: str
    help: str
    states: tuple[str, ...] = ()
    """Only for a row in one of these states; the first key that fits is taken."""
    offered: tuple[str, ...] = ()
    """Only in these states it is offered; in others the command says why it cannot be."""
    hint: bool = True
    """Whether the line of hints offers it."""

    def fits(self, state: str) -> bool:
        """Tell whether the key means something for a row in this state."""
        return not self.states or state in self.states

    def is_offered(self, state: str) -> bool:
        """Tell whether the command can be done in this state, if that is known."""
        return self.fits(state) and (not self.offered or not state or state in self.offered)


RUNNING = ("running", "restarting", "crash-looping")
ALIVE = (*RUNNING, "paused")

DEFAULT: tuple[Key, ...] = (
    Key(CONTAINERS, "enter", "@detail", "details"),
    Key(CONTAINERS, "l", "@logs", "logs"),
    Key(CONTAINERS, "v", "@layers", "layers, what it wrote", hint=False),
    Key(CONTAINERS, "C", "@compare", "compare two", hint=False),
    Key(CONTAINERS, "e", "exec -it {name} sh", "exec", offered=ALIVE),
    Key(
        CONTAINERS, "t", "pane exec -it {name} sh", "terminal in a pane", offered=ALIVE, hint=False
    ),
    Key(CONTAINERS, "a", "attach {name}", "attach", offered=ALIVE),
    Key(CONTAINERS, "s", "stop {names}", "stop", ALIVE),
    Key(CONTAINERS, "s", "start {names}", "start"),
    Key(CONTAINERS, "r", "restart {names}", "restart"),
    Key(CONTAINERS, "d", "rm {names}", "rm"),
    Key(CONTAINERS, "x", "kill {names}", "kill", offered=ALIVE),
    Key(CONTAINERS, "P", "unpause {names}", "unpause", ("paused",), hint=False),
    Key(CONTAINERS, "P", "pause {names}", "pause", offered=("running",), hint=False),
    Key(CONTAINERS, "U", "container upgrade {names}", "upgrade its image", hint=False),
    Key(CONTAINERS, "i", "inspect {names}", "inspect", hint=False),
    Key(CONTAINERS, "c", "cp {name}:… .", "copy files", hint=False),
    Key(CONTAINERS, "E", "edit {name} …", "edit", hint=False),
    Key(IMAGES, "enter", "@layers", "layers"),
    Key(IMAGES, "R", "run -it --rm {name} …", "run"),
    Key(IMAGES, "v", "@layers", "layers", hint=False),
    Key(IMAGES, "H", "history {name}", "history"),
    Key(IMAGES, "i", "@detail", "details"),
    Key(IMAGES, "t", "tag {name} …", "tag"),
    Key(IMAGES, "C", "@compare", "compare two", hint=False),
    Key(IMAGES, "P", "push {name}", "push", hint=False),
    Key(IMAGES, "U", "updates", "look for newer images", hint=False),
    Key(IMAGES, "d", "rmi {names}", "rmi"),
    Key(REGISTRIES, "enter", "go registries {name}", "browse"),
    Key(REGISTRIES, "r", "registry ls --probe", "ask all"),
    Key(REGISTRIES, "L", "login {name} -u …", "login"),
    Key(REGISTRIES, "o", "logout {name}", "logout"),
    Key(REGISTRIES, "p", "pull {name}/…", "pull"),
    Key("repositories", "enter", "go registries {name}", "tags"),
    Key("repositories", "p", "pull {name}", "pull"),
    Key("tags", "enter", "go registries {name}", "details"),
    Key("tags", "v", "go registries {name} layers", "layers"),
    Key("tags", "p", "pull {name}", "pull"),
    Key("tags", "d", "registry rm {name}", "delete there"),
    Key("networks", "enter", "go network inspect {name}", "details"),
    Key("networks", "i", "network inspect {names}", "inspect"),
    Key("networks", "n", "network create …", "new"),
    Key("networks", "d", "network rm {names}", "rm"),
    Key("networks", "P", "network prune", "prune"),
    Key("volumes", "enter", "go volume inspect {name}", "details"),
    Key("volumes", "i", "volume inspect {names}", "inspect"),
    Key("volumes", "n", "volume create …", "new"),
    Key("volumes", "d", "volume rm {names}", "rm"),
    Key("volumes", "P", "volume prune", "prune"),
    Key("disk", "P", "system prune", "clean up"),
    Key("disk", "I", "image prune", "images"),
    Key("disk", "V", "volume prune", "volumes"),
    Key("disk", "C", "build prune", "build cache"),
    Key("disk", "t", "go trash", "trash"),
    Key("disk", "e", "trash empty", "empty trash"),
    Key("trash", "u", "undo {name}", "bring back"),
    Key("trash", "e", "trash empty", "empty"),
    Key("cache", "P", "build prune", "prune"),
    Key("sync", "p", "go sync plan {names}", "plan"),
    Key("sync", "s", "sync {names}", "run"),
    Key("sync", "w", "sync --watch 10m {names}", "watch"),
    Key("updates", "U", "container upgrade {names}", "pull, make anew"),
    Key("updates", "u", "container edit --undo {name}", "back"),
    Key("updates", "a", "go image updates", "images, too"),
    Key("jobs", "enter", "go job {name}", "details"),
    Key("jobs", "c", "cancel {names}", "cancel"),
    Key("", "p", "pull …", "pull"),
    Key("", "B", "build -t … .", "build", hint=False),
    Key("", "u", "undo", "undo the last removal", hint=False),
    Key("", "m", "@menu", "all actions"),
    Key("", "S", "@starter", "starter image", hint=False),
    Key("", "space", "@mark", "mark"),
    Key("", "slash", "@filter", "filter"),
    Key("", "colon", "@bar", "command"),
    Key("", "q", "@leave", "quit"),
    Key("", "M", "@commands", "all commands"),
    Key("", "question_mark", "@help", "help"),
    Key("", "ctrl+@", "@bar", "command", hint=False),
    Key("", "1", "@place(0)", "containers", hint=False),
    Key("", "2", "@place(1)", "images", hint=False),
    Key("", "3", "@place(2)", "registries", hint=False),
    Key("", "4", "@listing('networks')", "networks", hint=False),
    Key("", "5", "@listing('volumes')", "volumes", hint=False),
    Key("", "6", "@listing('disk')", "disk", hint=False),
    Key("", "7", "@listing('doctor')", "doctor", hint=False),
    Key("", "8", "@listing('sync')", "sync rules", hint=False),
    Key("", "9", "@listing('updates')", "newer images", hint=False),
    Key("", "0", "@listing('events')", "events", hint=False),
    Key("", "comma", "@columns", "choose columns", hint=False),
    Key("", "b", "@group", "group by label, image, state", hint=False),
    Key("", "f1", "@tour", "a tour", hint=False),
    Key("", "alt+left", "@travel(-1)", "the screen before", hint=False),
    Key("", "alt+right", "@travel(1)", "the screen after", hint=False),
    Key("", "alt+m", "@bookmark", "keep a bookmark here, or drop it", hint=False),
    Key("", "apostrophe", "@bookmarks", "go to a bookmark", hint=False),
    Key("", "tab", "@next(1)", "next pane", hint=False),
    Key("", "shift+tab", "@next(-1)", "pane before", hint=False),
    Key("", "ctrl+right_square_bracket", "@terminal", "to the terminal and back", hint=False),
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
    Key("", "ctrl+z", "@to_shell", "to the shell, fg comes back", hint=False),
)
PLACES = tuple(dict.fromkeys(key.place for key in DEFAULT if key.place))
"""Where keys may work otherwise than elsewhere."""
SIGNS = {
    "slash": "/", "comma": ",", "colon": ":", "question_mark": "?", "exclamation_mark": "!",
    "plus": "+", "backslash": "\\", "ctrl+@": "ctrl+space", "escape": "esc", "pagedown": "pgdn",
    "pageup": "pgup", "left_square_bracket": "[", "right_square_bracket": "]",
    "ctrl+right_square_bracket": "ctrl+]",
    "less_than_sign": "<", "greater_than_sign": ">", "ampersand": "&", "asterisk": "*",
    "minus": "-", "alt+less_than_sign": "alt+<",
    "alt+greater_than_sign": "alt+>", "apostrophe": "'", "vertical_line": "|", "at": "@",
    "underscore": "_",
}  # fmt: skip


def sign(key: str) -> str:
    """Return how a key is written for people."""
    return SIGNS.get(key, key)


def verb_of(command: str, verbs: Mapping[str, Verb]) -> Verb | None:
    """Return the verb that a key's command begins with; `verbs` is by name and alias."""
    words = command.removeprefix(PANE).removeprefix(GO).split()
    return verbs.get(" ".join(words[:2])) or verbs.get(words[0] if words else "")


SHOWS = {
    "@logs": "logs", "@detail": "inspect", "@layers": "image browse", "@compare": "image diff",
    "@starter": "image starter", "@place(0)": "container ls", "@place(1)": "image ls",
    "@place(2)": "registry ls", "go trash": "trash ls",
    "@listing('networks')": "network ls",
    "@listing('volumes')": "volume ls", "@listing('disk')": "system df",
    "@listing('doctor')": "doctor", "@listing('sync')": "sync ls",
    "@listing('updates')": "container updates", "@listing('events')": "events",
}  # fmt: skip
"""Actions whose screen shows what a command answers."""


def changes(command: str, verbs: Mapping[str, Verb]) -> bool:
    """Tell whether a limpet that only reads would refuse a key's command."""
    verb = verb_of(SHOWS.get(command, command), verbs)
    return command.startswith("!") or (verb is not None and verb.changes)


APP_WORDS = {
    "go": "to a screen by its name: go containers web logs; go COMMAND shows its answer live",
    "containers": "containers on their table: containers web logs, layers, env … opens a screen",
    "registries": "registries on their table: registries HOST/NAME opens a screen",
    "compare": "two images or containers on a screen: compare app:1 app:2",
    "back": "to the screen that was shown before",
    "forward": "to the screen after it",
    "jobs": "what goes on and how it ended, on a screen",
    "networks": "networks on a screen",
    "volumes": "volumes on a screen",
    "disk": "what takes up space, on a screen",
    "pane": "a container's terminal beside the tables: pane exec -it web sh",
    "cancel": "end a job by its number",
    "theme": "choose the colours",
    "tour": "a short tour of limpet",
    "clear": "empty the session",
    "help": "every key and every command; help COMMAND: all about one",
    "quit": "leave limpet",
}
"""What can be typed in the app beside the commands, and what it does."""
SOURCES = {
    CONTAINERS: ("container", "running", "unpaused", "paused", "stopped"),
    IMAGES: ("image", "remote-image"),
    REGISTRIES: ("registry",),
    "networks": ("network",),
    "volumes": ("volume",),
}
"""Which completions are names of the things in a table; its menu has all that takes one."""


def has_state(source: str, state: str) -> bool:
    """Tell whether a completion has the names of containers in a state."""
    if source in ("running", "stopped"):
        return (state in ALIVE) is (source == "running")
    return {"unpaused": "running", "paused": "paused"}.get(source, state) == state


def keys_of(verb: Verb, keys: Iterable[Key], verbs: Mapping[str, Verb]) -> list[str]:
    """Return which keys run a verb or show its answer, each with where: `s on containers`.

    Of a verb without a key of its own: those of the menus that it is in, or of the one that
    has all.
    """
    keys = list(keys)
    found = [
        f"{sign(key.key)} on {key.place}" if key.place else sign(key.key)
        for key in keys
        if verb_of(SHOWS.get(key.command, key.command), verbs) is verb
    ]
    if not found:
        takes = {arg.complete for arg in verb.args.declared if not arg.flags}
        menu = next((sign(key.key) for key in keys if key.command == "@menu"), "")
        places = [place for place, names in SOURCES.items() if takes & set(names)]
        found = [f"{menu} on {place}" for place in places if menu]
    if not found:
        found = [sign(key.key) for key in keys if key.command == "@commands"]
    return list(dict.fromkeys(found))
