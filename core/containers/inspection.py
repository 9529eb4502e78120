"""docker's inspect document of a container, made from its row and state.

The keys and their nesting are those of docker's API (`ContainerInspect`), so that scripts
and templates written for docker find what they look for.
"""

from __future__ import annotations

from core.containers import network_document, state
from core.containers.configuration.healthcheck import as_docker
from core.containers.configuration.mounts import PROPAGATIONS, SHM_BYTES
from core.containers.log.drivers import log_config
from core.containers.log.writer import timestamp
from core.containers.supervision.restarts import parse_policy
from core.lean_json import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.config import Config
    from core.containers.configuration.options import ContainerOptions
    from core.containers.state import State
    from core.containers.stored import Row
    from core.paths import Paths

NEVER = "0001-01-01T00:00:00Z"


def document(
    paths: Paths, config: Config, row: Row, spec: dict[str, Any], found: State
) -> dict[str, Any]:
    """Return the document."""
    options = row.options
    directory = paths.container(row.id)
    args: list[str] = row.document["args"]
    asked = {mount.target for mount in options.mounts}
    return {
        "Id": row.id,
        "Created": _time(row.created),
        "Path": args[0],
        "Args": args[1:],
        "State": {
            **_state(found, _runs(directory, found)),
            **_health(directory, row, found),
        },
        "RestartCount": found.restarts,
        "Image": row.image_digest,
        "ResolvConfPath": f"{directory}/resolv.conf",
        "HostnamePath": f"{directory}/hostname",
        "HostsPath": f"{directory}/hosts",
        "LogPath": f"{directory}/log",
        "Name": f"/{row.name}",
        "Driver": "overlay",
        "Platform": "linux",
        "HostConfig": _host_config(config, options, spec),
        "GraphDriver": {
            "Name": "overlay",
            "Data": {"UpperDir": f"{directory}/upper", "WorkDir": f"{directory}/work"},
        },
        "Mounts": [
            _mount(entry, paths.volumes)
            for entry in spec["mounts"]
            if entry["type"] == "volume" or entry["destination"] in asked
        ],
        "Config": _config(row, options, spec),
        "NetworkSettings": network_document.settings(paths, options, found, row.id),
    }


def _time(seconds: float) -> str:
    return timestamp(int(seconds * 1e9)).decode() if seconds > 0 else NEVER


def _state(found: State, runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "Status": state.RESTARTING if found.state in state.WAITING else found.state,
        "Running": found.state in state.ALIVE,
        "Paused": found.state == state.PAUSED,
        "Restarting": found.state in state.WAITING,
        "OOMKilled": found.oom,
        "Dead": found.state == "dead",
        "Pid": found.pid,
        "ExitCode": found.exit_code,
        "Error": found.error,
        "StartedAt": _time(found.started),
        "FinishedAt": _time(found.finished),
        # limpet's own: docker has no word for a crash loop, and forgets all runs but the last.
        "CrashLooping": found.state == state.CRASH_LOOPING,
        "NextStartAt": _time(found.next_start),
        "Runs": runs,
    }


def _runs(directory: str, found: State) -> list[dict[str, Any]]:
    """Return the last runs under a restart policy, each with the last lines it wrote."""
    from core.containers.log.reader import last_lines

    return [
        {
            "StartedAt": _time(started),
            "FinishedAt": _time(finished),
            "ExitCode": code,
            "OOMKilled": oom,
            "Output": last_lines(f"{directory}/log", started, finished),
        }
        for started, finished, code, oom in found.runs
    ]


def _health(directory: str, row: Row, found: State) -> dict[str, Any]:
    """Return docker's `Health`, nothing without a check; a container that ended is unhealthy."""
    if not row.document.get("health"):
        return {}
    try:
        said = loads(state.read_file(f"{directory}/health.json").decode())
    except (OSError, ValueError):
        said = {"failing": 0, "results": []}
    log = [
        {
            "Start": _time(result["started"]),
            "End": _time(result["ended"]),
            "ExitCode": result["code"],
            "Output": result["output"],
        }
        for result in said["results"]
    ]
    status = found.health or ("unhealthy" if found.started else "starting")
    return {"Health": {"Status": status, "FailingStreak": said["failing"], "Log": log}}


