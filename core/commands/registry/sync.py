"""The verbs that keep registries, stores and directories alike."""

from __future__ import annotations

from core.commands.grammar import Listing, flag, option, positional, verb
from core.commands.options.values import duration
from core.commands.result import Column, Result, Running, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.registry.sync.plan import SyncPlan
    from core.registry.sync.runs import Report


def pause(word: str) -> float:
    """Parse a duration of at least a second."""
    seconds = duration(word)
    if seconds < 1:
        raise ValueError(f"{word!r} is shorter than a second")
    return seconds


class List(Listing):
    """Options of `sync ls`."""


class Plan(Listing):
    """Options of `sync plan`."""

    all: bool = flag("-a", "--all", help="also tags with which nothing happens")
    rules: tuple[str, ...] = positional(
        "rules of config.toml; none: all", many=True, default=(), metavar="RULE"
    )


class Run(Listing):
    """Options of `sync run`."""

    all: bool = flag("-a", "--all", help="also show tags with which nothing happened")
    report: str = option(
        "--report", help="write what was done to a file, as JSON", metavar="FILE", complete="path"
    )
    watch: float = option(
        "--watch", help="run again and again, with a pause of this between two runs", default=0.0,
        metavar="DURATION", convert=pause,
    )  # fmt: skip
    rules: tuple[str, ...] = positional(
        "rules of config.toml; none: all", many=True, default=(), metavar="RULE"
    )


@verb("sync ls", List, "List the sync rules and how they went last", "sync list", changes=False)
def states(engine: Engine, args: List) -> Result:
    """One row a rule; nothing is asked over the network."""
    rows = tuple(
        {
            "Rule": state.rule.name,
            "Source": state.rule.source,
            "Target": state.rule.target,
            "LastRun": state.ended or "",
            "Copied": state.copied if state.ended else "",
            "Deleted": state.deleted if state.ended else "",
            "Kept": state.kept if state.ended else "",
            "Size": state.bytes,
            "Seconds": round(state.seconds, 3),
            "Error": state.error,
        }
        for state in engine.sync.states()
    )
    return Table(STATE_COLUMNS, rows, args.format, "Rule" if args.quiet else "")


@verb("sync plan", Plan, "Show what sync would copy and delete", changes=False)
def plan(engine: Engine, args: Plan) -> Result:
    """Start the job: it asks both ends and changes neither."""

    def show(plans: list[SyncPlan]) -> Result:
        rows = tuple(
            {
                "Rule": step.rule,
                "Action": step.action,
                "Source": step.source,
                "Target": step.target,
                "Size": step.bytes,
                "Digest": step.digest,
                "Cause": step.cause,
            }
            for found in plans
            for step in found.steps
            if args.all or step.action != "keep"
        )
        return Table(PLAN_COLUMNS, rows, args.format, "Target" if args.quiet else "")

    return Running(engine.sync.plan(args.rules), show)


@verb(
    "sync run",
    Run,
    "Copy and delete what the sync rules say",
    "sync",
    examples=("sync", "sync nginx --report /var/log/limpet-sync.json", "sync --watch 10m"),
)
def run(engine: Engine, args: Run) -> Result:
    """Start the job; a failure of one image does not end the others, but the job.

    With --watch no failure ends it: it is cancelled.
    """

    def show(reports: list[Report]) -> Result:
        rows = tuple(
            {
                "Rule": done.rule,
                "Action": "failed" if done.error and done.action != "skip" else done.action,
                "Source": done.source,
                "Target": done.target,
                "Size": done.bytes,
                "Blobs": f"{done.sent} sent, {done.mounted} mounted, {done.existing} there",
                "Digest": done.digest,
                "Cause": done.error,
            }
            for report in reports
            for done in report.steps
            if args.all or done.action != "keep"
        )
        return Table(DONE_COLUMNS, rows, args.format, "Target" if args.quiet else "")

    job = engine.sync.run(args.rules, report=args.report, every_s=args.watch)
    return Running(job, show)


STATE_COLUMNS = (
    Column("Rule", "RULE"),
    Column("LastRun", "LAST RUN", "age"),
    Column("Copied", "COPIED"),
    Column("Deleted", "DELETED"),
    Column("Kept", "KEPT"),
    Column("Source", "FROM"),
    Column("Target", "TO"),
    Column("Error", "ERROR"),
)
PLAN_COLUMNS = (
    Column("Target", "TO"),
    Column("Action", "ACTION"),
    Column("Size", "SIZE", "size"),
    Column("Source", "FROM"),
    Column("Rule", "RULE"),
    Column("Cause", "CAUSE"),
)
DONE_COLUMNS = (
    Column("Target", "TO"),
    Column("Action", "ACTION"),
    Column("Size", "SENT", "size"),
    Column("Blobs", "BLOBS"),
    Column("Rule", "RULE"),
    Column("Cause", "CAUSE"),
)
