"""What a person asks for when creating a container, before anything is looked up."""

from __future__ import annotations

from core.model import Port
from core.record import Record


class Mount(Record):
    """A directory or file of the host seen in the container (`-v SOURCE:TARGET[:ro]`)."""

    source: str
    target: str
    read_only: bool = False


class ContainerOptions(Record):
    """The options of `run` and `create`; empty values mean the image's or the default."""

    image: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    """None: the image's.  Empty: none at all."""
    name: str = ""
    hostname: str = ""
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    mounts: tuple[Mount, ...] = ()
    network: str = ""
    """none, host, bridge; empty: the configured default."""
    publish: tuple[Port, ...] = ()
    """host_port 0: any free port."""
    memory_bytes: int = 0
    cpus: float = 0
    pids_limit: int = -1
    """-1: the configured default.  0: no limit."""
    tty: bool = False
    stdin_open: bool = False
    auto_remove: bool = False
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    seccomp: str = ""
    """Empty: docker's profile.  `unconfined`: none.  Else a profile file of the host."""
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""
    stop_timeout_s: int = -1
    """-1: the configured default."""
    restart: str = ""
    """no (also empty), always, unless-stopped, on-failure[:N]."""
