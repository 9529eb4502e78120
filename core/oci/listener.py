"""Who decides about the system calls that a filter passes on (SCMP_ACT_NOTIFY).

The process that loads the filter hands its listener over, on a connection made before, with
what the specification says of the process.
https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
"""

from __future__ import annotations

from core.lean_json import dumps
from core.oci.bundle import VERSION, Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.oci.state import Container

NOTIFY = "SCMP_ACT_NOTIFY"
NEEDED = "sendmsg"
"""By this the listener is handed over, when the filter is in force already."""


def listener_path(asked: dict[str, Any] | None) -> str:
    """Return the socket of who decides, "" where `linux.seccomp` passes nothing on.

    Raises Wrong for a filter whose listener could never be handed over.
    """
    if not asked or f'"{NOTIFY}"' not in dumps(asked):
        return ""
    if asked.get("defaultAction") == NOTIFY:
        raise Wrong("linux.seccomp.defaultAction", f"{NOTIFY} is for single system calls only")
    for entry in asked.get("syscalls") or ():
        if entry.get("action") == NOTIFY and NEEDED in (entry.get("names") or ()):
            raise Wrong("linux.seccomp.syscalls", f"{NOTIFY} is not possible for {NEEDED}")
    path = asked.get("listenerPath")
    if not isinstance(path, str) or not path:
        raise Wrong("linux.seccomp.listenerPath", f"is missing, and {NOTIFY} asks for it")
    return path


def process_state(container: Container, pid: int, linux: dict[str, Any], status: str) -> bytes:
    """Return what the listener is told of a process, b"" where there is none.

    `linux` is that part of the configuration, `status` that of the container.
    """
    asked = linux.get("seccomp")
    if not listener_path(asked):
        return b""
    assert asked is not None
    document = {
        "ociVersion": VERSION,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": asked.get("listenerMetadata") or "",
        "state": {**container.show(status), "pid": container.pid},
    }
    return dumps(document).encode("utf-8", "surrogateescape")
