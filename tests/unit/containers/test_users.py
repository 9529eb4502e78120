"""Users are found in an image's files as docker finds them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.containers.runtime.users import Identity, lookup

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
app:x:1000:1001::/home/app:/bin/sh
2000:x:3000:3000:its name is a number:/n:/bin/sh
homeless:x:1002:1002:::
broken
:x:7:7:::
"""
GROUP = b"root:x:0:\napp:x:1001:\nweb:x:33:www,app\nmail:x:8:app\n44:x:55:\nbad:x:no:app\n"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (), "/root")),
        ("root", Identity(0, 0, (), "/root")),
        ("app", Identity(1000, 1001, (33, 8), "/home/app")),
        ("1000", Identity(1000, 1001, (33, 8), "/home/app")),
        ("app:web", Identity(1000, 33, (), "/home/app")),
        ("app:99", Identity(1000, 99, (), "/home/app")),
        ("app:44", Identity(1000, 55, (), "/home/app")),
        ("2000", Identity(3000, 3000, (), "/n")),
        ("4242", Identity(4242, 0, (), "/")),
        ("4242:4343", Identity(4242, 4343, (), "/")),
        ("homeless", Identity(1002, 1002, (), "/")),
        (":web", Identity(0, 33, (), "/root")),
    ],
)
def test_names_and_numbers(user: str, expected: Identity) -> None:
    assert lookup(user, PASSWD, GROUP) == expected


@pytest.mark.parametrize("user", ["nobody", "app:nogroup", "-1", "99999999999", "1.5", "app:-1"])
def test_what_is_not_there_is_named(user: str) -> None:
    with pytest.raises(LookupError, match=r"unable to find|range"):
        lookup(user, PASSWD, GROUP)


def test_an_image_without_the_files_has_root_and_numbers() -> None:
    assert lookup("", b"", b"") == Identity(0, 0, (), "/")
    assert lookup("5:6", b"", b"") == Identity(5, 6, (), "/")


@given(st.binary(max_size=80), st.binary(max_size=80), st.text(max_size=12))
def test_files_of_any_content_give_a_user_or_a_refusal(
    passwd: bytes, group: bytes, user: str
) -> None:
    try:
        found = lookup(user, passwd, group)
    except LookupError:
        return
    assert all(0 <= number < 1 << 31 for number in (found.uid, found.gid, *found.groups))
