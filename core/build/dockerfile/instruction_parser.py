"""Instructions to values, checked before anything is built."""

from __future__ import annotations

import json
import posixpath
import re

from core.build.dockerfile.instructions import (
    Arg,
    Command,
    Copy,
    From,
    Healthcheck,
    Onbuild,
    Pairs,
    Run,
    Step,
    Words,
)
from core.build.dockerfile.mounts import parse_mount
from core.build.dockerfile.reader import Dockerfile, Heredoc, Instruction
from core.build.dockerfile.source import Source, guess
from core.build.dockerfile.words import WordError, split_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FLAGS: dict[str, tuple[str, ...]] = {
    "FROM": ("platform",),
    "RUN": ("mount", "network", "security"),
    "COPY": ("from", "chown", "chmod", "link", "parents", "exclude"),
    "ADD": ("chown", "chmod", "link", "checksum", "keep-git-dir", "exclude", "unpack"),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
}
SWITCHES = ("link", "parents", "keep-git-dir", "unpack")
REPEATED = ("mount", "exclude")
STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*", re.IGNORECASE)
ONCE = ("CMD", "ENTRYPOINT", "HEALTHCHECK")
NANOSECONDS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9,
               "h": 3600 * 10**9}  # fmt: skip

LONGEST_NS = (1 << 63) - 1
"""Go's Duration, which an image's config has times in."""


def parse_steps(file: Dockerfile) -> list[Step]:
    """Return all instructions as values; DockerfileError points at the first that is wrong."""
    steps = [parse_step(file.source, item, file.escape) for item in file.instructions]
    _check_order(file.source, steps)
    return steps


def parse_step(source: Source, item: Instruction, escape: str = "\\") -> Step:
    """Return one instruction as a value."""
    return _Parser(source, item, escape).parse()


def _check_order(source: Source, steps: list[Step]) -> None:
    first = next((step for step in steps if not isinstance(step, Arg)), None)
    if not isinstance(first, From):
        item = (first or steps[0]).at
        raise source.error(
            *item.place(-item.offset), f"{item.keyword} stands before the first FROM",
            width=len(item.keyword), expected="FROM IMAGE, with only ARG in front of it",
        )  # fmt: skip
    seen: set[str] = set()
    for step in steps:
        if isinstance(step, From):
            seen = set()
        elif step.at.keyword in ONCE:
            if step.at.keyword in seen:
                source.warn(
                    "MultipleInstructionsDisallowed", step.at.line,
                    f"an earlier {step.at.keyword} of this stage has no effect",
                )  # fmt: skip
            seen.add(step.at.keyword)


