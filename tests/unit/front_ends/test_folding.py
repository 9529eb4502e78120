"""Tables of sentences on terminals of any width."""

from __future__ import annotations

from cli.folding import fold

ROWS = [
    ["CHECK", "FINDING", "REMEDY"],
    ["space", "600 MiB are free where images are", ""],
    ["pasta", "there is none", "apt-get install passt and start limpet again"],
]


def test_what_fits_is_left_alone() -> None:
    assert fold(ROWS, [1, 2], 100, 3) == ROWS


def test_sentences_share_the_width_that_is_left() -> None:
    folded = fold(ROWS, [1, 2], 50, 3)
    assert folded == [
        ["CHECK", "FINDING", "REMEDY"],
        ["space", "600 MiB are free", ""],
        ["", "where images are", ""],
        ["pasta", "there is none", "apt-get install"],
        ["", "", "passt and start"],
        ["", "", "limpet again"],
    ]
    assert fold(ROWS, [1, 2], 10, 3)[1][1] == "600 MiB are free"  # as narrow as it gets


def test_a_line_is_never_wider() -> None:
    for width in range(45, 100):
        rows = fold(ROWS, [1, 2], width, 3)
        widest = sum(max(len(row[place]) for row in rows) for place in range(3))
        assert widest + 6 <= width
