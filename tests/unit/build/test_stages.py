"""Stages as a graph, ARGs, and what an image's config becomes."""

from __future__ import annotations

import os
import time

import pytest

from core.build.cache import Layer, chain_id, make_key
from core.build.context.files import Context, select
from core.build.context.ignore import Ignore
from core.build.copy.chmod import apply_mode
from core.build.dockerfile.instruction_parser import parse_steps
from core.build.dockerfile.reader import parse
from core.build.dockerfile.source import DockerfileError
from core.build.dockerfile.variables import Variables, platform_args
from core.build.image_state import ImageState
from core.build.stages import Stage, find_target, global_args, make_stages, needed
from core.errors import NotFound
from core.images.manifest import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from core.paths import Paths


def stages(text: str, **given: str) -> list[Stage]:
    file = parse("Dockerfile", text)
    steps = parse_steps(file)
    values = global_args(
        file.source, steps, given, platform_args("linux/amd64", "linux/arm64"), "\\"
    )
    return make_stages(file.source, steps, values, "\\")


def names(found: list[Stage]) -> list[str]:
    return [stage.title for stage in found]


def test_only_what_the_target_needs() -> None:
    found = stages(
        "FROM x AS a\nFROM x AS b\nFROM a AS c\nCOPY --from=1 / /\n"
        "FROM scratch AS d\nRUN --mount=from=c,target=/c true\nFROM x AS e\n"
    )
    assert names(needed(found, find_target(found, "d"))) == ["a", "b", "c", "d"]
    assert names(needed(found, find_target(found, ""))) == ["e"]
    assert find_target(found, "2") == 2
    with pytest.raises(NotFound, match="there is no stage 'f'"):
        find_target(found, "f")


def test_stages_without_end_are_refused() -> None:
    chain = "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(3000))
    with pytest.raises(DockerfileError, match="more than 500 stages"):
        stages("FROM scratch AS s0\n" + chain)
    longest = "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(499))
    found = stages("FROM scratch AS s0\n" + longest)
    assert len(needed(found, find_target(found, ""))) == 500


def test_from_takes_args_and_earlier_stages() -> None:
    found = stages(
        "ARG V=1\nARG N=img:$V\nFROM --platform=$BUILDPLATFORM $N AS b\n"
        "FROM b\nFROM late\nFROM x AS late",
        V="2",
    )
    assert found[0].image == "img:2"
    assert found[0].platform == "linux/arm64"
    assert (found[1].base, found[1].image) == (0, "")
    assert (found[2].base, found[2].image) == (-1, "late")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FROM x AS a\nCOPY --from=b / /\nFROM x AS b\nCOPY --from=a / /", "a needs b needs a"),
        ("FROM x AS a\nCOPY --from=a / /", "a needs a"),
        ("FROM x AS a\nCOPY --from=$A / /", "variables mean nothing"),
        ("FROM x AS a\nCOPY --from=7 / /", "there is no stage 7"),
        ("FROM x AS a\nFROM x AS A", "a stage a exists already"),
        ("ARG V\nFROM $V", "names no image"),
    ],
)
def test_graphs_that_cannot_be(text: str, words: str) -> None:
    with pytest.raises(DockerfileError, match=words):
        stages(text)


def test_args_and_environment() -> None:
    seen = Variables({"a": "given", "HTTP_PROXY": "p"}, {"g": "global"})
    seen.declare("a", "default")
    seen.declare("b", "default")
    seen.declare("g", None)
    seen.declare("none", None)
    assert seen.args == {"a": "given", "b": "default", "g": "global"}
    assert seen.seen({"b": "env"})["b"] == "env"
    public, hidden = seen.run_env({"b": "env"})
    assert public == ["a=given", "g=global"]
    assert hidden == ["HTTP_PROXY=p"]


def test_an_entrypoint_drops_the_command_of_the_base() -> None:
    state = ImageState((), {"config": {"Cmd": ["old"]}})
    state.set_entrypoint(["e"], "")
    assert "Cmd" not in state.settings
    state.set_command(["c"], "")
    state.set_entrypoint(["f"], "")
    assert state.settings["Cmd"] == ["c"]


