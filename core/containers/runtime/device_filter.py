"""Which devices a container may use, as the program that cgroup v2 asks for.

In v1 the `devices` controller takes lines; in v2 there is no such controller, and the
kernel runs a program for each open and mknod instead.  Without one a container that may
mknod, as docker's may, could make itself a node for the host's disk.
https://docs.kernel.org/admin-guide/cgroup-v2.html#device-controller
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Taken from <linux/bpf.h>: struct bpf_cgroup_dev_ctx and its constants.
BLOCK, CHARACTER = 1, 2
MKNOD, READ, WRITE = 1, 2, 4
ACCESS_TYPE, MAJOR, MINOR = 0, 4, 8
KINDS = {"b": BLOCK, "c": CHARACTER}
ACCESS = {"m": MKNOD, "r": READ, "w": WRITE}
EVERY_ACCESS = MKNOD | READ | WRITE
# Registers: 1 is the context the kernel passes; 2 to 5 are ours; 0 is the answer.
ANSWER, CONTEXT, KIND, WANTED, NUMBER_MAJOR, NUMBER_MINOR = 0, 1, 2, 3, 4, 5
LOAD_WORD, MOVE, MOVE_REGISTER, AND, SHIFT_RIGHT = 0x61, 0xB7, 0xBF, 0x57, 0x77
JUMP_NOT_EQUAL, EXIT = 0x55, 0x95
JUMP_IF_ANY, JUMP = 0x45, 0x05


def compile_rules(rules: Sequence[str], *, listed: bool = True) -> bytes:
    """Return the eBPF program that allows what any of the rules does and refuses the rest.

    Without `listed` it refuses what any of them touches and allows the rest.  `rules` are
    lines as v1's devices.allow takes them, `c 1:3 rwm` or `b *:* m`.  Raises ValueError for
    another line.
    """
    program = [
        _instruction(LOAD_WORD, KIND, CONTEXT, ACCESS_TYPE),
        _instruction(MOVE_REGISTER, WANTED, KIND),
        # The kind of device is in the lower half, what is wanted in the upper.
        _instruction(AND, KIND, value=0xFFFF),
        _instruction(SHIFT_RIGHT, WANTED, value=16),
        _instruction(LOAD_WORD, NUMBER_MAJOR, CONTEXT, MAJOR),
        _instruction(LOAD_WORD, NUMBER_MINOR, CONTEXT, MINOR),
    ]
    for rule in rules:
        program += _rule(rule, listed=listed)
    program += [_instruction(MOVE, ANSWER, value=int(not listed)), _instruction(EXIT)]
    return b"".join(program)


def _rule(rule: str, *, listed: bool) -> list[bytes]:
    kind, numbers, letters = rule.split()
    major, minor = numbers.split(":")
    refused = EVERY_ACCESS
    for letter in letters:
        if letter not in ACCESS:
            raise ValueError(f"device rule {rule!r}: {letter!r} is none of r, w and m")
        refused &= ~ACCESS[letter]
    tests: list[tuple[int, int, int]] = []
    if kind != "a":
        if kind not in KINDS:
            raise ValueError(f"device rule {rule!r}: {kind!r} is none of a, b and c")
        tests.append((JUMP_NOT_EQUAL, KIND, KINDS[kind]))
    if listed and refused:
        tests.append((JUMP_IF_ANY, WANTED, refused))
    if major != "*":
        tests.append((JUMP_NOT_EQUAL, NUMBER_MAJOR, int(major)))
    if minor != "*":
        tests.append((JUMP_NOT_EQUAL, NUMBER_MINOR, int(minor)))
    answer = [_instruction(MOVE, ANSWER, value=int(listed)), _instruction(EXIT)]
    if not listed and refused:
        # Any letter of the rule is enough to refuse: it skips the jump behind this rule.
        touched = _instruction(JUMP_IF_ANY, WANTED, offset=1, value=EVERY_ACCESS & ~refused)
        answer = [touched, _instruction(JUMP, offset=len(answer)), *answer]
    # A test that fails goes on behind this rule.
    checks = [
        _instruction(code, register, offset=len(tests) - place - 1 + len(answer), value=value)
        for place, (code, register, value) in enumerate(tests)
    ]
    return checks + answer


def _instruction(
    code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0
) -> bytes:
    """Encode one instruction (struct bpf_insn)."""
    return (
        bytes((code, source << 4 | target))
        + offset.to_bytes(2, "little")
        + value.to_bytes(4, "little")
    )
