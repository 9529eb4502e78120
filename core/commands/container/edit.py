"""The verb `container edit`: ports, mounts, environment and more of a container that is there."""

from __future__ import annotations

from core.commands.container.differences import differences
from core.commands.grammar import REGISTRY, flag, option, parse, positional, verb
from core.commands.options import mount_values, network_values, values
from core.commands.options.limit_options import Limits, with_limits
from core.commands.result import Plan, Result, Text
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.configuration.options import ContainerOptions, Mount
    from core.engine import Engine
    from core.model import Endpoint, Port


class Edit(Limits):
    """Options of `container edit`; what is not said stays as it is."""

    publish: tuple[tuple[Port, ...], ...] = option(
        "-p", "--publish", help="one more port, reached from outside", many=True,
        metavar="[[IP:]HOST:]PORT", convert=network_values.publish,
    )  # fmt: skip
    unpublish: tuple[str, ...] = option(
        "--unpublish", help="publish this port of the container no more", many=True,
        metavar="PORT[/PROTOCOL]",
    )  # fmt: skip
    env: tuple[str, ...] = option(
        "-e", "--env", help="NAME=VALUE, one more or another value", many=True,
        metavar="NAME=VALUE", convert=values.environment,
    )  # fmt: skip
    unset_env: tuple[str, ...] = option(
        "--unset-env", help="take a variable out", many=True, metavar="NAME"
    )
    volume: tuple[Mount, ...] = option(
        "-v", "--volume", help="one more mount, or another at its place", many=True,
        metavar="[SOURCE:]PATH[:ro]", convert=mount_values.volume, complete="path",
    )  # fmt: skip
    mount: tuple[Mount, ...] = option(
        "--mount", help="the same, in words", many=True,
        metavar="type=TYPE,source=SOURCE,target=PATH", convert=mount_values.mount,
    )  # fmt: skip
    tmpfs: tuple[Mount, ...] = option(
        "--tmpfs", help="an empty directory in memory", many=True, metavar="PATH[:OPTIONS]",
        convert=mount_values.tmpfs,
    )  # fmt: skip
    unmount: tuple[str, ...] = option(
        "--unmount", help="take the mount at a path away", many=True, metavar="PATH"
    )
    label: tuple[tuple[str, str], ...] = option(
        "-l", "--label", help="NAME=VALUE, one more or another value", many=True,
        metavar="NAME=VALUE", convert=values.label,
    )  # fmt: skip
    unset_label: tuple[str, ...] = option(
        "--unset-label", help="take a label away", many=True, metavar="NAME"
    )
    hostname: str | None = option(
        "-h", "--hostname", help="host name inside", default=None, metavar="NAME",
        convert=values.own_name,
    )  # fmt: skip
    user: str | None = option(
        "-u", "--user", help="user and group", default=None, metavar="USER[:GROUP]"
    )
    workdir: str | None = option(
        "-w", "--workdir", help="working directory inside", default=None, metavar="PATH",
        complete="inside",
    )  # fmt: skip
    network: tuple[Endpoint, ...] = option(
        "--network", help="these networks instead of its own", many=True, metavar="NETWORK",
        convert=network_values.endpoint, complete="network",
    )  # fmt: skip
    image: str = option(
        "--image",
        help="make it one of this image; what it wrote outside of volumes is set aside",
        metavar="IMAGE",
        complete="image",
    )
    time: int = option(
        "-t", "--time", "--timeout", help="seconds to wait before SIGKILL", default=-1,
        metavar="SECONDS", convert=values.whole,
    )  # fmt: skip
    undo: bool = flag("--undo", help="go back to what it was before the last edit")
    force: bool = flag(
        "-f", "--force", "-y", "--yes", help="do not ask before a running one is restarted"
    )
    container: str = positional("name or ID", complete="container")


