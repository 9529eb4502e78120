"""Options and an image's config to an OCI runtime configuration, docker's defaults.

Pure: the result is data, kept with the container.
https://github.com/opencontainers/runtime-spec/blob/main/config.md
"""

from __future__ import annotations

from core.containers.configuration import devices, init_program
from core.containers.configuration.mounts import build_mounts
from core.containers.configuration.options import ContainerOptions
from core.containers.runtime import limits
from core.errors import RunError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.config import Config

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# moby: oci/caps/defaults.go
DEFAULT_CAPABILITIES = (
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID",
    "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
)  # fmt: skip
# moby: oci/defaults.go
MASKED_PATHS = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
# moby: daemon/oci_linux.go; a user who is not root may ping and listen on any port.
SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
NAMESPACES = ("pid", "mount", "uts", "ipc", "cgroup", "network")
# runc: libcontainer/configs/validate; what belongs to a namespace of the container's own.
IPC_SYSCTLS = ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
               "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced")  # fmt: skip


def build_spec(
    options: ContainerOptions,
    image_config: dict[str, Any],
    config: Config,
    *,
    hostname: str,
    directory: str,
    volumes: str,
) -> dict[str, Any]:
    """Return the runtime configuration of a new container.

    `image_config` is the OCI image config; `directory` is the container's, where the files
    for /etc/hosts, /etc/hostname and /etc/resolv.conf lie; `volumes` is where named volumes
    do.  Raises RunError when there is nothing to run, UsageError for what does not exist
    (a capability, a device) or cannot be together.
    """
    settings = image_config.get("config") or {}
    whole = options.privileged or options.unmasked
    nodes, rules = devices.build_devices(options)
    arguments = list(_arguments(options, settings))
    mounts = build_mounts(options, settings, directory=directory, volumes=volumes)
    if options.init:
        mounts.append(init_program.mount())
        arguments = [init_program.PLACE, "--", *arguments]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": options.tty,
            "user": {
                "username": options.user or settings.get("User", ""),
                "additionalGroups": list(options.groups),
            },
            "args": arguments,
            "env": _environment(options, settings, hostname),
            "cwd": options.workdir or settings.get("WorkingDir") or "/",
            "capabilities": {"bounding": list(_capabilities(options))},
            "noNewPrivileges": options.no_new_privileges,
            "rlimits": [
                {"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard}
                for name, soft, hard in options.ulimits
            ],
            "oomScoreAdj": options.oom_score_adj,
        },
        "root": {"path": "rootfs", "readonly": options.read_only},
        "hostname": "" if options.uts == "host" else hostname,
        "domainname": "" if options.uts == "host" else options.domainname,
        "mounts": mounts,
        "linux": {
            "namespaces": _namespaces(options),
            "sysctl": _sysctls(options),
            "maskedPaths": [] if whole else list(MASKED_PATHS),
            "readonlyPaths": [] if whole else list(READONLY_PATHS),
            "devices": nodes,
            "resources": {**_resources(options, config), "deviceRules": rules},
        },
        "annotations": {
            **dict(options.annotations),
            "limpet.default-limits": "--pids-limit" if options.pids_limit < 0 else "",
            "limpet.privileged": "true" if options.privileged else "",
            "limpet.seccomp": "unconfined" if options.privileged else options.seccomp,
            "limpet.stop-signal": options.stop_signal or settings.get("StopSignal") or "SIGTERM",
        },
    }


def _namespaces(options: ContainerOptions) -> list[dict[str, str]]:
    """All of its own but those that are the host's; `path` names a container to join."""
    asked = {"pid": options.pid, "ipc": options.ipc, "uts": options.uts,
             "cgroup": options.cgroupns, "network": options.network}  # fmt: skip
    found = []
    for kind in NAMESPACES:
        wanted = asked.get(kind, "")
        if wanted.startswith("container:"):
            found.append({"type": kind, "path": wanted})
        elif wanted != "host":
            found.append({"type": kind})
    return found


