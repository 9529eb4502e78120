"""Help texts, made from the grammar."""

from __future__ import annotations

from cli.render import GAP, out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.commands.grammar import Verb

OPENING = """\
limpet: a container shell for this server. No daemon; containers outlive it.

usage: limpet                    open the app
       limpet COMMAND …          run one command
       limpet shell              a prompt with the same commands; --plain without any drawing
       limpet help COMMAND       what a command does and takes
       limpet serve-web          the app in a browser on this host, behind a token
       limpet completion SHELL   completion for bash, zsh or fish
       limpet man                the manual page: limpet man | man -l -
       limpet --read-only …      refuse what changes things, writes files, starts programs
       limpet --record FILE …    record what is shown as an asciicast
"""

NOUNS = {
    "container": "containers",
    "image": "images",
    "volume": "volumes",
    "network": "networks",
    "registry": "registries",
    "system": "this host",
}
"""How a group of commands is called; other nouns are called as they are."""


def show_help(words: Sequence[str]) -> int:
    """Print the help of one command, of a noun, or of all."""
    from core.commands import find, load_all

    words = [word for word in words if not word.startswith("-")]
    if not words:
        out(overview())
        return 0
    nouns = {name.split()[0] for name in load_all() if " " in name}
    if len(words) == 1 and words[0] in nouns:
        own = load_all().get(words[0])
        if own is not None:  # a verb and a noun at once: build
            from core.commands.help import verb_help

            out(verb_help(own) + "\nalso there:\n")
        verbs = {v.name: v for v in load_all().values() if v.name.split()[0] == words[0]}
        out("".join(f"  limpet {v.usage}\n      {v.summary}\n" for v in verbs.values()))
        return 0
    from core.commands.help import verb_help

    out(verb_help(find(words)[0]))
    return 0


def overview() -> str:
    """Return the help of all commands, grouped by noun."""
    from core.commands import load_all

    verbs = {verb.name: verb for verb in load_all().values()}
    lines = [OPENING]
    for title, mine in groups(verbs.values()):
        lines.append(f"{title}:")
        width = max(len(verb.word) for verb in mine)
        lines += [f"  {verb.word.ljust(width)}{GAP}{verb.summary}" for verb in mine]
        lines.append("")
    return "\n".join(lines)


def groups(verbs: Iterable[Verb]) -> list[tuple[str, list[Verb]]]:
    """Return all commands in groups, each under its noun's title; those without one last."""
    found: dict[str, list[Verb]] = {noun: [] for noun in NOUNS}
    alone: list[Verb] = []
    for verb in verbs:
        noun, blank, _ = verb.name.partition(" ")
        (found.setdefault(noun, []) if blank else alone).append(verb)
    named = [(NOUNS.get(noun, noun), mine) for noun, mine in found.items() if mine]
    return [*named, *([("others", alone)] if alone else [])]
