"""Amounts and shares as `image check` takes them."""

from __future__ import annotations

import pytest

from core.commands.image.compare import amount, share


@pytest.mark.parametrize(
    ("word", "count"),
    [("20MB", 20_000_000), ("20MiB", 20 << 20), ("1.5k", 1500), ("0", 0), ("7B", 7)],
)
def test_amounts(word: str, count: int) -> None:
    assert amount(word) == count


@pytest.mark.parametrize("word", ["", "x", "nan", "inf", "1e999", "MB", "1XB"])
def test_what_is_no_amount(word: str) -> None:
    with pytest.raises(ValueError, match="no size"):
        amount(word)


@pytest.mark.parametrize("word", ["", "nan", "2", "-0.1", "101%"])
def test_what_is_no_share(word: str) -> None:
    with pytest.raises(ValueError, match="no share"):
        share(word)
