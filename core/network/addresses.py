"""IPv4 subnets as numbers; `ipaddress` costs five milliseconds to import."""

from __future__ import annotations

from core.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container


class Subnet:
    """A subnet such as 10.89.0.0/16; ConfigError for one that is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            address, _, length = text.partition("/")
            parts = [int(part) for part in address.split(".")]
            self.prefix = int(length)
            if len(parts) != 4 or not all(0 <= part < 256 for part in parts):
                raise ValueError
            if not 0 < self.prefix <= 30:
                raise ValueError
        except ValueError:
            raise ConfigError(f"{text!r} is not an IPv4 subnet such as 10.89.0.0/16") from None
        self._size = 1 << (32 - self.prefix)
        self._base = int.from_bytes(bytes(parts), "big") & ~(self._size - 1)

    @property
    def gateway(self) -> str:
        """The first address."""
        return _dotted(self._base + 1)

    def free(self, taken: Container[str]) -> str | None:
        """Return the lowest address for a container that is not taken, None if all are."""
        for number in range(self._base + 2, self._base + self._size - 1):
            if (address := _dotted(number)) not in taken:
                return address
        return None

    def overlaps(self, other: Subnet) -> bool:
        """Return whether the two share an address."""
        return (
            self._base < other._base + other._size
            and other._base < self._base + self._size
        )


def _dotted(number: int) -> str:
    return ".".join(map(str, number.to_bytes(4, "big")))
