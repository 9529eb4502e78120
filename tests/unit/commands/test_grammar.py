"""One declaration: what is parsed, what is coloured and what is completed agree."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands import MODULES, NOUNS, STARTS, find, load_all, starts
from core.commands.grammar import Args, assign, parse
from core.commands.scan import expected, quote, scan, signature, split, words_of
from core.errors import UsageError


def args_of(line: str) -> Args:
    verb, rest = find(split(line))
    return parse(verb, rest)


def fields(line: str) -> dict[str, object]:
    return args_of(line).as_dict()


def test_what_is_started_is_known_by_every_name_of_a_verb() -> None:
    verbs = load_all()
    assert set(STARTS) <= set(verbs)
    for name, verb in verbs.items():
        kinds = {starts(one.split()) for one in (verb.name, *verb.aliases)}
        assert kinds == {starts([*name.split(), "word"])}
    assert [starts(line.split()) for line in ("run", "exec web sh", "ps")] == [
        "monitor",
        "exec",
        "",
    ]


def test_every_verb_is_in_the_table_and_the_other_way_round() -> None:
    verbs = load_all()
    assert {name.split()[0] for name in verbs} == set(MODULES)


def test_every_second_word_is_beside_the_module_that_declares_it() -> None:
    declared = {
        (name, verb.run.__module__.removeprefix("core.commands."))
        for name, verb in load_all().items()
        if " " in name and name.split()[0] in NOUNS
    }
    listed = {
        (f"{noun} {second}", module)
        for noun, modules in NOUNS.items()
        for module, seconds in modules.items()
        for second in seconds.split()
    }
    assert listed == declared


def test_every_declaration_is_whole() -> None:
    for verb in set(load_all().values()):
        assert verb.summary
        assert not verb.summary.endswith("."), verb.name
        flags = [flag for arg in verb.args.declared for flag in arg.flags]
        assert len(flags) == len(set(flags)), f"{verb.name} declares a flag twice"
        for arg in verb.args.declared:
            assert arg.help, f"{verb.name} {arg.name}"
            assert arg.flags or arg.name != "format"


@pytest.mark.parametrize(
    ("line", "expect"),
    [
        ("run -it alpine sh", {"interactive": True, "tty": True, "command": ("sh",)}),
        ("run alpine ls -la --all", {"command": ("ls", "-la", "--all"), "tty": False}),
        ("run -e A=1 --env B=2 alpine", {"env": ("A=1", "B=2")}),
        ("run -eA=1 alpine", {"env": ("A=1",)}),
        ("run --name=web -m 512m alpine", {"name": "web", "memory": 512 << 20}),
        ("run --entrypoint '' alpine", {"entrypoint": ""}),
        ("run alpine", {"entrypoint": None, "memory": 0}),
        ("run -- alpine -x", {"image": "alpine", "command": ("-x",)}),
        ("rm -f a b", {"force": True, "containers": ("a", "b")}),
        ("rm a -f b", {"force": True, "containers": ("a", "b")}),
        ("logs -fn 10 web", {"follow": True, "tail": 10}),
        ("logs --tail=all web", {"tail": -1}),
        ("ps --all=false", {"all": False}),
        ("container ls -q", {"quiet": True}),
        ("stop -t 3 web", {"time": 3}),
        ("kill -s HUP web", {"signal": 1}),
        ("kill --signal SIGKILL web", {"signal": 9}),
    ],
)
def test_parse(line: str, expect: dict[str, object]) -> None:
    found = fields(line)
    assert {name: found[name] for name in expect} == expect


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run", "IMAGE is missing"),
        ("run --nmae x alpine", "did you mean --name"),
        ("run --memory 3x alpine", "'3x' is not a size"),
        ("run --memory", "needs a value"),
        ("run -p", "needs a value"),
        ("run --network name=x,speed=9 alpine", "is none of name, ip"),
        ("save --format nosuch web", "'nosuch' is none of docker-archive, oci-archive, oci-dir"),
        ("run -p 99999:80 alpine", "1 to 65535"),
        ("run -v no/where:/x alpine", "neither a volume's name nor a path"),
        ("run --name - alpine", "letters, digits"),
        ("logs a b", "one word too many"),
        ("ps --all=maybe", "true or false"),
        ("kill -s NOPE web", "not a signal"),
    ],
)
def test_bad_words_are_named(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        args_of(line)
    assert caught.value.hint.startswith("usage: ")


@pytest.mark.parametrize(
    ("line", "hint"),
    [("run --link db:db starter", "one network"), ("create --runtime=runc starter", "the runtime"),
     ("volume create -o type=nfs v", "-v"), ("network create --attachable n", "swarms"),
     ("logs --details web", "--timestamps")],
)  # fmt: skip
def test_what_only_docker_has_is_told_with_what_does_the_same(line: str, hint: str) -> None:
    verb, rest = find(line.split())
    with pytest.raises(UsageError) as error:
        parse(verb, rest)
    assert hint in error.value.hint


def test_unknown_commands_get_a_near_match() -> None:
    with pytest.raises(UsageError) as caught:
        find(["imgaes"])
    assert "images" in caught.value.hint
    with pytest.raises(UsageError, match="needs a second word"):
        find(["container"])
    with pytest.raises(UsageError) as caught:
        find(["container", "inspct"])
    assert "container inspect" in caught.value.hint


@given(st.lists(st.text(max_size=8), max_size=6))
def test_quoted_words_come_back(words: list[str]) -> None:
    assert split(" ".join(map(quote, words))) == words


@given(st.text(max_size=40))
def test_any_line_can_be_coloured_and_completed(line: str) -> None:
    end = 0
    for span in scan(line):
        assert end <= span.start < span.end <= len(line)
        end = span.end
    expected(line)
    signature(line)


@given(st.sampled_from(sorted(load_all())), st.lists(st.text("-=abi:/ 0", max_size=6), max_size=5))
def test_every_word_gets_a_role_or_an_error(name: str, words: list[str]) -> None:
    verb = load_all()[name]
    assert {role.index for role in assign(verb, words)} == set(range(len(words)))
    with contextlib.suppress(UsageError):
        parse(verb, words)


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("ps -a", ["verb", "flag"]),
        ("ps -z", ["verb", "error"]),
        ("run --network host alpine sh -c x", ["verb", "flag", "value", "argument", *["rest"] * 3]),
        ("run --pull mars alpine", ["verb", "flag", "error", "argument"]),
        ("nonsense now", ["error", "error"]),
        ("container l", ["verb", "verb"]),
    ],
)
def test_colours(line: str, kinds: list[str]) -> None:
    assert [span.kind for span in scan(line)] == kinds


def test_a_name_that_does_not_exist_is_an_error_when_names_are_known() -> None:
    known = {"container": frozenset({"web"})}
    assert scan("logs web", known)[-1].kind == "argument"
    assert scan("logs wob", known)[-1].kind == "error"


def test_a_tilde_is_home_as_in_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert split("build ~ ~/'a b' '~/a' x~ web:~/a ~me") == [
        "build", "/home/me", "/home/me/a b", "~/a", "x~", "web:~/a", "~me"]  # fmt: skip


def test_words_keep_their_places() -> None:
    line = "run  'a b' c"
    assert [line[word.start : word.end] for word in words_of(line)] == ["run", "'a b'", "c"]
    assert words_of("run 'a")[-1].open_quote == "'"
    with pytest.raises(UsageError, match="not closed"):
        split("run 'a")


@pytest.mark.parametrize(
    ("line", "arg"),
    [
        ("run ", "image"),
        ("run --network ", "network"),
        ("run --network=h", "network"),
        ("run alpine ", "command"),
        ("logs w", "container"),
        ("stop a ", "containers"),
        ("run --ne", None),
    ],
)
def test_what_the_end_of_a_line_may_become(line: str, arg: str | None) -> None:
    at_end = expected(line)
    assert at_end.verb is not None
    assert (at_end.arg.name if at_end.arg else None) == arg


ASKED_MEANWHILE = """
import threading
import core.commands as commands

load, seen = commands.load, []

def slowly(module):
    if not seen:
        seen.append(0)
        other = threading.Thread(target=lambda: seen.append(len(commands.load_all())))
        other.start()
        other.join()
    load(module)

commands.load = slowly
print(len(commands.load_all()) - seen[1])
"""


def test_who_asks_for_all_verbs_while_they_are_loaded_gets_them_all() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKED_MEANWHILE], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"
