"""When a container is started again: docker's restart policies, back-off and crash loops.

Runs inside the monitor; pure but for the time it is told.
https://docs.docker.com/engine/containers/start-containers-automatically/
"""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Run = tuple[float, float, int, bool]
    """Started, finished (seconds since the epoch), exit code, out of memory."""

NAMES = ("no", "always", "unless-stopped", "on-failure")
# moby: restartmanager/restartmanager.go
FIRST_DELAY_S, MAX_DELAY_S, CALM_S = 0.1, 60.0, 10.0
CRASHES = 3
"""So many runs shorter than CALM_S, one after the other, are a crash loop."""
KEPT_RUNS = 5


class Policy(Record):
    """A restart policy; `retries` is on-failure's limit, 0 for none."""

    name: str = "no"
    retries: int = 0


def parse_policy(word: str) -> Policy:
    """Parse no, always, unless-stopped or on-failure[:N]; ValueError for anything else."""
    name, colon, count = word.partition(":")
    if name not in NAMES or (colon and name != "on-failure"):
        raise ValueError(f"{word!r} is none of {', '.join(NAMES[:-1])}, on-failure[:N]")
    if colon and not count.isdecimal():
        raise ValueError(f"{word!r}: on-failure takes a number of tries, such as on-failure:5")
    return Policy(name, int(count or 0))


class Restarts:
    """What the monitor remembers from run to run of one container."""

    def __init__(
        self,
        policy: str,
        count: int = 0,
        runs: tuple[Run, ...] = (),
        delay_s: float = 0,
        short: int = 0,
    ) -> None:
        self._policy = parse_policy(policy or "no")
        self.count = count
        """How often it was started again, docker's RestartCount."""
        self.runs = runs
        """The last ones, the oldest first; empty without a policy."""
        self._delay_s = delay_s
        self._short = short

    @property
    def wanted(self) -> bool:
        """Whether the policy has a container run whose monitor was killed."""
        return self._policy.name != "no"

    @property
    def crash_looping(self) -> bool:
        """Whether the last runs were all too short."""
        return self._short >= CRASHES

    def values(self) -> dict[str, Any]:
        """Return what makes another like this one."""
        name, retries = self._policy.name, self._policy.retries
        return {
            "policy": f"{name}:{retries}" if retries else name, "count": self.count,
            "runs": self.runs, "delay_s": self._delay_s, "short": self._short,
        }  # fmt: skip

    def note(self, run: Run) -> None:
        """Remember a run that has ended."""
        if self.wanted:
            self.runs = (*self.runs, run)[-KEPT_RUNS:]

    def delay(self, run: Run) -> float | None:
        """Return the seconds to wait before the next start, None when there is to be none."""
        started, finished, code, _ = run
        calm = finished - started >= CALM_S
        self._delay_s = FIRST_DELAY_S if calm or not self._delay_s else self._delay_s * 2
        self._delay_s = min(self._delay_s, MAX_DELAY_S)
        self._short = 0 if calm else self._short + 1
        name, retries = self._policy.name, self._policy.retries
        if name == "no" or (name == "on-failure" and code == 0):
            return None
        if retries and self.count >= retries:
            return None
        self.count += 1
        return self._delay_s

    def set_policy(self, policy: str) -> None:
        """Follow another policy from now on; ValueError for a word that is none."""
        self._policy = parse_policy(policy)


def starts_at_boot(policy: str, *, stopped: bool, ran: bool) -> bool:
    """Return whether a container is to be started with the host.

    `stopped`: a person stopped it; `ran`: it was started before.  on-failure is for
    failures, and that the host went down is none (docker's rule).
    """
    name = parse_policy(policy or "no").name
    return ran and (name == "always" or (name == "unless-stopped" and not stopped))
