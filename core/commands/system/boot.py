"""The verbs of a host's start: `boot`, and the systemd units that call it."""

from __future__ import annotations

from core.commands.grammar import Args, flag, positional, verb
from core.commands.result import Result, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine


class Boot(Args):
    """Options of `boot`."""

    stop: bool = flag("--stop", help="the host goes down: stop what runs until its next start")


class Unit(Args):
    """Arguments of the `unit` verbs."""

    container: str = positional(
        "one container; none: all with a restart policy", default="", complete="container"
    )


@verb("system boot", Boot, "Start the containers that run with the host", "boot")
def boot(engine: Engine, args: Boot) -> Result:
    """Start what has the restart policy always, or unless-stopped and was not stopped."""
    if args.stop:
        return Text("\n".join(engine.boot.stop()))
    return Text("\n".join(engine.boot.start()))


@verb("unit show", Unit, "Print the systemd unit that starts containers", changes=False)
def unit_show(engine: Engine, args: Unit) -> Result:
    """Print it, for who puts it in place by other means."""
    return Text(_unit(engine, args.container)[1].rstrip("\n"))


@verb("unit install", Unit, "Start containers with the host, by a systemd unit")
def unit_install(engine: Engine, args: Unit) -> Result:
    """Write the unit and enable it; one whose containers run is active at once.

    It is an active unit that systemd stops, and its containers with it, as the host goes down.
    """
    from core.systemd_units import install_unit, linger_command, lingers, start_unit

    name, text = _unit(engine, args.container)
    path = install_unit(name, text)
    if args.container:
        runs = engine.containers.usage(args.container) is not None
    else:
        runs = not engine.boot.would_start()
    if runs:
        start_unit(name)
    hint = "" if lingers() else f"\nit takes effect while you are logged in; {linger_command()}"
    return Text(path + hint)


@verb("unit remove", Unit, "Take the systemd unit away again", "unit rm")
def unit_remove(engine: Engine, args: Unit) -> Result:
    """Remove it; the container itself may be gone already."""
    from core.systemd_units import remove_unit, unit_name

    return Text(remove_unit(unit_name(args.container)))


def _unit(engine: Engine, container: str) -> tuple[str, str]:
    """Return name and text of a unit."""
    from core.systemd_units import limpet_command, unit_name, unit_text

    if container:
        container = engine.containers.resolve(container).name
    return unit_name(container), unit_text(engine.paths, limpet_command(), container)
