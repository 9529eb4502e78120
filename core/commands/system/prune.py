"""The verbs `container prune` and `system prune`: what is unused is planned, shown, removed."""

from __future__ import annotations

from core.commands.grammar import Removing, flag, option, verb
from core.commands.result import Plan, Result, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from core.build.prune import Entry
    from core.engine import Engine
    from core.images.prune import PruneOptions
    from core.model import ContainerInfo, ImageInfo
    from core.network.definition import BridgeNetwork
    from core.trash_bin import Bin

PRUNED = ("created", "exited", "dead")
FILTERS = ("until", "label", "label!")


class ContainerPrune(Removing):
    """Options of `container prune`; those of `system prune` begin with them."""

    force: bool = flag("-f", "--force", "-y", "--yes", help="do not ask")
    filter: tuple[str, ...] = option(
        "--filter", help="until=24h (made before), label=NAME[=VALUE], label!=…", many=True,
        metavar="KEY=VALUE",
    )  # fmt: skip


@verb(
    "container prune",
    ContainerPrune,
    "Remove the containers that do not run",
    examples=("container prune", "container prune -f --filter until=24h"),
)
def prune(engine: Engine, args: ContainerPrune) -> Result:
    """Plan it: a line a container, with what it wrote."""
    from core.commands.show import size

    found = stopped(engine, args.filter)
    sizes = {info.id: engine.containers.size(info.id)[0] for info in found}
    lines = tuple(f"{line_of(info)}, {size(sizes[info.id])}" for info in found)
    if not found:
        return Text("Total reclaimed space: 0B")

    def apply() -> Result:
        engine.trash.sweep()
        bin_ = engine.trash.open("container prune")
        done = remove(engine, found, bin_)
        freed = sum(sizes[info.id] for info in done)
        return Text("\n".join([*(info.id for info in done), *closing(engine, bin_, freed)]))

    title = f"remove {len(found)} container{'s' * (len(found) != 1)}"
    return Plan(title, lines, apply, sum(sizes.values()), ask=not args.force).unless(args.dry_run)


def check_filters(filters: Sequence[str]) -> None:
    """Raise UsageError for a filter that prune does not have."""
    from core.errors import UsageError

    for word in filters:
        if word.partition("=")[0] not in FILTERS:
            raise UsageError(f"{word!r} is no filter of prune", hint="until=, label= and label!=")


def stopped(engine: Engine, filters: Sequence[str]) -> list[ContainerInfo]:
    """Return the containers that a prune takes; UsageError for a filter it does not have."""
    from core.commands.container.filters import select

    check_filters(filters)
    found = [info for info in engine.containers.list() if info.state in PRUNED]
    return select(engine, found, filters)


def line_of(info: ContainerInfo) -> str:
    """Return how a plan names a container."""
    return f"container {info.name} ({info.id[:12]}, {info.image}, {info.state})"


def remove(engine: Engine, found: Sequence[ContainerInfo], bin_: Bin | None) -> list[ContainerInfo]:
    """Remove containers and return them; those that were started or removed meanwhile stay."""
    from core.errors import Conflict, NotFound

    done = []
    for info in found:
        try:
            engine.containers.rm(info.id, bin_=bin_)
        except (Conflict, NotFound):
            continue
        done.append(info)
    return done