class _Parser:
    """Parses one instruction."""

    def __init__(self, source: Source, item: Instruction, escape: str) -> None:
        self._source = source
        self._item = item
        self._escape = escape
        self._flags: dict[str, str] = {}
        self._repeated: dict[str, list[str]] = {name: [] for name in REPEATED}

    def parse(self) -> Step:
        """Return the instruction as a value."""
        item = self._item
        self._read_flags()
        if not item.text and not item.heredocs:
            raise self._error(f"{item.keyword} needs arguments", keyword=True)
        kind = item.keyword.lower()
        parse: Callable[[], Step] = getattr(self, f"_{kind}", self._words)
        try:
            return parse()
        except WordError as error:
            raise self._error(str(error), error.offset) from None

    def _error(
        self, text: str, offset: int = 0, expected: str = "", *, keyword: bool = False
    ) -> Exception:
        width = len(self._item.keyword) if keyword else len(self._item.text) - offset
        line, column = self._item.place(-self._item.offset if keyword else offset)
        return self._source.error(line, column, text, expected=expected, width=width)

    def _read_flags(self) -> None:
        known = FLAGS.get(self._item.keyword, ())
        for name, value in self._item.flags:
            if name not in known:
                allowed = " ".join(f"--{flag}" for flag in known) or "no flags"
                raise self._error(
                    f"{self._item.keyword} has no flag --{name}{guess(name, known)}",
                    expected=allowed, keyword=True,
                )  # fmt: skip
            if name in SWITCHES:
                value = value or "true"
                if value not in ("true", "false"):
                    raise self._error(f"--{name} takes true or false", keyword=True)
            elif not value:
                raise self._error(f"--{name} needs a value", keyword=True)
            if name in REPEATED:
                self._repeated[name].append(value)
            elif name in self._flags:
                raise self._error(f"--{name} is given twice", keyword=True)
            else:
                self._flags[name] = value

    def _split(self) -> list[tuple[int, str]]:
        return split_words(self._item.text, self._escape)

    def _json(self) -> tuple[str, ...] | None:
        """Return the exec form, None for the shell form."""
        text = self._item.text
        if not text.startswith("["):
            return None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and all(isinstance(word, str) for word in found):
            if "\0" in "".join(found):
                raise self._error("a zero byte cannot stand in a word")
            return tuple(found)
        if not text.startswith(("[ ", "[[")) and text.rstrip().endswith("]"):
            self._source.warn(
                "JSONArgsRecommended", self._item.line,
                f"{text[:60]} looks like a JSON list but is none: it is taken as a shell command",
            )  # fmt: skip
        return None

    # -- the instructions ------------------------------------------------------------

    def _from(self) -> Step:
        words = self._split()
        if len(words) not in (1, 3) or (len(words) == 3 and words[1][1].upper() != "AS"):
            offset = words[1][0] if len(words) > 1 else 0
            raise self._error("FROM takes IMAGE or IMAGE AS NAME", offset, "FROM IMAGE [AS NAME]")
        name = words[2][1] if len(words) == 3 else ""
        if name and not STAGE_NAME.fullmatch(name):
            raise self._error(
                f"{name!r} is no name for a stage", words[2][0],
                "a letter, then letters, digits, _ . or -",
            )  # fmt: skip
        if name != name.lower():
            self._source.warn("StageNameCasing", self._item.line, f"write {name.lower()}")
        return From(self._item, words[0][1], name.lower(), self._flags.get("platform", ""))

    def _arg(self) -> Step:
        names: list[tuple[str, str | None]] = []
        for offset, word in self._split():
            name, equals, value = word.partition("=")
            if not name:
                raise self._error("ARG needs a name", offset, "ARG NAME or ARG NAME=DEFAULT")
            if equals:
                self._look_for_secret(name, "ARG")
            names.append((name, value if equals else None))
        return Arg(self._item, tuple(names))

    def _run(self) -> Step:
        if self._flags.get("security", "sandbox") != "sandbox":
            raise self._error(
                "--security=insecure is not supported: a RUN has the isolation of `run`",
                keyword=True,
            )
        network = self._flags.get("network", "default")
        if network not in ("default", "none", "host"):
            raise self._error(
                f"--network={network} does not exist", expected="default, none or host",
                keyword=True,
            )  # fmt: skip
        mounts = []
        for value in self._repeated["mount"]:
            try:
                mounts.append(parse_mount(value))
            except ValueError as error:
                raise self._error(f"--mount={value}: {error}", keyword=True) from None
        argv = self._json()
        if argv == ():
            raise self._error("RUN needs a command")
        text = self._item.text
        if self._item.heredocs and argv is None:
            text = _script(text, self._item.heredocs)
        return Run(self._item, text, argv, tuple(mounts), network)

    def _copy(self) -> Step:
        keyword = self._item.keyword
        words = self._json()
        if words is None:
            words = tuple(word for _, word in self._split())
        if len(words) < 2:
            raise self._error(
                f"{keyword} needs at least two arguments", expected=f"{keyword} SOURCE… TARGET"
            )
        checksum = self._flags.get("checksum", "")
        if checksum and len(words) > 2:
            raise self._error("--checksum goes with one source", keyword=True)
        if "from" not in self._flags:
            self._look_for_climbing(words[:-1])
        unpack = self._flags.get("unpack")
        return Copy(
            self._item, keyword == "ADD", words[:-1], words[-1], self._flags.get("from", ""),
            self._flags.get("chown", ""), self._flags.get("chmod", ""),
            self._flags.get("link") == "true", self._flags.get("parents") == "true",
            tuple(self._repeated["exclude"]), checksum,
            None if unpack is None else unpack == "true",
        )  # fmt: skip

    _add = _copy

    def _look_for_climbing(self, sources: tuple[str, ...]) -> None:
        for source in sources:
            taken = posixpath.normpath(source.lstrip("/"))
            if taken.startswith("../"):
                self._source.warn(
                    "CopyOutsideContext", self._item.line,
                    f"{source} cannot leave the context: {taken.replace('../', '')} of it is taken",
                )  # fmt: skip

    def _env(self) -> Step:
        return self._pairs()

    _label = _env

    def _pairs(self) -> Step:
        words = self._split()
        keyword = self._item.keyword
        first = words[0][1]
        if "=" not in first:
            if len(words) < 2:
                raise self._error(f"{keyword} needs a value", expected=f"{keyword} NAME=VALUE …")
            self._source.warn(
                "LegacyKeyValueFormat", self._item.line, f"write {keyword} {first}=VALUE"
            )
            pairs = [(first, self._item.text[words[1][0] :])]
        else:
            pairs = []
            for offset, word in words:
                name, equals, value = word.partition("=")
                if not equals or not name:
                    raise self._error(
                        f"{word!r} is not NAME=VALUE", offset,
                        'NAME=VALUE; values with blanks need quotes: NAME="two words"',
                    )  # fmt: skip
                pairs.append((name, value))
        for name, value in pairs:
            if keyword == "ENV" and value:
                self._look_for_secret(name, "ENV")
        return Pairs(self._item, tuple(pairs))

    def _look_for_secret(self, name: str, keyword: str) -> None:
        if re.search(
            r"(?:^|_)(?:api_?key|auth|credentials?|password|passwd|pass|pword|secret|token)(?:_|$)",
            name, re.IGNORECASE,
        ) and not re.search(r"public|_file$|_path$", name, re.IGNORECASE):  # fmt: skip
            self._source.warn(
                "SecretsUsedInArgOrEnv", self._item.line,
                f"{keyword} {name} stays readable in the image; use RUN --mount=type=secret",
            )  # fmt: skip

    def _words(self) -> Step:
        keyword = self._item.keyword
        words = self._json() if keyword == "VOLUME" else None
        if words is None:
            words = (
                tuple(word for _, word in self._split())
                if keyword in ("EXPOSE", "VOLUME")
                else (self._item.text,)
            )
        if keyword == "VOLUME" and not all(words):
            raise self._error("VOLUME needs paths")
        if keyword == "MAINTAINER":
            self._source.warn(
                "MaintainerDeprecated", self._item.line,
                "write LABEL org.opencontainers.image.authors=…",
            )  # fmt: skip
        return Words(self._item, words)

    def _cmd(self) -> Step:
        argv = self._json()
        keyword = self._item.keyword
        if argv is None and keyword == "SHELL":
            raise self._error("SHELL needs a JSON list", expected='SHELL ["/bin/sh", "-c"]')
        if argv == () and keyword == "SHELL":
            raise self._error("SHELL needs a program")
        if argv is None and not self._item.text.startswith("["):
            self._source.warn(
                "JSONArgsRecommended", self._item.line,
                f"{keyword} in its shell form: the program gets no signals; write a JSON list",
            )  # fmt: skip
        return Command(self._item, self._item.text, argv)

    _entrypoint = _cmd
    _shell = _cmd

    def _healthcheck(self) -> Step:
        words = self._item.text.split(None, 1)
        kind = words[0].upper()
        if kind == "NONE":
            if len(words) > 1:
                raise self._error("HEALTHCHECK NONE takes no arguments")
            return Healthcheck(self._item, ("NONE",), ())
        if kind != "CMD" or len(words) < 2:
            raise self._error(
                "HEALTHCHECK takes CMD or NONE", expected="HEALTHCHECK [--interval=30s] CMD COMMAND"
            )
        item = self._item.replace(text=words[1])
        argv = _Parser(self._source, item, self._escape)._json()  # noqa: SLF001 - its own class
        test = ("CMD-SHELL", words[1]) if argv is None else ("CMD", *argv)
        times = [
            (name, self._duration(flag))
            for flag, name in (
                ("interval", "Interval"), ("timeout", "Timeout"), ("start-period", "StartPeriod"),
                ("start-interval", "StartInterval"),
            ) if flag in self._flags
        ]  # fmt: skip
        if "retries" in self._flags:
            if not re.fullmatch(r"[0-9]{1,9}", self._flags["retries"]):
                raise self._error("--retries takes a whole number", keyword=True)
            times.append(("Retries", int(self._flags["retries"])))
        return Healthcheck(self._item, test, tuple(times))

    def _duration(self, flag: str) -> int:
        value = self._flags[flag]
        parts = re.findall(r"([0-9]{1,18}(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)", value)
        total = sum(int(float(number) * NANOSECONDS[unit]) for number, unit in parts)
        whole = "".join(number + unit for number, unit in parts) == value
        if not whole or not parts or total > LONGEST_NS:
            raise self._error(f"--{flag}={value} is not a time such as 30s or 1m30s", keyword=True)
        if 0 < total < 10**6:
            raise self._error(f"--{flag}={value}: the shortest is 1ms", keyword=True)
        return total

    def _onbuild(self) -> Step:
        keyword = self._item.text.split()[0].upper()
        if keyword in ("ONBUILD", "FROM", "MAINTAINER"):
            raise self._error(f"ONBUILD {keyword} is not allowed", 0, "another instruction")
        from core.build.dockerfile.reader import parse_source

        # Its own mistakes are told now, where the file can still be mended.
        line, column = self._item.place()
        inner = Source(self._source.name, "\n" * (line - 1) + " " * (column - 1) + self._item.text)
        inner.shown = self._source.lines
        parse_step(inner, parse_source(inner).instructions[0], self._escape)
        return Onbuild(self._item, self._item.text)


def _script(text: str, heredocs: tuple[Heredoc, ...]) -> str:
    """Return what the shell is given: a lone document is the script itself."""
    if re.fullmatch(r"<<-?\S+", text) and len(heredocs) == 1:
        return heredocs[0].content
    return text + "\n" + "".join(f"{document.content}{document.name}\n" for document in heredocs)
