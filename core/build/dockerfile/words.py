"""Words and variables as a Dockerfile has them: quotes, escapes, `${name:-default}`.

The language is BuildKit's (frontend/dockerfile/shell): a small part of a shell's, with
neither commands nor arithmetic.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DEPTH = 50
MAX_PUT_IN = 1 << 20
"""Characters that variables may come to in one text: a few lines that each repeat the one before
several times would else fill any memory.  execve(2) takes an eighth of it."""
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*|[0-9]+|[@*#?\-$!]")
MODIFIERS = (":-", ":+", ":?", "-", "+", "?", "##", "#", "%%", "%", "//", "/")


class WordError(ValueError):
    """A word that does not end as it began; `offset` is where it went wrong."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.offset = offset


def expand(
    text: str,
    values: Mapping[str, str],
    escape: str = "\\",
    missing: Callable[[str], None] = lambda _: None,
) -> str:
    """Return one word with variables put in and quotes taken off.

    `missing` is told each name without a value that no modifier provides for.
    """
    return " ".join(_Expander(text, values, escape, missing).whole())


def expand_document(
    text: str,
    values: Mapping[str, str],
    escape: str = "\\",
    missing: Callable[[str], None] = lambda _: None,
) -> str:
    """Return a here-document with variables put in; quotes mean nothing in it."""
    expander = _Expander(text, values, escape, missing)
    expander.quotes = False
    return " ".join(expander.whole())


