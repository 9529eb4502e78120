"""Records behave as frozen dataclasses do, those that are tuples too."""

from __future__ import annotations

import pytest

from core.record import Record
from core.tuple_record import TupleRecord


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


class Pair(TupleRecord):
    __slots__ = ()

    left: str
    right: int


def test_a_tuple_with_names() -> None:
    pair = Pair("a", 1)
    assert (pair.left, pair.right) == tuple(pair) == ("a", 1)
    assert repr(pair) == "Pair(left='a', right=1)"
    assert pair.replace(right=2) == Pair("a", 2)
    assert Pair.of_columns(["a", "b"], iter([1, 2])) == [Pair("a", 1), Pair("b", 2)]
    assert not hasattr(pair, "__dict__")
    with pytest.raises(AttributeError):
        pair.left = "b"  # type: ignore[misc]


@pytest.mark.parametrize("values", [("a",), ("a", 1, 2)])
def test_a_tuple_with_names_takes_them_all(values: tuple[object, ...]) -> None:
    with pytest.raises(TypeError, match="2 values"):
        Pair(*values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="zip"):
        Pair.of_columns(["a"], [])
    with pytest.raises(TypeError, match="3"):
        Pair("a", 1).replace(middle=1)
