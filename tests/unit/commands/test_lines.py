"""Lines of several commands and words of one's own."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.commands.lines import Step, last_part, parts_of, split_pipe, steps_of
from core.commands.scan import quote, split
from core.errors import UsageError

ALIASES = {
    "lt": "logs --tail 100",
    "fresh": "pull $1 && rm -f web ; run -d --name web $1 $@",
    "ps": "ps -a",
    "a": "b",
    "b": "a x",
    "home": "!echo $HOME",
    "up": "go containers web logs",
}


@pytest.mark.parametrize(
    ("line", "steps"),
    [
        ("ps", ["ps -a"]),
        ("limpet ps && limpet rm limpet; !limpet df", ["ps -a", "rm limpet", "!limpet df"]),
        ("limpet", ["limpet"]),
        ("lt web", ["logs --tail 100 web"]),
        ("lt 'a b' | grep x && y", ["logs --tail 100 'a b' | grep x && y"]),
        ("pull a && run a", ["pull a", "run a"]),
        ("run x sh -c 'a; b && c'", ["run x sh -c 'a; b && c'"]),
        ("!a; b && c", ["!a; b && c"]),
        ("one\n# two\n\n!x; y\nthree | z; w", ["one", "!x; y", "three | z; w"]),
        ("run \\\n x", ["run   x"]),
        ("a q", ["a x q"]),
        ("echo a\\;b", ["echo a\\;b"]),
        ("home", ["!echo $HOME"]),
        ("up", ["go containers web logs"]),
        ("", []),
        (";;&&", []),
    ],
)
def test_what_a_line_stands_for(line: str, steps: list[str]) -> None:
    assert [step.line for step in steps_of(line, ALIASES)] == steps


def test_places_of_an_alias_are_filled_and_failures_passed_where_asked() -> None:
    assert steps_of("fresh n:1 'x y'", ALIASES) == [
        Step("pull n:1"),
        Step("rm -f web"),
        Step("run -d --name web n:1 n:1 'x y'", anyway=True),
    ]
    with pytest.raises(UsageError, match="fresh needs 1 word behind it"):
        steps_of("fresh", ALIASES)


def test_words_of_an_alias_are_filled_in_as_they_are() -> None:
    """Neither a place in one, nor what would end a command or lead into the host's shell."""
    aliases = {"both": "tag $1 $2", "l": "logs"}
    assert steps_of("both '$2' x", aliases) == [Step("tag $2 x")]
    assert [split(step.line) for step in steps_of("l 'a|reboot;rm&&x'", aliases)] == [
        ["logs", "a|reboot;rm&&x"]
    ]


@given(st.text(max_size=20))
@example("\x1f")
def test_a_quoted_name_ends_no_command_and_leads_into_no_pipe(name: str) -> None:
    """Registries and images choose names: one that is filled in must not run a program here."""
    for line in (f"pull {quote(name)}", quote(name)):
        assert split_pipe(line)[1] is None
        assert len(parts_of(line)) == 1
        assert [split(step.line) for step in steps_of(line, {})] == [split(line)]
    assert split(f"pull {quote(name)}") == ["pull", name]


def test_the_line_at_hand() -> None:
    assert last_part("pull a && lo") == "lo"
    assert last_part("ps") == "ps"
    assert split_pipe("a 'b|c' | d | e") == ("a 'b|c' ", "d | e")


@given(st.text(alphabet="ab ;&|!#\\\n'\"$1@"))
def test_parts_lie_in_order_inside_the_line(line: str) -> None:
    end = 0
    for part in parts_of(line):
        assert end <= part.start <= part.end <= len(line)
        end = part.end
    steps_of(line, {})
