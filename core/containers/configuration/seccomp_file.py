"""Reads a system-call profile of the user's own, in docker's JSON format.

https://docs.docker.com/engine/security/seccomp/
"""

from __future__ import annotations

import json
import os

from core.containers.configuration.seccomp_profile import (
    ALLOW,
    AND,
    ARGUMENTS,
    ERRNO,
    JEQ,
    JGE,
    JGT,
    LOAD,
    LOG,
    RETURN,
    Rules,
)
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.containers.configuration.seccomp_profile import Code, Tail

NOTIFY = "SCMP_ACT_NOTIFY"
ACTIONS = {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_THREAD": 0,
           "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_TRAP": 0x00030000,
           "SCMP_ACT_LOG": LOG, NOTIFY: 0x7FC00000}  # fmt: skip
WITH_NUMBER = {"SCMP_ACT_ERRNO": ERRNO, "SCMP_ACT_TRACE": 0x7FF00000}
ARCHITECTURES = {"x86_64": ("amd64",), "i386": ("x86",), "aarch64": ("arm64",)}
"""docker's names of ours, as `includes` and `excludes` have them."""
EPERM = 1
FAIL = -1
"""Where a comparison goes on when it does not hold, until the rule's length is known."""


def read_profile(
    path: str, arch: str, numbers: dict[str, int], capabilities: Sequence[str]
) -> Rules:
    """Return a profile's rules for the architecture whose system calls are `numbers`.

    A name that no architecture of ours has is left out, as libseccomp does; `numbers` must
    therefore be complete.  Raises UsageError naming the file and what is not understood.
    """
    try:
        with open(path, "rb") as file:
            document = json.load(file)
        if f'"{NOTIFY}"' in json.dumps(document):
            raise ValueError(f"{NOTIFY} is for bundles that name a listener (limpet oci)")
        return profile_rules(document, arch, numbers, capabilities)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"seccomp profile {path}: {error}", subject=path) from error


def profile_rules(
    document: dict[str, Any], arch: str, numbers: dict[str, int], capabilities: Sequence[str]
) -> Rules:
    """Return the rules of a parsed profile, docker's or a runtime configuration's `seccomp`.

    Raises ValueError, KeyError, TypeError or AttributeError for what is not understood.
    """
    default = _action(document, "defaultAction", "defaultErrnoRet")
    rules = Rules(default, max(numbers.values()))
    found: dict[int, list[tuple[list[dict[str, Any]], int]]] = {}
    for entry in document.get("syscalls") or []:
        if not _applies(entry, arch, capabilities):
            continue
        answer = (entry.get("args") or [], _action(entry, "action", "errnoRet"))
        for name in entry.get("names") or [entry["name"]]:
            if name in numbers:
                found.setdefault(numbers[name], []).append(answer)
    for number, answers in found.items():
        _add(rules, number, answers)
    return rules


def _action(entry: dict[str, Any], name: str, errno_name: str) -> int:
    action = entry[name]
    if action in WITH_NUMBER:
        number = entry.get(errno_name)
        return WITH_NUMBER[action] | (EPERM if number is None else int(number))
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}")
    return ACTIONS[action]


def _applies(entry: dict[str, Any], arch: str, capabilities: Sequence[str]) -> bool:
    wanted, unwanted = entry.get("includes") or {}, entry.get("excludes") or {}
    own = ARCHITECTURES[arch]
    if wanted.get("arches") and not set(wanted["arches"]) & set(own):
        return False
    if set(unwanted.get("arches") or ()) & set(own):
        return False
    if wanted.get("minKernel") and _kernel() < _version(wanted["minKernel"]):
        return False
    if unwanted.get("minKernel") and _kernel() >= _version(unwanted["minKernel"]):
        return False
    return all(c in capabilities for c in wanted.get("caps") or ()) and not any(
        c in capabilities for c in unwanted.get("caps") or ()
    )


def _kernel() -> tuple[int, int]:
    return _version(os.uname().release)


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split("-")[0].split(".")[:2]
    return int(major), int(minor)


def _add(rules: Rules, number: int, answers: list[tuple[list[dict[str, Any]], int]]) -> None:
    """Rules with conditions come in order; one without settles what none of them matched."""
    otherwise = next((action for args, action in answers if not args), rules.default)
    conditional = [(args, action) for args, action in answers if args]
    if not conditional:
        rules.answers[number] = otherwise
        return
    tail: Tail = []
    for args, action in conditional:
        tail += _all_hold(args, action)
    rules.tails[number] = [*tail, (RETURN, 0, 0, otherwise)]


def _all_hold(conditions: list[dict[str, Any]], action: int) -> list[Code]:
    """Return code that answers `action` if all conditions hold, and else goes on behind it."""
    code = [step for condition in conditions for step in _compare(condition)]
    code.append((RETURN, 0, 0, action))
    end = len(code)
    return [
        (op, _distance(yes, place, end), _distance(no, place, end), value)
        for place, (op, yes, no, value) in enumerate(code)
    ]


def _distance(jump: int, place: int, end: int) -> int:
    """A condition that fails leaves the whole rule."""
    distance = end - place - 1 if jump == FAIL else jump
    if distance > 255:
        raise ValueError("more conditions on one call than the kernel's filter can hold")
    return distance


def _compare(condition: dict[str, Any]) -> list[Code]:
    """Compare one 64-bit argument, the high half first; jumps are FAIL or a distance."""
    index, op = int(condition["index"]), condition["op"]
    value = int(condition.get("value", 0)) & 0xFFFFFFFF_FFFFFFFF
    if not 0 <= index <= 5:
        raise ValueError(f"a system call has no argument {index}")
    offset = ARGUMENTS + 8 * index
    high, low = (LOAD, 0, 0, offset + 4), (LOAD, 0, 0, offset)
    top, bottom = value >> 32, value & 0xFFFFFFFF
    if op == "SCMP_CMP_MASKED_EQ":
        wanted = int(condition.get("valueTwo", 0))
        return [
            high, (AND, 0, 0, top), (JEQ, 0, FAIL, wanted >> 32 & 0xFFFFFFFF),
            low, (AND, 0, 0, bottom), (JEQ, 0, FAIL, wanted & 0xFFFFFFFF),
        ]  # fmt: skip
    if op == "SCMP_CMP_EQ":
        return [high, (JEQ, 0, FAIL, top), low, (JEQ, 0, FAIL, bottom)]
    if op == "SCMP_CMP_NE":
        return [high, (JEQ, 0, 2, top), low, (JEQ, FAIL, 0, bottom)]
    if op in ("SCMP_CMP_GT", "SCMP_CMP_GE"):
        compare = JGT if op == "SCMP_CMP_GT" else JGE
        # A larger high half settles it, a smaller one too; equal ones leave it to the low.
        return [high, (JGT, 3, 0, top), (JEQ, 0, FAIL, top), low, (compare, 0, FAIL, bottom)]
    if op in ("SCMP_CMP_LT", "SCMP_CMP_LE"):
        compare = JGE if op == "SCMP_CMP_LT" else JGT
        return [high, (JGT, FAIL, 0, top), (JEQ, 0, 2, top), low, (compare, FAIL, 0, bottom)]
    raise ValueError(f"unknown comparison {op!r}")
