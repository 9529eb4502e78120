"""The verb `system df`: what takes the space, and what would give it back."""

from __future__ import annotations

from core.commands.grammar import Listing, flag, verb
from core.commands.result import Column, Result, Table, Text
from core.commands.show import ago, short, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.engine import Engine
    from core.images.prune import PrunePlan

    Row = dict[str, Any]


class Df(Listing):
    """Options of `system df`."""

    verbose: bool = flag(
        "-v", "--verbose", help="each image, container, volume, build result and leftover"
    )


@verb("system df", Df, "Show what takes disk space, and what would give it back", changes=False)
def df(engine: Engine, args: Df) -> Result:
    """One row a kind; with -v, a part for each kind."""
    if args.verbose and not args.format:
        return Text("\n".join(_part(*part) for part in (
            _each_image(engine), _each_container(engine), _each_volume(engine),
            _each_step(engine), _each_removal(engine), _each_leftover(engine),
        )))  # fmt: skip
    unused = _unused(engine)
    rows = tuple(
        _row(*kind)
        for kind in (
            ("Images", *_images(engine, unused)),
            ("Containers", *_containers(engine)),
            ("Local Volumes", *_volumes(engine)),
            ("Build Cache", *_build_cache(engine)),
            ("Trash", *_trash(engine)),
            ("Leftovers", *_leftovers(unused)),
        )
    )
    return Table(COLUMNS, rows, args.format, "Type" if args.quiet else "")


def _row(kind: str, total: int, active: int, bytes_: int, back: int) -> Row:
    share = f" ({100 * back // bytes_}%)" if bytes_ else ""
    return {
        "Type": kind, "TotalCount": total, "Active": active, "Size": bytes_,
        "Reclaimable": size(back) + share, "ReclaimableBytes": back,
    }  # fmt: skip


def _unused(engine: Engine) -> PrunePlan:
    """Return what `image prune -a` would take."""
    from core.images.prune import PruneOptions, plan_prune

    asked = PruneOptions(all=True, downloads=True)
    return plan_prune(engine.store, engine.paths, engine.images.list(), asked)


def _images(engine: Engine, unused: PrunePlan) -> tuple[int, int, int, int]:
    from core.images.disk_usage import image_usage

    found = engine.images.list()
    used = sum(1 for image in found if image.used_by)
    return len(found), used, image_usage(engine.store)[1], unused.removal.bytes_back


def _containers(engine: Engine) -> tuple[int, int, int, int]:
    found = engine.containers.list()
    sizes = {info.id: engine.containers.size(info.id)[0] for info in found}
    idle = [info.id for info in found if not info.pid]
    return len(found), len(found) - len(idle), sum(sizes.values()), sum(sizes[i] for i in idle)


def _volumes(engine: Engine) -> tuple[int, int, int, int]:
    users = engine.containers.volume_users()
    sizes = {volume.name: engine.volumes.size(volume) for volume in engine.volumes.list()}
    idle = [name for name in sizes if not users.get(name)]
    return len(sizes), len(sizes) - len(idle), sum(sizes.values()), sum(sizes[n] for n in idle)


def _build_cache(engine: Engine) -> tuple[int, int, int, int]:
    from core.build.prune import entries

    found = entries(engine.store, engine.paths)
    back = sum(entry.bytes for entry in found if not entry.shared)
    shared = sum(1 for entry in found if entry.shared)
    return len(found), shared, back, back


def _trash(engine: Engine) -> tuple[int, int, int, int]:
    found = engine.trash.batches()
    total = sum(batch.bytes for batch in found)
    return len(found), 0, total, total


def _leftovers(unused: PrunePlan) -> tuple[int, int, int, int]:
    """What pulls, builds and removals have left, and what those that go on have so far."""
    back = sum(left.size for left in unused.leftovers)
    held = sum(left.size for left in unused.in_hand)
    total = len(unused.leftovers) + len(unused.in_hand)
    return total, len(unused.in_hand), back + held, back


def _part(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[n]) for line in (heads, *rows)) for n in range(len(heads))]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (heads, *rows)
    ]
    return "\n".join([f"{title}:", "", *lines, ""])


def _each_image(engine: Engine) -> tuple[str, Sequence[str], list[list[str]]]:
    from core.images.disk_usage import image_usage

    usage = {one.digest: one for one in image_usage(engine.store)[0]}
    rows = []
    for image in engine.images.list():
        one = usage[image.digest]
        rows.append([
            ", ".join(image.tags) or "<none>", short(image.config_digest), ago(image.created),
            size(one.shared + one.unique), size(one.shared), size(one.unique),
            str(len(image.used_by)),
        ])  # fmt: skip
    heads = ("IMAGE", "ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS")
    return "Images", heads, rows


def _each_container(engine: Engine) -> tuple[str, Sequence[str], list[list[str]]]:
    rows = [
        [info.name, info.id[:12], info.image, size(engine.containers.size(info.id)[0]), info.state]
        for info in engine.containers.list()
    ]
    return "Containers", ("NAME", "ID", "IMAGE", "SIZE", "STATE"), rows


def _each_volume(engine: Engine) -> tuple[str, Sequence[str], list[list[str]]]:
    users = engine.containers.volume_users()
    rows = [
        [volume.name, str(len(users.get(volume.name, ()))), size(engine.volumes.size(volume))]
        for volume in engine.volumes.list()
    ]
    return "Local volumes", ("VOLUME", "LINKS", "SIZE"), rows


def _each_step(engine: Engine) -> tuple[str, Sequence[str], list[list[str]]]:
    from core.build.prune import entries

    rows = [
        [short(entry.name), entry.words[:60], size(entry.bytes), ago(entry.used),
         "yes" if entry.shared else "no"]
        for entry in entries(engine.store, engine.paths)
    ]  # fmt: skip
    return "Build cache", ("ID", "STEP", "SIZE", "LAST USED", "SHARED"), rows


def _each_removal(engine: Engine) -> tuple[str, Sequence[str], list[list[str]]]:
    rows = [
        [batch.id, batch.command, ago(batch.removed), size(batch.bytes)]
        for batch in engine.trash.batches()
    ]
    return "Trash", ("ID", "COMMAND", "REMOVED", "SIZE"), rows


def _each_leftover(engine: Engine) -> tuple[str, Sequence[str], list[list[str]]]:
    unused = _unused(engine)
    rows = [
        [left.kind, left.name, size(left.size), "no" if left.ready else "yes"]
        for left in (*unused.leftovers, *unused.in_hand)
    ]
    return "Leftovers", ("KIND", "NAME", "SIZE", "MAY BE IN USE"), rows


COLUMNS = (
    Column("Type", "TYPE"),
    Column("TotalCount", "TOTAL"),
    Column("Active", "ACTIVE"),
    Column("Size", "SIZE", "size"),
    Column("Reclaimable", "RECLAIMABLE"),
)
