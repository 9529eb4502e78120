"""The device part of `linux.resources`: rules in order, of which the last that fits counts.

https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#allowed-device-list
"""

from __future__ import annotations

from core.oci.bundle import Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Place = tuple[str, str, str]

EVERY = "rwm"
ALWAYS = (
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",
    "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm",
)  # fmt: skip
"""What each container may: make nodes, and use the devices every container has."""


def settle(rules: Sequence[dict[str, Any]]) -> tuple[bool, tuple[str, ...]]:
    """Return whether what no line names is allowed, and the lines that say otherwise.

    A line is as v1's devices.allow and devices.deny take it.  Without rules every device is
    allowed.  Raises Wrong for a rule that takes some devices out of those a wildcard means: v1
    would leave them in, and say nothing.
    """
    allowed = True
    exceptions: dict[Place, set[str]] = {}
    for rule in rules:
        place = (rule.get("type") or "a", _number(rule, "major"), _number(rule, "minor"))
        access = set(rule.get("access") or EVERY)
        if place[0] == "a":
            allowed, exceptions = bool(rule["allow"]), {}
        elif bool(rule["allow"]) != allowed:
            exceptions.setdefault(place, set()).update(access)
        else:
            _take_back(exceptions, place, access)
    lines = tuple(
        f"{kind} {major}:{minor} {''.join(letter for letter in EVERY if letter in access)}"
        for (kind, major, minor), access in exceptions.items()
    )
    if not allowed:
        lines = tuple(dict.fromkeys((*ALWAYS, *lines)))
    return allowed, lines


def _take_back(exceptions: dict[Place, set[str]], place: Place, access: set[str]) -> None:
    for known in list(exceptions):
        pairs = list(zip(place, known, strict=True))
        if all(want in ("*", have) for want, have in pairs):
            exceptions[known] -= access
            if not exceptions[known]:
                del exceptions[known]
        elif access & exceptions[known] and all(
            want == have or "*" in (want, have) for want, have in pairs
        ):
            one, many = (f"{kind} {major}:{minor}" for kind, major, minor in (place, known))
            raise Wrong("linux.resources.devices", f"cannot take {one} out of {many}")


def _number(rule: dict[str, Any], name: str) -> str:
    value = rule.get(name)
    return "*" if value is None or value < 0 else str(value)
