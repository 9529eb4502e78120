"""Any order of orders, deaths and looks: what containers do is what a small model says."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from core.containers.state import read_state
from core.containers.supervision.protocol import SOCKET_NAME
from core.errors import Conflict, NotFound
from tests.containers import run, shell, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.engine import Engine

NAMES = st.sampled_from(("one", "two"))
POLICIES = st.sampled_from(("", "always", "unless-stopped"))
ALIVE = ("running", "paused")
DEATHS = 2
"""So many runs may end by themselves: a third in a row is a crash loop, which waits long."""


class Life(RuleBasedStateMachine):
    """Two names, under which containers come and go."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.containers = self.engine.containers
        self.states: dict[str, str] = {}
        self.policies: dict[str, str] = {}
        self.stopped: set[str] = set()
        """By a person."""
        self.deaths: dict[str, int] = {}

    def teardown(self) -> None:
        for name in self.states:
            self.containers.rm(name, force=True)

    def order(self, name: str, work: Callable[[], object], *fit: str, to: str = "") -> bool:
        """Give an order, which is a Conflict but in the states that fit; whether it was done."""
        found = self.states.get(name)
        if found is None or found not in fit:
            try:
                work()
            except NotFound:
                assert found is None
            except Conflict:
                assert found is not None
            else:
                raise AssertionError(f"{name} is {found}, and it was done")
            return False
        work()
        if to:
            self.states[name] = to
        return True

    @rule(name=NAMES, policy=POLICIES)
    def create(self, name: str, policy: str) -> None:
        made = shell("exec sleep 1000", name=name, restart=policy, stop_timeout_s=0)
        try:
            self.containers.create(made)
        except Conflict:
            assert name in self.states
            return
        assert name not in self.states
        self.states[name], self.policies[name], self.deaths[name] = "created", policy, 0
        self.stopped.discard(name)

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        fit = ("created", "running", "exited")
        if self.order(name, lambda: self.containers.start(name), *fit, to="running"):
            self.stopped.discard(name)

    @rule(name=NAMES, by_host=st.booleans())
    def stop(self, name: str, by_host: bool) -> None:
        alive = self.states.get(name) in ALIVE
        done = self.order(
            name, lambda: self.containers.stop(name, by_host=by_host), "created", "exited", *ALIVE
        )
        if done and alive:
            self.states[name] = "exited"
            if not by_host:
                self.stopped.add(name)

    @rule(name=NAMES)
    def kill(self, name: str) -> None:
        if self.order(name, lambda: self.containers.kill(name), *ALIVE, to="exited"):
            self.stopped.add(name)

    @rule(name=NAMES)
    def pause(self, name: str) -> None:
        self.order(name, lambda: self.containers.pause(name), "running", to="paused")

    @rule(name=NAMES)
    def unpause(self, name: str) -> None:
        self.order(name, lambda: self.containers.unpause(name), "paused", to="running")

    @rule(name=NAMES)
    def exec(self, name: str) -> None:
        def work() -> None:
            assert run(self.containers.exec(name, ["echo", "in"])) == (0, b"in\n", b"")

        self.order(name, work, "running")

    @rule(name=NAMES, force=st.booleans())
    def rm(self, name: str, force: bool) -> None:
        fit = ("created", "exited", *(ALIVE if force else ()))
        if self.order(name, lambda: self.containers.rm(name, force=force), *fit):
            del self.states[name]

    @rule(name=NAMES)
    def die(self, name: str) -> None:
        """The program ends by itself."""
        if self.states.get(name) != "running" or self.deaths[name] >= DEATHS:
            return
        self.deaths[name] += 1
        first = self.containers.resolve(name).pid
        os.kill(first, signal.SIGKILL)
        if self.policies[name]:
            until(lambda: self.containers.resolve(name).pid not in (0, first))
        else:
            until(lambda: self.containers.resolve(name).state == "exited")
            self.states[name] = "exited"

    @rule(name=NAMES, number=st.sampled_from((signal.SIGKILL, signal.SIGTERM)))
    def end_monitor(self, name: str, number: int) -> None:
        """The monitor is killed, or told to end as at the end of the host."""
        if self.states.get(name) not in ALIVE:
            return
        container = self.containers.resolve(name).id
        found = read_state(self.engine.paths.container(container))
        os.kill(found.monitor, number)
        until(lambda: not Path(f"/proc/{found.monitor}/ns/pid").exists())
        again = number == signal.SIGKILL and self.policies[name]
        self.states[name] = "running" if again else "exited"

    @rule()
    def boot(self) -> None:
        """The host starts: what its policy has run does, but what a person has stopped."""
        due = {name for name, found in self.states.items() if found == "exited" and (
            self.policies[name] == "always"
            or (self.policies[name] == "unless-stopped" and name not in self.stopped)
        )}  # fmt: skip
        assert set(self.engine.boot.start()) == due
        for name in due:
            self.states[name] = "running"
            self.stopped.discard(name)

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        seen = {info.name: info for info in self.containers.list()}
        assert {name: info.state for name, info in seen.items()} == self.states
        for info in seen.values():
            found = read_state(self.engine.paths.container(info.id))
            if info.state in ALIVE:
                assert Path(f"/proc/{info.pid}").exists()
            else:
                assert info.pid == 0
                assert not found.cgroup
                # What it used is kept there.
                assert not Path(self.engine.paths.container_run(info.id), SOCKET_NAME).exists()


def test_containers_do_what_the_model_says(engine: Engine) -> None:
    machine = type("Life", (Life,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
