"""Which layers get a second thread while they are unpacked."""

from __future__ import annotations

import pytest

from core.images.unpacking.unpack_child import worth_two


@pytest.mark.parametrize(
    ("size", "others", "processors", "expected"),
    [
        (100, 0, 2, True),
        (100, 100, 2, False),
        (10_000, 3, 2, True),  # small layers are soon done
        (3, 10_000, 2, False),
        (100, 100, 4, True),
        (100, 300, 4, False),
        (100, 0, 1, False),  # the threads would only take turns
    ],
)
def test_a_second_thread_is_for_a_layer_with_a_processor_to_spare(
    size: int, others: int, processors: int, expected: bool
) -> None:
    assert worth_two(size, others, processors) is expected
