"""A Dockerfile's text to instructions: directives, comments, continuations, heredocs, flags.

https://docs.docker.com/reference/dockerfile/ and, where that is silent, what BuildKit's
frontend/dockerfile/parser does.
"""

from __future__ import annotations

import re

from core.build.dockerfile.source import Source, guess
from core.record import Record

DIRECTIVE = re.compile(r"^#[ \t]*([a-zA-Z][a-zA-Z0-9]*)[ \t]*=[ \t]*(.+?)[ \t]*$")
DIRECTIVES = ("syntax", "escape", "check")
FLAG = re.compile(r"--([a-z][a-z0-9-]*)")
HEREDOC = re.compile(r"(?<!\S)(\d*)<<(-?)(?!<)(\"[^\"]+\"|'[^']+'|[^\s<>;&|\"']+)")
KEYWORDS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
    "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
WITH_HEREDOCS = ("RUN", "COPY", "ADD")
LANGUAGE = ("docker/dockerfile", "docker.io/docker/dockerfile", "docker/dockerfile-upstream")


class Heredoc(Record):
    """A document within an instruction: `<<NAME`, its lines, and NAME again."""

    name: str
    content: str
    expand: bool
    """Whether variables in it mean something: the name was not quoted."""
    line: int


class Instruction(Record):
    """One instruction as it stands in the file."""

    keyword: str
    """In capitals."""
    flags: tuple[tuple[str, str], ...]
    """`--name=value` in front of the arguments; a switch has the value ""."""
    text: str
    """The arguments, lines joined, unexpanded."""
    line: int
    """Where it begins, counted from 1."""
    end: int
    """Its last line."""
    offset: int
    """Where `text` begins within the joined line."""
    pieces: tuple[tuple[int, int, int], ...]
    """(offset in the joined line, line, column) where each of its lines begins."""
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def shown(self) -> str:
        """The instruction on one line, as history and progress show it."""
        flags = [f"--{name}={value}" if value else f"--{name}" for name, value in self.flags]
        return " ".join([self.keyword, *flags, " ".join(self.text.split())])

    def place(self, offset: int = 0) -> tuple[int, int]:
        """Return line and column of an offset in `text`."""
        at = self.offset + offset
        start, line, column = max(piece for piece in self.pieces if piece[0] <= at)
        return line, column + at - start


class Dockerfile(Record):
    """A whole file, as instructions."""

    source: Source
    escape: str
    syntax: str
    check: str
    instructions: tuple[Instruction, ...]


def parse(name: str, text: str) -> Dockerfile:
    """Parse a Dockerfile; DockerfileError points at what is wrong."""
    return parse_source(Source(name, text))


def parse_source(source: Source) -> Dockerfile:
    """Do the same for lines whose errors are shown in lines of their own."""
    for number, line in enumerate(source.lines, 1):
        if "\0" in line:
            raise source.error(
                number, line.index("\0") + 1, "a zero byte", expected="text in UTF-8"
            )
    directives = _directives(source)
    escape = directives.get("escape", "\\")
    syntax = directives.get("syntax", "")
    if syntax and syntax.partition(":")[0] not in LANGUAGE:
        source.warn(
            "SyntaxDirective",
            1,
            f"{syntax} is not loaded; this is read as docker's own",
        )
    instructions = tuple(_Reader(source, escape).read())
    if not instructions:
        raise source.error(
            1, 1, "the file has no instructions", expected="FROM IMAGE to begin with"
        )
    return Dockerfile(source, escape, syntax, directives.get("check", ""), instructions)


def _directives(source: Source) -> dict[str, str]:
    """Read `# name=value` lines; the first line that is something else ends them."""
    found: dict[str, str] = {}
    start = 1 if source.lines[0].startswith("#!") else 0
    for number, line in enumerate(source.lines[start:], start + 1):
        match = DIRECTIVE.match(line)
        name = match[1].lower() if match else ""
        if match is None or name not in DIRECTIVES:
            break
        if name in found:
            raise source.error(number, 1, f"the directive {name} is given twice", width=len(line))
        found[name] = match[2]
        if name == "escape" and match[2] not in ("\\", "`"):
            raise source.error(
                number, match.start(2) + 1, f"{match[2]!r} cannot be the escape character",
                expected="\\ or `",
            )  # fmt: skip
    return found


