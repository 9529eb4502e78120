"""Values as people read them."""

from __future__ import annotations

from core.commands.show import counted


def test_one_thing_is_not_several() -> None:
    assert [counted(n, "layer") for n in (0, 1, 2)] == ["0 layers", "1 layer", "2 layers"]
    assert [counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]
