"""Carrying out what a sync rule's plan says, and the report of it.

Blobs go side by side, each once, and a tag is set as soon as all that it needs is there: a
sync that is cut short has finished what it reports, and the next one goes on from there.
"""

from __future__ import annotations

import threading
import time

from core.errors import Cancelled, Error, NotFound, RateLimited, RegistryError, Unauthorized
from core.record import Record
from core.registry.carry import carry
from core.registry.ends import open_end
from core.registry.status import note_use
from core.registry.sync_plan import COPY, DELETE, KEEP, MOVE, SKIP, SyncPlan, describe, make_plan
from core.side_by_side import side_by_side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from core.config import Config
    from core.images.manifest import Descriptor
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.registry.ends import End
    from core.registry.sync_plan import Step
    from core.registry.sync_rules import Rule

    Check = Callable[[], None]
    T = TypeVar("T")

FATAL = (Cancelled, RateLimited, Unauthorized)
"""After these, the next image would fare no better."""
SHOWN = 10
"""Failures that a message names."""


class Done(Record):
    """How one step went."""

    rule: str
    action: str
    source: str
    target: str
    digest: str
    bytes: int = 0
    """Sent."""
    sent: int = 0
    mounted: int = 0
    existing: int = 0
    """Blobs."""
    error: str = ""


class Report(Record):
    """How one rule went."""

    rule: str
    started: float
    seconds: float
    steps: tuple[Done, ...]

    @property
    def error(self) -> str:
        """The first failure, or empty."""
        return next((done.error for done in self.steps if done.error), "")

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**self.as_dict(), "error": self.error,
                "steps": [done.as_dict() for done in self.steps]}  # fmt: skip


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
    store: ImageStore, config: Config, rules: Sequence[Rule], job: Job, *, verify: bool = False
) -> list[SyncPlan]:
    """Return what each rule would do."""

    def decide(rule: Rule, source: End, target: End) -> SyncPlan:
        return make_plan(rule, source, target, store.database, job.check, verify=verify)

    return [_with_ends(store, config, rule, job, decide) for rule in rules]


def run_rules(
    store: ImageStore, config: Config, rules: Sequence[Rule], job: Job, *, verify: bool = False
) -> list[Report]:
    """Do what each rule says, one rule after the other.

    A step that fails is reported and does not end the others; a registry that limits or
    refuses us, and a rule whose ends cannot be read, does: RegistryError or NotFound.
    """

    def carry_out(rule: Rule, source: End, target: End) -> Report:
        started = time.time()
        plan = make_plan(rule, source, target, store.database, job.check, verify=verify)
        for end in (source, target):
            if end.client is not None:
                note_use(store.database, end.client.host)
        workers = max(1, config["registry", "parallel_layers"])
        done = _Run(store, plan, source, target, job).run(workers)
        return Report(rule.name, started, time.time() - started, tuple(done))

    reports = []
    for rule in rules:
        started = time.time()
        try:
            report = _with_ends(store, config, rule, job, carry_out)
        except Error as error:
            _note_run(store, Report(rule.name, started, time.time() - started, ()), error)
            raise
        _note_run(store, report)
        reports.append(report)
    return reports


def watch_rules(
    store: ImageStore, config: Config, rules: Sequence[Rule], every_s: float, job: Job
) -> None:
    """Run the rules again and again, until the job is cancelled; failures are only told."""
    while True:
        try:
            for report in run_rules(store, config, rules, job):
                copied = sum(done.action in (COPY, MOVE) for done in report.steps)
                job.say(f"{report.rule}: {copied} copied, {report.error or 'no failure'}")
        except Cancelled:
            raise
        except Error as error:
            job.say(describe(error))
        end = time.monotonic() + every_s
        while (left := end - time.monotonic()) > 0:
            job.check()
            job.progress("next run", int(every_s - left), int(every_s), "waiting")
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
    source = open_end(rule.source, config, store, job.check)
    try:
        target = open_end(rule.target, config, store, job.check)
        try:
            return use(rule, source, target)
        finally:
            target.close()
    finally:
        source.close()


def _note_run(store: ImageStore, report: Report, error: Error | None = None) -> None:
    actions = [done.action for done in report.steps if not done.error]
    values = (
        report.rule, report.started + report.seconds, report.seconds,
        actions.count(COPY) + actions.count(MOVE), actions.count(DELETE), actions.count(KEEP),
        sum(done.bytes for done in report.steps), describe(error) if error else report.error,
    )  # fmt: skip
    with store.database.write() as sql:
        sql.execute("INSERT OR REPLACE INTO sync_runs VALUES (?,?,?,?,?,?,?,?)", values)


