""".dockerignore: docker's own cases (moby/patternmatcher) and the context they leave."""

from __future__ import annotations

import os
import time

import pytest

from core.build.context.files import find_ignore
from core.build.context.ignore import Ignore, PatternError, read_patterns
from core.build.copy.selection import SelectionError, Tree
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

CASES = [
    ("**", "file", True), ("**", "dir/file", True), ("**/", "file", True),
    ("**/**", "dir/file", True), ("dir/**", "dir/file", True), ("dir/**", "dir", False),
    ("dir/**", "dir/dir2/file", True), ("**/dir", "dir", True), ("**/dir", "dir/file", True),
    ("**/dir2/*", "dir/dir2/file", True), ("**/dir2/*", "dir/dir2/dir2/file", True),
    ("**file", "file", True), ("**file", "dir/file", True), ("**/file", "dir/dir/file", True),
    ("**/file*", "dir/dir/file.txt", True), ("**/file*txt", "dir/dir/file.txt", True),
    ("a**/*.txt", "a/file.txt", True), ("a**/*.txt", "a/dir/file.txt", True),
    ("a/*.txt", "a/dir/file.txt", False), ("a/*.txt", "a/file.txt", True),
    ("a[b-d]e", "ae", False), ("a[b-d]e", "ace", True), ("a[^b-d]e", "aze", True),
    ("**/foo/bar", "foo/bar", True), ("**/foo/bar", "dir/dir2/foo/bar", True),
    ("abc/**", "abc", False), ("abc/**", "abc/def", True),
    (".*", ".foo", True), (".*", "foo", False),
    ("abc.def", "abcdef", False), ("abc?def", "abcZdef", True), ("a\\\\", "a\\", True),
    ("**/foo/bar/**", "foo/bar", False), ("a(b)c/def", "a(b)c/def", True),
    ("*", "dir/file", True), ("*/*", "file", False), ("src", "src/deep/file", True),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "path", "out"), CASES)
def test_patterns_as_docker_has_them(pattern: str, path: str, out: bool) -> None:
    assert Ignore([pattern]).excludes(path) is out


def test_the_last_match_counts() -> None:
    ignore = Ignore(
        read_patterns("*.md\n!README*.md\nREADME-secret.md\n# x\n  docs \n!/docs/keep\n")
    )
    assert ignore.excludes("a.md")
    assert not ignore.excludes("README.md")
    assert ignore.excludes("README-secret.md")
    assert ignore.excludes("docs/other")
    assert not ignore.excludes("docs/keep")
    assert not ignore.excludes("docs/keep/deeper")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 24 + "b", "a" * 200),
        ("?*" * 30 + "b", "a" * 200),
        ("**/" * 20 + "x", "a/" * 100 + "a"),
        ("**/a/" * 20 + "b", "a/" * 300 + "a"),
        ("**/*a*a*a/" * 9 + "b", "aaaaaa/" * 80 + "c"),
    ],
)
def test_no_pattern_takes_for_ever(pattern: str, path: str) -> None:
    start = time.process_time()
    assert not Ignore([pattern]).excludes(path)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("pattern", ["[", "[]a]", "a\\", "[a", "a**a**a**a**a"])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(PatternError):
        Ignore([pattern])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.txt", "b.md", "src/main.py", "src/deep/x.py", "src/deep/keep.log", "out/o.log"):
        file = tmp_path / "context" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "context/inside").symlink_to("src/deep")
    (tmp_path / "context/outside").symlink_to("../../etc")
    (tmp_path / "context/absolute").symlink_to("/etc/passwd")
    return tmp_path / "context"


def listed(root: Path, *patterns: str, top: str = "") -> list[str]:
    made = Tree(str(root), Ignore(patterns), closed=True)
    return [path for path, _, _ in made.walk(top, Ignore(()))]


def test_a_walk_leaves_out_and_takes_back(tree: Path) -> None:
    assert listed(tree, "out", "*.md", "inside", "outside", "absolute") == [
        "a.txt", "src", "src/deep", "src/deep/keep.log", "src/deep/x.py", "src/main.py",
    ]  # fmt: skip
    assert listed(tree, "**", "!src/deep/*.log") == ["src", "src/deep", "src/deep/keep.log"]


def test_roots(tree: Path) -> None:
    made = Tree(str(tree), Ignore(["*.md"]), closed=True)
    assert [(r.path, r.target, r.is_directory) for r in made.roots("src", parents=False)] == [
        ("src", "", True)
    ]
    assert [r.target for r in made.roots("s*/*.py", parents=False)] == ["main.py"]
    assert [r.target for r in made.roots("./src/./deep/x.py", parents=True)] == ["deep/x.py"]
    assert [r.path for r in made.roots("**/*.log", parents=False)] == [
        "out/o.log",
        "src/deep/keep.log",
    ]
    assert made.roots("inside/x.py", parents=False)[0].path == "src/deep/x.py"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("outside/passwd", "outside the context"), ("absolute", "outside the context"),
        ("../nope", "outside the context"), ("b.md", "left out by .dockerignore"),
        ("nope", "does not exist"), ("*.nope", "nothing matches"), ("a*[", "is no pattern"),
        ("?\\", "is no pattern"), ("src/../../x", "outside"),
    ],
)  # fmt: skip
def test_what_cannot_be_copied(tree: Path, source: str, words: str) -> None:
    made = Tree(str(tree), Ignore(["*.md"]), closed=True)
    with pytest.raises(SelectionError, match=words):
        made.roots(source, parents=False)


def test_a_source_climbs_no_higher_than_the_context(tree: Path) -> None:
    made = Tree(str(tree), Ignore(()), closed=True)
    assert made.roots("../../src/main.py", parents=False) == made.roots(
        "src/main.py", parents=False
    )


def test_a_directory_that_goes_while_it_is_looked_at(tree: Path) -> None:
    (tree / "aa/bb").mkdir(parents=True)
    found = []
    for path, _, _ in Tree(str(tree), Ignore(()), closed=True).walk("", Ignore(())):
        if path == "aa/bb":
            (tree / path).rmdir()
        found.append(path)
    assert "aa/bb" in found
    assert "src/main.py" in found


def test_directories_deeper_than_a_layer_has_them(tmp_path: Path) -> None:
    place = tmp_path / "/".join(["d"] * 600)
    place.mkdir(parents=True)
    made = Tree(str(tmp_path), Ignore(()), closed=True)
    with pytest.raises(SelectionError, match="too deep"):
        list(made.walk("", Ignore(())))


def test_a_mistyped_source_gets_a_guess(tree: Path) -> None:
    with pytest.raises(SelectionError) as caught:
        Tree(str(tree), Ignore(()), closed=True).roots("src/man.py", parents=False)
    assert caught.value.hint == "did you mean src/main.py?"


def test_an_open_tree_follows_links_as_its_root_does(tree: Path) -> None:
    (tree / "etc").mkdir()
    (tree / "etc/passwd").write_text("its own")
    made = Tree(str(tree), Ignore(()), closed=False)
    assert made.roots("absolute", parents=False)[0].path == "etc/passwd"
    assert made.roots("../../etc/passwd", parents=False)[0].path == "etc/passwd"


def test_what_is_no_file_of_patterns_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".dockerignore")
    with pytest.raises(UsageError, match="no file of patterns"):
        find_ignore(str(tmp_path), "")