def closing(engine: Engine, bin_: Bin | None, freed: int) -> list[str]:
    """Return the last lines of a prune: how to take it back, and what it gave."""
    from core.commands.show import counted, size

    lines = [f"Total reclaimed space: {size(freed)}"]
    if bin_ is not None:
        span = counted(max(1, engine.config["storage", "trash_s"] // 60), "minute")
        lines.insert(0, f"undo brings it back for {span}, trash empty gives its space")
    return lines


class SystemPrune(ContainerPrune):
    """Options of `system prune`."""

    all: bool = flag(
        "-a", "--all",
        help="images with a name too, if no container uses them, and downloads that were cut short",
    )  # fmt: skip
    volumes: bool = flag("--volumes", help="unused volumes without a name of their own, too")


@verb(
    "system prune",
    SystemPrune,
    "Remove what is unused: stopped containers, networks, unnamed images, build cache",
    examples=("system prune", "system prune -a --volumes"),
)
def system_prune(engine: Engine, args: SystemPrune) -> Result:
    """Plan it: a line a thing.  What only such containers use goes with them."""
    from core.build.prune import remove as remove_steps
    from core.commands.show import counted
    from core.images.prune import PruneOptions, apply_prune, plan_prune

    gone = stopped(engine, args.filter)
    names = {info.name for info in gone}
    networks = unused_networks(engine, names, args.filter)
    volumes = _volumes(engine, names, args.filter) if args.volumes else []
    asked = _image_options(engine, args)
    images = plan_prune(
        engine.store, engine.paths, _without_users(engine.images.list(), names), asked
    )
    steps = _build_steps(engine, args)
    sizes = {line_of(info): engine.containers.size(info.id)[0] for info in gone}
    sizes |= {f"volume {name}": engine.volumes.size(engine.volumes.find(name)) for name in volumes}
    lines = (
        *map(line_of, gone),
        *(f"network {name}" for name in networks),
        *(f"volume {name}, for good" for name in volumes),
        *images.lines,
        *(f"build {step.kind} {step.words[:70]}" for step in steps),
    )
    if not lines:
        return Text("Total reclaimed space: 0B")
    planned = set(images.removal.images)

    def apply() -> Result:
        engine.trash.sweep()
        bin_ = engine.trash.open("system prune")
        done = [line_of(info) for info in remove(engine, gone, bin_)]
        done += _remove_networks(engine, networks) + _remove_volumes(engine, volumes)
        # Looked at again: what was started meanwhile keeps its image.
        only = PruneOptions(
            True, filters=(lambda image: image.digest in planned,), downloads=args.all
        )
        left = plan_prune(engine.store, engine.paths, engine.images.list(), only)
        left = apply_prune(engine.store, left, bin_)
        freed = sum(sizes.get(line, 0) for line in done) + left.bytes_back
        if steps:
            done.append(f"build cache: {counted(len(steps), 'entry', 'entries')}")
            freed += remove_steps(engine.store, steps)
        return Text("\n".join([*done, *left.lines, *closing(engine, bin_, freed)]))

    total = sum(sizes.values()) + images.bytes_back
    total += sum(step.bytes for step in steps if not step.shared)
    return Plan("remove what is unused", lines, apply, total, ask=not args.force).unless(
        args.dry_run
    )


def _without_users(images: Sequence[ImageInfo], gone: Collection[str]) -> list[ImageInfo]:
    return [
        image.replace(used_by=tuple(name for name in image.used_by if name not in gone))
        for image in images
    ]


def _image_options(engine: Engine, args: SystemPrune) -> PruneOptions:
    from core.commands.options.values import moment
    from core.images.prune import PruneOptions

    before = [moment(word[6:]) for word in args.filter if word.startswith("until=")]

    def fits(image: ImageInfo) -> bool:
        labels = (engine.store.config(image.digest).get("config") or {}).get("Labels") or {}
        return _labels_fit(labels, args.filter)

    return PruneOptions(
        args.all, before=min(before, default=0), filters=(fits,), downloads=args.all
    )


def _build_steps(engine: Engine, args: SystemPrune) -> list[Entry]:
    """Return what goes of the build cache: nothing where labels choose, for it has none."""
    from core.build.prune import choose, entries
    from core.commands.options.values import moment

    if any(word.startswith("label") for word in args.filter):
        return []
    before = [moment(word[6:]) for word in args.filter if word.startswith("until=")]
    found = entries(engine.store, engine.paths)
    return choose(found, everything=args.all, before=min(before, default=0))


def _labels_fit(labels: dict[str, str], filters: Sequence[str]) -> bool:
    """Return whether labels fit every `label=` and `label!=` among filters."""
    for word in filters:
        key, _, value = word.partition("=")
        name, equals, wanted = value.partition("=")
        has = labels.get(name) == wanted if equals else name in labels
        if (key == "label" and not has) or (key == "label!" and has):
            return False
    return True


def unused_networks(engine: Engine, gone: Collection[str], filters: Sequence[str]) -> list[str]:
    """Return the networks people made that no container but those `gone` is on."""
    from core.commands.options.values import moment

    before = [moment(word[6:]) for word in filters if word.startswith("until=")]
    users = engine.connections.users()

    def goes(one: BridgeNetwork) -> bool:
        young = bool(before) and one.created >= min(before)
        used = set(users.get(one.name, ())) - set(gone)
        return bool(one.id) and not young and not used and _labels_fit(dict(one.labels), filters)

    return [one.name for one in engine.network.all() if goes(one)]


def _volumes(engine: Engine, gone: Collection[str], filters: Sequence[str]) -> list[str]:
    from core.commands.volume import is_random

    users = engine.containers.volume_users()
    return [
        volume.name
        for volume in engine.volumes.list()
        if is_random(volume.name)
        and not set(users.get(volume.name, ())) - set(gone)
        and _labels_fit(volume.labels, filters)
    ]


def _remove_networks(engine: Engine, names: Sequence[str]) -> list[str]:
    from core.errors import InUse, NotFound

    done = []
    for name in names:
        try:
            engine.network.remove(name, engine.connections.users_of)
        except (InUse, NotFound):
            continue
        done.append(f"network {name}")
    return done


def _remove_volumes(engine: Engine, names: Sequence[str]) -> list[str]:
    from core.errors import InUse, NotFound

    done = []
    for name in names:
        try:
            engine.volumes.remove(name, engine.containers.users_of_volume)
        except (InUse, NotFound):
            continue
        done.append(f"volume {name}")
    return done