class _Image:
    """A step that copies, while its blobs come."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.waiting = {digest for digest, _ in step.blobs}
        self.total = max(1, sum(blob.size for _, blob in step.blobs))
        self.parts: dict[str, int] = {}
        self.ways: dict[str, str] = {}
        self.sent = 0
        self.error = ""
        self.finished = False


class _Run:
    def __init__(
        self, store: ImageStore, plan: SyncPlan, source: End, target: End, job: Job
    ) -> None:
        self._store = store
        self._plan = plan
        self._source = source
        self._target = target
        self._job = job
        self._lock = threading.Lock()
        self._images = [_Image(step) for step in plan.steps if step.action in (COPY, MOVE)]
        self._blob_locks: dict[str, threading.Lock] = {}
        self._holders: dict[str, list[str]] = {}
        """Paths in the target's registry where a blob is now, by digest."""

    def run(self, workers: int) -> list[Done]:
        works = [self._work(image, digest, blob) for image, digest, blob in self._blobs()]
        empty = [self._finishing(image) for image in self._images if not image.waiting]
        for image in self._images:
            self._show(image, "waiting")
        leave = self._store.database.close
        side_by_side([*empty, *works], workers, self._job.check, leave)
        results = {id(image.step): self._result(image) for image in self._images}
        for step in self._plan.steps:
            if step.action == DELETE:
                results[id(step)] = self._delete(step)
        return [results.get(id(step)) or _as_planned(step) for step in self._plan.steps]

    def _blobs(self) -> list[tuple[_Image, str, Descriptor]]:
        """Return each blob that is to come once a repository, in the order of the images."""
        seen: set[tuple[str, str]] = set()
        found = []
        for image in self._images:
            for digest, blob in image.step.blobs:
                key = (image.step.places[1], digest)
                if key not in seen:
                    seen.add(key)
                    found.append((image, digest, blob))
        return found

    def _work(self, image: _Image, digest: str, blob: Descriptor) -> Callable[[Check], None]:
        def work(check: Check) -> None:
            with self._lock:
                alone = self._blob_locks.setdefault(digest, threading.Lock())
            with alone:  # a second repository mounts it from the first
                try:
                    self._bring(image, digest, blob, check)
                except FATAL:
                    raise
                except Error as error:
                    self._fail(image.step.places[1], digest, describe(error))
                    return
            self._arrived(image.step.places[1], digest)

        return work

    def _bring(self, image: _Image, digest: str, blob: Descriptor, check: Check) -> None:
        step = image.step

        def report(done: int) -> None:
            image.parts[digest] = done
            self._show(image, "copying")

        target = self._target
        name = f"{target.name}/{step.places[1]}@{digest}"
        carried = carry(
            self._source, target, step.places, blob, self._lenders(step, digest),
            self._store.upload_note(name), report, check,
        )  # fmt: skip
        image.ways[digest] = carried.way
        image.sent += carried.size
        report(blob.size)
        if target.client is not None and carried.way != "foreign":
            with self._lock:
                self._holders.setdefault(digest, []).append(target.path(step.places[1]))

    def _lenders(self, step: Step, digest: str) -> list[str]:
        found = list(self._holders.get(digest, ()))
        source, target = self._source.client, self._target.client
        if source is not None and target is not None and source.host == target.host:
            assert self._source.client is not None
            found.insert(0, self._source.path(step.places[0]))
        return found[:2]

    def _arrived(self, place: str, digest: str) -> None:
        for image in self._waiting_for(place, digest):
            with self._lock:
                image.waiting.discard(digest)
                ready = not (image.waiting or image.error or image.finished)
                image.finished = image.finished or ready
            if ready:
                self._finish(image)

    def _fail(self, place: str, digest: str, cause: str) -> None:
        for image in self._waiting_for(place, digest):
            image.error = image.error or cause
            self._show(image, "failed")

    def _waiting_for(self, place: str, digest: str) -> list[_Image]:
        with self._lock:
            return [
                image
                for image in self._images
                if image.step.places[1] == place and digest in image.waiting
            ]

    def _finishing(self, image: _Image) -> Callable[[Check], None]:
        return lambda _: self._finish(image)

    def _finish(self, image: _Image) -> None:
        """Store an image's manifests, and what was done."""
        step = image.step
        place, tag = step.places[1], step.tag
        try:
            *below, own = step.manifests
            for found in below:
                self._target.put(place, "", found)
            self._target.put(place, tag, own, step.source_digest)
        except FATAL:
            raise
        except Error as error:
            image.error = describe(error)
            self._show(image, "failed")
            return
        self._remember(step)
        self._show(image, "done")

    def _remember(self, step: Step) -> None:
        platforms = ",".join(self._plan.platforms)
        with self._store.database.write() as sql:
            sql.execute(
                "INSERT OR REPLACE INTO synced VALUES (?,?,?,?,?)",
                (step.target, step.source, platforms, step.source_digest, step.digest),
            )

    def _delete(self, step: Step) -> Done:
        place = step.places[1]
        kept = {other.digest for other in self._plan.steps if other.places[1] == place}
        try:
            self._target.delete(place, step.tag, kept)
        except NotFound:
            pass  # somebody else was faster
        except FATAL:
            raise
        except Error as error:
            return _as_planned(step).replace(error=describe(error))
        return _as_planned(step)

    def _show(self, image: _Image, note: str) -> None:
        done = image.total if note == "done" else min(sum(image.parts.values()), image.total)
        self._job.progress(image.step.target, done, image.total, note)

    def _result(self, image: _Image) -> Done:
        ways = list(image.ways.values())
        return _as_planned(image.step).replace(
            bytes=image.sent,
            sent=ways.count("sent"),
            mounted=ways.count("mounted"),
            existing=ways.count("exists"),
            error=image.error,
        )


def _as_planned(step: Step) -> Done:
    error = step.cause if step.action == SKIP else ""
    return Done(step.rule, step.action, step.source, step.target, step.digest, error=error)


def check_reports(reports: Sequence[Report]) -> None:
    """Return if nothing failed; RegistryError that names what did."""
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

    from core.registry.ends import write_whole

    documents = [report.as_document() for report in reports]
    write_whole(os.path.abspath(path), json.dumps(documents, indent=2).encode() + b"\n")
