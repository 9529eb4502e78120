"""Reads a line while it is being typed: which part is what, and what may come next.

The command bar and the line-mode shell colour and complete from this; running a line goes
through `split` and `core.commands.grammar.parse`, so both see the same words.
"""

from __future__ import annotations

import os

from core.commands import MODULES, load_all
from core.commands.grammar import assign
from core.errors import UsageError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from core.commands.grammar import Arg, Role, Verb

BLANKS = " \t\n"
SPECIAL = frozenset(" '\"\\;&|")
"""What means something within a line, see also `core.commands.lines`."""
SPECIAL_FIRST = ("", "~", "!", "#")
"""What does so at the start of a word or of a line."""


class Word(Record):
    """One word of a line: `line[start:end]` is how it is typed, `text` what it means."""

    start: int
    end: int
    text: str
    open_quote: str = ""
    """The quote that is not closed yet."""


class Span(Record):
    """A part of the line with one colour."""

    start: int
    end: int
    kind: str
    """verb, flag, value, argument, rest or error."""


class Expected(Record):
    """What the word at the end of the line may become."""

    word: Word
    """Empty at the end of the line when a new word begins."""
    verb: Verb | None
    arg: Arg | None
    """None: a verb, or a flag of `verb`."""
    prefix: str
    """What of the word is not part of the value: `--name=`."""
    before: tuple[str, ...]
    """The words in front of it."""


def words_of(line: str) -> list[Word]:
    """Cut a line into words as a shell does: blanks, quotes, backslashes."""
    words: list[Word] = []
    text, start, quote, escaped = "", -1, "", False
    for place, letter in enumerate(line):
        if start < 0 and letter in BLANKS:
            continue
        if start < 0:
            start = place
        if escaped:
            text, escaped = text + letter, False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote, text = ("", text) if letter == quote else (quote, text + letter)
        elif letter in "'\"":
            quote = letter
        elif letter in BLANKS:
            words.append(Word(start, place, text))
            text, start = "", -1
        else:
            text += letter
    if start >= 0:
        words.append(Word(start, len(line), text, quote))
    return words


def split(line: str) -> list[str]:
    """Return the words of a finished line, `~` at the start of one being the person's home.

    UsageError for a quote that is not closed.
    """
    words = words_of(line)
    if words and words[-1].open_quote:
        raise UsageError(f"the quote {words[-1].open_quote} is not closed")
    return [_from_home(word.text) if line[word.start] == "~" else word.text for word in words]


def _from_home(text: str) -> str:
    return os.path.expanduser(text) if text.partition("/")[0] == "~" else text


def quote(word: str) -> str:
    """Return the word so that it is one word again when it is read back, and nothing else.

    Names come from images, containers and registries, too: none may end the command, or lead
    into a pipe.
    """
    if word.isprintable() and word[:1] not in SPECIAL_FIRST and SPECIAL.isdisjoint(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def find_verb(words: Sequence[str]) -> tuple[Verb | None, int]:
    """Return the verb a line begins with and how many words it takes; (None, 0): not yet."""
    verbs = load_all()
    for count in (2, 1):
        verb = verbs.get(" ".join(words[:count]))
        if verb is not None and len(words) >= count:
            return verb, count
    return None, 0


def scan(line: str, known: Mapping[str, Container[str]] | None = None) -> list[Span]:
    """Say what each part of the line is.

    `known` holds names by completion source (`container`, `image`); an argument of such a
    source that is not among them is an error.
    """
    words = words_of(line)
    verb, count = find_verb([word.text for word in words])
    if verb is None:
        return [
            Span(word.start, word.end, _verb_kind(words, number))
            for number, word in enumerate(words)
        ]
    spans = [Span(word.start, word.end, "verb") for word in words[:count]]
    kinds: dict[int, str] = {}
    for role in assign(verb, [word.text for word in words[count:]]):
        kind = _kind(role, known or {})
        if kinds.get(role.index) != "error":
            kinds[role.index] = kind
    spans += [
        Span(words[count + index].start, words[count + index].end, kind)
        for index, kind in sorted(kinds.items())
    ]
    return spans


def _verb_kind(words: list[Word], number: int) -> str:
    """A first word may still become a verb; anything else is an error already."""
    typed = words[number].text
    last = number == len(words) - 1
    if number == 0:
        exact = typed in MODULES
        return "verb" if exact or (last and any(m.startswith(typed) for m in MODULES)) else "error"
    start = f"{words[0].text} {typed}"
    return "verb" if last and any(name.startswith(start) for name in load_all()) else "error"


def _kind(role: Role, known: Mapping[str, Container[str]]) -> str:
    arg = role.arg
    if arg is None:
        return "flag" if role.kind == "end" else "error"
    if role.kind == "flag" and not role.attached:
        return "flag"
    if arg.is_flag:
        return "flag" if role.value in ("true", "false") else "error"
    kind = "value" if role.kind in ("flag", "value") else role.kind
    if arg.choices and arg.name != "format" and role.value not in arg.choices:
        return "error"
    try:
        arg.convert(role.value)
    except ValueError:
        return "error"
    names = known.get(arg.complete)
    return "error" if names is not None and role.value not in names else kind


def expected(line: str) -> Expected:
    """Say what the end of the line may become; the cursor is taken to be there."""
    words = words_of(line)
    if not words or (line[-1] in BLANKS and not words[-1].open_quote and words[-1].end < len(line)):
        words.append(Word(len(line), len(line), ""))
    *done, last = words
    before = tuple(word.text for word in done)
    verb, count = find_verb(before)
    if verb is None:
        return Expected(last, None, None, "", before)
    typed = [*before[count:], last.text]
    roles = assign(verb, typed)
    role = roles[-1] if roles and roles[-1].index == len(typed) - 1 else None
    if role is None or role.kind in ("unknown", "end"):
        return Expected(last, verb, None, "", before)
    if role.kind == "flag":
        whole = role.arg is not None and not role.attached
        prefix = "" if whole else last.text[: len(last.text) - len(role.value)]
        return Expected(last, verb, None if whole else role.arg, prefix, before)
    return Expected(last, verb, role.arg, "", before)


def signature(line: str) -> str:
    """Return the usage of the line's verb, and of the argument at its end what it means."""
    at_end = expected(line)
    if at_end.verb is None:
        return ""
    meaning = f"   {at_end.arg.shown}: {at_end.arg.help}" if at_end.arg else ""
    return at_end.verb.usage + meaning
