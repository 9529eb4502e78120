"""What a limpet that only reads refuses."""

from __future__ import annotations

import pytest

from core.commands import find, load_all
from core.commands.grammar import parse
from core.commands.read_only import check
from core.commands.scan import split
from core.errors import UsageError


def refused(line: str) -> str:
    verb, rest = find(split(line))
    try:
        check(verb, parse(verb, rest))
    except UsageError as error:
        return f"{error.message}: {error.hint}"
    return ""


@pytest.mark.parametrize("line", [
    "save -o x.tar app", "export --output=x.tar web", "volume export -o x data",
    "image bundle -o x app", "image browse --extract x app /etc/passwd",
])  # fmt: skip
def test_no_file_of_the_host_is_written(line: str) -> None:
    assert "writes no files" in refused(line)


def test_what_prints_is_allowed_and_what_changes_is_not() -> None:
    for line in ("save app", "save -o - app", "image browse app", "logs web", "ps"):
        assert not refused(line)
    assert "cp changes things" in refused("cp web:/etc/passwd -")


def test_every_option_of_a_reading_verb_that_names_a_file_is_known_to_write() -> None:
    for verb in load_all().values():
        for arg in verb.args.declared:
            if arg.complete == "path" and not verb.changes:
                assert arg.writes, (verb.name, arg.flags)
