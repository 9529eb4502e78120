"""The verbs of networks and the network options of run, through the real command line."""

from __future__ import annotations

import json
import socket
import subprocess
import time

from tests.containers import until
from tests.e2e.command_line import limpet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNTIL_TOLD = "while [ ! -e /end ]; do sleep 0.05; done; rm /end"


def fetch(port: int) -> bytes:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as connection:
                if said := connection.recv(100):
                    return said
        except OSError:
            time.sleep(0.02)
    return b""


def inspect(env: dict[str, str], *words: str) -> Any:
    return json.loads(limpet(env, *words))[0]


def test_the_life_of_a_network(env: dict[str, str]) -> None:
    made = limpet(env, "network", "create", "--label", "team=red", "shop").strip()
    assert len(made) == 64
    limpet(env, "network", "create", "--internal", "--ipv6", "--mtu", "1400",
           "--subnet", "10.99.0.0/24", "back")  # fmt: skip
    assert limpet(env, "network", "ls", "-q").split() == ["bridge", "shop", "back", "host", "none"]
    assert limpet(env, "network", "ls", "-q", "--filter", "label=team").split() == ["shop"]
    serve = "while :; do echo $HOSTNAME | nc -l -p 80; done"
    limpet(env, "run", "-d", "--name", "web", "-h", "web", "--network", "shop",
           "--network", "name=back,alias=api,ip=10.99.0.80", "-P", "--expose", "80",
           "--add-host", "up:host-gateway", "--dns", "192.0.2.53", "--dns-search", "example.org",
           "--dns-option", "ndots:3", "starter", "sh", "-c", serve)  # fmt: skip
    port = int(limpet(env, "port", "web", "80").rpartition(":")[2])
    assert fetch(port) == b"web\n"
    table = limpet(env, "ps").splitlines()
    assert "REACHED FROM" in table[0]
    assert "anywhere" in table[1]
    resolver = limpet(env, "exec", "web", "cat", "/etc/resolv.conf")
    assert resolver == "nameserver 192.0.2.53\nsearch example.org\noptions ndots:3\n"
    document = inspect(env, "inspect", "web")
    settings = document["NetworkSettings"]
    assert list(settings["Networks"]) == ["shop", "back"]
    assert settings["Networks"]["back"]["IPAddress"] == "10.99.0.80"
    assert settings["Ports"]["80/tcp"][0]["HostPort"] == str(port)
    assert document["Config"]["ExposedPorts"] == {"80/tcp": {}}
    gateway = settings["Gateway"]
    assert f"{gateway}\tup\n" in limpet(env, "exec", "web", "cat", "/etc/hosts")

    limpet(env, "run", "--rm", "--network", "back", "starter", "ping", "-c1", "-W2", "api")
    # The kernel takes the devices of a network namespace away a little after its last process.
    until(lambda: len(inspect(env, "inspect", "back")["Device"]["members"]) == 1)
    back = inspect(env, "inspect", "back")
    assert back == inspect(env, "network", "inspect", "back")
    assert (back["Internal"], back["EnableIPv6"], back["MTU"]) == (True, True, 1400)
    assert [user["Name"] for user in back["Containers"].values()] == ["web"]

    limpet(env, "run", "-d", "--name", "db", "starter", "sleep", "1000")
    limpet(env, "network", "connect", "--alias", "store", "shop", "db")
    limpet(env, "exec", "web", "ping", "-c1", "-W2", "store")
    assert "on network shop already" in limpet(env, "network", "connect", "shop", "db", code=4)
    limpet(env, "network", "disconnect", "shop", "db")
    assert "is not on network shop" in limpet(env, "network", "disconnect", "shop", "db", code=4)
    limpet(env, "network", "disconnect", "-f", "shop", "db")

    said = limpet(env, "network", "rm", "shop", code=4)
    assert "shop is used by web" in said
    assert "limpet network disconnect shop web" in said
    limpet(env, "rm", "-f", "web")
    assert limpet(env, "network", "prune", "-f", "--filter", "until=1h") == "no network is unused\n"
    assert "no filter of prune" in limpet(env, "network", "prune", "--filter", "x=1", code=2)
    assert limpet(env, "network", "ls", "-q", "--filter", "type=custom").split() == ["shop", "back"]
    assert "network shop" in limpet(env, "network", "prune", "-f")
    assert limpet(env, "network", "ls", "-q").split() == ["bridge", "host", "none"]
    assert "did you mean" in limpet(env, "run", "--network", "bridg", "starter", "true", code=3)


def test_names_survive_a_restart_with_another_address(env: dict[str, str]) -> None:
    limpet(env, "network", "create", "--subnet", "10.98.0.0/29", "small")
    for name in ("one", "two"):
        limpet(env, "run", "-d", "--name", name, "--network", "small", "--restart", "always",
               "starter", "sh", "-c", UNTIL_TOLD)  # fmt: skip
    limpet(env, "restart", "-t", "0", "two")
    limpet(env, "exec", "one", "ping", "-c1", "-W2", "two")
    limpet(env, "rename", "two", "deux")
    limpet(env, "exec", "one", "ping", "-c1", "-W2", "deux")
    limpet(env, "exec", "deux", "touch", "/end")  # it ends, and its monitor starts it again
    deadline = time.monotonic() + 10
    while inspect(env, "inspect", "deux")["RestartCount"] < 1:
        assert time.monotonic() < deadline
    while inspect(env, "inspect", "deux")["State"]["Status"] != "running":
        assert time.monotonic() < deadline
    limpet(env, "exec", "one", "ping", "-c1", "-W2", "deux")


def test_a_networks_faults_are_named(env: dict[str, str]) -> None:
    create = ("network", "create")
    assert "prefix must be" in limpet(env, *create, "--subnet", "10.0.0.0/31", "x", code=2)
    assert "is not within" in limpet(
        env, *create, "--subnet", "10.97.0.0/24", "--ip-range", "10.96.0.0/25", "x", code=2
    )
    assert "MTU of 20" in limpet(env, *create, "--mtu", "20", "x", code=2)
    assert "limpet's own" in limpet(env, *create, "host", code=2)
    assert "is none of bridge" in limpet(env, *create, "-d", "overlay", "x", code=2)
    assert "limpet's own" in limpet(env, "network", "rm", "bridge", code=4)
    for words in (
        ("--network", "host", "--network", "bridge"),
        ("--network", "none", "--ip", "10.0.0.9"),
        ("--ip", "ten"),
        ("--mac-address", "01:00:00:00:00:01"),
        ("--network-alias", "a b"),
        ("-p", "::1:80:80"),
        ("--add-host", "x"),
    ):
        limpet(env, "run", *words, "starter", "true", code=2)


def test_a_host_that_lost_its_bridges_has_them_again(env: dict[str, str]) -> None:
    """As after a reboot, or `nft flush ruleset` by another's hand."""
    limpet(env, "network", "create", "--opt", "com.docker.network.bridge.name=lptest9", "shop")
    limpet(env, "run", "-d", "--name", "web", "--network", "shop", "starter", "sleep", "1000")
    subprocess.run(["ip", "link", "del", "lptest9"], check=True)
    limpet(env, "stop", "-t", "0", "web")
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    limpet(env, "start", "web")
    limpet(env, "run", "--rm", "--network", "shop", "starter", "ping", "-c1", "-W2", "web")
