"""The options of `run` and `create`, with docker's names, and what they come to."""

from __future__ import annotations

import os

from core.commands.grammar import flag, option, positional, rest
from core.commands.options import absent_options, limit_values, mount_values, values
from core.commands.options.monitor_options import monitor_options
from core.commands.options.network_options import network_options
from core.commands.options.resource_options import Limited, resource_options
from core.containers.configuration.options import ContainerOptions
from core.errors import Conflict, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.configuration.options import Mount
    from core.engine import Engine


class Create(Limited):
    """Options of `create`."""

    absent = absent_options.RUN

    name: str = option("--name", help="its name", metavar="NAME", convert=values.container_name)
    hostname: str = option(
        "-h", "--hostname", help="host name inside", metavar="NAME",
        convert=values.own_name,
    )  # fmt: skip
    domainname: str = option(
        "--domainname", help="NIS domain name inside", metavar="NAME",
        convert=values.own_name,
    )  # fmt: skip
    interactive: bool = flag("-i", "--interactive", help="keep stdin open")
    tty: bool = flag("-t", "--tty", help="give it a terminal")
    init: bool = flag("--init", help="a small init as its first process: reaps zombies")
    env: tuple[str, ...] = option(
        "-e", "--env", help="NAME=VALUE, or NAME as it is here", many=True, metavar="NAME=VALUE",
        convert=values.environment,
    )  # fmt: skip
    env_file: tuple[str, ...] = option(
        "--env-file", help="a file of NAME=VALUE lines", many=True, metavar="FILE", complete="path"
    )
    workdir: str = option(
        "-w", "--workdir", help="working directory inside", metavar="PATH", complete="inside"
    )
    user: str = option(
        "-u", "--user", help="user and group, names or numbers", metavar="USER[:GROUP]"
    )
    group_add: tuple[str, ...] = option(
        "--group-add", help="one more group of the user", many=True, metavar="GROUP"
    )
    volume: tuple[Mount, ...] = option(
        "-v", "--volume", help="a host directory or a volume inside", many=True,
        metavar="[SOURCE:]PATH[:ro]", convert=mount_values.volume, complete="path",
    )  # fmt: skip
    mount: tuple[Mount, ...] = option(
        "--mount", help="a bind, volume or tmpfs", many=True,
        metavar="type=TYPE,source=SOURCE,target=PATH", convert=mount_values.mount,
    )  # fmt: skip
    tmpfs: tuple[Mount, ...] = option(
        "--tmpfs", help="an empty directory in memory", many=True, metavar="PATH[:OPTIONS]",
        convert=mount_values.tmpfs,
    )  # fmt: skip
    volumes_from: tuple[str, ...] = option(
        "--volumes-from", help="the mounts of another container", many=True,
        metavar="CONTAINER[:ro]", complete="container",
    )  # fmt: skip
    entrypoint: str | None = option(
        "--entrypoint", help="program instead of the image's", default=None, metavar="PROGRAM"
    )
    device: tuple[tuple[str, str, str], ...] = option(
        "--device", help="a device of the host", many=True, metavar="HOST[:PATH][:rwm]",
        convert=limit_values.device, complete="path",
    )  # fmt: skip
    device_cgroup_rule: tuple[str, ...] = option(
        "--device-cgroup-rule", help="which devices it may use", many=True, metavar="RULE",
        convert=limit_values.device_rule,
    )  # fmt: skip
    gpus: str = option(
        "--gpus", help="not available: share devices", metavar="GPUS", convert=limit_values.gpus
    )
    pid: str = option(
        "--pid", help="whose processes it sees: host or container:NAME", metavar="NAMESPACE",
        convert=limit_values.host_or_container,
    )  # fmt: skip
    ipc: str = option(
        "--ipc", help="whose shared memory: host, private, none or container:NAME",
        metavar="NAMESPACE", convert=limit_values.ipc,
    )  # fmt: skip
    uts: str = option(
        "--uts", help="whose host name: host", metavar="NAMESPACE", choices=("host",),
        convert=limit_values.host_only,
    )  # fmt: skip
    cgroupns: str = option(
        "--cgroupns", help="whose view of cgroups: host or private", metavar="NAMESPACE",
        choices=("host", "private"), convert=limit_values.host_only,
    )  # fmt: skip
    userns: str = option(
        "--userns", help="whose users: host", metavar="NAMESPACE", choices=("host",),
        convert=limit_values.user_namespace,
    )  # fmt: skip
    read_only: bool = flag("--read-only", help="its root file system cannot be written")
    privileged: bool = flag("--privileged", help="all capabilities and devices, no seccomp")
    cap_add: tuple[str, ...] = option(
        "--cap-add", help="add a capability", many=True, metavar="CAP", complete="capability"
    )
    cap_drop: tuple[str, ...] = option(
        "--cap-drop", help="drop a capability", many=True, metavar="CAP", complete="capability"
    )
    security_opt: tuple[tuple[str, str], ...] = option(
        "--security-opt", help="no-new-privileges, seccomp=FILE, systempaths=unconfined",
        many=True, metavar="OPTION", choices=("no-new-privileges", "seccomp=unconfined"),
        convert=limit_values.security,
    )  # fmt: skip
    label: tuple[tuple[str, str], ...] = option(
        "-l", "--label", help="NAME=VALUE", many=True, metavar="NAME=VALUE", convert=values.label
    )
    label_file: tuple[str, ...] = option(
        "--label-file", help="a file of NAME=VALUE lines", many=True, metavar="FILE",
        complete="path",
    )  # fmt: skip
    stop_signal: str = option(
        "--stop-signal", help="signal that stops it", metavar="SIGNAL", complete="signal",
        convert=values.signal_name,
    )  # fmt: skip
    stop_timeout: int = option(
        "--stop-timeout", help="seconds from that to SIGKILL", default=-1, metavar="SECONDS",
        convert=values.whole,
    )  # fmt: skip
    annotation: tuple[tuple[str, str], ...] = option(
        "--annotation", help="NAME=VALUE in its runtime configuration", many=True,
        metavar="NAME=VALUE", convert=values.label,
    )  # fmt: skip
    cidfile: str = option(
        "--cidfile", help="write its ID into this new file", metavar="FILE", complete="path"
    )
    pull: str = option(
        "--pull", help="fetch the image: missing, always or never", default="missing",
        metavar="WHEN", choices=("missing", "always", "never"),
    )  # fmt: skip
    platform: str = option("--platform", help="os/arch of the image to fetch", metavar="PLATFORM")
    quiet: bool = flag("-q", "--quiet", help="do not show how the image is fetched")
    rm: bool = flag("--rm", help="remove it when it ends")
    image: str = positional("the image to make it from", complete="image")
    command: tuple[str, ...] = rest(
        "command and arguments instead of the image's", metavar="COMMAND", complete="inside"
    )


