"""The verbs that judge images: how two differ, and how much of one is wasted."""

from __future__ import annotations

from core.commands.grammar import Listing, option, positional, verb
from core.commands.result import Column, Result, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.engine import Engine


def share(word: str) -> float:
    """Parse a part of the whole, 0.95 or 95%."""
    try:
        value = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"{word!r} is no share such as 0.95 or 95%")
    return value


def amount(word: str) -> int:
    """Parse bytes as dive does: 20MB are 20,000,000, 20MiB are 20,971,520."""
    digits = word.rstrip("kKMGTiBb")
    unit = word[len(digits) :].lower().removesuffix("b")
    base = 1024 if unit.endswith("i") else 1000
    try:
        return int(float(digits) * base ** ("", "k", "m", "g", "t").index(unit.removesuffix("i")))
    except (ValueError, OverflowError):
        raise ValueError(f"{word!r} is no size such as 20MB or 512KiB") from None


class Diff(Listing):
    """Options of `image diff`."""

    only: str = option(
        "--only", help="A, C, D, or several: added, changed, deleted", default="ACD",
        metavar="LETTERS",
    )  # fmt: skip
    type: str = option(
        "--type", help="files or config alone", default="", choices=("files", "config"),
        metavar="KIND",
    )  # fmt: skip
    old: str = positional("image, container or layer", metavar="A", complete="image")
    new: str = positional("what it is compared with", metavar="B", complete="image")


class Check(Listing):
    """Options of `image check`."""

    max_wasted: int = option(
        "--max-wasted", help="bytes that may be wasted: 20MB", default=-1, metavar="SIZE",
        convert=amount,
    )  # fmt: skip
    min_efficiency: float = option(
        "--min-efficiency", help="share of the bytes that must be needed: 0.95", default=-1.0,
        metavar="SHARE", convert=share,
    )  # fmt: skip
    max_wasted_share: float = option(
        "--max-wasted-share", help="wasted, as a share of all layers but the lowest: 0.1",
        default=-1.0, metavar="SHARE", convert=share,
    )  # fmt: skip
    image: str = positional("name or ID", complete="image")


@verb(
    "image diff",
    Diff,
    "Show how two images differ, in files and in config",
    changes=False,
    examples=("image diff app:1 app:2", "image diff --type config app:1 app:2"),
)
def diff(engine: Engine, args: Diff) -> Result:
    """One row a difference, the config's first."""
    from core.errors import UsageError
    from core.images.files.compare import compare

    if not set(args.only.upper()) <= set("ACD"):
        raise UsageError(f"--only {args.only}: the letters are A, C and D")
    old = engine.files.tree(args.old)
    rows = tuple(
        {
            "Status": change.status,
            "Path": change.path if change.is_config else f"/{change.path}",
            "What": change.what,
            "Before": change.before,
            "After": change.after,
            "Size": _signed(change.after - change.before),
            "Kind": "config" if change.is_config else "file",
        }
        for change in compare(old, engine.files.tree(args.new, beside=old))
        if change.status in args.only.upper()
        and args.type in ("", "config" if change.is_config else "files")
    )
    return Table(DIFF_COLUMNS, rows, args.format, "Path" if args.quiet else "")


def _signed(count: int) -> str:
    from core.commands.show import size

    return "" if not count else ("+" if count > 0 else "-") + size(abs(count))


@verb(
    "image check",
    Check,
    "Check how much of an image is wasted; the exit code tells a pipeline",
    changes=False,
    examples=("image check --max-wasted 20MB --min-efficiency 0.95 app:1",),
)
def check(engine: Engine, args: Check) -> Result:
    """One row a rule and the files that waste most; exit code 1 when a rule is broken."""
    from core.commands.show import size
    from core.images.files.layer_stack import Stack

    stack = Stack()
    layers = engine.files.tree(args.image).layers
    for _, files in layers:
        stack.add(files)
    waste = stack.waste()
    above = sum(sum(files.sizes) for _, files in layers[1:])
    part = waste.wasted_bytes / above if above else 0.0
    rules = (
        ("efficiency", f"{waste.efficiency:.4f}", args.min_efficiency,
         f"at least {args.min_efficiency:g}", waste.efficiency < args.min_efficiency),
        ("wasted bytes", size(waste.wasted_bytes), args.max_wasted,
         f"at most {size(max(0, args.max_wasted))}", waste.wasted_bytes > args.max_wasted),
        ("wasted share", f"{part:.4f}", args.max_wasted_share,
         f"at most {args.max_wasted_share:g}", part > args.max_wasted_share),
    )  # fmt: skip
    rows: list[dict[str, Any]] = []
    failed = False
    for name, value, limit, words, broken in rules:
        asked = limit >= 0
        failed = failed or (asked and broken)
        result = "-" if not asked else "FAIL" if broken else "PASS"
        rows.append({"Rule": name, "Value": value, "Limit": words if asked else "",
                     "Result": result})  # fmt: skip
    for path, count, total in stack.inefficient(10):
        rows.append({"Rule": f"in {count} layers", "Value": size(total), "Limit": "",
                     "Result": f"/{path}"})  # fmt: skip
    return Table(
        CHECK_COLUMNS, tuple(rows), args.format, "Result" if args.quiet else "",
        code=1 if failed else 0,
    )  # fmt: skip


DIFF_COLUMNS = (
    Column("Status", ""),
    Column("Size", "SIZE"),
    Column("Path", "PATH"),
    Column("What", "WHAT"),
)
CHECK_COLUMNS = (
    Column("Rule", "RULE"),
    Column("Value", "VALUE"),
    Column("Limit", "LIMIT"),
    Column("Result", "RESULT"),
)
