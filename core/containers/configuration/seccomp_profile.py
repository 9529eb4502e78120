"""docker's system-call allow-list, compiled to the kernel's filter language.

The list and the numbers are data (seccomp_profile.json, which names their source).  The
filter checks the architecture, finds the number by binary search over ranges with the same
answer, and looks at arguments only for the few calls that need it.  Compiled filters are
kept under the cache directory, so a start only reads a file.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import os
from _thread import get_native_id

from core.errors import UsageError
from core.lean_json import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.paths import Paths

    Code = tuple[int, int, int, int]
    Tail = list[Code]

VERSION = 2
"""Part of the cache's key: raise it when the compiler's output changes."""
ALLOW, LOG, ERRNO = 0x7FFF0000, 0x7FFC0000, 0x00050000
EPERM, ENOSYS = 1, 38
LOAD, AND, JUMP, JEQ, JGT, JGE, RETURN = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06
# Offsets into struct seccomp_data; arguments are 64 bits, the low half first.
NUMBER, ARCH, ARGUMENTS = 0, 4, 16
AUDIT_ARCH = {"x86_64": 0xC000003E, "i386": 0x40000003, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000
DIGEST_BYTES = 16
NEW_NAMESPACES = 0x7E020000
AF_VSOCK = 40
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)


def load_filter(paths: Paths, profile: str, capabilities: tuple[str, ...]) -> bytes:
    """Return the compiled filter for a container, from the cache or made now.

    `profile` is empty for docker's, `unconfined` for none (b""), or a file in docker's
    format.  Raises UsageError for a file that cannot be read or understood.
    """
    if profile == "unconfined":
        return b""
    from _blake2 import blake2b  # hashlib would load OpenSSL: 4 ms

    stamp = _stamp(profile) if profile else ""
    key = f"{VERSION} {os.uname().machine} {profile} {stamp} {' '.join(sorted(capabilities))}"
    cached = f"{paths.cache}/seccomp-{blake2b(key.encode(), digest_size=16).hexdigest()}.bpf"
    if program := kept_filter(cached):
        return program
    program = _compile(profile, capabilities)
    keep_filter(program, cached)
    return program


def kept_filter(place: str) -> bytes:
    """Return the filter that is kept there, b"" for none that is whole.

    After a power cut a file may be there and not its content, and an empty filter lets everything
    pass: each stands behind its own digest.
    """
    try:
        with open(place, "rb") as file:
            digest, program = file.read(DIGEST_BYTES), file.read()
    except OSError:
        return b""
    return program if program and digest == _digest(program) else b""


def keep_filter(program: bytes, place: str) -> None:
    """Keep a filter, whole; a place that cannot be written only costs time."""
    # A name of this thread alone: several start containers at once, and a filter that another
    # has half written must never become the kept one.
    temporary = f"{place}.{os.getpid()}-{get_native_id()}"
    try:
        os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(_digest(program) + program)
            os.rename(temporary, place)
        except OSError:
            os.unlink(temporary)
    except OSError:
        pass


def _digest(program: bytes) -> bytes:
    from _blake2 import blake2b

    return bytes(blake2b(program, digest_size=DIGEST_BYTES).digest())


def _stamp(path: str) -> str:
    try:
        facts = os.stat(path)
    except OSError as error:
        raise UsageError(f"seccomp profile {path}: {error.strerror}", subject=path) from error
    return f"{facts.st_ino} {facts.st_mtime_ns} {facts.st_size}"


def _compile(profile: str, capabilities: tuple[str, ...]) -> bytes:
    data = _data()
    machine = os.uname().machine
    arches = ("x86_64", "i386") if machine == "x86_64" else (machine,)
    if profile:
        from core.containers.configuration.seccomp_file import read_profile

        return compile_filter(
            {
                arch: read_profile(profile, arch, data["numbers"][arch], capabilities)
                for arch in arches
            }
        )
    return compile_filter({arch: default_rules(data, arch, capabilities) for arch in arches})


def numbers() -> dict[str, dict[str, int]]:
    """Return every system call's number by name, for each architecture."""
    found: dict[str, dict[str, int]] = _data()["numbers"]
    return found


def _data() -> dict[str, Any]:
    with open(os.path.join(os.path.dirname(__file__), "seccomp_profile.json"), "rb") as file:
        found: dict[str, Any] = loads(file.read().decode())
    return found


class Rules:
    """What one architecture's system calls get: `answers` by number, `tails` by number."""

    def __init__(self, default: int, newest: int) -> None:
        self.default = default
        self.newest = newest
        """The highest number that was known when the rules were written."""
        self.answers: dict[int, int] = {}
        self.tails: dict[int, Tail] = {}


