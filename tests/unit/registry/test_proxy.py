"""Proxies, chosen as Go's programs choose them."""

from __future__ import annotations

import pytest

from core.errors import ConfigError
from core.registry.transport.proxy import Proxy, choose_proxy, is_loopback


@pytest.mark.parametrize(
    ("environment", "scheme", "expected"),
    [
        ({}, "https", None),
        ({"https_proxy": "http://p:3128"}, "https", Proxy("p", 3128)),
        ({"HTTPS_PROXY": "p:3128"}, "https", Proxy("p", 3128)),
        ({"https_proxy": "http://p"}, "https", Proxy("p", 80)),
        ({"http_proxy": "http://p"}, "https", None),
        ({"http_proxy": "http://[::2]:1"}, "http", Proxy("::2", 1)),
        ({"https_proxy": "http://u%40:p%3a@p:1"}, "https", Proxy("p", 1, "Basic dUA6cDo=")),
    ],
)
def test_choice(environment: dict[str, str], scheme: str, expected: Proxy | None) -> None:
    assert choose_proxy(scheme, "a.example.org", 443, environment) == expected


@pytest.mark.parametrize("value", ["socks5://p:1", "https://p:1", "http://", "http://p:x"])
def test_a_wrong_value_is_named_by_its_variable_only(value: str) -> None:
    with pytest.raises(ConfigError, match="https_proxy") as caught:
        choose_proxy("https", "a.b", 443, {"https_proxy": value})
    assert value not in caught.value.message


@pytest.mark.parametrize(
    ("rules", "direct"),
    [
        ("*", True),
        ("example.org", True),
        (".example.org", True),
        ("*.example.org", True),
        ("a.example.org:443", True),
        ("a.example.org:5000", False),
        ("ample.org", False),
        (" b.c , A.Example.ORG ", True),
        ("10.0.0.0/8", False),
        (",,", False),
    ],
)
def test_no_proxy_by_name(rules: str, direct: bool) -> None:
    environment = {"https_proxy": "http://p", "no_proxy": rules}
    assert (choose_proxy("https", "a.example.org", 443, environment) is None) == direct


@pytest.mark.parametrize(
    ("rules", "direct"), [("10.0.0.0/8", True), ("10.1.2.3", True), ("11.0.0.0/8", False)]
)
def test_no_proxy_by_address(rules: str, direct: bool) -> None:
    environment = {"https_proxy": "http://p", "no_proxy": rules}
    assert (choose_proxy("https", "10.1.2.3", 443, environment) is None) == direct


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("a.localhost", True), ("127.0.0.1", True), ("127.9.9.9", True),
        ("::1", True), ("127.0.0.1.example.org", False), ("localhost.example.org", False),
        ("10.0.0.1", False), ("", False),
    ],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
    assert (choose_proxy("http", host, 80, {"http_proxy": "http://p"}) is None) == loopback
