"""Several transfers at once; the first failure stops the others."""

from __future__ import annotations

import threading
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Check = Callable[[], None]
    Work = Callable[[Check], None]


class _Stopped(Exception):
    """Another piece of work has failed."""


def side_by_side(
    works: Iterable[Work],
    workers: int,
    check: Check = lambda: None,
    leave: Callable[[], None] = lambda: None,
) -> None:
    """Do all of `works`, at most `workers` at a time; return when all threads have ended.

    Each is given what to call often: it raises when the work shall end, as `check` does.
    Each thread calls `leave` at its end.  Raises the first failure.
    """
    waiting = deque(works)
    failures: list[BaseException] = []

    def stop() -> None:
        check()
        if failures:
            raise _Stopped

    def run() -> None:
        try:
            while not failures:
                try:
                    work = waiting.popleft()
                except IndexError:
                    return
                work(stop)
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)
        finally:
            leave()

    count = min(workers, len(waiting))
    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
