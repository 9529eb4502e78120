"""Lines of several commands, words of one's own, and what of a line is the host's.

`pull web && run web` is two command lines; an alias stands for one or several.  What is
behind a `|`, or behind a `!` at the start, is for the host's shell and left alone.
"""

from __future__ import annotations

import re

from core.commands.scan import quote, words_of
from core.errors import UsageError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


NAME = re.compile(r"\s*limpet\s+")
"""What hints and recipes begin with for a shell: what is copied from them works here, too."""


class Step(Record):
    """One command line of several."""

    line: str
    anyway: bool = False
    """Whether it is carried out although the one before has failed."""


class Part(Record):
    """Where a step stands in what was typed: `line[start:end]`."""

    start: int
    end: int
    anyway: bool


def split_pipe(line: str) -> tuple[str, str | None]:
    """Return a line up to its first `|` outside quotes, and what is behind it, if there is one."""
    for place in _outside(line):
        if line[place] == "|":
            return line[:place], line[place + 1 :].strip()
    return line, None


def parts_of(line: str) -> list[Part]:
    """Return the steps of a line: cut at `&&`, `;` and line ends outside quotes.

    They begin behind limpet's own name.  A line end behind a backslash joins two lines, a `#` at
    the start of one makes it a remark.
    """
    found: list[Part] = []
    start, anyway, host = 0, False, line.lstrip().startswith("!")
    taken = -1
    for place in _outside(line):
        letter = line[place]
        if place <= taken:
            continue
        if letter == "\n":
            found.append(Part(start, place, anyway))
            start, anyway = place + 1, False
            host = line[start:].lstrip(" \t").startswith("!")
        elif host:
            continue
        elif letter == "|":
            host = True
        elif letter == ";":
            found.append(Part(start, place, anyway))
            start, anyway = place + 1, True
        elif line.startswith("&&", place):
            found.append(Part(start, place, anyway))
            start, anyway, taken = place + 2, False, place + 1
    found.append(Part(start, len(line), anyway))
    return [_behind_name(line, part) for part in found]


def _behind_name(line: str, part: Part) -> Part:
    name = NAME.match(line, part.start, part.end)
    return part.replace(start=name.end()) if name else part


def steps_of(line: str, aliases: Mapping[str, str]) -> list[Step]:
    """Return the command lines that a line stands for, with aliases put in.

    `$1` to `$9` and `$@` in an alias are the words behind it; without any of them the words
    follow it.  Raises UsageError for a missing word.
    """
    return list(_steps(line, aliases, ()))


def last_part(line: str) -> str:
    """Return the last step of what was typed so far."""
    part = parts_of(line)[-1]
    return line[part.start : part.end].lstrip()


def _steps(line: str, aliases: Mapping[str, str], seen: tuple[str, ...]) -> Iterator[Step]:
    for part in parts_of(line):
        text = line[part.start : part.end].replace("\\\n", " ").strip()
        if not text or text.startswith("#"):
            continue
        name = text.split(maxsplit=1)[0]
        if name not in aliases or name in seen:
            yield Step(text, part.anyway)
            continue
        own, pipe = split_pipe(text)
        meant = _fill(name, aliases[name], [word.text for word in words_of(own)][1:])
        behind = f" | {pipe}" if pipe is not None else ""
        for number, step in enumerate(_steps(meant + behind, aliases, (*seen, name))):
            yield step if number else step.replace(anyway=part.anyway)


def _fill(name: str, text: str, words: Sequence[str]) -> str:
    """Put the words behind an alias into its places."""
    pieces = re.split(r"\$([1-9@])", text)
    if len(pieces) == 1:
        return " ".join([text, *map(quote, words)])
    for place in range(1, len(pieces), 2):
        number = pieces[place]
        if number == "@":
            pieces[place] = " ".join(map(quote, words))
        elif int(number) <= len(words):
            pieces[place] = quote(words[int(number) - 1])
        else:
            raise UsageError(
                f"{name} needs {number} word{'s' * (number > '1')} behind it",
                hint=f"{name} stands for {text}",
                subject=name,
            )
    return "".join(pieces)


def _outside(line: str) -> Iterator[int]:
    """Yield the places of letters that stand outside quotes and behind no backslash."""
    quoted, escaped = "", False
    for place, letter in enumerate(line):
        if escaped:
            escaped = False
        elif letter == "\\" and quoted != "'":
            escaped = True
        elif quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "'\"":
            quoted = letter
        else:
            yield place
