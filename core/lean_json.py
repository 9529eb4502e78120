"""JSON through the interpreter's own C scanner and encoder.

The `json` package costs six milliseconds to import, most of it for `re`; the C parts it
stands on do not.  Monitors and `limpet ps` read and write small documents with these.
"""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Decoding:
    """The settings that the C scanner asks its context for (json.JSONDecoder's defaults)."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}


_scan = _json.make_scanner(_Decoding())  # type: ignore[arg-type]


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encode = _json.make_encoder(
    None, _refuse, _json.encode_basestring, None, ":", ",", False, False, False
)


def loads(text: str) -> Any:
    """Parse one document; ValueError if it is cut off, damaged or followed by more text."""
    text = text.strip()
    try:
        value, end = _scan(text, 0)
    except (StopIteration, RecursionError, SystemError):
        # The scanner looks for json's own error where that package is loaded; Python 3.11 has no
        # other where it is not.
        raise ValueError("not a JSON document") from None
    if end != len(text):
        raise ValueError("more text after the JSON document")
    return value


def dumps(value: Any) -> str:
    """Write one document without spaces; ValueError for NaN, TypeError for other types."""
    return "".join(_encode(value, 0))