def container_options(engine: Engine, args: Create) -> ContainerOptions:
    """Return what the options ask for.  Raises UsageError, NotFound for another container."""
    security = dict(args.security_opt)
    labels = values.lines_of(args.label_file, "--label-file", values.label)
    env = values.lines_of(args.env_file, "--env-file", values.environment)
    return ContainerOptions(
        image=args.image,
        command=args.command,
        entrypoint=None if args.entrypoint is None else tuple(filter(None, (args.entrypoint,))),
        name=args.name,
        hostname=args.hostname,
        domainname=args.domainname,
        annotations=args.annotation,
        env=tuple(filter(None, (*env, *args.env))),
        workdir=args.workdir,
        user=args.user,
        groups=args.group_add,
        mounts=_mounts(engine, args),
        devices=args.device,
        device_rules=args.device_cgroup_rule,
        pid=_namespace(engine, args.pid),
        ipc=_namespace(engine, args.ipc),
        uts=args.uts,
        cgroupns=args.cgroupns,
        init=args.init,
        tty=args.tty,
        stdin_open=args.interactive,
        auto_remove=args.rm,
        read_only=args.read_only,
        privileged=args.privileged,
        cap_add=args.cap_add,
        cap_drop=args.cap_drop,
        no_new_privileges=bool(security.get("no-new-privileges")),
        unmasked="systempaths" in security,
        seccomp=security.get("seccomp", ""),
        labels=(*labels, *args.label),
        stop_signal=args.stop_signal,
        stop_timeout_s=args.stop_timeout,
    ).replace(
        **resource_options(args),
        **monitor_options(args),
        **network_options(args, engine.config["container", "network"]),
    )


def _mounts(engine: Engine, args: Create) -> tuple[Mount, ...]:
    own = (*args.volume, *args.mount, *args.tmpfs)
    taken = {mount.target.rstrip("/") for mount in own}
    for word in args.volumes_from:
        reference, _, mode = word.partition(":")
        for mount in engine.containers.mounts(reference):
            if mount.target.rstrip("/") not in taken:
                taken.add(mount.target.rstrip("/"))
                own = (*own, mount.replace(read_only=mode == "ro" or mount.read_only))
    return own


def _namespace(engine: Engine, word: str) -> str:
    if not word.startswith("container:"):
        return word
    return "container:" + engine.containers.resolve(word.removeprefix("container:")).id


def reserve_cidfile(path: str) -> None:
    """Make the file for the ID; Conflict when there is one, as its container may still run."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    except FileExistsError:
        raise Conflict(
            f"--cidfile {path} exists: another container's ID may be in it",
            hint=f"rm {path}, or name another file",
            subject=path,
        ) from None
    except OSError as error:
        raise UsageError(f"--cidfile {path}: {error.strerror}", subject=path) from error


def write_cidfile(path: str, container: str) -> None:
    """Write the ID, or take the empty file away when there is no container ("")."""
    if not container:
        os.unlink(path)
        return
    with open(path, "w", encoding="ascii") as file:
        file.write(container)