@pytest.mark.parametrize(
    ("workdir", "path", "expected"),
    [
        ("/a", "b", "/a/b"), ("/a", "b/", "/a/b/"), ("/a", ".", "/a/"), ("/a", "/x/../y", "/y"),
        ("", "b", "/b"), ("/a", "../..", "/"), ("/", "//x", "/x"), ("/a", "./", "/a/"),
    ],
)  # fmt: skip
def test_paths_below_the_working_directory(workdir: str, path: str, expected: str) -> None:
    assert ImageState((), {"config": {"WorkingDir": workdir}}).below(path) == expected


@pytest.mark.parametrize(
    ("text", "mode", "directory", "expected"),
    [
        ("755", 0o644, False, 0o755), ("4755", 0o644, False, 0o4755),
        ("u=rwX,go=rX", 0o600, True, 0o755),
        ("u=rwX,go=rX", 0o600, False, 0o644), ("a+x", 0o644, False, 0o755),
        ("go-w", 0o666, False, 0o644),
        ("+t", 0o755, True, 0o1755), ("u+s", 0o755, False, 0o4755), ("", 0o640, False, 0o640),
    ],
)  # fmt: skip
def test_modes(text: str, mode: int, directory: bool, expected: int) -> None:
    assert apply_mode(text, mode, directory=directory) == expected


def test_what_is_no_mode() -> None:
    with pytest.raises(ValueError, match="no mode"):
        apply_mode("rwx", 0, directory=False)


def test_chains_are_those_of_the_image_spec() -> None:
    one, two = (Layer(f"sha256:{letter * 64}", Descriptor("", "", 0)) for letter in "ab")
    assert chain_id([]) == ""
    assert chain_id([one]) == one.diff_id
    # printf 'sha256:aaa… sha256:bbb…' | sha256sum
    import hashlib

    text = f"{one.diff_id} {two.diff_id}"
    assert chain_id([one, two]) == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert make_key({"a": 1}) != make_key({"a": 2})


def digest(context: Context, *sources: str) -> str:
    groups = select(context.tree, sources, Ignore(()), parents=False)
    return context.digest([item for group in groups for item in group], lambda: None)


def test_a_contexts_digest_is_of_names_modes_and_content(paths: Paths, tmp_path: Path) -> None:
    root = tmp_path / "context"
    (root / "d").mkdir(parents=True)
    file = root / "d" / "f"
    file.write_text("one")
    old = time.time() - 100

    def now(*sources: str) -> str:
        context = Context(paths, str(root), Ignore(()))
        found = digest(context, *(sources or ("d",)))
        context.save()
        return found

    os.utime(file, (old, old))
    first = now()
    os.utime(file, (old + 50, old + 50))
    assert now() == first
    file.chmod(0o600)
    second = now()
    assert second != first
    file.write_text("two")
    assert now() != second
    file.write_text("one")
    assert now() == second
    (root / "d" / "g").symlink_to("f")
    assert now() != second


def test_files_that_are_known_are_not_read_again(paths: Paths, tmp_path: Path) -> None:
    root = tmp_path / "context"
    root.mkdir()
    for number in range(5):
        (root / str(number)).write_text(str(number))
    time.sleep(0.2)  # what was written just now could still change unseen
    first = Context(paths, str(root), Ignore(()))
    before = digest(first, ".")
    first.save()
    (root / "3").write_text("other")
    second = Context(paths, str(root), Ignore(()))
    assert digest(second, ".") != before
    assert second.changed() == ["3"]


def test_mount_points_go_and_what_was_written_stays(tmp_path: Path) -> None:
    from core.build.run.stubs import remove_stubs

    upper, layers = tmp_path / "upper", tmp_path / "layers"
    for made in ("upper/etc", "upper/run/secrets", "upper/own", "layers/1/etc", "layers/1/kept"):
        (tmp_path / made).mkdir(parents=True)
    for name in ("etc/hosts", "run/secrets/key", "own/mount", "own/real"):
        (upper / name).touch()
    (upper / "kept").mkdir(mode=0o700)
    (upper / "link").symlink_to(tmp_path)
    (tmp_path / "outside").touch()
    (layers / "1/etc/passwd").touch()
    targets = (
        "/etc/hosts",
        "/run/secrets/key",
        "/own/mount",
        "/kept/new",
        "/link/outside",
        "/none",
    )
    remove_stubs(str(upper), str(layers), [1], targets)
    left = sorted(str(path.relative_to(upper)) for path in upper.rglob("*"))
    assert left == ["kept", "link", "own", "own/real"]
    assert (tmp_path / "outside").exists()