class _Reader:
    """Goes through the lines once."""

    def __init__(self, source: Source, escape: str) -> None:
        self._source = source
        self._next = 0
        self._escape = escape
        mark = re.escape(escape)
        self._continued = re.compile(rf"(?:^|(?<!{mark})){mark}[ \t]*$")

    def read(self) -> list[Instruction]:
        """Return all instructions."""
        found = []
        lines = self._source.lines
        while self._next < len(lines):
            line = lines[self._next].strip()
            if not line or line.startswith("#"):
                self._next += 1
                continue
            found.append(self._instruction())
        return found

    def _instruction(self) -> Instruction:
        first = self._next + 1
        joined, pieces = self._join()
        keyword = joined.split(None, 1)[0]
        upper = keyword.upper()
        if upper not in KEYWORDS:
            line, column = pieces[0][1:]
            near = guess(upper, KEYWORDS)
            raise self._source.error(
                line, column, f"unknown instruction {keyword}{near}",
                width=len(keyword), expected="" if near else f"one of {' '.join(KEYWORDS)}",
            )  # fmt: skip
        if keyword not in (upper, keyword.lower()):
            self._source.warn("ConsistentInstructionCasing", first, f"write {upper}, not {keyword}")
        flags, offset = self._flags(upper, joined, len(keyword), pieces)
        text = joined[offset:].rstrip()
        end = self._next
        heredocs: list[Heredoc] = []
        if upper in WITH_HEREDOCS:
            heredocs = self._heredocs(text, first)
        return Instruction(
            upper, flags, text, first, max(end, self._next), offset, tuple(pieces), tuple(heredocs)
        )

    def _join(self) -> tuple[str, list[tuple[int, int, int]]]:
        """Join a line with those that continue it; comments and blank lines between are dropped."""
        lines, joined = self._source.lines, ""
        pieces: list[tuple[int, int, int]] = []
        while self._next < len(lines):
            line = lines[self._next]
            stripped = line.lstrip()
            self._next += 1
            if pieces and stripped.startswith("#"):
                continue
            if pieces and not stripped:
                self._source.warn(
                    "NoEmptyContinuation", self._next, "an empty line within an instruction"
                )
                continue
            column = len(line) - len(stripped) + 1
            body = line if pieces else stripped
            pieces.append((len(joined), self._next, 1 if len(pieces) else column))
            match = self._continued.search(body)
            joined += body[: match.start()] if match else body
            if not match:
                break
        return joined.rstrip(), pieces

    def _flags(
        self, keyword: str, joined: str, offset: int, pieces: list[tuple[int, int, int]]
    ) -> tuple[tuple[tuple[str, str], ...], int]:
        flags: list[tuple[str, str]] = []
        while True:
            offset += len(joined[offset:]) - len(joined[offset:].lstrip())
            match = FLAG.match(joined, offset)
            if match is None or keyword in ("ENV", "LABEL", "ARG", "MAINTAINER", "SHELL", "USER"):
                if joined[offset : offset + 3] == "-- ":
                    offset += 2
                    continue
                return tuple(flags), offset
            end, value = self._flag_value(joined, match.end())
            flags.append((match[1], value))
            offset = end

    def _flag_value(self, joined: str, at: int) -> tuple[int, str]:
        """Return where the flag's word ends and what follows its `=`, quotes taken off."""
        value, quote = "", ""
        start = at
        while at < len(joined):
            letter = joined[at]
            if quote:
                if letter == quote:
                    quote = ""
                else:
                    value += letter
            elif letter in "\"'":
                quote = letter
            elif letter.isspace():
                break
            elif letter == self._escape and at + 1 < len(joined):
                at += 1
                value += joined[at]
            else:
                value += letter
            at += 1
        return at, value[1:] if joined[start : start + 1] == "=" else value

    def _heredocs(self, text: str, first: int) -> list[Heredoc]:
        if text.startswith("["):
            return []
        found = []
        for match in HEREDOC.finditer(_without_quoted(text)):
            word = match[3]
            quoted = word[0] in "\"'"
            name = word.strip("\"'") if quoted else word
            found.append(self._document(name, first, expand=not quoted, chomp=bool(match[2])))
        return found

    def _document(self, name: str, first: int, *, expand: bool, chomp: bool) -> Heredoc:
        lines, start = self._source.lines, self._next + 1
        body: list[str] = []
        while self._next < len(lines):
            line = lines[self._next]
            self._next += 1
            if chomp:
                line = line.lstrip("\t")
            if line == name:
                return Heredoc(name, "".join(part + "\n" for part in body), expand, start)
            body.append(line)
        raise self._source.error(
            first, 1, f"the document <<{name} has no end", expected=f"a line with just {name}",
            width=len(self._source.lines[first - 1]),
        )  # fmt: skip


def _without_quoted(text: str) -> str:
    """Blank out quoted parts, for `<<` in them begins no document; heredoc names stay."""
    result, quote, before = "", "", ""
    for letter in text:
        if quote:
            result += letter if before == "heredoc" else " "
            if letter == quote:
                quote = before = ""
        elif letter in "\"'":
            before = "heredoc" if result.endswith(("<<", "<<-")) else ""
            quote = letter
            result += letter if before == "heredoc" else " "
        else:
            result += letter
    return result
