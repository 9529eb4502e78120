"""A Dockerfile's text, and errors and warnings that point into it."""

from __future__ import annotations

from core.errors import Error
from core.record import Record

SHOWN = 400
"""Characters of a line that an error shows, around the place it is about."""
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NEAR = 0.6


class DockerfileError(Error):
    """A Dockerfile says something that cannot be done; the message begins FILE:LINE:COLUMN."""

    code = "dockerfile"

    def __init__(
        self, message: str, *, hint: str = "", subject: str = "", line: int = 0, column: int = 0
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.line = line
        self.column = column


class Warning_(Record):
    """Something that works, and is most likely not what was meant."""

    rule: str
    """BuildKit's name for it, such as JSONArgsRecommended."""
    text: str
    line: int


class Source:
    """The lines of one Dockerfile and what was noticed about them."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.lines = text.removeprefix("\ufeff").split("\n")
        self.lines = [line.removesuffix("\r") for line in self.lines]
        self.shown = self.lines
        """What errors show: of an instruction within another, the whole line."""
        self.warnings: dict[Warning_, None] = {}
        """In their order, each once."""

    def error(
        self, line: int, column: int, problem: str, *, expected: str = "", width: int = 1
    ) -> DockerfileError:
        """Return an error that shows the line and what was expected there; both count from 1."""
        whole = self.shown[line - 1] if 0 < line <= len(self.shown) else ""
        start = max(0, column - 1 - SHOWN // 2) if len(whole) > SHOWN else 0
        shown = whole[start : start + SHOWN].expandtabs(1)
        number, place = str(line), column - 1 - start
        marks = " " * place + "^" * max(1, min(width, len(shown) - place))
        hint = f"{number} | {shown}\n{' ' * len(number)} | {marks}"
        if expected:
            hint += f"\nexpected {expected}"
        return DockerfileError(
            f"{self.name}:{line}:{column}: {problem}",
            hint=hint, subject=self.name, line=line, column=column,
        )  # fmt: skip

    def warn(self, rule: str, line: int, text: str) -> None:
        """Note something, once a line."""
        self.warnings[Warning_(rule, text, line)] = None

    def wanted(self, check: str) -> list[Warning_]:
        """Return the warnings that the directive `check` does not skip."""
        skipped = {
            rule.strip().lower()
            for part in check.split(";") if part.strip().startswith("skip=")
            for rule in part.partition("=")[2].split(",")
        }  # fmt: skip
        if "all" in skipped:
            return []
        return [warning for warning in self.warnings if warning.rule.lower() not in skipped]

    @staticmethod
    def is_strict(check: str) -> bool:
        """Return whether the directive `check` makes errors of warnings."""
        return any(part.strip().lower() == "error=true" for part in check.split(";"))

    def describe(self, warning: Warning_) -> str:
        """Return a warning as one line."""
        return f"{self.name}:{warning.line}: {warning.text} ({warning.rule})"


def guess(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean X?` when a known word is near, else nothing."""
    import difflib

    near = difflib.get_close_matches(word, list(known), 1, NEAR)
    return f", did you mean {near[0]}?" if near else ""
