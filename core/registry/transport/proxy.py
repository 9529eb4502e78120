"""Which proxy a request goes through, as the environment says.

The variables and the rules of no_proxy are those of Go's net/http, which docker and podman
follow: https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
"""

from __future__ import annotations

import os

from core.errors import ConfigError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Proxy(Record):
    """An HTTP proxy; `authorization` is the header's value, empty without a user."""

    host: str
    port: int
    authorization: str = ""


def choose_proxy(
    scheme: str, host: str, port: int, environment: Mapping[str, str] | None = None
) -> Proxy | None:
    """Return the proxy for a request, None to go straight.

    Loopback hosts are never proxied.  Raises ConfigError, which names the variable and not
    its content, for a value that is no http:// URL.
    """
    env = os.environ if environment is None else environment
    for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY"):
        if env.get(name):
            if is_loopback(host) or _excluded(host, port, env):
                return None
            return _parse(name, env[name])
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host name or address (no port, no brackets) is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return (host.startswith("127.") and _is_address(host)) or host == "::1"


def _is_address(host: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _parse(name: str, value: str) -> Proxy:
    from base64 import b64encode
    from urllib.parse import unquote, urlsplit

    wrong = ConfigError(
        f"the variable {name} does not hold the URL of an HTTP proxy",
        hint=f"export {name}=http://HOST:PORT",
        subject=name,
    )
    try:
        url = urlsplit(value if "://" in value else f"http://{value}")
        host, port = url.hostname, url.port or 80
    except ValueError:
        raise wrong from None
    if url.scheme != "http" or not host:
        raise wrong
    if url.username is None:
        return Proxy(host, port)
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return Proxy(host, port, f"Basic {b64encode(pair.encode()).decode()}")


def _excluded(host: str, port: int, env: Mapping[str, str]) -> bool:
    host = host.lower()
    rules = env.get("no_proxy") or env.get("NO_PROXY") or ""
    return any(_matches(rule.strip().lower(), host, port) for rule in rules.split(",") if rule)


def _matches(rule: str, host: str, port: int) -> bool:
    import ipaddress

    if rule == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        pass
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit() and ":" not in name:
        if int(wanted) != port:
            return False
        rule = name
    if rule.startswith("*."):
        rule = rule[1:]
    if rule.startswith("."):
        return host.endswith(rule)
    return bool(rule) and (host == rule or host.endswith(f".{rule}"))
