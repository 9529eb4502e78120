"""Keys that a person has changed."""

from __future__ import annotations

import string

import pytest
from textual.keys import _character_to_key

from core.commands.key_changes import facts, in_force, is_key, named, problems
from core.commands.keys import DEFAULT, sign


def test_keys_are_named_as_textual_names_them() -> None:
    for letter in string.ascii_letters + string.digits + string.punctuation:
        assert named(letter) == _character_to_key(letter)
    assert all(named(sign(key.key)) == key.key and is_key(key.key) for key in DEFAULT)
    assert [named(key) for key in ("ctrl-x", "ctrl+x", "alt+<", "esc", "pgdn", "f5")] == [
        "ctrl+x", "ctrl+x", "alt+less_than_sign", "escape", "pagedown", "f5"]  # fmt: skip


def test_what_is_written_for_a_place_wins_in_either_order() -> None:
    for changed in ({"containers.l": "ps", "l": "info"}, {"l": "info", "containers.l": "ps"}):
        keys = in_force(changed, ())
        assert [key.command for key in keys if key.key == "l"] == ["ps", "info"]
    assert not [key for key in in_force({"x": ""}, ()) if key.key == "x"]


def test_a_key_whose_command_is_none_is_no_key() -> None:
    for command in ("strat {names}", "@nothing"):
        assert not [key for key in in_force({"x": command}, ()) if key.key == "x"]
    assert [key.command for key in in_force({"x": "mine"}, ["mine"]) if key.key == "x"] == ["mine"]


@pytest.mark.parametrize(("changed", "said"), [
    ({"?": "help", "question_mark": "quit"},
     "? and question_mark are the same key: question_mark = 'quit' is taken, 'help' is not"),
    ({"containers.j": "ps"}, "containers.j = 'ps' is not taken: j stays 'down' there"),
    ({"networks.r": "ps"}, "networks.r = 'ps' is not taken: r stays 'read again' there"),
    ({"x": "strat {names}"}, "x = 'strat {names}': 'strat' is no command"),
    ({"b": "@nothing"}, "b = '@nothing': there is no action @nothing"),
    ({"hyperspace": "ps"}, "hyperspace = 'ps': there is no key hyperspace"),
    ({"control+x": "ps"}, "control+x = 'ps': there is no key control+x"),
])  # fmt: skip
def test_a_mistake_names_both_and_what_wins(changed: dict[str, str], said: str) -> None:
    assert problems(changed, ()) == [said]
    fact = next(facts(changed, (), "f"))
    assert (fact.ok, fact.text) == (False, said)


def test_what_is_right_is_no_problem() -> None:
    changed = {"images.x": "image inspect {name}", "h": "!htop", "m": "mine", "z": "",
               "networks.d": "network inspect {name}", "ctrl-x": "jobs", ".": "ps"}  # fmt: skip
    assert problems(changed, ["mine"]) == []


def test_the_doctor_says_what_has_lost_its_key() -> None:
    changed = {"m": "ps", "containers.d": "", "T": "@tour"}
    assert [fact.text for fact in facts(changed, (), "f")] == [
        "m runs 'ps' instead of 'all actions' (on no key now)",
        "containers.d does nothing instead of 'rm' on containers (on no key now)",
    ]
    _wrong, lost = facts({"x": "strat {names}"}, (), "f")
    assert lost.text == "x does nothing instead of 'kill' on containers (on no key now)"
    assert "(now T)" in next(facts({"f1": "ps", "T": "@tour"}, (), "f")).text
