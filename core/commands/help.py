"""The help of one verb, made from its declaration and from the app's keys."""

from __future__ import annotations

from core.commands import load_all
from core.commands.keys import DEFAULT, keys_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.commands.grammar import Verb


def verb_help(verb: Verb) -> str:
    """Return one verb's help: usage, other names, its key, arguments, options, examples."""
    lines = [verb.summary + ".", "", f"usage: limpet {verb.usage}"]
    names = [name for name in (verb.name, *verb.aliases) if name != verb.word]
    if names:
        lines.append(f"also:  {', '.join(f'limpet {name}' for name in names)}")
    keys = keys_of(verb, DEFAULT, load_all())
    if keys:
        lines.append(f"key:   {', '.join(keys)}, in the app")
    places = [(arg.shown, arg.help) for arg in verb.args.declared if not arg.flags]
    options = [
        (", ".join(arg.flags) + ("" if arg.is_flag else f" {arg.metavar or 'VALUE'}"), arg.help)
        for arg in verb.args.declared
        if arg.flags
    ]
    width = max((len(left) for left, _ in places + options), default=0)
    for title, rows in (("arguments", places), ("options", options)):
        if rows:
            lines += ["", f"{title}:"]
            lines += [f"  {left.ljust(width)}   {right}" for left, right in rows]
    if verb.examples:
        lines += ["", "examples:"] + [f"  limpet {line}" for line in verb.examples]
    return "\n".join(lines) + "\n"