def _sysctls(options: ContainerOptions) -> dict[str, str]:
    own_network = options.network != "host" and not options.network.startswith("container:")
    found = dict(SYSCTLS) if own_network else {}
    for name, value in options.sysctls:
        if name.startswith("net."):
            allowed = own_network
        else:
            allowed = options.ipc != "host" and (
                name in IPC_SYSCTLS or name.startswith("fs.mqueue.")
            )
        if not allowed:
            raise UsageError(
                f"--sysctl {name} would change the host",
                hint="only what belongs to the container's own network and ipc can be set",
                subject=name,
            )
        found[name] = value
    return found


def _resources(options: ContainerOptions, config: Config) -> dict[str, Any]:
    quota = limits.cpu_quota(options.cpus) if options.cpus else options.cpu_quota_us
    pids = config["container", "pids_limit"] if options.pids_limit < 0 else options.pids_limit
    block: dict[str, Any] = {"weight": options.blkio_weight}
    for kind, path, rate in options.throttles:
        block.setdefault(kind, []).append({**devices.numbers(path), "rate": rate})
    return {
        "memory": {
            "limit": options.memory_bytes,
            "swap": options.memory_swap_bytes,
            "reservation": options.memory_reservation_bytes,
            "disableOOMKiller": options.oom_kill_disable,
            "swappiness": None if options.memory_swappiness < 0 else options.memory_swappiness,
        },
        "cpu": {
            "quota": quota,
            "period": 0 if options.cpus else options.cpu_period_us,
            "shares": options.cpu_shares,
            "cpus": options.cpuset_cpus,
            "mems": options.cpuset_mems,
        },
        "pids": {"limit": pids},
        "blockIO": block,
    }


def labels(options: ContainerOptions, image_config: dict[str, Any]) -> dict[str, str]:
    """Return the image's labels with the container's own over them."""
    inherited = (image_config.get("config") or {}).get("Labels") or {}
    return {**inherited, **dict(options.labels)}


def _arguments(options: ContainerOptions, settings: dict[str, Any]) -> tuple[str, ...]:
    """An entrypoint given on the command line also sets the image's CMD aside, as in docker."""
    if options.entrypoint is None:
        entrypoint = tuple(settings.get("Entrypoint") or ())
        command = options.command or tuple(settings.get("Cmd") or ())
    else:
        entrypoint, command = options.entrypoint, options.command
    found = (*entrypoint, *command)
    if not found:
        raise RunError(
            f"{options.image} names no command to run",
            hint=f"say one: run {options.image} COMMAND",
            subject=options.image,
        )
    if any("\0" in word for word in found):
        raise RunError("the command holds a NUL byte", subject=options.image)
    return found


def _environment(options: ContainerOptions, settings: dict[str, Any], hostname: str) -> list[str]:
    values = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if options.tty:
        values["TERM"] = "xterm"
    for entry in (*(settings.get("Env") or ()), *options.env):
        name, _, value = entry.partition("=")
        if name and "\0" not in entry:
            values[name] = value
    return [f"{name}={value}" for name, value in values.items()]


def _capabilities(options: ContainerOptions) -> tuple[str, ...]:
    if not (options.privileged or options.cap_drop or options.cap_add):
        return DEFAULT_CAPABILITIES
    from core.linux.capabilities import NAMES

    every = tuple("CAP_" + name for name in NAMES)
    wanted = set(every if options.privileged else DEFAULT_CAPABILITIES)
    for words, change in ((options.cap_drop, wanted.discard), (options.cap_add, wanted.add)):
        for word in words:
            name = "CAP_" + word.upper().removeprefix("CAP_")
            if name == "CAP_ALL":
                for one in every:
                    change(one)
            elif name in every:
                change(name)
            else:
                raise UsageError(
                    f"there is no capability {word!r}",
                    hint="names are as in capabilities(7), e.g. NET_ADMIN, or ALL",
                )
    return tuple(name for name in every if name in wanted)
