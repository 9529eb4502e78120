"""How a process is scheduled: sched_setattr(2), ioprio_set(2), personality(2)."""

from __future__ import annotations

import os

from core.linux.libc import address, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_X86 = os.uname().machine == "x86_64"
NR_SCHED_SETATTR = 314 if _X86 else 274
NR_IOPRIO_SET = 251 if _X86 else 30
NR_PERSONALITY = 135 if _X86 else 92
POLICIES = {"SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4,
            "SCHED_IDLE": 5, "SCHED_DEADLINE": 6}  # fmt: skip
FLAGS = {"SCHED_FLAG_RESET_ON_FORK": 1, "SCHED_FLAG_RECLAIM": 2, "SCHED_FLAG_DL_OVERRUN": 4,
         "SCHED_FLAG_KEEP_POLICY": 8, "SCHED_FLAG_KEEP_PARAMS": 16,
         "SCHED_FLAG_UTIL_CLAMP_MIN": 32, "SCHED_FLAG_UTIL_CLAMP_MAX": 64}  # fmt: skip
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
IOPRIO_WHO_PROCESS, IOPRIO_CLASS_SHIFT = 1, 13


def scheduler(asked: dict[str, Any]) -> bytes:
    """Return the OCI `process.scheduler` as struct sched_attr; ValueError for an unknown word."""
    for word, known in (
        (asked.get("policy"), POLICIES),
        *((f, FLAGS) for f in asked.get("flags") or ()),
    ):
        if word not in known:
            raise ValueError(f"process.scheduler: there is no {word!r}")
    flags = sum(FLAGS[word] for word in asked.get("flags") or ())
    return b"".join(
        (
            (48).to_bytes(4, "little"),
            POLICIES[asked["policy"]].to_bytes(4, "little"),
            flags.to_bytes(8, "little"),
            int(asked.get("nice") or 0).to_bytes(4, "little", signed=True),
            int(asked.get("priority") or 0).to_bytes(4, "little"),
            *(
                int(asked.get(key) or 0).to_bytes(8, "little")
                for key in ("runtime", "deadline", "period")
            ),
        )
    )


def sched_setattr(attributes: bytes) -> None:
    """Call sched_setattr(2) for this thread."""
    data = bytearray(attributes)
    syscall("sched_setattr", NR_SCHED_SETATTR, 0, address(data), 0)


def io_priority(asked: dict[str, Any]) -> int:
    """Return the OCI `process.ioPriority` as ioprio_set(2) takes it; ValueError."""
    if asked.get("class") not in IO_CLASSES:
        raise ValueError(f"process.ioPriority: there is no {asked.get('class')!r}")
    return IO_CLASSES[asked["class"]] << IOPRIO_CLASS_SHIFT | int(asked.get("priority") or 0)


def ioprio_set(value: int) -> None:
    """Call ioprio_set(2) for this thread."""
    syscall("ioprio_set", NR_IOPRIO_SET, IOPRIO_WHO_PROCESS, 0, value)


def personality(domain: int) -> None:
    """Call personality(2)."""
    syscall("personality", NR_PERSONALITY, domain)