def _config(row: Row, options: ContainerOptions, spec: dict[str, Any]) -> dict[str, Any]:
    process = spec["process"]
    return {
        "Hostname": spec["hostname"],
        "Domainname": options.domainname,
        "User": process["user"]["username"],
        "Tty": options.tty,
        "OpenStdin": options.stdin_open,
        "Env": process["env"],
        "Cmd": list(options.command) or None,
        "Entrypoint": None if options.entrypoint is None else list(options.entrypoint),
        "Image": row.image,
        "WorkingDir": process["cwd"],
        "Labels": row.document["all_labels"],
        **({"Healthcheck": as_docker(check)} if (check := row.document.get("health")) else {}),
        "StopSignal": spec["annotations"]["limpet.stop-signal"],
        "StopTimeout": options.stop_timeout_s if options.stop_timeout_s >= 0 else None,
        "ExposedPorts": network_document.exposed_ports((*options.expose, *options.publish)),
    }


def _host_config(config: Config, options: ContainerOptions, spec: dict[str, Any]) -> dict[str, Any]:
    resources = spec["linux"]["resources"]
    policy = parse_policy(options.restart or "no")
    return {
        "Binds": [f"{mount.source}:{mount.target}{':ro' * mount.read_only}"
                  for mount in options.mounts if mount.source],
        "Tmpfs": {mount.target: mount.data for mount in options.mounts if mount.kind == "tmpfs"},
        **network_document.wishes(options),
        "AutoRemove": options.auto_remove,
        "RestartPolicy": {"Name": policy.name, "MaximumRetryCount": policy.retries},
        "LogConfig": log_config(config, options),
        "Privileged": options.privileged,
        "ReadonlyRootfs": options.read_only,
        "CapAdd": list(options.cap_add) or None,
        "CapDrop": list(options.cap_drop) or None,
        "SecurityOpt": [*(["no-new-privileges"] if options.no_new_privileges else []),
                        *([f"seccomp={options.seccomp}"] if options.seccomp else [])] or None,
        "Memory": options.memory_bytes,
        "MemorySwap": options.memory_swap_bytes or 2 * options.memory_bytes,
        "MemoryReservation": options.memory_reservation_bytes,
        "MemorySwappiness": options.memory_swappiness if options.memory_swappiness >= 0 else None,
        "Annotations": dict(options.annotations),
        "OomKillDisable": options.oom_kill_disable,
        "OomScoreAdj": options.oom_score_adj,
        "NanoCpus": int(options.cpus * 1_000_000_000),
        "CpuShares": options.cpu_shares,
        "CpuPeriod": options.cpu_period_us,
        "CpuQuota": options.cpu_quota_us,
        "CpusetCpus": options.cpuset_cpus,
        "CpusetMems": options.cpuset_mems,
        "BlkioWeight": options.blkio_weight,
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard}
                    for name, soft, hard in options.ulimits],
        "Sysctls": dict(options.sysctls),
        "ShmSize": options.shm_bytes or SHM_BYTES,
        "Devices": [{"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": rights}
                    for host, inside, rights in options.devices],
        "DeviceCgroupRules": list(options.device_rules) or None,
        "GroupAdd": list(options.groups) or None,
        "PidMode": options.pid,
        "IpcMode": options.ipc or "private",
        "UTSMode": options.uts,
        "CgroupnsMode": options.cgroupns or "private",
        "Init": options.init,
        "PidsLimit": resources["pids"]["limit"] or None,
        "MaskedPaths": spec["linux"]["maskedPaths"],
        "ReadonlyPaths": spec["linux"]["readonlyPaths"],
    }  # fmt: skip


def _mount(entry: dict[str, Any], volumes: str) -> dict[str, Any]:
    writable = "ro" not in entry["options"]
    named = entry["type"] == "volume" and entry["source"].startswith(volumes + "/")
    name = {"Name": entry["source"][len(volumes) + 1 :], "Driver": "local"} if named else {}
    return {
        "Type": entry["type"],
        **name,
        "Source": entry["source"],
        "Destination": entry["destination"],
        "Mode": "" if writable else "ro",
        "RW": writable,
        "Propagation": next((o for o in entry["options"] if o in PROPAGATIONS), "rprivate"),
    }
