"""The verb `image browse`: an image's files as a tree, with what each layer did to them."""

from __future__ import annotations

from core.commands.grammar import Args, flag, option, positional, verb
from core.commands.options import values
from core.commands.result import Column, Result, Running, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.engine import Engine
    from core.images.files.compare import Tree
    from core.images.files.contents import Hit, Place
    from core.images.files.file_tree import Node
    from core.images.files.layer_stack import Stack
    from core.operations.files import Read

DEPTH = 2
HIT_COLUMNS = (Column("Path", "PATH"), Column("Line", "LINE"))


class Browse(Args):
    """Options of `image browse`."""

    remote: bool = flag("--remote", help="look into the registry, without a pull")
    platform: str = option(
        "--platform", help="of a remote image: os/arch[/variant]", metavar="PLATFORM"
    )
    layer: int = option(
        "--layer", help="only what this layer holds, counted from 1", default=0, metavar="N",
        convert=values.whole,
    )  # fmt: skip
    depth: int = option(
        "--depth", help="directories to open; 0: all of them", default=DEPTH, metavar="N",
        convert=values.whole,
    )  # fmt: skip
    search: str = option("--search", help="show which files below PATH hold a text", metavar="TEXT")
    extract: str = option(
        "--extract", help="write the file PATH, or a directory as tar, to a new file",
        metavar="FILE", complete="path", writes=True,
    )  # fmt: skip
    image: str = positional(
        "image, container, or with --remote HOST/NAME:TAG", complete="remote-image"
    )
    path: str = positional("only this, or below it", default="", metavar="PATH", complete="inside")


@verb(
    "image browse",
    Browse,
    "Show an image's files as a tree, and what each layer did",
    changes=False,
    examples=("image browse app /etc", "image browse --search password app /etc",
              "image browse --remote --extract etc.tar localhost:5000/app:1 /etc"),
)  # fmt: skip
def browse(engine: Engine, args: Browse) -> Result:
    """Show the tree, or look into files; a remote image's layers are read as they stream by."""
    from core.errors import UsageError

    if args.search and args.extract:
        raise UsageError("--search and --extract do not go together")
    if args.extract:
        from core.images.files.extraction import refuse_existing

        refuse_existing(args.extract)
    if args.search or args.extract:
        look, show = (_found, _hits) if args.search else (_written, Text)
        job = engine.files.look_into(
            args.image, lambda tree, read: look(args, tree, read),
            remote=args.remote, platform=args.platform,
        )  # fmt: skip
        return Running(job, show)
    if not args.remote:
        return Text(_shown(engine.files.tree(args.image), args))
    job = engine.files.remote_tree(args.image, args.platform)
    return Running(job, lambda tree: Text(_shown(tree, args)))


def _found(args: Browse, tree: Tree, read: Read) -> list[Hit]:
    """Return the files at or below the path that hold the text."""
    from core.images.files.contents import place_of, search

    stack, number = _stack(tree, args)
    layers = [diff_id for diff_id, _ in tree.layers]
    path = args.path.strip("/")
    paths = {
        place_of(stack, layers, name, number): name
        for name, entry in sorted(stack.files(number).items())
        if entry.kind == "file" and (not path or f"{name}/".startswith(f"{path}/"))
    }
    return search(read([*paths], missing_ok=True), paths, args.search)


def _hits(found: list[Hit]) -> Result:
    from core.commands.show import printable

    rows = tuple({"Path": f"/{hit.path}", "Line": printable(hit.words)} for hit in found)
    return Table(HIT_COLUMNS, rows, code=0 if rows else 1)


