"""The verbs of the registry that limpet itself is."""

from __future__ import annotations

from core.commands.grammar import Args, flag, option, verb
from core.commands.options.values import duration
from core.commands.result import Plan, Result, Running, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.registry_server.garbage import Collected


def address(word: str) -> tuple[str, int]:
    """Parse HOST:PORT, :PORT for all addresses, or HOST for port 5000."""
    host, colon, port = word.rpartition(":")
    if not colon or word.endswith("]"):
        host, port = word, "5000"
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{word!r} is not HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)


class Serve(Args):
    """Options of `registry serve`."""

    address: tuple[str, int] = option(
        "-a", "--address", help="where to listen; :PORT means all addresses",
        default=("127.0.0.1", 5000), metavar="HOST:PORT", convert=address,
    )  # fmt: skip
    htpasswd: str = option(
        "--htpasswd", help="let in only the users of this file (htpasswd -B makes it)",
        metavar="FILE", complete="path",
    )  # fmt: skip
    tls_cert: str = option(
        "--tls-cert", help="speak HTTPS with this certificate (PEM)", metavar="FILE",
        complete="path",
    )  # fmt: skip
    tls_key: str = option(
        "--tls-key", help="its key, where that is a file of its own", metavar="FILE",
        complete="path",
    )  # fmt: skip
    read_only: bool = flag("--read-only", help="answer pulls alone")
    upstream: str = option(
        "--upstream", help="fetch what is not here from this registry, and keep it",
        metavar="HOST[/PREFIX]", complete="registry",
    )  # fmt: skip


class Collect(Args):
    """Options of `registry gc`."""

    untagged: bool = flag("--untagged", help="also manifests that no tag leads to")
    keep: float = option(
        "--keep", help="leave alone what was pushed or asked for so recently", default=3600.0,
        metavar="DURATION", convert=duration,
    )  # fmt: skip


@verb(
    "registry serve",
    Serve,
    "Serve this host's images as a registry, and take pushes",
    examples=(
        "registry serve",
        "registry serve --address :5000 --htpasswd /etc/limpet/users --tls-cert host.pem",
        "registry serve --upstream docker.io",
    ),
)
def serve(engine: Engine, args: Serve) -> Result:
    """Start the job; cancelling it ends the server."""
    from core.registry_server.server import ServeOptions

    host, port = args.address
    options = ServeOptions(
        host, port, args.htpasswd, args.tls_cert, args.tls_key, args.read_only, args.upstream
    )
    return Running(engine.registries.serve(options), lambda _: Text(""))


@verb("registry gc", Collect, "Give back the space of pushed blobs that nothing needs")
def collect(engine: Engine, args: Collect) -> Result:
    """Look first: the lines are what goes."""
    from core.registry_server.blobs import ServedBlobs
    from core.registry_server.bucket import open_bucket
    from core.registry_server.garbage import collect as look

    blobs = ServedBlobs(engine.store.blobs, engine.database, open_bucket(engine.config))

    def run(*, only_look: bool) -> Collected:
        return look(
            engine.paths, engine.database, blobs,
            untagged=args.untagged, keep_s=args.keep, only_look=only_look,
        )  # fmt: skip

    def lines(found: Collected) -> tuple[str, ...]:
        gone = [*found.manifests, *found.blobs, *(f"upload {name}" for name in found.uploads)]
        return tuple(f"Deleted: {name}" for name in gone)

    found = run(only_look=True)

    def apply() -> Result:
        return Text("\n".join(lines(run(only_look=False))))

    return Plan("collect the registry's garbage", lines(found), apply, found.bytes_back)
