"""The verbs of images."""

from __future__ import annotations

from core.commands.grammar import Args, Listing, Removing, flag, option, positional, verb
from core.commands.result import Column, Document, Plan, Result, Running, Table, Text
from core.commands.show import counted, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.model import ImageInfo


class Pull(Args):
    """Arguments of `pull`."""

    platform: str = option(
        "--platform", help="os/arch[/variant] instead of this host's", metavar="PLATFORM"
    )
    all_platforms: bool = flag("--all-platforms", help="for every platform there is")
    quiet: bool = flag("-q", "--quiet", help="print only the digest")
    image: str = positional(
        "what to fetch: NAME[:TAG], or HOST/NAME[:TAG|@DIGEST]", complete="remote-image"
    )


class Images(Listing):
    """Options of `images`."""

    all: bool = flag("-a", "--all", help="accepted for docker's sake; all are shown")
    digests: bool = flag("--digests", help="with the manifests' digests")
    filter: tuple[str, ...] = option(
        "-f", "--filter", help="dangling=, label=, reference=, before=, since= or until=",
        many=True, metavar="KEY=VALUE",
    )  # fmt: skip
    no_trunc: bool = flag("--no-trunc", help="whole identifiers")
    name: str = positional(
        "only this repository, or repository:tag; * and ? stand for any letters",
        default="",
        metavar="REPOSITORY[:TAG]",
        complete="image",
    )


class Remove(Removing):
    """Options of `rmi`."""

    force: bool = flag(
        "-f", "--force", help="all names of an ID, and those of an image that containers use"
    )
    images: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="IMAGE", complete="image"
    )


class Tag(Args):
    """Arguments of `tag`."""

    source: str = positional("the image", metavar="IMAGE", complete="image")
    target: str = positional("its further name", metavar="NAME[:TAG]")


class Untag(Args):
    """Arguments of `untag`."""

    name: str = positional("the name to take away", metavar="NAME[:TAG]", complete="image")


class History(Listing):
    """Options of `history`."""

    no_trunc: bool = flag("--no-trunc", help="whole instructions and digests")
    image: str = positional("name or ID", complete="image")


class Inspect(Args):
    """Options of `image inspect`."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")
    images: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="IMAGE", complete="image"
    )


class Starter(Args):
    """`image starter` takes no arguments."""


class Files(Listing):
    """Options of `image files`."""

    layer: int = option(
        "--layer", help="only this layer, counted from 1", default=0, metavar="N", convert=int
    )
    image: str = positional("name or ID", complete="image")


@verb(
    "image pull",
    Pull,
    "Fetch an image from its registry",
    "pull",
    examples=("pull alpine", "pull localhost:5000/team/app:1.2"),
)
def pull(engine: Engine, args: Pull) -> Result:
    """Start the job."""

    def show(info: ImageInfo) -> Result:
        name = engine.reference(args.image).canonical
        return Text(info.digest if args.quiet else f"{name}\n{info.digest}")

    def show_all(found: list[ImageInfo]) -> Result:
        if args.quiet:
            return Text("\n".join(info.digest for info in found))
        lines = [f"{info.platform:<16} {info.digest}" for info in found]
        return Text("\n".join([engine.reference(args.image).canonical, *lines]))

    if args.all_platforms:
        return Running(engine.images.pull_platforms(args.image), show_all, args.quiet)
    return Running(engine.images.pull(args.image, args.platform), show, args.quiet)


@verb("image starter", Starter, "Make a small image of this host's own programs, offline")
def starter(engine: Engine, args: Starter) -> Result:
    """Start the job."""
    return Running(
        engine.images.make_starter(), lambda info: Text(f"{info.tags[0]}\n{info.digest}")
    )


@verb("image ls", Images, "List local images", "images", "image list", changes=False)
def images(engine: Engine, args: Images) -> Result:
    """One row a name; an image without one gets <none>."""
    from core.commands.image.filters import is_called, select

    found = engine.images.list()
    if args.filter:
        found = select(engine, found, args.filter)
    rows = []
    for info in found:
        for tag in info.tags or ("<none>:<none>",):
            repository, _, version = tag.rpartition(":")
            if "@" in tag:
                repository, version = tag.partition("@")[0], "<none>"
            if not args.name or is_called(tag, args.name):
                rows.append(
                    {
                        "Repository": repository,
                        "Tag": version,
                        "ID": info.config_digest,
                        "Digest": info.digest,
                        "CreatedAt": info.created,
                        "Size": info.size_bytes,
                        "Platform": info.platform,
                        "Layers": info.layers,
                        "Containers": len(info.used_by),
                    }
                )
    columns: tuple[Column, ...] = IMAGE_COLUMNS
    if args.digests:
        columns = (*columns[:2], Column("Digest", "DIGEST"), *columns[2:])
    if len({row["Platform"] for row in rows}) > 1:
        columns = (*columns[:-2], Column("Platform", "PLATFORM"), *columns[-2:])
    return Table(columns, tuple(rows), args.format, "ID" if args.quiet else "", full=args.no_trunc)


@verb("image rm", Remove, "Take names away, and images that have none left", "rmi")
def rmi(engine: Engine, args: Remove) -> Result:
    """Plan it: the lines are exactly what goes."""
    plan = engine.store.plan_removal(args.images, force=args.force, users=engine.images.users())

    def apply() -> Result:
        engine.trash.sweep()
        engine.store.apply_removal(plan, engine.trash.open(f"rmi {' '.join(args.images)}"))
        return Text("\n".join(plan.lines))

    return Plan(f"remove {', '.join(args.images)}", plan.lines, apply, plan.bytes_back).unless(
        args.dry_run
    )


@verb("image tag", Tag, "Give an image one more name", "tag")
def tag(engine: Engine, args: Tag) -> Result:
    """Point the name at the image; a name that pointed elsewhere moves."""
    reference = engine.reference(args.target)
    engine.store.tag(args.source, reference.canonical)
    return Text("")


@verb("image untag", Untag, "Take one name away; the image stays", "untag")
def untag(engine: Engine, args: Untag) -> Result:
    """Remove the name."""
    engine.store.untag(
        engine.reference(args.name).canonical, engine.trash.open(f"untag {args.name}")
    )
    return Text(f"Untagged: {engine.reference(args.name).familiar}")


@verb("image history", History, "Show the steps an image was made by", "history", changes=False)
def history(engine: Engine, args: History) -> Result:
    """Newest first, as docker does."""
    rows = []
    for step in reversed(engine.images.history(args.image)):
        words = step.created_by
        if not args.no_trunc and len(words) > 60:
            words = words[:59] + "…"
        rows.append(
            {
                "ID": step.diff_id or "<missing>",
                "CreatedAt": step.created,
                "CreatedBy": words,
                "Size": step.size_bytes,
                "Comment": step.comment,
            }
        )
    return Table(
        HISTORY_COLUMNS, tuple(rows), args.format, "ID" if args.quiet else "", full=args.no_trunc
    )


@verb("image inspect", Inspect, "Show everything about images as JSON", changes=False)
def inspect(engine: Engine, args: Inspect) -> Result:
    """Show docker's document for each."""
    return Document([inspect_image(engine, name) for name in args.images], args.format)