def _written(args: Browse, tree: Tree, read: Read) -> str:
    """Write what is at the path to a new file; returns what to tell."""
    from core.commands.show import counted, size
    from core.images.files.contents import place_of
    from core.images.files.extraction import entries_below, files_of, write_file, write_tree

    stack, number = _stack(tree, args)
    layers = [diff_id for diff_id, _ in tree.layers]
    path = args.path.strip("/")
    node = _at(stack.image_tree(number), tree, args)

    def place(name: str) -> Place:
        return place_of(stack, layers, name, number)

    if node.is_directory:
        entries = entries_below(node, path, stack, number)
        files = files_of(entries, place)
        count = write_tree(entries, args.extract, files, read([*files]))
        return f"{counted(count, 'entry', 'entries')} written to {args.extract}"
    mode = node.entry.mode if node.entry else 0
    done = write_file(read([place(path)]), mode, args.extract)
    return f"{size(done)} written to {args.extract}"


def _stack(tree: Tree, args: Browse) -> tuple[Stack, int]:
    """Return the layers on each other, and which of them is the last that is looked at."""
    from core.images.files.layer_stack import Stack

    _check_layer(tree, args)
    stack = Stack()
    for _, files in tree.layers:
        stack.add(files)
    return stack, (args.layer or len(tree.layers)) - 1


def _check_layer(tree: Tree, args: Browse) -> None:
    from core.commands.show import counted
    from core.errors import NotFound

    if not 0 <= args.layer <= len(tree.layers):
        known = counted(len(tree.layers), "layer")
        raise NotFound(f"{tree.name} has no layer {args.layer}", hint=f"it has {known}")


def _at(root: Node, tree: Tree, args: Browse) -> Node:
    """Return what is at the path; NotFound."""
    from core.errors import NotFound

    for part in filter(None, args.path.split("/")):
        if part not in root.children:
            raise NotFound(f"{tree.name} has no {args.path}", subject=args.path)
        root = root.children[part]
    return root


def _shown(tree: Tree, args: Browse) -> str:
    from core.commands.show import size
    from core.images.files.layer_stack import Stack

    _check_layer(tree, args)
    stack = Stack()
    lines = []
    steps = _steps(tree)
    for number, (_, files) in enumerate(tree.layers, 1):
        stack.add(files)
        total = size(sum(files.sizes))
        mark = ">" if number == args.layer else " "
        lines.append(f"{mark}{number:>3}  {total:>7}  {steps.get(number, '')[:60]}".rstrip())
    waste = stack.waste()
    lines.append(f"efficiency {100 * waste.efficiency:.1f} %, wasted {size(waste.wasted_bytes)}")
    last = len(tree.layers) - 1
    root = stack.layer_tree(args.layer - 1) if args.layer else stack.image_tree(last)
    node = _at(root, tree, args)
    below = _lines(node, "", 1, args.depth) if node.is_directory else [_line(node, "")]
    return "\n".join([*lines, "", *below])


def _steps(tree: Tree) -> dict[int, str]:
    """Return by layer, counted from 1, the instruction that made it, or which container did."""
    from core.commands.show import printable

    words = [
        printable(" ".join(str(step.get("created_by") or "").split()))
        for step in tree.config.get("history") or []
        if not step.get("empty_layer")
    ]
    steps = dict(enumerate(words, 1))
    if tree.layers and not tree.layers[-1][0]:
        steps[len(tree.layers)] = f"what {tree.name} wrote"
    return steps


def _lines(node: Node, indent: str, level: int, depth: int) -> Iterator[str]:
    for child in node.ordered:
        yield _line(child, indent)
        if child.children and (depth == 0 or level < depth):
            yield from _lines(child, indent + "  ", level + 1, depth)


def _line(node: Node, indent: str) -> str:
    from core.commands.show import printable, size
    from core.images.files.file_tree import ADDED, CHANGED, REMOVED

    signs = {ADDED: "+", CHANGED: "~", REMOVED: "-"}
    entry = node.entry
    gone = node.status == REMOVED
    mode = f"{entry.mode:04o} {entry.uid}:{entry.gid}" if entry and not gone else ""
    link = f" → {printable(entry.link)}" if entry and entry.link else ""
    slash = "/" if node.is_directory else ""
    weight = "" if gone else size(node.size)
    sign = signs.get(node.status, " ")
    return f"{sign} {mode:<12} {weight:>7}  {indent}{printable(node.name)}{slash}{link}"
