"""What the engine shows to front ends: flat, frozen facts about images and containers."""

from __future__ import annotations

from core.record import Record


class ImageInfo(Record):
    """An image in the local store."""

    digest: str
    """Of its manifest, `sha256:<hex>`."""
    config_digest: str
    """docker's IMAGE ID."""
    tags: tuple[str, ...]
    """Familiar names, `nginx:1.27`; empty for a dangling image."""
    platform: str
    """os/arch[/variant]."""
    created: float
    """Seconds since the epoch."""
    size_bytes: int
    """Of the unpacked layers."""
    blob_bytes: int
    """Of the compressed layers."""
    layers: int
    used_by: tuple[str, ...] = ()
    """Names of containers made from it."""
    added: float = 0
    """When it came into this store."""


class LayerInfo(Record):
    """One step of an image's history; `diff_id` is empty where the step added no layer."""

    diff_id: str
    blob_digest: str
    blob_bytes: int
    size_bytes: int
    files: int
    created_by: str
    created: float
    comment: str = ""


class Port(Record):
    """A published port: traffic to host_ip:host_port goes to the container's port."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str = "tcp"
    host_last: int = 0
    """When asked for: any free port from host_port to this one."""


class Endpoint(Record):
    """A container's place on a network; what is empty is chosen."""

    network: str
    aliases: tuple[str, ...] = ()
    """More names under which the network's other containers find it."""
    ip: str = ""
    ip6: str = ""
    mac: str = ""


class ContainerInfo(Record):
    """A container, running or not."""

    id: str
    name: str
    image: str
    image_digest: str
    command: tuple[str, ...]
    created: float
    state: str
    """created, running, paused, restarting, crash-looping, exited or dead."""
    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started: float = 0
    finished: float = 0
    restarts: int = 0
    next_start: float = 0
    """While it is restarting or crash-looping."""
    run_codes: tuple[tuple[int, bool], ...] = ()
    """Exit code and whether memory ran out, of the last runs under a restart policy."""
    health: str = ""
    """starting, healthy or unhealthy; empty without a check and while it does not run."""
    tty: bool = False
    ports: tuple[Port, ...] = ()
    networks: tuple[str, ...] = ()
    address: str = ""
    """On the network it is reached by; empty while it does not run."""
    labels: tuple[tuple[str, str], ...] = ()


class Usage(Record):
    """What a running container uses at one moment."""

    cpu_ns: int
    """CPU time since it started, nanoseconds."""
    memory_bytes: int
    memory_limit_bytes: int
    pids: int
    pids_limit: int


class RegistryInfo(Record):
    """A registry that is configured or was used."""

    host: str
    state: str
    """unknown, reachable, unauthorized, limited or unreachable, when it was last talked to."""
    cause: str = ""
    user: str = ""
    scheme: str = "https"
    last_used: float = 0
    quota: str = ""
    """Pulls that it still grants, `REMAINING/LIMIT, reset in 5 h`, as far as it tells."""
    last_sync: float = 0
    """When a sync rule that names it ended last."""


class Fact(Record):
    """One finding about this host; `hint` is the command that mends it."""

    name: str
    ok: bool
    text: str
    hint: str = ""
