"""The program for cgroup v2's devices allows what the rules allow: it is run, not read."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.containers.configuration.devices import DEVICE_RULES
from core.containers.runtime.device_filter import compile_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BITS = {"m": 1, "r": 2, "w": 4}


def judge(program: bytes, kind: str, wanted: str, major: int, minor: int) -> bool:
    """Run the eBPF program for one use of a device."""
    access = {"b": 1, "c": 2}[kind] | sum(BITS[letter] for letter in wanted) << 16
    context = struct.pack("<III", access, major, minor)
    registers, place = [0] * 11, 0
    while True:
        code, names, offset, value = struct.unpack_from("<BBhi", program, 8 * place)
        target, source = names & 15, names >> 4
        place += 1
        if code == 0x61:
            (registers[target],) = struct.unpack_from("<I", context, offset)
        elif code == 0xB7:
            registers[target] = value
        elif code == 0xBF:
            registers[target] = registers[source]
        elif code == 0x57:
            registers[target] &= value
        elif code == 0x77:
            registers[target] >>= value
        elif code == 0x55:
            place += offset if registers[target] != value else 0
        elif code == 0x45:
            place += offset if registers[target] & value else 0
        else:
            assert code == 0x95
            return bool(registers[0])


def allowed(rules: Sequence[str], kind: str, wanted: str, major: int, minor: int) -> bool:
    for rule in rules:
        its_kind, numbers, letters = rule.split()
        its_major, its_minor = numbers.split(":")
        if (
            its_kind in ("a", kind)
            and its_major in ("*", str(major))
            and its_minor in ("*", str(minor))
            and set(wanted) <= set(letters)
        ):
            return True
    return False


NUMBERS = st.integers(0, 3)
LETTERS = st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"])
PLACES = st.sampled_from(["*", "0", "1", "2", "3"])
RULES = st.lists(
    st.builds("{} {}:{} {}".format, st.sampled_from("abc"), PLACES, PLACES, LETTERS), max_size=5
)


@given(RULES, st.sampled_from("bc"), LETTERS, NUMBERS, NUMBERS)
def test_it_allows_what_a_rule_allows(
    rules: list[str], kind: str, wanted: str, major: int, minor: int
) -> None:
    found = judge(compile_rules(rules), kind, wanted, major, minor)
    assert found == allowed(rules, kind, wanted, major, minor)


def test_a_container_may_make_nodes_but_not_use_the_disk() -> None:
    program = compile_rules(DEVICE_RULES)
    assert judge(program, "b", "m", 8, 0)
    assert not judge(program, "b", "r", 8, 0)
    assert not judge(program, "c", "r", 1, 1)
    assert judge(program, "c", "rw", 1, 3)
    assert judge(program, "c", "rw", 136, 7)


@pytest.mark.parametrize("rule", ["", "c 1:3", "d 1:3 r", "c 1:3 x", "c 1 r", "c a:b r"])
def test_other_lines_are_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_rules([rule])
