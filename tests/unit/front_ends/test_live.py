"""Output that is followed in the session: the last lines are kept, errors stand below them."""

from __future__ import annotations

import time

from core.errors import Error
from tui.session.live import MOST_LINES, Tail
from tui.theme import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tui.session.live import Look


def whole(tail: Tail) -> Look:
    deadline = time.monotonic() + 20
    while not (look := tail.look()).ended:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return look


def test_the_last_lines_are_kept_and_the_others_counted() -> None:
    look = whole(Tail((1, b"line %d\n" % n) for n in range(3 * MOST_LINES)))
    assert [plain(parts) for parts in look.body] == [
        f"line {n}" for n in range(2 * MOST_LINES, 3 * MOST_LINES)
    ]
    assert look.note == f"{2 * MOST_LINES} earlier lines left out"


def test_what_is_hostile_is_shown_and_an_error_told() -> None:
    def source() -> Iterator[tuple[int, bytes]]:
        yield 2, b"\x1b]0;title\x07 \xff\r\n"
        raise Error("the log is gone", hint="limpet ps")

    shown = [plain(parts) for parts in whole(Tail(source())).body]
    assert not any(letter < " " for line in shown for letter in line)
    assert "the log is gone" in shown[1]
    assert any("limpet ps" in line for line in shown[1:])
