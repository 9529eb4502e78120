"""A host with limpet's default network, and another machine beside it."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, contextmanager

from core.config import Config
from core.model import Port
from core.network.network import Network
from core.network.ports import publishing
from tests.namespaces import Container, Namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any


BRIDGE, SUBNET = "lptest0", "10.77.0.0/24"
CONFIG = Config({("network", "bridge"): BRIDGE, ("network", "subnet"): SUBNET})
HOST, NEIGHBOUR, FAR = "198.51.100.1", "198.51.100.2", "203.0.113.9"
SOME = "5" * 64


class Lab:
    """A host with limpet's network, and containers on it by letter."""

    def __init__(self, network: Network, stack: ExitStack) -> None:
        self.network = network
        self.stack = stack

    def prepare(self, letter: str, *publish: Port, taken: Any = dict) -> dict[str, Any]:
        return self.network.prepare(letter * 64, "bridge", publish, taken)

    def start(self, letter: str, *publish: Port, serve: Sequence[str] = ()) -> Container:
        prepared = self.prepare(letter, *publish)
        container = self.stack.enter_context(Container(prepared))
        container.serve(letter, *serve)
        if publish:
            self.publish(prepared)
        return container

    def publish(self, prepared: dict[str, Any]) -> None:
        where = (prepared["table"], prepared["address"], prepared["ports"], prepared["address6"])
        publishing.publish(*where)
        self.stack.callback(publishing.unpublish, where[0], where[2])


def run(command: str) -> str:
    return subprocess.run(command.split(), stdout=subprocess.PIPE, text=True, check=True).stdout


@contextmanager
def beside(host: str, neighbour: str, far: str, bits: int, *flags: str) -> Iterator[Namespace]:
    """Give the host `host`, in a network of `bits` with a machine that is also `far`, outside."""
    with Namespace() as other:
        run(f"ip link add lpwire type veth peer name eth0 netns {other.holder.pid}")
        run(" ".join((f"ip addr add {host}/{bits} dev lpwire", *flags)))
        run("ip link set lpwire up")
        run(f"ip route add {far} via {neighbour}")
        for command in (
            f"addr add {neighbour}/{bits} dev eth0",
            "link set eth0 up",
            "link set lo up",
            f"addr add {far} dev lo",
        ):
            other.run("ip", *command.split(), *(flags if command.startswith("addr") else ()))
        yield other
        run("ip link del lpwire")
