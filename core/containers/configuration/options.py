"""What a person asks for when creating a container, before anything is looked up."""

from __future__ import annotations

from core.model import Endpoint, Port
from core.record import Record


class Mount(Record):
    """Something else seen at a place in the container (`-v SOURCE:TARGET`, `--tmpfs TARGET`)."""

    source: str
    """bind: a path of the host.  volume: its name, "" for one of the container's own."""
    target: str
    read_only: bool = False
    kind: str = "bind"
    """bind, volume or tmpfs."""
    subpath: str = ""
    """The part of a volume that is seen."""
    propagation: str = ""
    """shared, slave or private, with r in front for all mounts below; empty: rprivate."""
    copy: bool = True
    """Whether an empty volume is filled with what the image has there."""
    data: str = ""
    """tmpfs: its mount options, `size=64m,mode=1777`."""
    recursive: bool = True
    """bind: whether what the host has mounted below the source is seen too."""


class ContainerOptions(Record):
    """The options of `run` and `create`; empty values mean the image's or the default."""

    image: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    """None: the image's.  Empty: none at all."""
    name: str = ""
    hostname: str = ""
    domainname: str = ""
    annotations: tuple[tuple[str, str], ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    mounts: tuple[Mount, ...] = ()
    network: str = ""
    """none, host, container:ID, or the first of its networks; empty: the configured default."""
    endpoints: tuple[Endpoint, ...] = ()
    """Its networks and what it is there; empty: `network` alone."""
    publish: tuple[Port, ...] = ()
    """host_port 0: any free port."""
    publish_all: bool = False
    """Publish what is exposed, by the image or by `expose`, on free ports."""
    expose: tuple[Port, ...] = ()
    dns: tuple[str, ...] = ()
    """Name servers; empty: the configured ones, or the host's."""
    dns_search: tuple[str, ...] = ()
    """Domains to search; `.`: none."""
    dns_options: tuple[str, ...] = ()
    add_hosts: tuple[tuple[str, str], ...] = ()
    """Names with addresses for /etc/hosts; `host-gateway` is the host's."""
    memory_bytes: int = 0
    memory_swap_bytes: int = 0
    """Memory and swap together; 0: twice the memory, -1: no limit to swap."""
    memory_reservation_bytes: int = 0
    memory_swappiness: int = -1
    """-1: the host's."""
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    cpus: float = 0
    cpu_period_us: int = 0
    cpu_quota_us: int = 0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int = -1
    """-1: the configured default.  0: no limit."""
    blkio_weight: int = 0
    throttles: tuple[tuple[str, str, int], ...] = ()
    """OCI's name of the limit (`throttleReadBpsDevice`), the device's path, the rate."""
    ulimits: tuple[tuple[str, int, int], ...] = ()
    """Name without RLIMIT_, soft and hard limit; -1: none."""
    sysctls: tuple[tuple[str, str], ...] = ()
    shm_bytes: int = 0
    devices: tuple[tuple[str, str, str], ...] = ()
    """Path on the host, path in the container, rights of rwm."""
    device_rules: tuple[str, ...] = ()
    """`c 1:3 rwm`."""
    groups: tuple[str, ...] = ()
    """More groups of the user, names as in the image or numbers."""
    pid: str = ""
    """Empty: its own namespace.  host, or container:ID."""
    ipc: str = ""
    """As pid; none: its own namespace, and no /dev/shm."""
    uts: str = ""
    """Empty or host."""
    cgroupns: str = ""
    """Empty or host."""
    init: bool = False
    tty: bool = False
    stdin_open: bool = False
    auto_remove: bool = False
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    unmasked: bool = False
    """Whether /proc and /sys are seen whole, as they are."""
    seccomp: str = ""
    """Empty: docker's profile.  `unconfined`: none.  Else a profile file of the host."""
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""
    stop_timeout_s: int = -1
    """-1: the configured default."""
    restart: str = ""
    """no (also empty), always, unless-stopped, on-failure[:N]."""
    log_driver: str = ""
    """json-file (also empty), none, journald."""
    log_opts: tuple[tuple[str, str], ...] = ()
    health_cmd: str = ""
    """For a shell; empty: the image's check.  Of the others 0 means the image's, or docker's."""
    health_interval_s: float = 0
    health_timeout_s: float = 0
    health_retries: int = 0
    health_start_period_s: float = 0
    health_start_interval_s: float = 0
    no_healthcheck: bool = False
