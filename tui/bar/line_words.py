"""What the words of a typed line are: their colours, and what they mean."""

from __future__ import annotations

from core.commands import MODULES
from core.commands.keys import APP_WORDS
from core.commands.lines import parts_of, split_pipe
from core.commands.scan import Span, scan, signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from rich.text import Text

    from tui.bar.command_bar import CommandBar
    from tui.theme import Tones

TONE_OF = {
    "verb": "good",
    "flag": "primary",
    "value": "",
    "argument": "",
    "rest": "dim",
    "error": "bad",
}


def paint(text: Text, bar: CommandBar, tones: Tones, *, typed: bool = True) -> None:
    """Colour a line by what the grammar says about its words; `typed`: it is being typed."""
    whole = text.plain
    for part in parts_of(whole):
        line = whole[part.start : part.end]
        start = part.start + len(line) - len(line.lstrip())
        for span in spans(own_part(line.lstrip()), bar.known, bar.aliases):
            end = start + span.end
            kind = span.kind
            if kind == "error" and end == len(whole) and typed and bar.offers:
                kind = "value"  # it can still become something
            text.stylize(tones[TONE_OF[kind]], start + span.start, end)


def spans(
    line: str, known: Mapping[str, Container[str]], aliases: Container[str]
) -> Sequence[Span]:
    """Say what each part of one command line is; own words and aliases are verbs, too."""
    word = line.partition(" ")[0]
    if word in aliases or (word in APP_WORDS and word not in MODULES):
        return [Span(0, len(word), "verb")]
    return scan(line, known)


def meaning(line: str, aliases: Mapping[str, str]) -> str:
    """Return what a line asks for: its verb's signature, what an alias or own word does."""
    word = line.partition(" ")[0]
    if word in aliases:
        return f"= {aliases[word]}"
    return APP_WORDS[word] if word in APP_WORDS and word not in MODULES else signature(line)


def own_part(line: str) -> str:
    """Return what of a line is limpet's own grammar: not `!…`, nor what is behind a `|`."""
    return "" if line.startswith("!") else split_pipe(line)[0]
