"""`.dockerignore` and `--exclude`: patterns as moby's patternmatcher takes them.

https://docs.docker.com/build/concepts/context/#dockerignore-files: one pattern a line, `!`
takes back, the last that matches counts, `**` matches any number of directories.
"""

from __future__ import annotations

import posixpath
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class PatternError(ValueError):
    """A pattern that is none; `line` counts from 1."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


def read_patterns(text: str) -> list[str]:
    """Return the patterns of a .dockerignore file, comments and blank lines left out."""
    lines = text.removeprefix("\ufeff").split("\n")
    found = []
    for line in lines:
        if line.startswith("#"):
            continue
        pattern = line.strip()
        negated = pattern.startswith("!")
        pattern = pattern[1:].strip() if negated else pattern
        if pattern:
            pattern = posixpath.normpath(pattern)
            if len(pattern) > 1:
                pattern = pattern.lstrip("/")
        if pattern:
            found.append("!" + pattern if negated else pattern)
    return found


class Ignore:
    """Says of paths whether they are left out."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns: list[tuple[bool, re.Pattern[str], str]] = []
        for number, word in enumerate(patterns, 1):
            negated = word.startswith("!")
            pattern = posixpath.normpath(word[1:] if negated else word).lstrip("/")
            try:
                compiled = re.compile(to_regex(pattern))
            except (ValueError, re.error) as error:
                raise PatternError(f"{word!r} is no pattern: {error}", number) from None
            self._patterns.append((negated, compiled, pattern))
        self.negates = any(negated for negated, *_ in self._patterns)
        plain = [f"(?:{pattern.pattern})" for _, pattern, _ in self._patterns]
        self._any = re.compile("|".join(plain)) if plain and not self.negates else None

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def top(self) -> tuple[bool, ...]:
        """Return what `below` takes for the context's root."""
        return (False,) * len(self._patterns)

    def excludes(self, path: str) -> bool:
        """Return whether a path, or a directory it is in, is left out."""
        parts = path.split("/")
        matched = self.top()
        result = False
        for length in range(1, len(parts) + 1):
            result, matched = self.below("/".join(parts[:length]), matched)
            if result and not self.negates:
                return True
        return result

    def below(self, path: str, above: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        """Return whether a path is left out, and which patterns match it.

        `above` is the second value for the directory it is in: what matches a directory
        matches all below it.
        """
        if self._any is not None:
            # Nothing is taken back, so no walk comes below what is left out.
            return self._any.fullmatch(path) is not None, above
        matched, result = [], False
        for (negated, pattern, _), inherited in zip(self._patterns, above, strict=True):
            hit = inherited or pattern.fullmatch(path) is not None
            matched.append(hit)
            if hit:
                result = not negated
        return result, tuple(matched)

    def may_return(self, path: str) -> bool:
        """Return whether something below a directory that is left out may be taken back."""
        if not self.negates:
            return False
        depth = path.split("/")
        for negated, _, pattern in self._patterns:
            if not negated:
                continue
            parts = pattern.split("/")
            for mine, theirs in zip(depth, parts, strict=False):
                if theirs == "**":
                    return True
                if not re.fullmatch(to_regex(theirs), mine):
                    break
            else:
                return True
        return False


def to_regex(pattern: str) -> str:
    """Return a pattern as a regular expression for whole paths; ValueError if it is none.

    Go's filepath.Match (`*` and `?` stop at `/`, `[a-z]`, `[^a]`, `\\` escapes) and `**`.
    What stands between two of those is taken where it is found first, `(?>…)`: a later place
    leaves less to the rest of the pattern.  So none takes longer than the product of its length
    and the path's.
    """
    tokens = list(_tokens(pattern))
    twice = [n for n in range(1, len(tokens)) if tokens[n - 1][0] == tokens[n][0] == DIRECTORIES]
    return _regex([token for n, token in enumerate(tokens) if n not in twice])


ONE, SLASH, STAR, DIRECTORIES, REST = range(5)
"""What a pattern is made of: a letter, `/`, `*`, `**` with its slash, `**` at the end."""
MAX_LOOSE = 2


def _regex(tokens: list[tuple[int, str]]) -> str:
    result, at, loose = "", 0, 0
    while at < len(tokens):
        kind, text = tokens[at]
        before = tokens[at - 1][0] if at else SLASH
        at += 1
        if kind == STAR:
            end = next((n for n in range(at, len(tokens)) if tokens[n][0] != ONE), len(tokens))
            if end < len(tokens) and tokens[end][0] == STAR:
                text = f"(?>[^/]*?{''.join(one for _, one in tokens[at:end])})"
                at = end
        elif kind == DIRECTORIES:
            kinds = [each for each, _ in tokens[at:]]
            end = at + kinds.index(DIRECTORIES) if DIRECTORIES in kinds else len(tokens)
            if end < len(tokens) and before == tokens[end - 1][0] == SLASH:
                text = f"(?>(?:[^\0]*?/)??{_regex(tokens[at:end])})"
                at = end
            elif end < len(tokens):
                loose += 1
                if loose > MAX_LOOSE:
                    raise ValueError(f"more than {MAX_LOOSE} ** that are not between slashes")
        result += text
    return result


def _tokens(pattern: str) -> Iterator[tuple[int, str]]:
    at, length = 0, len(pattern)
    while at < length:
        letter = pattern[at]
        if pattern.startswith("**", at):
            at += 3 if pattern.startswith("/", at + 2) else 2
            yield (DIRECTORIES, "(?:[^\0]*/)?") if at < length else (REST, "[^\0]*")
            continue
        if letter == "*":
            yield STAR, "[^/]*"
        elif letter == "/":
            yield SLASH, letter
        elif letter == "?":
            yield ONE, "[^/]"
        elif letter == "[":
            end = _end_of_class(pattern, at)
            body = pattern[at + 1 : end].replace("[", "\\[").replace("&&", "&\\&")
            yield ONE, f"(?!/)[{body}]"
            at = end
        else:
            at += letter == "\\"
            if at >= length:
                raise ValueError("a \\ at the end escapes nothing")
            yield ONE, re.escape(pattern[at])
        at += 1


def _end_of_class(pattern: str, start: int) -> int:
    end = start + 1
    if pattern[end : end + 1] == "^":
        end += 1
    if pattern[end : end + 1] == "]":
        raise ValueError("an empty [] matches nothing")
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    if end >= len(pattern):
        raise ValueError("[ is not closed")
    return end
