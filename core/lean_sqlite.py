"""SQLite without what its C module loads.

Beneath `sqlite3` lies `_sqlite3`, which needs no `datetime` for adapters, but asks `functools`
for the cache of its statements, and that loads `collections`: a millisecond and a half of
every command, for a class that is written in C and lies elsewhere.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Functools:
    """Stands in for `functools` while the C module is being loaded."""

    @staticmethod
    def lru_cache(maxsize: int) -> Callable[[Any], Any]:
        """Return what makes a function remember its last results, as functools does."""
        from _functools import _lru_cache_wrapper  # type: ignore[import-not-found]

        return lambda function: _lru_cache_wrapper(function, maxsize, False, None)


if "functools" in sys.modules:
    import _sqlite3
else:
    sys.modules["functools"] = _Functools  # type: ignore[assignment]
    try:
        import _sqlite3
    finally:
        del sys.modules["functools"]

Connection = _sqlite3.Connection
DatabaseError = _sqlite3.DatabaseError
Error = _sqlite3.Error
IntegrityError = _sqlite3.IntegrityError
OperationalError = _sqlite3.OperationalError
connect = _sqlite3.connect
