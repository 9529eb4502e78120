"""Sync rules: which tags they mean, and what is wrong with a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Config, load_config
from core.errors import ConfigError
from core.registry.sync.rules import Rule, choose_tags, read_rules
from core.registry.sync.versions import parse_range, parse_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

TAGS = [
    "0.2.3", "0.2.9", "0.3.0", "1.2", "1.2.3", "1.2.4", "1.3.0", "1.9.9", "v2.0.0", "2.0.0-rc.1",
    "1.2.3-alpine", "latest",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (">=1.2 <2", "1.2 1.2.3 1.2.4 1.3.0 1.9.9"),
        ("^1.2", "1.2 1.2.3 1.2.4 1.3.0 1.9.9"),
        ("~1.2.3", "1.2.3 1.2.4"),
        ("1.2.x", "1.2 1.2.3 1.2.4"),
        ("1.2.3", "1.2.3"),
        ("^0.2.3", "0.2.3 0.2.9"),
        ("> 1.2, <=1.9.9", "1.3.0 1.9.9"),
        ("!=1.2", "0.2.3 0.2.9 0.3.0 1.3.0 1.9.9 v2.0.0"),
        (">=2.0.0-rc.1", "v2.0.0 2.0.0-rc.1"),
        ("0.2 || ^1.9", "0.2.3 0.2.9 1.9.9"),
    ],
)
def test_ranges_of_versions(text: str, meant: str) -> None:
    test = parse_range(text)
    found = [tag for tag in TAGS if (version := parse_version(tag)) and test(version)]
    assert found == meant.split()


@pytest.mark.parametrize("text", ["", "latest", ">=", "1.2.3.4", "^v", "1..2"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"version"):
        parse_range(text)


def test_versions_have_the_order_of_the_specification() -> None:
    ordered = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.10"
    versions = [parse_version(tag) for tag in ordered.split()]
    orders = [version.order for version in versions if version]
    assert sorted(orders) == orders
    assert len(set(orders)) == 8


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    parse_version(text)
    try:
        parse_range(text)
    except ValueError:
        pass


def chosen(among: Sequence[str] = TAGS, **keys: Any) -> list[str]:
    dates = {"old": 10.0, "older": 5.0, "new": 20.0}

    def ask(some: Sequence[str]) -> Mapping[str, float]:
        return {tag: dates.get(tag, 0) for tag in some}

    return choose_tags(Rule("r", "a", "b", **keys), among, ask)


def test_tags_are_chosen_by_every_criterion_that_is_given() -> None:
    assert chosen() == sorted(TAGS)
    assert chosen(tags=("latest", "1.2*")) == ["1.2", "1.2.3", "1.2.3-alpine", "1.2.4", "latest"]
    assert chosen(regex=r"v?\d+\.0\.0") == ["v2.0.0"]
    assert chosen(tags=("1.*",), semver="<1.3", newest=2) == ["1.2.3", "1.2.4"]
    # By version, not by the alphabet.
    assert chosen(["1.9", "1.10", "1.11"], newest=2) == ["1.10", "1.11"]
    dated = ["old", "older", "new"]
    assert chosen(dated, newest=2) == ["new", "old"]
    assert chosen(dated, since=10.0) == ["new", "old"]


def rules(tmp_path: Path, text: str) -> list[Rule]:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return read_rules(load_config((str(file),)))


def test_a_rule_is_read(tmp_path: Path) -> None:
    found = rules(
        tmp_path,
        """
        [[sync]]
        name = "nginx"
        from = "docker.io/library/nginx"
        to = "reg.local/mirror/nginx"
        tags = "1.2*"
        since = 2024-05-01
        platforms = ["linux/arm64", "x86_64"]
        newest = 5
        delete = true
        [[sync]]
        from = "reg.local/team/*"
        to = "oci:/srv/images"
        since = "2024-05-01T10:00:00+02:00"
        """,
    )
    assert found[0] == Rule(
        "nginx", "docker.io/library/nginx", "reg.local/mirror/nginx", ("1.2*",), "", "", 5,
        1714521600.0, ("linux/arm64", "linux/amd64"), True,
    )  # fmt: skip
    assert found[1].name == "reg.local/team/* -> oci:/srv/images"
    assert found[1].since == 1714550400.0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tag = 'x'", "did you mean tags"),
        ("to = ''", "to is missing"),
        ("tags = [1]", "tags holds something else"),
        ("regex = '('", "no regular expression"),
        ("semver = 'latest'", "no comparison of versions"),
        ("newest = '5'", "not of type int"),
        ("newest = true", "not of type int"),
        ("newest = -1", "a number above 0"),
        ("since = 'yesterday'", "no date"),
        ("platforms = ['a/b/c/d']", "is not a platform"),
        ("delete = 'yes'", "not of type bool"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, line: str, words: str) -> None:
    to = "" if line.startswith("to") else "to = 'b/c'"
    with pytest.raises(ConfigError) as caught:
        rules(tmp_path, f"[[sync]]\nname = 'mine'\nfrom = 'a.b/c'\n{to}\n{line}")
    assert "sync rule 'mine'" in caught.value.message
    assert words in caught.value.message + caught.value.hint


def test_a_rule_that_is_not_there_is_named_with_those_that_are() -> None:
    config = Config(sync=({"name": "one", "from": "a.b/c", "to": "store"},))
    assert [rule.name for rule in read_rules(config, ["one"])] == ["one"]
    with pytest.raises(ConfigError, match="two") as caught:
        read_rules(config, ["two"])
    assert "one" in caught.value.hint
    with pytest.raises(ConfigError, match="two sync rules"):
        read_rules(Config(sync=config.sync * 2))
