"""Loads a compiled system-call filter.  seccomp(2)"""

from __future__ import annotations

import os

from core.linux.libc import address, syscall

SECCOMP_SET_MODE_FILTER = 1
NR_SECCOMP = {"x86_64": 317}.get(os.uname().machine, 277)


def load(program: bytes, flags: int = 0) -> int:
    """Install a classic BPF program (8 bytes an instruction) for this process, for good.

    `flags` are SECCOMP_FILTER_FLAG_*; returns the descriptor that one of them asks for.  Needs
    CAP_SYS_ADMIN or no_new_privs; raises OSError.
    """
    code = bytearray(program)
    fprog = bytearray(
        (len(program) // 8).to_bytes(2, "little") + bytes(6) + address(code).to_bytes(8, "little")
    )
    return syscall("seccomp", NR_SECCOMP, SECCOMP_SET_MODE_FILTER, flags, address(fprog))
