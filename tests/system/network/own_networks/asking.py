"""What the tests of own networks have containers do, and ask them."""

from __future__ import annotations

import socket
from pathlib import Path

from core.engine import Engine
from core.model import Endpoint
from core.network.definition import NetworkOptions
from tests.containers import options, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.lifecycle import Containers


SETTINGS = {
    ("network", "subnet"): "10.89.0.0/24",
    ("network", "pool"): "10.90.0.0/16",
    ("network", "dns"): ("192.0.2.1",),
}


def network(engine: Engine, name: str, **changes: Any) -> str:
    return engine.network.create(NetworkOptions(name, **changes)).device


def sleeper(containers: Containers, name: str, *on: str | Endpoint, **changes: Any) -> str:
    places = tuple(one if isinstance(one, Endpoint) else Endpoint(one) for one in on)
    container = containers.create(
        options("sleep", "1000", name=name, network=places[0].network, endpoints=places, **changes)
    )
    containers.start(container)
    return container


def said(containers: Containers, container: str, script: str) -> str:
    _, out, err = run(containers.exec(container, ("sh", "-c", script)))
    return (out + err).decode().strip()


def hosts(containers: Containers, container: str, name: str) -> list[str]:
    """Return the addresses that the container's hosts file has for a name."""
    lines = said(containers, container, "cat /etc/hosts").splitlines()
    words = [line.split() for line in lines if not line.startswith("#")]
    return [line[0] for line in words if name in line[1:]]


# -- names ---------------------------------------------------------------------------


def boxes(engine: Engine, container: str) -> set[int]:
    """Return which of the containers `box0`, `box1`, … a hosts file knows."""
    text = Path(f"{engine.paths.container(container)}/hosts").read_text()
    return {number for number in range(8) if f"\tbox{number} " in text}


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def fetch(address: tuple[str, int] = ("127.0.0.1", 8080)) -> bytes:
    try:
        with socket.create_connection(address, 2) as connection:
            return connection.recv(100)
    except OSError:
        return b""
