"""Who has which published port."""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from core.network.ports.publishing import Published

    Held = Mapping[Published, "Holder"]
    Taken = Callable[[], Held]


class Holder(Record):
    """The running container that a published port belongs to."""

    name: str
    address: str = ""
    address6: str = ""
    table: str = ""


def in_table(table: str, held: Held) -> Iterator[tuple[str, str, list[Published]]]:
    """Yield the addresses of running containers with the ports they have in a table."""
    own: dict[Holder, list[Published]] = {}
    for port, holder in held.items():
        if holder.table == table:
            own.setdefault(holder, []).append(port)
    for holder, ports in own.items():
        yield holder.address, holder.address6, ports
