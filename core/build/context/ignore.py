"""`.dockerignore` and `--exclude`: patterns as moby's patternmatcher takes them.

https://docs.docker.com/build/concepts/context/#dockerignore-files: one pattern a line, `!`
takes back, the last that matches counts, `**` matches any number of directories.
"""

from __future__ import annotations

import posixpath
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


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
    """Return a pattern as a regular expression for whole paths.

    Go's filepath.Match (`*` and `?` stop at `/`, `[a-z]`, `[^a]`, `\\` escapes) and `**`.
    """
    result, at, length = "", 0, len(pattern)
    while at < length:
        letter = pattern[at]
        if letter == "*":
            if pattern.startswith("**", at):
                at += 2
                if pattern.startswith("/", at):
                    at += 1
                result += ".*" if at >= length else "(?:.*/)?"
                continue
            result += "[^/]*"
        elif letter == "?":
            result += "[^/]"
        elif letter == "[":
            end = at + 1
            if pattern[end : end + 1] == "^":
                end += 1
            if pattern[end : end + 1] == "]":
                raise ValueError("an empty [] matches nothing")
            while end < length and pattern[end] != "]":
                end += 2 if pattern[end] == "\\" else 1
            if end >= length:
                raise ValueError("[ is not closed")
            body = pattern[at + 1 : end].replace("[", "\\[").replace("&&", "&\\&")
            result += f"(?!/)[{body}]"
            at = end
        elif letter == "\\":
            at += 1
            if at >= length:
                raise ValueError("a \\ at the end escapes nothing")
            result += re.escape(pattern[at])
        else:
            result += re.escape(letter)
        at += 1
    return result
