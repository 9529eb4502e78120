"""The full host of the benchmarks is measured with every verb there is."""

from __future__ import annotations

from benchmarks.cases.load_words import AND_BACK, EACH, ELSEWHERE, MANY, ONE
from core.commands import find, load_all


def test_every_verb_has_a_row_or_a_reason() -> None:
    lines = [*MANY, *ONE, *(line for pair in EACH for line in pair),
             *(line for lines in AND_BACK for line in lines)]  # fmt: skip
    measured = {find(line.split())[0].name for line in lines}
    every = {verb.name for verb in load_all().values()}
    assert every == measured | ELSEWHERE.keys()
    assert not measured & ELSEWHERE.keys()
