"""The rules of `[[sync]]` in config.toml: what is copied from where to where.

    [[sync]]
    name = "nginx"
    from = "docker.io/library/nginx"       # a repository; HOST/team/* means several
    to = "registry.local:5000/mirror/nginx"
    semver = ">=1.25 <2"
    newest = 5

An end is a repository (`HOST/PATH`), `store` (this host's images), `oci:DIRECTORY` (an image
layout) or `dir:DIRECTORY` (one directory an image, as skopeo has them).
"""

from __future__ import annotations

import fnmatch
import re

from core.errors import ConfigError, Error
from core.images.manifest import parse_platform
from core.record import Record
from core.registry.sync.referrers import subject_of
from core.registry.sync.versions import parse_range, parse_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from core.config import Config

KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "from": (str,),
    "to": (str,),
    "tags": (str, list),
    "regex": (str,),
    "semver": (str,),
    "newest": (int,),
    "since": (str, object),
    "platforms": (str, list),
    "delete": (bool,),
    "referrers": (bool,),
}


class Rule(Record):
    """One rule.  A tag is chosen when every criterion that is given says so."""

    name: str
    source: str
    target: str
    tags: tuple[str, ...] = ()
    """Names or shell patterns, any of which."""
    regex: str = ""
    """The whole tag."""
    semver: str = ""
    newest: int = 0
    """Of the tags chosen otherwise: by version where all are versions, by date if not."""
    since: float = 0
    """Images made at or after this time."""
    platforms: tuple[str, ...] = ()
    """Only these images of an index."""
    delete: bool = False
    """Take away what the target has beyond that."""
    referrers: bool = False
    """Also copy signatures, SBOMs and attestations, which refer to what is copied.

    Off by default: they may come at any time after an image did, so a run with nothing to do
    has to ask both registries about each image again, where it else makes one HEAD a tag.
    """

    @property
    def asks_dates(self) -> bool:
        """Whether the images' dates may be needed to choose."""
        return bool(self.since or self.newest)


def read_rules(config: Config, names: Sequence[str] = ()) -> list[Rule]:
    """Return all rules, or those named; ConfigError for a wrong one, or a name that is none."""
    rules = [_rule(table, number) for number, table in enumerate(config.sync, 1)]
    known = [rule.name for rule in rules]
    for name in known:
        if known.count(name) > 1:
            raise ConfigError(f"two sync rules are called {name!r}", subject=name)
    if missing := [name for name in names if name not in known]:
        raise ConfigError(
            f"there is no sync rule {missing[0]!r}",
            hint=f"rules are: {', '.join(known)}" if known else "config.toml has no [[sync]]",
            subject=missing[0],
        )
    return [rule for rule in rules if not names or rule.name in names]


def choose_tags(
    rule: Rule, tags: Sequence[str], dates: Callable[[Sequence[str]], Mapping[str, float]]
) -> list[str]:
    """Return the tags that a rule means; `dates` is asked for those of images if need be."""
    chosen = list(dict.fromkeys(tags))
    if rule.referrers or rule.asks_dates:
        # What belongs to an image is no image to be chosen, and none of the newest.
        chosen = [tag for tag in chosen if not subject_of(tag)]
    if rule.tags:
        chosen = [tag for tag in chosen if any(fnmatch.fnmatchcase(tag, p) for p in rule.tags)]
    if rule.regex:
        pattern = re.compile(rule.regex)
        chosen = [tag for tag in chosen if pattern.fullmatch(tag)]
    if rule.semver:
        test = parse_range(rule.semver)
        chosen = [tag for tag in chosen if (version := parse_version(tag)) and test(version)]
    if rule.since and chosen:
        made = dates(chosen)
        chosen = [tag for tag in chosen if made[tag] >= rule.since]
    if rule.newest and len(chosen) > rule.newest:
        versions = {tag: version for tag in chosen if (version := parse_version(tag))}
        if len(versions) == len(chosen):
            chosen.sort(key=lambda tag: versions[tag].order)
        else:
            made = dates(chosen)
            chosen.sort(key=lambda tag: (made[tag], tag))
        chosen = chosen[-rule.newest :]
    return sorted(chosen)


def _rule(table: dict[str, Any], number: int) -> Rule:
    named = table.get("name")
    what = f"sync rule {named!r}" if isinstance(named, str) else f"sync rule {number}"
    for key, value in table.items():
        _check_key(what, key, value)
    for key in ("from", "to"):
        if not table.get(key):
            raise _wrong(what, key, "is missing", 'from = "HOST/NAME", to = "HOST/NAME"')
    tags = _strings(what, "tags", table.get("tags", []))
    try:
        re.compile(table.get("regex", ""))
    except re.error as error:
        raise _wrong(what, "regex", f"is no regular expression: {error}") from None
    try:
        if table.get("semver"):
            parse_range(table["semver"])
    except ValueError as error:
        raise _wrong(what, "semver", str(error)) from None
    try:
        platforms = tuple(
            parse_platform(word) for word in _strings(what, "platforms", table.get("platforms", []))
        )
    except Error as error:
        raise _wrong(what, "platforms", error.message) from None
    if table.get("newest", 0) < 0:
        raise _wrong(what, "newest", "is a number above 0")
    if table.get("referrers") and "store" in (_kind(table["from"]), _kind(table["to"])):
        raise _wrong(what, "referrers", "is not for this host's store, which keeps images alone")
    return Rule(
        named or f"{table['from']} -> {table['to']}",
        table["from"], table["to"], tags, table.get("regex", ""), table.get("semver", ""),
        table.get("newest", 0), _moment(what, table.get("since", 0)), platforms,
        table.get("delete", False), table.get("referrers", False),
    )  # fmt: skip


def _kind(end: str) -> str:
    return end.partition(":")[0]


def _check_key(what: str, key: str, value: Any) -> None:
    import difflib

    if key not in KEYS:
        near = difflib.get_close_matches(key, list(KEYS), 1)
        hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(KEYS)}"
        raise _wrong(what, key, "is no key of a rule", hint)
    kinds = KEYS[key]
    if not isinstance(value, kinds) or (
        isinstance(value, bool) and bool not in kinds and key != "since"
    ):
        words = " or ".join(kind.__name__ for kind in kinds)
        raise _wrong(what, key, f"= {value!r} is not of type {words}")


def _strings(what: str, key: str, value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not all(isinstance(word, str) for word in words):
        raise _wrong(what, key, "holds something else than strings")
    return tuple(words)


def _moment(what: str, value: Any) -> float:
    """Return a TOML date, or one as a string, in seconds since the epoch."""
    from datetime import UTC, date, datetime

    if value == 0:
        return 0
    try:
        when = value if isinstance(value, date) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _wrong(what, "since", f"= {value!r} is no date such as 2024-05-01") from None
    if not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day, tzinfo=UTC)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _wrong(what: str, key: str, fault: str, hint: str = "") -> ConfigError:
    return ConfigError(f"{what}: {key} {fault}", hint=hint, subject=key)
