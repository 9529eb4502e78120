"""Reads a system-call profile of the user's own, in docker's JSON format.

https://docs.docker.com/engine/security/seccomp/
"""

from __future__ import annotations

import json

from core.containers.seccomp_profile import ALLOW, ERRNO, Rules, equal_any
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

ACTIONS = {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_THREAD": 0,
           "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_TRAP": 0x00030000,
           "SCMP_ACT_LOG": 0x7FFC0000}  # fmt: skip
EPERM = 1


def read_profile(path: str, numbers: dict[str, int], capabilities: Sequence[str]) -> Rules:
    """Return a profile's rules for the architecture whose system calls are `numbers`.

    Raises UsageError naming the file and what in it is not understood.
    """
    try:
        with open(path, "rb") as file:
            document = json.load(file)
        rules = Rules(_action(document, "defaultAction", "defaultErrnoRet"))
        for entry in document.get("syscalls") or []:
            if _applies(entry, capabilities):
                _add(rules, entry, numbers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"seccomp profile {path}: {error}", subject=path) from error
    return rules


def _action(entry: dict[str, Any], name: str, errno_name: str) -> int:
    action = entry[name]
    if action == "SCMP_ACT_ERRNO":
        number = entry.get(errno_name)
        return ERRNO | (EPERM if number is None else int(number))
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}")
    return ACTIONS[action]


def _applies(entry: dict[str, Any], capabilities: Sequence[str]) -> bool:
    wanted = (entry.get("includes") or {}).get("caps") or []
    unwanted = (entry.get("excludes") or {}).get("caps") or []
    return all(c in capabilities for c in wanted) and not any(c in capabilities for c in unwanted)


def _add(rules: Rules, entry: dict[str, Any], numbers: dict[str, int]) -> None:
    action = _action(entry, "action", "errnoRet")
    names = entry.get("names") or [entry["name"]]
    arguments = entry.get("args") or []
    for name in names:
        number = numbers.get(name)
        if number is None:
            continue
        if not arguments:
            rules.answers[number] = action
            rules.tails.pop(number, None)
        elif len(arguments) == 1 and arguments[0]["op"] == "SCMP_CMP_EQ":
            values = (int(arguments[0]["value"]) & 0xFFFFFFFF,)
            tail = equal_any(int(arguments[0]["index"]), values, action, rules.default)
            rules.tails[number] = tail
        else:
            raise ValueError(f"{name}: of conditions on arguments, one SCMP_CMP_EQ is understood")