@verb("image files", Files, "List what is in an image, layer by layer", changes=False)
def files(engine: Engine, args: Files) -> Result:
    """From the index; nothing is unpacked."""
    from core.errors import NotFound

    rows = []
    layers = [step for step in engine.images.history(args.image) if step.diff_id]
    if args.layer and not 0 < args.layer <= len(layers):
        raise NotFound(
            f"{args.image} has no layer {args.layer}",
            hint=f"it has {counted(len(layers), 'layer')}",
        )
    for number, step in enumerate(layers, 1):
        if args.layer in (0, number):
            rows += [
                {
                    "Layer": number,
                    "Mode": f"{entry.mode:04o}",
                    "Owner": f"{entry.uid}:{entry.gid}",
                    "Size": entry.size,
                    "Kind": entry.kind,
                    "Path": entry.path,
                    "Link": entry.link,
                    "Digest": entry.digest,
                }
                for entry in engine.files.of_layer(step.diff_id)
            ]
    return Table(FILE_COLUMNS, tuple(rows), args.format, "Path" if args.quiet else "")


def inspect_image(engine: Engine, name: str) -> dict[str, object]:
    """Return docker's document for one image."""
    from datetime import UTC, datetime

    info = engine.store.resolve(name)
    config = engine.store.config(info.digest)
    os, arch, variant, *_ = [*info.platform.split("/"), "", ""]
    tags = [tag for tag in info.tags if "@" not in tag]
    repositories = {tag.partition("@")[0] for tag in info.tags if "@" in tag}
    repositories |= {tag.rpartition(":")[0] for tag in tags}
    return {
        "Id": info.config_digest,
        "RepoTags": tags,
        "RepoDigests": [f"{repository}@{info.digest}" for repository in sorted(repositories)],
        "Created": datetime.fromtimestamp(info.created, UTC).isoformat().replace("+00:00", "Z"),
        "Author": config.get("author", ""),
        "Architecture": arch,
        "Variant": variant,
        "Os": os,
        "Size": info.size_bytes,
        "Config": config.get("config") or {},
        "RootFS": {"Type": "layers", "Layers": config.get("rootfs", {}).get("diff_ids", [])},
        "Digest": info.digest,
        "ShortId": short(info.config_digest),
        "UsedBy": engine.images.users_of(info.digest),
    }


IMAGE_COLUMNS = (
    Column("Repository", "REPOSITORY"),
    Column("Tag", "TAG"),
    Column("ID", "IMAGE ID", "id"),
    Column("CreatedAt", "CREATED", "age"),
    Column("Size", "SIZE", "size"),
)
HISTORY_COLUMNS = (
    Column("ID", "LAYER", "id"),
    Column("CreatedAt", "CREATED", "age"),
    Column("CreatedBy", "CREATED BY"),
    Column("Size", "SIZE", "size"),
    Column("Comment", "COMMENT"),
)
FILE_COLUMNS = (
    Column("Layer", "LAYER"),
    Column("Mode", "MODE"),
    Column("Owner", "OWNER"),
    Column("Size", "SIZE", "size"),
    Column("Path", "PATH"),
)
