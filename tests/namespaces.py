"""Network namespaces that stand for containers and for other machines, with small servers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from core.network.attachment import veth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

ROOT = Path(__file__).parent.parent
WAIT_S = 5.0

SERVER = """
import select, socket, sys
name, address, *ports = sys.argv[1:]
tcp, udp = {}, {}
for word in ports:
    number, _, protocol = word.partition("/")
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, int(number)))
    if protocol == "tcp":
        server.listen()
        tcp[server.fileno()] = server
    else:
        udp[server.fileno()] = server
print("ready", flush=True)
while True:
    for fd in select.select([*tcp, *udp], [], [])[0]:
        if fd in tcp:
            client, peer = tcp[fd].accept()
            client.sendall(f"{name} {peer[0]}".encode())
            client.close()
        else:
            _, peer = udp[fd].recvfrom(100)
            udp[fd].sendto(f"{name} {peer[0]}".encode(), peer)
"""
CLIENT = """
import os, socket, sys, time
protocol, address, port, source_port = sys.argv[1:]
kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
family = socket.AF_INET6 if ":" in address else socket.AF_INET
# A busy host is waited for: it loses packets while it does not know that a link is up.
deadline = time.monotonic() + max(1.0, 0.2 * os.getloadavg()[0] / os.cpu_count())
while time.monotonic() < deadline:
    client = socket.socket(family, kind)
    client.settimeout(0.5)
    try:
        client.bind(("", int(source_port)))
        client.connect((address, int(port)))
        if protocol == "udp":
            client.send(b"?")
        print(client.recv(100).decode())
        break
    except OSError:
        client.close()
        time.sleep(0.05)
else:
    print("nothing")
"""
CONFIGURE = f"""
import marshal, sys
sys.path.append({str(ROOT)!r})
from core.network.attachment import veth
veth.configure(marshal.loads(sys.stdin.buffer.read()))
"""


class Namespace:
    """A network namespace that a sleeping process holds; a context."""

    def __init__(self) -> None:
        own = os.readlink("/proc/self/ns/net")
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        self.servers: list[subprocess.Popen[str]] = []
        self.path = f"/proc/{self.holder.pid}/ns/net"
        deadline = time.monotonic() + WAIT_S
        while os.readlink(self.path) == own:
            assert time.monotonic() < deadline, "unshare -n made no namespace"
            time.sleep(0.002)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.holder.kill()
        self.holder.wait()
        for server in self.servers:
            server.kill()
            server.communicate()

    def run(self, *command: str, stdin: bytes = b"") -> str:
        """Run a command inside and return what it prints."""
        entered = ["nsenter", f"--net={self.path}", *command]
        return subprocess.run(
            entered, input=stdin, stdout=subprocess.PIPE, check=True
        ).stdout.decode()

    def serve(self, name: str, *ports: str, address: str = "0.0.0.0") -> None:
        """Serve ports such as `80/tcp`: the answer is `name` and the client's address."""
        command = ["nsenter", f"--net={self.path}", *_python(SERVER), name, address, *ports]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        assert server.stdout
        assert server.stdout.readline() == "ready\n"

    def ask(self, protocol: str, address: str, port: int, source_port: int = 0) -> str:
        """Return what the server at an address says to a client in here, or `nothing`."""
        return self.run(*_client(protocol, address, port, source_port)).strip()


class Container(Namespace):
    """A namespace on limpet's bridge, started by the very code that starts containers."""

    def __init__(self, prepared: dict[str, Any]) -> None:
        import marshal

        super().__init__()
        self.address: str = prepared["address"]
        fd = os.open(self.path, os.O_RDONLY)
        try:
            for attachment in prepared["attachments"]:
                veth.attach(fd, attachment)
        finally:
            os.close(fd)
        self.run(*_python(CONFIGURE), stdin=marshal.dumps(prepared["attachments"]))


def ask_here(protocol: str, address: str, port: int, source_port: int = 0) -> str:
    """Return what a server says to a client on the host, or `nothing`."""
    command = _client(protocol, address, port, source_port)
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _client(protocol: str, address: str, port: int, source_port: int) -> list[str]:
    return [*_python(CLIENT), protocol, address, str(port), str(source_port)]


def _python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]
