"""Running sync rules: one after the other, again and again, with a report of each.

What a rule does is decided by `core.registry.sync.plan` and done by `core.registry.sync.copying`.
"""

from __future__ import annotations

import time

from core.errors import Cancelled, Error, HostError, RateLimited, RegistryError, disk_error
from core.record import Record
from core.registry import upload_notes
from core.registry.status import note_use
from core.registry.sync.copying import Copying, Done
from core.registry.sync.ends import open_end
from core.registry.sync.plan import COPY, DELETE, KEEP, MOVE, SKIP, SyncPlan, describe, make_plan
from core.registry.transport.quota import LIMITED_MAX_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn, TypeVar

    from core.config import Config
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.registry.sync.ends import End
    from core.registry.sync.rules import Rule

    T = TypeVar("T")

SHOWN = 10
"""Failures that a message names."""


class Report(Record):
    """How one rule went."""

    rule: str
    started: float
    seconds: float
    steps: tuple[Done, ...] = ()
    failure: Error | None = None
    """What ended the rule as a whole."""

    @property
    def error(self) -> str:
        """The first failure, or empty."""
        if self.failure:
            return describe(self.failure)
        return next((done.error for done in self.steps if done.error), "")

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"rule": self.rule, "started": self.started, "seconds": self.seconds,
                "error": self.error, "steps": [done.as_dict() for done in self.steps]}  # fmt: skip


class RuleState(Record):
    """A rule, and how it went last; `ended` is 0 when it never ran."""

    rule: Rule
    ended: float = 0
    seconds: float = 0
    copied: int = 0
    deleted: int = 0
    kept: int = 0
    bytes: int = 0
    error: str = ""


def plan_rules(
    store: ImageStore, config: Config, rules: Sequence[Rule], job: Job
) -> list[SyncPlan]:
    """Return what each rule would do."""

    def decide(rule: Rule, source: End, target: End) -> SyncPlan:
        return make_plan(rule, source, target, store.database, job.check)

    return [_with_ends(store, config, rule, job, decide) for rule in rules]


def run_rules(
    store: ImageStore, config: Config, rules: Sequence[Rule], job: Job, report_file: str = ""
) -> list[Report]:
    """Do what each rule says, one rule after the other, and write down how it went.

    A step that fails is reported and does not end the others; a registry that limits or
    refuses us, and ends that cannot be read, end the rule, but not the other rules.  A registry
    that limits us is not asked for them again.  Raises Cancelled.
    """
    limited: dict[str, RateLimited] = {}

    def carry_out(rule: Rule, source: End, target: End) -> Report:
        started = time.time()
        workers = max(1, config["registry", "parallel_layers"])
        clients = [end.client for end in (source, target) if end.client is not None]
        for client in clients:
            if client.host in limited:
                raise limited[client.host]
        try:
            plan = make_plan(rule, source, target, store.database, job.check)
            done = Copying(store, plan, source, target, job).run(workers)
        except RegistryError as error:
            for client in clients:
                note_use(store.database, client, error)
            if isinstance(error, RateLimited):
                limited[error.subject] = error
            raise
        for client in clients:
            note_use(store.database, client)
            if client.quota:
                job.say(f"{client.host} still grants {client.quota.describe()}")
        return Report(rule.name, started, time.time() - started, tuple(done))

    upload_notes.sweep(store.paths)
    reports = []
    for rule in rules:
        started = time.time()
        try:
            report = _with_ends(store, config, rule, job, carry_out)
        except Error as error:
            report = Report(rule.name, started, time.time() - started, (), error)
        _note_run(store, report)
        if isinstance(report.failure, Cancelled):
            raise report.failure
        reports.append(report)
    if report_file:
        write_report(report_file, reports)
    return reports


def watch_rules(
    store: ImageStore,
    config: Config,
    rules: Sequence[Rule],
    every_s: float,
    job: Job,
    report_file: str = "",
) -> NoReturn:
    """Run the rules again and again, until the job is cancelled; failures are only told.

    A registry that limits us is not asked again before it wants to be.
    """
    while True:
        wait_s = every_s
        for report in run_rules(store, config, rules, job, report_file):
            copied = sum(done.action in (COPY, MOVE) for done in report.steps)
            job.say(f"{report.rule}: {copied} copied, {report.error or 'no failure'}")
            if isinstance(report.failure, RateLimited):
                left = report.failure.reset_at - time.time()
                wait_s = max(wait_s, min(left, LIMITED_MAX_S))
        again = time.localtime(time.time() + wait_s)
        job.progress("next run", 0, 0, time.strftime("at %H:%M:%S", again))
        end = time.monotonic() + wait_s
        while (left := end - time.monotonic()) > 0:
            job.check()
            time.sleep(min(left, 0.2))


def rule_states(store: ImageStore, rules: Sequence[Rule]) -> list[RuleState]:
    """Return the rules with how they went last."""
    rows = {row[0]: row[1:] for row in store.database.query("SELECT * FROM sync_runs")}
    return [RuleState(rule, *rows.get(rule.name, ())) for rule in rules]


def _with_ends(
    store: ImageStore,
    config: Config,
    rule: Rule,
    job: Job,
    use: Callable[[Rule, End, End], T],
) -> T:
    """Return what is made of a rule's ends; HostError for a disk that does not take its part."""
    source = open_end(rule.source, config, store, job.check)
    try:
        target = open_end(rule.target, config, store, job.check)
        try:
            return use(rule, source, target)
        finally:
            target.close()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        told = HostError(f"{where}{error.strerror}", errno=error.errno or 0)
        raise disk_error(error) or told from error
    finally:
        source.close()


def _note_run(store: ImageStore, report: Report) -> None:
    actions = [done.action for done in report.steps if not done.error]
    values = (
        report.rule, report.started + report.seconds, report.seconds,
        actions.count(COPY) + actions.count(MOVE), actions.count(DELETE), actions.count(KEEP),
        sum(done.bytes for done in report.steps), report.error,
    )  # fmt: skip
    with store.database.write() as sql:
        sql.execute("INSERT OR REPLACE INTO sync_runs VALUES (?,?,?,?,?,?,?,?)", values)


def check_reports(reports: Sequence[Report]) -> None:
    """Return if nothing failed; what ended a rule, or RegistryError that names what did."""
    for report in reports:
        if report.failure:
            raise report.failure
    failed = [
        done for report in reports for done in report.steps if done.error and done.action != SKIP
    ]
    if failed:
        count = sum(len(report.steps) for report in reports)
        lines = [f"{done.target}: {done.error}" for done in failed[:SHOWN]]
        raise RegistryError(
            f"{len(failed)} of {count} tags failed; the others are done",
            hint="\n".join([*lines, "sync run goes on with what is missing"]),
        )


def write_report(path: str, reports: Sequence[Report]) -> None:
    """Write reports to a file as JSON, whole or not at all."""
    import json
    import os

    from core.registry.sync.disk_ends import write_whole

    documents = [report.as_document() for report in reports]
    write_whole(os.path.abspath(path), json.dumps(documents, indent=2).encode() + b"\n")
