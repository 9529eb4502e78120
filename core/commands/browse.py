"""The verb `image browse`: an image's files as a tree, with what each layer did to them."""

from __future__ import annotations

from core.commands import values
from core.commands.grammar import Args, flag, option, positional, verb
from core.commands.result import Result, Running, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.engine import Engine
    from core.images.compare import Tree
    from core.images.layer_tree import Node

DEPTH = 2


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
    image: str = positional(
        "image, container, or with --remote HOST/NAME:TAG", complete="remote-image"
    )
    path: str = positional("only below this directory", default="", metavar="PATH")


@verb(
    "image browse",
    Browse,
    "Show an image's files as a tree, and what each layer did",
    changes=False,
    examples=("image browse app /etc", "image browse --remote localhost:5000/app:1 --layer 2"),
)
def browse(engine: Engine, args: Browse) -> Result:
    """Show the tree; a remote image's is read while its layers stream by."""
    if not args.remote:
        return Text(_shown(engine.files.tree(args.image), args))
    job = engine.files.remote_tree(args.image, args.platform)
    return Running(job, lambda tree: Text(_shown(tree, args)))


def _shown(tree: Tree, args: Browse) -> str:
    from core.commands.show import size
    from core.errors import NotFound, UsageError
    from core.images.layer_tree import Stack

    if args.layer > len(tree.layers):
        raise UsageError(f"{tree.name} has {len(tree.layers)} layers, not {args.layer}")
    stack = Stack()
    lines = []
    steps = _steps(tree)
    for number, (_, files) in enumerate(tree.layers, 1):
        stack.add(files)
        total = size(sum(entry.size for entry in files))
        mark = ">" if number == args.layer else " "
        lines.append(f"{mark}{number:>3}  {total:>7}  {steps.get(number, '')[:60]}".rstrip())
    waste = stack.waste()
    lines.append(f"efficiency {100 * waste.efficiency:.1f} %, wasted {size(waste.wasted_bytes)}")
    last = len(tree.layers) - 1
    root = stack.layer_tree(args.layer - 1) if args.layer else stack.image_tree(last)
    for part in filter(None, args.path.split("/")):
        if part not in root.children:
            raise NotFound(f"{tree.name} has no {args.path}", subject=args.path)
        root = root.children[part]
    return "\n".join([*lines, "", *_lines(root, "", 1, args.depth)])


def _steps(tree: Tree) -> dict[int, str]:
    """Return the instructions by layer, counted from 1."""
    words = [
        " ".join(str(step.get("created_by") or "").split())
        for step in tree.config.get("history") or []
        if not step.get("empty_layer")
    ]
    return dict(enumerate(words, 1))


def _lines(node: Node, indent: str, level: int, depth: int) -> Iterator[str]:
    from core.commands.show import printable, size
    from core.images.layer_tree import ADDED, CHANGED, REMOVED

    signs = {ADDED: "+", CHANGED: "~", REMOVED: "-"}
    for child in node.ordered:
        entry = child.entry
        mode = f"{entry.mode:04o} {entry.uid}:{entry.gid}" if entry else ""
        link = f" → {printable(entry.link)}" if entry and entry.link else ""
        slash = "/" if child.is_directory else ""
        sign = signs.get(child.status, " ")
        name = printable(child.name)
        yield f"{sign} {mode:<12} {size(child.size):>7}  {indent}{name}{slash}{link}"
        if child.children and (depth == 0 or level < depth):
            yield from _lines(child, indent + "  ", level + 1, depth)
