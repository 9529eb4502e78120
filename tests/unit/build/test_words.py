"""Variables, quotes and modifiers of a Dockerfile's words."""

from __future__ import annotations

import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.build.dockerfile.words import (
    WordError,
    expand,
    expand_document,
    expand_words,
    split_words,
)

VALUES = {"a": "foobarfoo", "e": "", "p": "/usr/lib/x.tar.gz"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$a", "foobarfoo"), ("${a}x", "foobarfoox"), ("$ab", ""), ("$a.b", "foobarfoo.b"),
        ("${z:-d}", "d"), ("${z-d}", "d"), ("${e:-d}", "d"), ("${e-d}", ""),
        ("${a:+d}", "d"), ("${e:+d}", ""), ("${e+d}", "d"), ("${z+d}", ""),
        ("${z:-${y:-$a}}", "foobarfoo"), ("${z:-'$a'}", "$a"), ('"${z:-a b}"', "a b"),
        ("${p##*/}", "x.tar.gz"), ("${p#*/}", "usr/lib/x.tar.gz"), ("${p%.*}", "/usr/lib/x.tar"),
        ("${p%%.*}", "/usr/lib/x"), ("${a/foo/x}", "xbarfoo"), ("${a//foo/x}", "xbarx"),
        ("${a//b?r/-}", "foo-foo"),
        ("'$a'", "$a"), ('"$a"', "foobarfoo"), ("\\$a", "$a"), ('"\\$a"', "$a"),
        ("'\\'", "\\"), ("$", "$"), ("a$", "a$"), ("$-", ""), ("it\\'s", "it's"),
    ],
)  # fmt: skip
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, VALUES) == expected


@pytest.mark.parametrize("word", ["$v$v", '"$v$v"', "${v//x/$v}", "${z:-$v$v}"])
def test_variables_fill_no_memory(word: str) -> None:
    with pytest.raises(WordError, match="characters"):
        expand(word, {"v": "x" * 600_000})


def test_words_are_cut_outside_quotes_only() -> None:
    assert expand_words("a 'b c' $x \"\" d\\ e", {"x": "1 2"}) == ["a", "b c", "1 2", "", "d e"]
    assert split_words("a 'b c'  d\\ e") == [(0, "a"), (2, "'b c'"), (9, "d\\ e")]


def test_quotes_mean_nothing_in_a_document() -> None:
    text = "it's \"$a\" \\$a \\n 'x'\n"
    assert expand_document(text, VALUES) == "it's \"foobarfoo\" $a \\n 'x'\n"


def test_missing_names_are_told() -> None:
    missing: list[str] = []
    assert expand("$x ${y} ${z:-d} ${w+x}", {}, missing=missing.append) == "  d "
    assert missing == ["x", "y"]


@pytest.mark.parametrize("text", ["${a", "${}", "${a:x}", "'a", '"a', "${a/b}", "${z:?gone}"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(WordError):
        expand(text, VALUES)


LETTERS = st.text(st.sampled_from("ab/.*?"), max_size=8)


@settings(max_examples=60)
@given(
    st.text(st.sampled_from("ab/."), max_size=10), LETTERS,
    st.sampled_from(["#", "##", "%", "%%", "/", "//"]),
)  # fmt: skip
def test_modifiers_are_those_of_bash(value: str, pattern: str, modifier: str) -> None:
    slashes = modifier.startswith("/")
    quoted = pattern.replace("/", "\\/") if slashes else pattern
    if slashes and (not pattern.strip("*") or pattern[0] in "/*?#%"):
        return  # bash anchors at # and %, and differs over empty matches
    word = f"${{v{modifier}{quoted}{'/-' if slashes else ''}}}"
    ran = subprocess.run(
        ["bash", "-c", f'printf %s "{word}"'], env={"v": value}, capture_output=True, text=True
    )
    assert expand(word, {"v": value}) == ran.stdout


@pytest.mark.parametrize("modifier", ["#", "##", "%", "%%", "/"])
def test_no_pattern_takes_for_ever(modifier: str) -> None:
    values, pattern = {"v": "a" * 2000}, "*a" * 20 + "b"
    start = time.process_time()
    tail = "/c" if modifier == "/" else ""
    assert expand(f"${{v{modifier}{pattern}{tail}}}", values) == values["v"]
    assert time.process_time() - start < 2


def test_words_within_words_have_an_end() -> None:
    with pytest.raises(WordError, match="within each other"):
        expand("${a:-" * 3000 + "}" * 3000, {})
    assert expand("${z:-" * 40 + "x" + "}" * 40, {}) == "x"
