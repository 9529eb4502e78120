"""Dockerfiles to instructions: what is read, and what is said about what cannot be."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.build.dockerfile.instruction_parser import parse_steps
from core.build.dockerfile.instructions import Copy, From, Healthcheck, Pairs, Run, Step
from core.build.dockerfile.reader import KEYWORDS, parse
from core.build.dockerfile.source import DockerfileError, Source


def steps(text: str) -> list[Step]:
    return parse_steps(parse("Dockerfile", text))


def warnings(text: str) -> list[str]:
    file = parse("Dockerfile", text)
    parse_steps(file)
    return [warning.rule for warning in file.source.warnings]


def refused(text: str) -> DockerfileError:
    with pytest.raises(DockerfileError) as caught:
        steps(text)
    return caught.value


def test_of_a_long_line_an_error_shows_what_is_around_the_place() -> None:
    source = Source("Dockerfile", "x" * 50_000 + " here " + "y" * 50_000)
    shown, marks = source.error(1, 50_002, "wrong", width=4).hint.splitlines()
    assert len(shown) < 500
    assert shown[marks.index("^") :].startswith("here y")
    assert marks.count("^") == 4


def test_continuations_comments_and_blank_lines() -> None:
    file = parse("Dockerfile", "FROM a\nRUN one \\\n  # note\n\n  two \\  \n\tthree\n")
    run = file.instructions[1]
    assert run.text == "one   two \tthree"
    assert (run.line, run.end) == (2, 6)
    assert [warning.rule for warning in file.source.warnings] == ["NoEmptyContinuation"]


def test_a_backslash_that_is_escaped_continues_nothing() -> None:
    file = parse("Dockerfile", "FROM a\nRUN echo \\\\\nRUN two\n")
    assert [item.text for item in file.instructions] == ["a", "echo \\\\", "two"]


def test_escape_directive_changes_what_continues() -> None:
    file = parse("Dockerfile", "# escape=`\nFROM a\nRUN dir c:\\ `\n  more\n")
    assert file.escape == "`"
    assert file.instructions[1].text == "dir c:\\   more"


def test_directives_end_at_the_first_other_line() -> None:
    file = parse("Dockerfile", "# syntax=docker/dockerfile:1\n# a comment\n# escape=`\nFROM a\n")
    assert (file.syntax, file.escape) == ("docker/dockerfile:1", "\\")
    assert "SyntaxDirective" in warnings("#syntax=example.com/other:1\nFROM a")
    assert "escape" in refused("# escape=`\n# escape=`\nFROM a").message
    assert refused("# escape=x\nFROM a").column == 10


def test_heredocs() -> None:
    file = parse("Dockerfile", "FROM a\nRUN <<A cat <<-'B' x\n1\nA\n\t2\n\tB\nCMD [\"c\"]\n")
    run = file.instructions[1]
    assert [(d.name, d.content, d.expand) for d in run.heredocs] == [
        ("A", "1\n", True),
        ("B", "2\n", False),
    ]
    assert file.instructions[2].line == 7
    assert run.end == 6


@pytest.mark.parametrize("text", ['echo "<<EOF"', "echo '<<EOF'", "echo $((1<<2))", "cat <<<word"])
def test_what_only_looks_like_a_heredoc(text: str) -> None:
    assert parse("Dockerfile", f"FROM a\nRUN {text}\nRUN x").instructions[1].heredocs == ()


def test_a_lone_document_is_the_script() -> None:
    run = steps("FROM a\nRUN <<EOF\nset -e\necho $x\nEOF\n")[1]
    assert isinstance(run, Run)
    assert run.script == "set -e\necho $x\n"


def test_flags_with_quotes_and_escapes() -> None:
    copy = steps("FROM a\nCOPY --from=b --exclude='*.a' --exclude=*.b --link x\\ y z/\n")[1]
    assert isinstance(copy, Copy)
    assert copy.exclude == ("*.a", "*.b")
    assert (copy.stage, copy.link, copy.sources, copy.target) == ("b", True, ("x\\ y",), "z/")


def test_mounts_of_run() -> None:
    run = steps(
        "FROM a\nRUN --mount=type=cache,id=x,target=/c,sharing=locked "
        "--mount=type=secret,id=k --mount=target=/src,rw "
        "--mount=type=tmpfs,target=/t,size=64m true"
    )[1]
    assert isinstance(run, Run)
    cache, secret, bind, memory = run.mounts
    assert (cache.id, cache.sharing) == ("x", "locked")
    assert secret.target == "/run/secrets/k"
    assert (bind.kind, bind.read_only) == ("bind", False)
    assert memory.size == 64 << 20


def test_both_forms_of_env_and_label() -> None:
    env, old, label = steps('FROM a\nENV a=1 b="2 3"\nENV old two words\nLABEL x=y\n')[1:]
    assert isinstance(env, Pairs)
    assert env.pairs == (("a", "1"), ("b", '"2 3"'))
    assert isinstance(old, Pairs)
    assert old.pairs == (("old", "two words"),)
    assert isinstance(label, Pairs)


@pytest.mark.parametrize("text", ["COPY a\0b /x", 'VOLUME ["a\\u0000b"]', 'CMD ["\\u0000"]'])
def test_a_zero_byte_is_in_no_word(text: str) -> None:
    assert "zero byte" in refused(f"FROM a\n{text}\n").message


def test_a_list_within_lists_without_end_is_no_list() -> None:
    (_, run) = steps(f"FROM a\nRUN {'[' * 50_000}\n")
    assert isinstance(run, Run)


def test_healthcheck() -> None:
    check, none = steps(
        "FROM a\nHEALTHCHECK --interval=1m30s --retries=2 CMD x y\nHEALTHCHECK NONE"
    )[1:]
    assert isinstance(check, Healthcheck)
    assert check.test == ("CMD-SHELL", "x y")
    assert check.times == (("Interval", 90 * 10**9), ("Retries", 2))
    assert isinstance(none, Healthcheck)
    assert none.test == ("NONE",)


def test_from() -> None:
    start = steps("FROM --platform=linux/arm64 a:1 AS Build\n")[0]
    assert isinstance(start, From)
    assert (start.image, start.name, start.platform) == ("a:1", "build", "linux/arm64")


WRONG = {
    "FRM a": (1, 1, "unknown instruction FRM, did you mean FROM?"),
    "FROM a\n\n  COPPY x y": (3, 3, "unknown instruction COPPY, did you mean COPY?"),
    "FROM a\nCOPY --form=b x y": (2, 1, "COPY has no flag --form, did you mean from?"),
    "FROM a\nCOPY x": (2, 6, "COPY needs at least two arguments"),
    "FROM a b": (1, 8, "FROM takes IMAGE or IMAGE AS NAME"),
    "FROM a AS 1x": (1, 11, "'1x' is no name for a stage"),
    "FROM a\nENV x=1 \\\n   y z=2": (3, 4, "'y' is not NAME=VALUE"),
    "FROM a\nENV x='1": (2, 5, "the quote ' is not closed"),
    "RUN x\nFROM a": (1, 1, "RUN stands before the first FROM"),
    "FROM a\nRUN <<E\nx": (2, 1, "the document <<E has no end"),
    "FROM a\nRUN": (2, 1, "RUN needs arguments"),
    "FROM a\nRUN --mount=type=ssh x": (2, 1, "--mount=type=ssh: forwarding an SSH agent"),
    "FROM a\nRUN --mount=type=cahe,target=/x x": (2, 1, "of type cahe, did you mean cache?"),
    "FROM a\nRUN --security=insecure x": (2, 1, "--security=insecure is not supported"),
    "FROM a\nRUN --network=foo x": (2, 1, "--network=foo does not exist"),
    "FROM a\nSHELL /bin/sh": (2, 7, "SHELL needs a JSON list"),
    "FROM a\nHEALTHCHECK FOO x": (2, 13, "HEALTHCHECK takes CMD or NONE"),
    "FROM a\nHEALTHCHECK --interval=x CMD y": (2, 1, "--interval=x is not a time"),
    "FROM a\nONBUILD FROM b": (2, 9, "ONBUILD FROM is not allowed"),
    "FROM a\nONBUILD COPPY b c": (2, 9, "unknown instruction COPPY"),
    "FROM a\nCOPY --link=perhaps a b": (2, 1, "--link takes true or false"),
    "# only a comment": (1, 1, "the file has no instructions"),
    "ARG x=1": (1, 1, "ARG stands before the first FROM"),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_errors_point_at_line_and_column(text: str) -> None:
    line, column, problem = WRONG[text]
    error = refused(text)
    assert (error.line, error.column) == (line, column)
    assert problem in error.message
    assert error.message.startswith(f"Dockerfile:{line}:{column}: ")
    shown = error.hint.splitlines()
    assert shown[0] == f"{line} | {text.splitlines()[line - 1]}"
    assert shown[1].index("^") == len(f"{line} | ") + column - 1


NOTICED = {
    "FROM a\nCMD echo x": "JSONArgsRecommended",
    "FROM a\nRUN ['x']": "JSONArgsRecommended",
    "FROM a\nARG API_TOKEN": "SecretsUsedInArgOrEnv!",
    "FROM a\nARG API_TOKEN=x": "SecretsUsedInArgOrEnv",
    "FROM a\nENV DB_PASSWORD=x": "SecretsUsedInArgOrEnv",
    "FROM a\nENV DB_PASSWORD_FILE=/x": "SecretsUsedInArgOrEnv!",
    "FROM a\nENV a b": "LegacyKeyValueFormat",
    "FROM a\nMAINTAINER x": "MaintainerDeprecated",
    "FROM a\nCMD [\"a\"]\nCMD [\"b\"]": "MultipleInstructionsDisallowed",
    "FROM a\nCOPY ../x /": "CopyOutsideContext",
    "FROM a\nCOPY x/../y /": "CopyOutsideContext!",
    "FROM a\nCOPY --from=a ../x /": "CopyOutsideContext!",
    "FROM a AS B": "StageNameCasing",
    "FROM a\nRun x": "ConsistentInstructionCasing",
}  # fmt: skip


@pytest.mark.parametrize("text", NOTICED)
def test_classic_mistakes_are_noticed(text: str) -> None:
    rule = NOTICED[text]
    assert (rule.rstrip("!") in warnings(text)) is not rule.endswith("!")


ANYTHING = st.text(
    st.sampled_from(list("aZ9$\\\"'`<>=-[]{}, \t\n#/:|&")) | st.characters(codec="utf-8"),
    max_size=60,
)


@pytest.mark.parametrize(
    "line",
    [
        "HEALTHCHECK --interval=1.2.3s CMD x",
        f"HEALTHCHECK --interval={'9' * 400}s CMD x",
        "HEALTHCHECK --interval=999999999999h CMD x",
        f"HEALTHCHECK --retries={'9' * 5000} CMD x",
        "HEALTHCHECK --retries=99999999999999999999 CMD x",
        "RUN --mount=type=cache,target=/x,uid=99999999999 x",
        "RUN --mount=type=cache,target=/x,gid=-5 x",
        "RUN --mount=type=cache,target=/x,mode=777777 x",
        f"RUN --mount=type=cache,target=/{'x' * 140_000} x",
    ],
    ids=range(9),
)
def test_numbers_that_cannot_be_are_refused(line: str) -> None:
    assert refused(f"FROM a\n{line}").line == 2


@pytest.mark.parametrize("lines", ["ENV A b\n" * 20_000, "RUN " + "''" * 400_000])
def test_a_long_file_takes_no_longer_than_it_is(lines: str) -> None:
    started = time.process_time()
    steps(f"FROM a\n{lines}")
    assert time.process_time() - started < 15


@given(st.lists(st.tuples(st.sampled_from([*KEYWORDS, "nope", "#", ""]), ANYTHING), max_size=6))
def test_whatever_it_reads_it_answers(lines: list[tuple[str, str]]) -> None:
    """Any text is either instructions or an error with a place in it."""
    text = "FROM a\n" + "\n".join(f"{word} {rest}" for word, rest in lines)
    problem = None
    try:
        places = [step.at.line for step in steps(text)]
        assert places == sorted(places)
    except DockerfileError as error:
        problem = error
    if problem is not None:
        assert 1 <= problem.line <= len(text.split("\n"))
        assert problem.column >= 1