def expand_words(text: str, values: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Return the words of a text, cut at blanks outside quotes, expanded."""
    expander = _Expander(text, values, escape, lambda _: None)
    expander.split = True
    return expander.whole()


def split_words(text: str, escape: str = "\\") -> list[tuple[int, str]]:
    """Return (offset, word) of a text cut at blanks outside quotes; nothing is expanded."""
    found, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start, quote = at, ""
        while at < len(text) and (quote or not text[at].isspace()):
            letter = text[at]
            if letter == escape and quote != "'" and at + 1 < len(text):
                at += 1
            elif quote:
                quote = "" if letter == quote else quote
            elif letter in "\"'":
                quote = letter
            at += 1
        if quote:
            raise WordError(f"the quote {quote} is not closed", start)
        found.append((start, text[start:at]))
    return found


class _Expander:
    """Reads a text once, from left to right."""

    def __init__(
        self, text: str, values: Mapping[str, str], escape: str, missing: Callable[[str], None]
    ) -> None:
        self._text = text
        self._at = 0
        self._values = values
        self._escape = escape
        self._missing = missing
        self.split = False
        self.quotes = True
        self._words: list[str] = []
        self._word = ""
        self._begun = False
        self._depth = 0
        self._put_in = 0

    def whole(self) -> list[str]:
        """Return the words; without `split` there is one."""
        self._word += self._run("")
        if self._begun or self._word or not self.split:
            self._words.append(self._word)
        return self._words

    def _run(self, stop: str) -> str:
        """Return what comes before an unquoted `stop`, which is left standing."""
        result, text = "", self._text
        while self._at < len(text) and text[self._at] != stop:
            letter = text[self._at]
            if letter == "'" and self.quotes:
                result += self._single()
                self._begun = True
            elif letter == '"' and self.quotes:
                result += self._double()
                self._begun = True
            elif letter == "$":
                result += self._dollar()
            elif letter == self._escape and self._escapes(text[self._at + 1 : self._at + 2]):
                self._at += 1
                if self._at < len(text):
                    result += text[self._at]
                    self._at += 1
            elif letter.isspace() and self.split and not stop:
                self._word += result
                result = ""
                if self._word or self._begun:
                    self._words.append(self._word)
                self._word, self._begun = "", False
                self._at += 1
            else:
                result += letter
                self._at += 1
        return result

    def _escapes(self, following: str) -> bool:
        return self.quotes or following in ("$", self._escape)

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise WordError("the quote ' is not closed", self._at)
        found = self._text[self._at + 1 : end]
        self._at = end + 1
        return found

    def _double(self) -> str:
        start, result, text = self._at, "", self._text
        self._at += 1
        while self._at < len(text):
            letter = text[self._at]
            if letter == '"':
                self._at += 1
                return result
            if letter == "$":
                result += self._dollar()
                continue
            if letter == self._escape and text[self._at + 1 : self._at + 2] in (
                '"', "$", self._escape,
            ):  # fmt: skip
                self._at += 1
                letter = text[self._at]
            result += letter
            self._at += 1
        raise WordError('the quote " is not closed', start)

    def _dollar(self) -> str:
        start = self._at
        self._at += 1
        if self._text[self._at : self._at + 1] != "{":
            match = NAME.match(self._text, self._at)
            if match is None:
                return "$"
            self._at = match.end()
            return self._value(match[0])
        match = NAME.match(self._text, self._at + 1)
        if match is None:
            raise WordError("${ needs a name", start)
        name = match[0]
        self._at = match.end()
        if self._text[self._at : self._at + 1] == "}":
            self._at += 1
            return self._value(name)
        modifier = next((m for m in MODIFIERS if self._text.startswith(m, self._at)), "")
        if not modifier:
            raise WordError(f"${{{name} is followed by no modifier that exists", self._at)
        self._at += len(modifier)
        return self._modified(name, modifier, start)

    def _modified(self, name: str, modifier: str, start: int) -> str:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise WordError(f"more than {MAX_DEPTH} ${{ within each other", start)
        found = self._by_modifier(name, modifier, start)
        self._depth -= 1
        return found

    def _by_modifier(self, name: str, modifier: str, start: int) -> str:
        if modifier in ("/", "//"):
            pattern = self._part("/", start)
            if self._text[self._at : self._at + 1] != "/":
                raise WordError(f"${{{name}/… needs /PATTERN/WORD", start)
            self._at += 1
        else:
            pattern = ""
        word = self._part("}", start)
        if self._text[self._at : self._at + 1] != "}":
            raise WordError(f"${{{name} is not closed", start)
        self._at += 1
        value = self._values.get(name)
        given = value if modifier.startswith(":") else None if value is None else value + "."
        if modifier in (":-", "-"):
            return value if value is not None and given else word
        if modifier in (":+", "+"):
            return word if given else ""
        if modifier in (":?", "?"):
            if value is None or not given:
                raise WordError(f"{name}: {word or 'is not set'}", start)
            return value
        if value is None:
            self._missing(name)
            return ""
        if modifier in ("/", "//"):
            every = modifier == "//"
            return replaced(value, pattern, lambda: self._counted(word), every=every)
        return trimmed(value, word, modifier)

    def _part(self, stop: str, start: int) -> str:
        split, self.split = self.split, False
        found = self._run(stop)
        self.split = split
        if self._at >= len(self._text):
            raise WordError("${ is not closed", start)
        return found

    def _value(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            self._missing(name)
            return ""
        return self._counted(value)

    def _counted(self, value: str) -> str:
        self._put_in += len(value)
        if self._put_in > MAX_PUT_IN:
            raise WordError(f"its variables come to more than {MAX_PUT_IN} characters", 0)
        return value


def _pattern(pattern: str, *, greedy: bool) -> str:
    """Return a shell pattern as a regular expression.

    What stands between two `*` is taken where it is found first: see `to_regex` of the context.
    """
    runs, at = [""], 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "*":
            runs.append("")
        elif letter == "?":
            runs[-1] += "."
        else:
            at += letter == "\\" and at + 1 < len(pattern)
            runs[-1] += re.escape(pattern[at])
        at += 1
    first, *between = runs
    if not between:
        return first
    last = between.pop()
    stars = "".join(f"(?>.*?{run})" for run in between)
    return f"{first}{stars}{'.*' if greedy else '.*?'}{last}"


def trimmed(value: str, pattern: str, modifier: str) -> str:
    """Return the value less what the pattern matches: # ## at its start, % %% at its end."""
    greedy = len(modifier) == 2
    if modifier[0] == "#":
        match = re.match(_pattern(pattern, greedy=greedy), value, re.DOTALL)
        return value[match.end() :] if match else value
    places = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    body = re.compile(_pattern(pattern, greedy=True), re.DOTALL)
    return next((value[:at] for at in places if body.fullmatch(value, at)), value)


def replaced(value: str, pattern: str, word: Callable[[], str], *, every: bool) -> str:
    """Return the value with what the pattern matches replaced, once or everywhere.

    `word` is asked for each time what to put there.
    """
    if not pattern:
        return value
    body = _pattern(pattern, greedy=True)
    return re.sub(body, lambda _: word(), value, count=0 if every else 1, flags=re.DOTALL)