@verb(
    "container edit",
    Edit,
    "Change ports, mounts, environment, limits of a container; one undo",
    "edit",
    examples=("edit web", "edit -p 8443:443 --unpublish 80 web", "edit --undo web"),
)
def edit(engine: Engine, args: Edit) -> Result:
    """Plan the change; one that runs is stopped for it and started again.

    Where nothing is said, an editor opens with all that can be.
    """
    from core.containers import stored
    from core.containers.state import ALIVE

    row = stored.find(engine.database, args.container)
    if args == parse(REGISTRY["edit"], [args.container, *["--force"] * args.force]):
        from core.commands.container.edit_text import edit_as_text

        return edit_as_text(engine, row, force=args.force)
    info = engine.containers.resolve(row.id)
    if args.undo:
        former = engine.editing.former(row.id)
        before, after = row.options, former.options
        lines = differences(before, after)
        if former.image_digest != row.image_digest:
            lines.append(f"image: {row.image} -> {former.image}, with what it wrote with that")
    else:
        before, after = row.options, changed(row.options, args)
        lines = differences(before, after)
        if args.image:
            lines.append(f"image: {row.image} -> {args.image}, and nothing written yet")
    if not lines:
        raise UsageError(
            f"nothing to change in {row.name}", hint=f"container edit {row.name} --help tells what"
        )
    runs = info.state in ALIVE

    def apply() -> Result:
        if args.undo:
            engine.editing.undo(row.id, timeout=args.time)
        else:
            engine.editing.edit(row.id, after, image=args.image, timeout=args.time)
        return Text(row.name)

    title = f"change container {row.name}" + (", which is stopped and started again" * runs)
    return Plan(title, tuple(lines), apply, ask=runs and not args.force)


def changed(options: ContainerOptions, args: Edit) -> ContainerOptions:
    """Return the options with what was said.  Raises UsageError for what is not there to go."""
    ports = _without(options.publish, args.unpublish, _port_key, "port", "--unpublish")
    mounts = _without(options.mounts, args.unmount, _target, "mount", "--unmount")
    env = _without(options.env, args.unset_env, _variable, "variable of its own", "--unset-env")
    labels = _without(options.labels, args.unset_label, _first, "label of its own", "--unset-label")
    more_ports = tuple(port for several in args.publish for port in several)
    said: dict[str, Any] = {name: value for name in ("hostname", "user", "workdir")
            if (value := getattr(args, name)) is not None}  # fmt: skip
    if args.network:
        said["network"], said["endpoints"] = network_values.networks(
            args.network, network_values.Wishes(), options.network
        )
    return with_limits(options, args).replace(
        publish=tuple(dict.fromkeys((*ports, *more_ports))),
        mounts=_merged(mounts, (*args.volume, *args.mount, *args.tmpfs), _target),
        env=_merged(env, tuple(filter(None, args.env)), _variable),
        labels=_merged(labels, args.label, _first),
        **said,
    )


def _port_key(port: Port | str) -> str:
    if isinstance(port, str):
        number, _, protocol = port.partition("/")
        return f"{number}/{protocol or 'tcp'}"
    return f"{port.container_port}/{port.protocol}"


def _target(mount: Mount | str) -> str:
    return (mount if isinstance(mount, str) else mount.target).rstrip("/")


def _variable(entry: str) -> str:
    return entry.partition("=")[0]


def _first(label: Any) -> str:
    return label if isinstance(label, str) else str(label[0])


def _without(have: tuple[Any, ...], go: tuple[str, ...], key: Any, what: str, option_: str) -> Any:
    keys = {key(one) for one in have}
    for word in go:
        if key(word) not in keys:
            raise UsageError(
                f"{option_} {word}: the container has no such {what}",
                hint=f"it has {', '.join(sorted(keys)) or 'none'}",
            )
    return tuple(one for one in have if key(one) not in {key(word) for word in go})


def _merged(have: tuple[Any, ...], more: tuple[Any, ...], key: Any) -> Any:
    """Return all, the later of two with one key in the place of the earlier."""
    found = {key(one): one for one in have}
    found.update({key(one): one for one in more})
    return tuple(found.values())
