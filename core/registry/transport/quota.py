"""How much a registry still grants, and when its count begins anew, as its headers tell.

Docker Hub sends `RateLimit-Limit: 100;w=21600` and `RateLimit-Remaining: 76;w=21600`; others
add `RateLimit-Reset` in seconds, or write all three with `X-` before.
https://docs.docker.com/docker-hub/usage/pulls/
https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06
"""

from __future__ import annotations

import time

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.registry.transport.http import Answer

EPOCH_S = 1_000_000_000
"""X-RateLimit-Reset is a moment from here on, and a number of seconds below."""
LONGEST_S = 30 * 86400
LIMITED_S = 60.0
"""Pause after a 429 that does not say when it may be asked again."""
LIMITED_MAX_S = 86400.0
"""Longer than that, no registry's word is taken for it."""


class Quota(Record):
    """What a registry grants; `reset_at` is when it counts anew at the latest, 0 for unknown."""

    limit: int
    remaining: int
    reset_at: float = 0

    @property
    def granted(self) -> str:
        """REMAINING/LIMIT."""
        return f"{self.remaining}/{self.limit}"

    def describe(self) -> str:
        """Return it in a few words: `76/100, reset in 5 h`."""
        return describe(self.granted, self.reset_at)


def describe(granted: str, reset_at: float) -> str:
    """Return what is granted with the time until the reset; empty when that has been."""
    if not granted or not reset_at:
        return granted
    left = reset_at - time.time()
    return f"{granted}, reset in {duration(left)}" if left > 0 else ""


def read_quota(answer: Answer) -> Quota | None:
    """Return what an answer tells of it, None for nothing."""
    for prefix in ("", "X-"):
        limit, _, window = answer.header(f"{prefix}RateLimit-Limit").partition(";w=")
        numbers = [_number(text) for text in (limit, answer.header(f"{prefix}RateLimit-Remaining"))]
        if min(numbers) >= 0:
            reset = reset_at(answer)
            if not reset and (length := _number(window)) > 0:
                reset = time.time() + min(length, LONGEST_S)
            return Quota(numbers[0], numbers[1], reset)
    return None


def reset_at(answer: Answer) -> float:
    """Return when it may be asked again, 0 when it does not say."""
    now = time.time()
    after = answer.header("Retry-After")
    if after and not after.isdigit():
        from email.utils import parsedate_to_datetime

        try:
            return parsedate_to_datetime(after).timestamp()
        except (ValueError, OverflowError):
            return 0
    for header in ("Retry-After", "RateLimit-Reset", "X-RateLimit-Reset"):
        value = _number(answer.header(header))
        if value >= EPOCH_S:
            return float(value)
        if value >= 0:
            return now + min(value, LONGEST_S)
    return 0


def duration(seconds: float) -> str:
    """Return a time to wait in one unit."""
    whole = max(int(seconds + 0.5), 0)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"


def _number(text: str) -> int:
    """Return a header's number, without its parameters; -1 for none."""
    digits = text.partition(";")[0].partition(",")[0].strip()
    return int(digits[:12]) if digits.isascii() and digits.isdigit() else -1
