"""Options and an image's config to an OCI runtime configuration, docker's defaults.

Pure: the result is data, kept with the container.
https://github.com/opencontainers/runtime-spec/blob/main/config.md
"""

from __future__ import annotations

from core.containers.options import ContainerOptions
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
# moby: oci/devices, the v1 syntax of devices.allow
DEVICE_RULES = (
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",
    "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm",
)  # fmt: skip
# moby: daemon/oci_linux.go; a user who is not root may ping and listen on any port.
SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
NAMESPACES = ("pid", "mount", "uts", "ipc", "cgroup", "network")


def build_spec(
    options: ContainerOptions,
    image_config: dict[str, Any],
    config: Config,
    *,
    hostname: str,
    directory: str,
) -> dict[str, Any]:
    """Return the runtime configuration of a new container.

    `image_config` is the OCI image config; `directory` is the container's, where the files
    for /etc/hosts, /etc/hostname and /etc/resolv.conf lie.  Raises RunError when there is
    nothing to run, UsageError for an unknown capability.
    """
    settings = image_config.get("config") or {}
    host_network = options.network == "host"
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": options.tty,
            "user": {"username": options.user or settings.get("User", "")},
            "args": list(_arguments(options, settings)),
            "env": _environment(options, settings, hostname),
            "cwd": options.workdir or settings.get("WorkingDir") or "/",
            "capabilities": {"bounding": list(_capabilities(options))},
            "noNewPrivileges": options.no_new_privileges,
        },
        "root": {"path": "rootfs", "readonly": options.read_only},
        "hostname": hostname,
        "mounts": _mounts(options, settings, directory),
        "linux": {
            "namespaces": [
                {"type": kind} for kind in NAMESPACES if not (kind == "network" and host_network)
            ],
            "sysctl": {} if host_network else dict(SYSCTLS),
            "maskedPaths": [] if options.privileged else list(MASKED_PATHS),
            "readonlyPaths": [] if options.privileged else list(READONLY_PATHS),
            "resources": {
                "memory": {"limit": options.memory_bytes},
                "cpu": {"cpus": options.cpus},
                "pids": {
                    "limit": config["container", "pids_limit"]
                    if options.pids_limit < 0
                    else options.pids_limit
                },
                "deviceRules": [] if options.privileged else list(DEVICE_RULES),
            },
        },
        "annotations": {
            "limpet.default-limits": "--pids-limit" if options.pids_limit < 0 else "",
            "limpet.privileged": "true" if options.privileged else "",
            "limpet.seccomp": "unconfined" if options.privileged else options.seccomp,
            "limpet.stop-signal": options.stop_signal or settings.get("StopSignal") or "SIGTERM",
        },
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


def _mounts(
    options: ContainerOptions, settings: dict[str, Any], directory: str
) -> list[dict[str, Any]]:
    sysfs = ["nosuid", "noexec", "nodev"] + ([] if options.privileged else ["ro"])
    mounts = [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts",
            "devpts",
            "devpts",
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5",
        ),
        _mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
        _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        _mount("/sys", "sysfs", "sysfs", *sysfs),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", *sysfs),
    ]
    taken = {mount.target.rstrip("/") for mount in options.mounts}
    mounts += [
        _mount(f"/etc/{name}", "bind", f"{directory}/{name}", "rbind")
        for name in ("resolv.conf", "hostname", "hosts")
        if f"/etc/{name}" not in taken
    ]
    # A volume that the image declares and nobody mounts is a directory of the container's own.
    for number, target in enumerate(sorted(settings.get("Volumes") or {})):
        if target.rstrip("/") not in taken and target.startswith("/"):
            mounts.append(_mount(target, "volume", f"{directory}/volumes/{number}", "rbind"))
    mounts += [
        _mount(mount.target, "bind", mount.source, "rbind", "ro" if mount.read_only else "rw")
        for mount in options.mounts
    ]
    return mounts


def _mount(destination: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}
