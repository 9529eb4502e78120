"""The rules that keep registries, stores and directories alike."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.engine import Engine
    from core.jobs import Job
    from core.registry.sync.plan import SyncPlan
    from core.registry.sync.runs import Report, RuleState


class Sync:
    """Shows sync rules, plans and carries out what they say."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def states(self) -> list[RuleState]:
        """Return the sync rules and how each went last."""
        from core.registry.sync.rules import read_rules
        from core.registry.sync.runs import rule_states

        return rule_states(self._engine.store, read_rules(self._engine.config))

    def plan(self, rules: Sequence[str] = ()) -> Job:
        """Start deciding what sync rules (none: all) would do; the result: a list of SyncPlan."""
        from core.registry.sync.rules import read_rules

        engine = self._engine
        chosen = read_rules(engine.config, rules)

        def work(job: Job) -> list[SyncPlan]:
            from core.registry.sync.runs import plan_rules

            return plan_rules(engine.store, engine.config, chosen, job)

        return engine.jobs.start("sync plan", work)

    def run(self, rules: Sequence[str] = (), *, report: str = "", every_s: float = 0) -> Job:
        """Start what sync rules (none: all) say; the result: a list of Report, also as a file.

        The job fails after all is done if any image failed.  With `every_s` it runs again and
        again, with such a pause, until it is cancelled.
        """
        from core.registry.sync.rules import read_rules

        engine = self._engine
        chosen = read_rules(engine.config, rules)

        def work(job: Job) -> list[Report]:
            from core.registry.sync.runs import check_reports, run_rules, watch_rules

            if every_s:
                watch_rules(engine.store, engine.config, chosen, every_s, job, report)
            done = run_rules(engine.store, engine.config, chosen, job, report)
            check_reports(done)
            return done

        mode = "--watch" if every_s else ""
        return engine.jobs.start(" ".join(filter(None, ("sync", mode, *rules))), work)
