"""The compiled filter says of every system call what the profile says: it is run, not read."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.containers.configuration import seccomp_profile
from core.containers.configuration.seccomp_file import read_profile
from core.containers.configuration.seccomp_profile import (
    ALLOW,
    AUDIT_ARCH,
    ENOSYS,
    EPERM,
    ERRNO,
    X32_BIT,
    compile_filter,
    default_rules,
    load_filter,
)
from core.containers.configuration.spec import DEFAULT_CAPABILITIES
from core.errors import UsageError
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

DATA = json.loads(Path(seccomp_profile.__file__).with_name("seccomp_profile.json").read_text())
EVERY = tuple(DATA["with_capability"])
REFUSED = ERRNO | EPERM
UNKNOWN = ERRNO | ENOSYS
ARCHES = tuple(DATA["numbers"])


def judge(program: bytes, arch: str, number: int, arguments: Sequence[int] = ()) -> int:
    """Run a classic BPF program as the kernel does and return its answer."""
    data = struct.pack("<IIQ6Q", number, AUDIT_ARCH[arch], 0, *(tuple(arguments) + (0,) * 6)[:6])
    accumulator, place = 0, 0
    while True:
        code, yes, no, value = struct.unpack_from("<HBBI", program, 8 * place)
        place += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x05:
            place += value
        elif code in (0x15, 0x25, 0x35):
            held = {0x15: accumulator == value, 0x25: accumulator > value,
                    0x35: accumulator >= value}[code]  # fmt: skip
            place += yes if held else no
        else:
            assert code == 0x06
            return int(value)


def default_program(arch: str, capabilities: Sequence[str]) -> bytes:
    return compile_filter({arch: default_rules(DATA, arch, capabilities)})


@pytest.mark.parametrize("capabilities", [(), DEFAULT_CAPABILITIES, EVERY], ids=len)
@pytest.mark.parametrize("arch", ARCHES)
def test_every_call_is_answered_as_the_profile_says(
    arch: str, capabilities: tuple[str, ...]
) -> None:
    program = default_program(arch, capabilities)
    allowed = set(DATA["allow"])
    for name, more in DATA["with_capability"].items():
        allowed |= set(more) if name in capabilities else set()
    numbers: dict[str, int] = DATA["numbers"][arch]
    special = {"socket", "personality", "clone", "clone3"}
    for name, number in numbers.items():
        if name not in special:
            assert judge(program, arch, number) == (ALLOW if name in allowed else REFUSED), name
    known = set(numbers.values())
    for number in range(max(known)):
        if number not in known:
            assert judge(program, arch, number) == REFUSED
    for number in (max(known) + 1, 1000, X32_BIT - 1):
        assert judge(program, arch, number) == UNKNOWN


@pytest.mark.parametrize("arch", ARCHES)
def test_calls_that_depend_on_an_argument(arch: str) -> None:
    numbers = DATA["numbers"][arch]
    program = default_program(arch, DEFAULT_CAPABILITIES)
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert judge(program, arch, numbers["clone"], (flag | 17,)) == REFUSED
    assert judge(program, arch, numbers["clone"], (0x3D0F00,)) == ALLOW
    assert judge(program, arch, numbers["clone3"]) == UNKNOWN
    assert judge(program, arch, numbers["socket"], (40,)) == REFUSED
    assert judge(program, arch, numbers["socket"], (2,)) == ALLOW
    for value in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF):
        assert judge(program, arch, numbers["personality"], (value,)) == ALLOW
    assert judge(program, arch, numbers["personality"], (0x40000,)) == REFUSED
    trusted = default_program(arch, EVERY)
    assert judge(trusted, arch, numbers["clone"], (0x20000,)) == ALLOW
    assert judge(trusted, arch, numbers["clone3"]) == ALLOW


def test_neither_x32_nor_another_architecture_gets_round_it() -> None:
    program = compile_filter(
        {arch: default_rules(DATA, arch, EVERY) for arch in ("x86_64", "i386")}
    )
    read = DATA["numbers"]["x86_64"]["read"]
    assert judge(program, "x86_64", read) == ALLOW
    assert judge(program, "x86_64", read | X32_BIT) == UNKNOWN
    assert judge(program, "i386", DATA["numbers"]["i386"]["read"]) == ALLOW
    assert judge(program, "aarch64", read) == REFUSED


def test_it_is_short_and_kept(paths: Paths) -> None:
    made = load_filter(paths, "", DEFAULT_CAPABILITIES)
    assert len(made) // 8 < 600
    (kept,) = Path(paths.cache).glob("seccomp-*.bpf")
    assert kept.read_bytes().endswith(made)
    assert load_filter(paths, "", DEFAULT_CAPABILITIES) == made
    assert load_filter(paths, "unconfined", DEFAULT_CAPABILITIES) == b""


def test_a_kept_filter_that_a_power_cut_emptied_is_made_again(paths: Paths) -> None:
    """An empty one would let everything pass."""
    made = load_filter(paths, "", DEFAULT_CAPABILITIES)
    (kept,) = Path(paths.cache).glob("seccomp-*.bpf")
    whole = kept.read_bytes()
    for damaged in (b"", whole[:16], whole[:-8], bytes(len(whole))):
        kept.write_bytes(damaged)
        assert load_filter(paths, "", DEFAULT_CAPABILITIES) == made
        assert kept.read_bytes() == whole


def test_a_filter_that_cannot_be_kept_is_made_all_the_same(paths: Paths) -> None:
    Path(paths.cache).rmdir()
    Path(paths.cache).touch()
    assert load_filter(paths, "", DEFAULT_CAPABILITIES)


# -- a profile of the user's own --------------------------------------------------------


def own(tmp_path: Path, document: dict[str, Any], capabilities: tuple[str, ...] = ()) -> bytes:
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(document))
    rules = read_profile(str(file), "x86_64", DATA["numbers"]["x86_64"], capabilities)
    return compile_filter({"x86_64": rules})


def number_of(name: str) -> int:
    return int(DATA["numbers"]["x86_64"][name])


@pytest.mark.parametrize(
    "name", ["keyctl", "io_uring_setup", "userfaultfd", "pivot_root", "swapon", "kexec_load"]
)
def test_what_it_refuses_is_refused(name: str, tmp_path: Path) -> None:
    program = own(tmp_path, {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}],
    })  # fmt: skip
    assert judge(program, "x86_64", number_of(name)) == ERRNO | 13
    assert judge(program, "x86_64", number_of(name) | X32_BIT) == UNKNOWN
    assert judge(program, "x86_64", number_of("read")) == ALLOW
    assert judge(program, "x86_64", 5000) == ALLOW


def test_several_rules_for_one_call(tmp_path: Path) -> None:
    def personality(value: int) -> dict[str, Any]:
        condition = {"index": 0, "value": value, "op": "SCMP_CMP_EQ"}
        return {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [condition]}

    program = own(tmp_path, {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [personality(0), personality(8), personality(0x20000)],
    })  # fmt: skip
    answers = [judge(program, "x86_64", 135, (value,)) for value in (0, 8, 0x20000, 9)]
    assert answers == [ALLOW, ALLOW, ALLOW, REFUSED]


def test_capabilities_architectures_and_kernels_choose_rules(tmp_path: Path) -> None:
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"names": [name], "action": "SCMP_ACT_ALLOW", key: condition}
            for name, key, condition in (
                ("acct", "includes", {"caps": ["CAP_SYS_PACCT"]}),
                ("bpf", "excludes", {"caps": ["CAP_SYS_PACCT"]}),
                ("read", "includes", {"arches": ["amd64"]}),
                ("write", "includes", {"arches": ["arm64", "s390x"]}),
                ("open", "excludes", {"arches": ["amd64"]}),
                ("ptrace", "includes", {"minKernel": "4.8"}),
                ("stat", "includes", {"minKernel": "900.1"}),
            )
        ],
    }
    program = own(tmp_path, document, ("CAP_SYS_PACCT",))
    allowed = [
        name
        for name in ("acct", "bpf", "read", "write", "open", "ptrace", "stat")
        if judge(program, "x86_64", number_of(name)) == ALLOW
    ]
    assert allowed == ["acct", "read", "ptrace"]


WORDS = (
    st.integers(0, (1 << 64) - 1)
    | st.integers(0, 3)
    | st.sampled_from([0xFFFFFFFF, 1 << 32, (1 << 32) + 1, (1 << 64) - 1])
)
HOLDS: dict[str, Callable[[int, int, int], bool]] = {
    "SCMP_CMP_EQ": lambda given, value, _: given == value,
    "SCMP_CMP_NE": lambda given, value, _: given != value,
    "SCMP_CMP_LT": lambda given, value, _: given < value,
    "SCMP_CMP_LE": lambda given, value, _: given <= value,
    "SCMP_CMP_GT": lambda given, value, _: given > value,
    "SCMP_CMP_GE": lambda given, value, _: given >= value,
    "SCMP_CMP_MASKED_EQ": lambda given, value, two: given & value == two,
}
CONDITIONS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(sorted(HOLDS)), WORDS, WORDS), max_size=4
)


@given(
    rules=st.lists(CONDITIONS, min_size=1, max_size=4),
    arguments=st.lists(WORDS, min_size=6, max_size=6),
)
@example(rules=[[(0, "SCMP_CMP_GT", 1 << 32, 0)]], arguments=[(1 << 32) + 1] + [0] * 5)
def test_any_conditions(
    rules: list[list[tuple[int, str, int, int]]], arguments: list[int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {
                "names": ["read"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 100 + place,
                "args": [
                    {"index": index, "op": op, "value": value, "valueTwo": two}
                    for index, op, value, two in rule
                ],
            }
            for place, rule in enumerate(rules)
        ],
    }
    program = own(tmp_path_factory.mktemp("own"), document)
    expected = REFUSED
    # The first rule whose conditions hold decides; one without conditions comes last.
    for place, rule in sorted(enumerate(rules), key=lambda item: not item[1]):
        if all(HOLDS[op](arguments[i], value, two) for i, op, value, two in rule):
            expected = ERRNO | 100 + place
            break
    assert judge(program, "x86_64", 0, arguments) == expected


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"defaultAction": "SCMP_ACT_DANCE"},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_LOG"}]},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"name": "read", "action": "SCMP_ACT_LOG", "args": [{"index": 9, "op": "SCMP_CMP_EQ"}]}
        ]},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"name": "read", "action": "SCMP_ACT_LOG", "args": [{"index": 0, "op": "LIKE"}]}
        ]},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said(document: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"profile\.json"):
        own(tmp_path, document)
