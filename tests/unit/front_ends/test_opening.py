"""The picture that stands before the app is loaded."""

from __future__ import annotations

import pytest

from core.model import ContainerInfo
from tui.opening import host_name, picture


def container(name: str, image: str, state: str) -> ContainerInfo:
    return ContainerInfo(
        id="0" * 64, name=name, image=image, image_digest="sha256:0", command=(), created=0,
        state=state,
    )  # fmt: skip


FOUND = [
    container("web", "nginx", "running"),
    container("a-database-with-a-very-long-name-indeed", "postgres", "exited"),
]


def test_the_containers_stand_in_the_columns_of_the_table() -> None:
    lines = picture(FOUND, 100)
    assert lines[0] == f" limpet {host_name()}"
    assert lines[1].startswith("─ 1 Containers  1 running ─")
    assert lines[2].split() == ["NAME", "IMAGE", "STATE"]
    assert lines[3].split() == ["●", "web", "nginx", "running"]
    image = lines[2].index("IMAGE")
    assert (lines[3].index("nginx"), lines[4].index("postgres")) == (image, image)


@pytest.mark.parametrize("columns", [10, 60, 80, 160])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    assert max(map(len, picture(FOUND, columns))) <= columns
    assert len(picture([], columns)) == 2
