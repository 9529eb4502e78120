"""The configuration's system-call filter, compiled once and kept.

https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
"""

from __future__ import annotations

import os

from core.lean_json import dumps
from core.oci.bundle import Wrong
from core.oci.listener import listener_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC": 0, "SECCOMP_FILTER_FLAG_LOG": 2,
         "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
         "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 0}  # fmt: skip
"""Kernel flags of what a process with one thread and without a listener gains from."""
NEW_LISTENER, WAIT_KILLABLE_RECV = 8, 32
ARCHITECTURES = {"SCMP_ARCH_X86_64": "x86_64", "SCMP_ARCH_X86": "i386",
                 "SCMP_ARCH_AARCH64": "aarch64"}  # fmt: skip


def load_filter(asked: dict[str, Any] | None, cache: str) -> tuple[bytes, int]:
    """Return the compiled filter of `linux.seccomp` and the flags to load it with; b"" for none.

    It is kept in the directory `cache`, where that can be written.  Raises Wrong.
    """
    if not asked:
        return b"", 0
    flags = NEW_LISTENER if listener_path(asked) else 0
    for name in asked.get("flags") or ():
        if name not in FLAGS:
            raise Wrong("linux.seccomp.flags", f"there is no {name}")
        flags |= FLAGS[name]
        if flags & NEW_LISTENER and name.endswith("WAIT_KILLABLE_RECV"):
            flags |= WAIT_KILLABLE_RECV
    from _blake2 import blake2b  # hashlib would load OpenSSL: 4 ms

    from core.containers.configuration.seccomp_profile import VERSION, keep_filter, kept_filter

    key = f"{VERSION} {os.uname().machine} {dumps(asked)}"
    digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    place = f"{cache}/seccomp-oci-{digest}.bpf"
    program = kept_filter(place)
    if not program:
        program = _compile(asked)
        keep_filter(program, place)
    return program, flags


def _compile(asked: dict[str, Any]) -> bytes:
    from core.containers.configuration.seccomp_file import profile_rules
    from core.containers.configuration.seccomp_profile import compile_filter, numbers

    machine = os.uname().machine
    named = [ARCHITECTURES[a] for a in asked.get("architectures") or () if a in ARCHITECTURES]
    arches = [machine, *(a for a in named if a != machine and {a, machine} == {"x86_64", "i386"})]
    known = numbers()
    try:
        return compile_filter(
            {arch: profile_rules(asked, arch, known[arch], ()) for arch in arches}
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Wrong("linux.seccomp", str(error)) from error
