"""Which module declares which verb, so that one command loads one module.

`tests/unit` proves that the table and the declarations agree.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.commands.grammar import Verb
    from core.errors import UsageError

NOUNS: dict[str, dict[str, str]] = {
    "container": {
        "container.container": "start stop restart kill pause unpause rm exec attach wait rename",
        "container.facts": "ls list ps logs inspect port",
        "container.create": "run create",
        "container.commit": "commit export",
        "container.copy": "cp",
        "container.run_words": "command",
        **{f"container.{word}": word for word in ("diff", "edit", "stats", "top", "update")},
        "image.updates": "updates upgrade",
        "system.prune": "prune",
    },
    "image": {
        "image.image": "ls list pull tag untag rm history inspect files starter",
        "image.archive": "save load import",
        "image.browse": "browse",
        "image.build": "build",
        "image.care": "prune fsck",
        "image.compare": "diff check",
        "image.search": "find hints",
        "image.send": "send receive bundle",
        "image.updates": "updates",
        "registry.push": "push",
    },
    "registry": {
        "registry.registry": "ls list tags catalog login logout",
        "registry.remote": "inspect history files referrers rm",
        "registry.serve": "serve gc",
    },
    "system": {
        "system.boot": "boot",
        "system.df": "df",
        "system.events": "events",
        "system.prune": "prune",
        "system.system": "inspect info doctor version config",
    },
}
"""First words whose verbs several modules declare: which declares which second words."""

MODULES: dict[str, tuple[str, ...]] = {
    **{noun: tuple(modules) for noun, modules in NOUNS.items()},
    "network": ("network",),
    "trash": ("system.trash",),
    "volume": ("volume",),
    **dict.fromkeys(("run", "create"), ("container.create",)),
    **dict.fromkeys(("ps", "logs", "port"), ("container.facts",)),
    **dict.fromkeys(
        ("start", "stop", "restart", "kill", "pause", "unpause", "rm", "exec", "attach", "wait",
         "rename"),
        ("container.container",),
    ),
    **dict.fromkeys(("images", "pull", "rmi", "tag", "untag", "history"), ("image.image",)),
    "cp": ("container.copy",),
    **{word: (f"container.{word}",) for word in ("diff", "edit", "stats", "top", "update")},
    "events": ("system.events",),
    "push": ("registry.push",),
    **dict.fromkeys(("build", "builder", "debug"), ("image.build",)),
    **dict.fromkeys(("commit", "export"), ("container.commit",)),
    **dict.fromkeys(("boot", "unit"), ("system.boot",)),
    "undo": ("system.trash",),
    **dict.fromkeys(("save", "load", "import"), ("image.archive",)),
    "search": ("registry.remote",),
    "sync": ("registry.sync",),
    "updates": ("image.updates",),
    **dict.fromkeys(("login", "logout"), ("registry.registry",)),
    **dict.fromkeys(("inspect", "info", "version", "config", "doctor"), ("system.system",)),
}  # fmt: skip
"""First word of a command line to the modules in this package that declare its verbs."""

STARTS: dict[str, str] = {
    **dict.fromkeys(("run", "start", "restart", "edit", "debug", "boot"), "monitor"),
    **dict.fromkeys(("container run", "container start", "container restart", "container edit",
                     "container upgrade", "build debug", "system boot"), "monitor"),
    **dict.fromkeys(("exec", "container exec"), "exec"),
}  # fmt: skip
"""What verbs start in containers: known before they are loaded, the spawner loads meanwhile."""


def starts(words: Sequence[str]) -> str:
    """Return `monitor` or `exec` for a line that starts one, else nothing."""
    return STARTS.get(" ".join(words[:2])) or STARTS.get(words[0], "")


def load(module: str) -> None:
    """Import one module of verbs; they register themselves."""
    __import__(f"core.commands.{module}")


def load_all() -> dict[str, Verb]:
    """Import every module and return all verbs by name and alias."""
    from core.commands.grammar import REGISTRY

    if not _ALL:
        every = {module for modules in MODULES.values() for module in modules}
        for module in sorted(every):
            load(module)
        _ALL.update(every)  # not before: another thread would go through what still grows
    return REGISTRY


_ALL: set[str] = set()
"""Every module, once all are loaded: completion and colours ask with each letter."""


def find(words: Sequence[str]) -> tuple[Verb, Sequence[str]]:
    """Return the verb that the line starts with, and the words after it.

    Raises UsageError with near matches for a word that is none.
    """
    from core.commands.grammar import REGISTRY

    modules = _modules(words) if words else ()
    for module in modules:
        load(module)
    if modules:
        for length in (2, 1):
            found = REGISTRY.get(" ".join(words[:length]))
            if found and len(words) >= length:
                return found, words[length:]
    raise _unknown(words)


def _modules(words: Sequence[str]) -> tuple[str, ...]:
    """Return the modules that declare the line's verb, or might."""
    for module, seconds in NOUNS.get(words[0], {}).items():
        if words[1:] and words[1] in seconds.split():
            return (module,)
    return MODULES.get(words[0], ())


def _unknown(words: Sequence[str]) -> UsageError:
    import difflib

    from core.commands.grammar import REGISTRY
    from core.errors import UsageError

    nouns = {name.split()[0] for name in load_all() if " " in name}
    if words and words[0] in nouns:
        known = sorted(name.split()[1] for name in REGISTRY if name.startswith(words[0] + " "))
        said = " ".join(words[:2])
        near = difflib.get_close_matches(words[1] if len(words) > 1 else "", known, 1)
        hint = f"did you mean {words[0]} {near[0]}?" if near else f"one of: {', '.join(known)}"
        problem = "is no command" if len(words) > 1 else "needs a second word"
        return UsageError(f"{said!r} {problem}", hint=hint)
    near = difflib.get_close_matches(words[0] if words else "", list(MODULES), 1)
    hint = f"did you mean {near[0]}?" if near else "help lists the commands"
    return UsageError(f"{words[0]!r} is no command" if words else "no command", hint=hint)
