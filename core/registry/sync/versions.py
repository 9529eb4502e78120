"""Tags as versions: which of them a range means, and which is newer.

https://semver.org for the order; ranges as npm writes them: `>=1.25 <2`, `^1.2`, `~1.2.3`,
`1.x`, several alternatives with `||`.  Tags may begin with v and leave out parts: `v1.27`.
A pre-release (`1.27-alpine` is one) is meant only by a range that names one.
"""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OPERATORS = (">=", "<=", "!=", ">", "<", "=", "^", "~")
WILD = ("x", "X", "*")


class Version(Record):
    """A version; `given` of its three numbers were written."""

    numbers: tuple[int, int, int]
    pre: str = ""
    given: int = 3

    @property
    def order(self) -> tuple[object, ...]:
        """What versions are compared by: a pre-release comes before its release."""
        parts = tuple(
            (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in self.pre.split(".")
        )
        return (self.numbers, (0, parts) if self.pre else (1, ()))


def parse_version(text: str) -> Version | None:
    """Return the version that a tag is, None for a tag that is none."""
    body = text.removeprefix("v").partition("+")[0]
    release, _, pre = body.partition("-")
    parts = release.split(".")
    if len(parts) > 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    if any(len(part) > 9 for part in parts):
        return None
    numbers = [int(part) for part in parts] + [0, 0]
    return Version((numbers[0], numbers[1], numbers[2]), pre, len(parts))


def parse_range(text: str) -> Callable[[Version], bool]:
    """Return the test for a range; ValueError says what was expected."""
    alternatives = [_all_of(part) for part in text.split("||")]
    return lambda version: any(test(version) for test in alternatives)


def _all_of(text: str) -> Callable[[Version], bool]:
    words = text.replace(",", " ").split()
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in OPERATORS:
            joined[-1] += word
        else:
            joined.append(word)
    if not joined:
        raise ValueError(f"{text!r} is no range of versions such as >=1.25 <2")
    bounds = [_bounds(word) for word in joined]
    names_pre = {base.numbers for _, base in bounds if base and base.pre}

    def test(version: Version) -> bool:
        if version.pre and version.numbers not in names_pre:
            return False
        return all(bound(version) for bound, _ in bounds)

    return test


def _bounds(word: str) -> tuple[Callable[[Version], bool], Version | None]:
    """Return the test for one comparison, and the version it is made with."""
    operator = next((sign for sign in OPERATORS if word.startswith(sign)), "")
    rest = word.removeprefix(operator)
    if rest in WILD and not operator:
        return (lambda _: True), None
    while rest.endswith((".x", ".X", ".*")):
        rest = rest[:-2]
    base = parse_version(rest)
    if base is None:
        raise ValueError(f"{word!r} is no comparison of versions such as >=1.25, ^1.2 or 1.x")
    low, high = base.order, _next(base, operator).order
    tests: dict[str, Callable[[Version], bool]] = {
        ">=": lambda version: version.order >= low,
        "<": lambda version: version.order < low,
        ">": lambda version: version.order >= high if base.given < 3 else version.order > low,
        "<=": lambda version: version.order < high if base.given < 3 else version.order <= low,
        "!=": lambda version: not low <= version.order < high,
    }
    return tests.get(operator, lambda version: low <= version.order < high), base


def _next(base: Version, operator: str) -> Version:
    """Return the first version that `=`, `~` or `^` no longer means."""
    place = base.given - 1
    if operator == "~":
        place = min(place, 1)
    elif operator == "^":
        place = next((n for n, number in enumerate(base.numbers) if number), place)
        place = min(place, base.given - 1)
    elif base.given == 3:
        # Only itself: what comes right after it in the order of versions.
        major, minor, patch = base.numbers
        return (
            base.replace(pre=f"{base.pre}.0")
            if base.pre
            else Version((major, minor, patch + 1), "0")
        )
    numbers = [*base.numbers[:place], base.numbers[place] + 1, 0, 0]
    return Version((numbers[0], numbers[1], numbers[2]), "0")
