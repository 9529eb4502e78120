"""Records behave as frozen dataclasses do."""

from __future__ import annotations

import pytest

from core.record import Record


class Point(Record):
    x: int
    y: int = 0


class Named(Point):
    name: str = "p"


def test_fields_come_in_order_and_are_inherited() -> None:
    assert Named.fields == ("x", "y", "name")
    assert Named(1, name="q").as_dict() == {"x": 1, "y": 0, "name": "q"}


def test_equality_hash_and_repr() -> None:
    assert Point(1, 2) == Point(x=1, y=2)
    assert Point(1) != Named(1)
    assert len({Point(1), Point(1, 0)}) == 1
    assert repr(Point(1)) == "Point(x=1, y=0)"


@pytest.mark.parametrize("values", [(), (1, 2, 3)])
def test_wrong_number_of_values(values: tuple[int, ...]) -> None:
    with pytest.raises(TypeError):
        Point(*values)


def test_unknown_and_doubled_fields() -> None:
    with pytest.raises(TypeError, match="z"):
        Point(1, z=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="x"):
        Point(1, x=2)  # type: ignore[misc]


def test_frozen_and_replace() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2  # type: ignore[misc]
    assert point.replace(y=5) == Point(1, 5)
    assert point == Point(1)