def default_rules(data: dict[str, Any], arch: str, capabilities: Sequence[str]) -> Rules:
    """Return docker's rules for one architecture and a set of capabilities."""
    numbers: dict[str, int] = data["numbers"][arch]
    rules = Rules(ERRNO | data["errno"], max(numbers.values()))
    allowed = set(data["allow"])
    for capability, names in data["with_capability"].items():
        if capability in capabilities:
            allowed.update(names)
    for name in allowed:
        if name in numbers:
            rules.answers[numbers[name]] = ALLOW
    if "clone" not in allowed:
        # Threads and processes are wanted, new namespaces are not; clone3 hides its flags
        # behind a pointer, so programs are told it does not exist and fall back to clone.
        rules.tails[numbers["clone"]] = masked_zero(0, NEW_NAMESPACES, rules.default)
        rules.answers[numbers["clone3"]] = ERRNO | ENOSYS
    if "socket" in numbers:
        rules.tails[numbers["socket"]] = equal_any(0, (AF_VSOCK,), rules.default, ALLOW)
    rules.tails[numbers["personality"]] = equal_any(0, PERSONALITIES, ALLOW, rules.default)
    return rules


def masked_zero(argument: int, mask: int, otherwise: int) -> Tail:
    """Allow when no bit of `mask` (32 bits) is set in the argument's low half."""
    return [
        (LOAD, 0, 0, ARGUMENTS + 8 * argument),
        (AND, 0, 0, mask),
        (JEQ, 0, 1, 0),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, otherwise),
    ]


def equal_any(argument: int, values: Sequence[int], same: int, otherwise: int) -> Tail:
    """Answer `same` when the argument's low half is one of the values.

    The kernel takes ints here and ignores the high half, so it must not be looked at.
    """
    tail = [(LOAD, 0, 0, ARGUMENTS + 8 * argument)]
    count = len(values)
    tail += [(JEQ, count - place, 0, value) for place, value in enumerate(values)]
    return [*tail, (RETURN, 0, 0, otherwise), (RETURN, 0, 0, same)]


def compile_filter(rules: dict[str, Rules]) -> bytes:
    """Return the program for all architectures; other ones get their calls refused."""
    program: list[Code] = [(LOAD, 0, 0, ARCH)]
    for arch, found in rules.items():
        body = _body(arch, found)
        program += [(JEQ, 1, 0, AUDIT_ARCH[arch]), (JUMP, 0, 0, len(body)), *body]
    program.append((RETURN, 0, 0, ERRNO | EPERM))
    return b"".join(
        code.to_bytes(2, "little") + bytes((yes, no)) + value.to_bytes(4, "little")
        for code, yes, no, value in program
    )


def _body(arch: str, rules: Rules) -> list[Code]:
    body: list[Code] = [(LOAD, 0, 0, NUMBER)]
    if arch == "x86_64":
        # The x32 calls have numbers of their own, which no rule names: there are none.
        body += [(JGE, 0, 1, X32_BIT), (RETURN, 0, 0, ERRNO | ENOSYS)]
    return body + _search(_ranges(rules))


def _ranges(rules: Rules) -> list[tuple[int, Tail]]:
    """Return (first number, what is done from there on) in order, neighbours merged."""
    default: Tail = [(RETURN, 0, 0, rules.default)]
    ranges: list[tuple[int, Tail]] = [(0, default)]

    def add(first: int, tail: Tail) -> None:
        if ranges[-1][0] == first:
            ranges[-1] = (first, tail)
        elif ranges[-1][1] != tail:
            ranges.append((first, tail))

    for number in sorted(rules.answers.keys() | rules.tails.keys()):
        tail = rules.tails.get(number) or [(RETURN, 0, 0, rules.answers[number])]
        add(number, tail)
        ranges.append((number + 1, default))
        _merge_last(ranges)
    if rules.default not in (ALLOW, LOG):
        # A call that is newer than the rules: only ENOSYS makes a C library try the older
        # way, so runc answers it, too.
        add(rules.newest + 1, [(RETURN, 0, 0, ERRNO | ENOSYS)])
    merged: list[tuple[int, Tail]] = []
    for first, tail in ranges:
        if merged and merged[-1][0] == first:
            merged[-1] = (first, tail)
        if not merged or merged[-1][1] != tail:
            merged.append((first, tail))
    return merged


def _merge_last(ranges: list[tuple[int, Tail]]) -> None:
    """Drop a range that ends where it begins."""
    if len(ranges) > 1 and ranges[-2][0] == ranges[-1][0]:
        del ranges[-2]


def _search(ranges: list[tuple[int, Tail]]) -> list[Code]:
    """Return a binary search over the ranges that ends in their tails."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    low, high = _search(ranges[:middle]), _search(ranges[middle:])
    pivot = ranges[middle][0]
    if len(low) <= 255:
        return [(JGE, len(low), 0, pivot), *low, *high]
    # Conditional jumps reach 255 instructions; a plain one reaches any.
    return [(JGE, 0, 1, pivot), (JUMP, 0, 0, len(low)), *low, *high]
