"""What a network is: a bridge with its subnets, and how a new one gets them."""

from __future__ import annotations

import os
import time

from core.errors import Conflict, UsageError
from core.network.addresses import Pool, Subnet, make_pool
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT = "bridge"
"""The network of containers that name none; the first two of docker's are modes."""
MODES = ("host", "none")
RESERVED = (DEFAULT, *MODES, "container", "default", "private", "slirp4netns", "pasta")
NAME_BYTES = 15
"""Of a network device: IFNAMSIZ without the zero byte."""
PREFIX = "lp-"
"""What the devices of networks that people make begin with, unless they name one."""
MTU = 1500
LEAST_MTU, LEAST_MTU_IPV6, MOST_MTU = 68, 1280, 65535
"""RFC 791, RFC 8200, and what a veth takes."""
AUTOMATIC_PREFIX = 24
OPTION_NAME = "com.docker.network.bridge.name"
OPTION_MTU = ("mtu", "com.docker.network.driver.mtu")


class BridgeNetwork(Record):
    """A network of this host: one bridge, and one nftables table of its name."""

    name: str
    device: str
    subnet: str
    gateway: str
    ip_range: str = ""
    subnet6: str = ""
    """Empty: the network has no IPv6."""
    gateway6: str = ""
    internal: bool = False
    """Nothing goes in or out, only between its containers."""
    mtu: int = MTU
    labels: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    id: str = ""
    created: float = 0

    @property
    def resolves(self) -> bool:
        """Whether its containers find each other by name; on the default one they never did."""
        return self.name != DEFAULT

    @property
    def pool(self) -> Pool:
        """The IPv4 addresses of its containers."""
        return make_pool(self.name, self.subnet, self.gateway, self.ip_range)

    @property
    def pool6(self) -> Pool | None:
        """The IPv6 addresses of its containers."""
        return make_pool(self.name, self.subnet6, self.gateway6) if self.subnet6 else None


class NetworkOptions(Record):
    """The options of `network create`; empty values are chosen."""

    name: str
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    ip_range: str = ""
    internal: bool = False
    ipv6: bool = False
    mtu: int = 0
    labels: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()


def define(options: NetworkOptions, pool: str, used: Sequence[Subnet]) -> BridgeNetwork:
    """Return a new network with what was not asked for filled in.

    Its IPv4 subnet is the first /24 of `pool` that overlaps none of `used`, the subnets of
    this host and of other networks.  Raises UsageError for options that make no sense,
    Conflict for a subnet that is in use.
    """
    check_name(options.name)
    wanted, wanted6 = _by_family(options.subnets, "--subnet")
    for subnet in filter(None, (wanted, wanted6)):
        _check_unused(subnet, used)
    subnet = wanted or _choose(Subnet(pool), used)
    subnet6 = wanted6 or (Subnet(f"fd{os.urandom(7).hex(':', 2)}::/64") if options.ipv6 else None)
    gateway, gateway6 = _gateways(options.gateways, subnet, subnet6)
    if options.ip_range:
        _check_within(options.ip_range, subnet)
    extra = dict(options.options)
    network_id = os.urandom(32).hex()
    return BridgeNetwork(
        name=options.name,
        device=_device(extra.get(OPTION_NAME, ""), network_id),
        subnet=str(subnet),
        gateway=gateway,
        ip_range=options.ip_range,
        subnet6=str(subnet6) if subnet6 else "",
        gateway6=gateway6,
        internal=options.internal,
        mtu=_mtu(options.mtu, extra, ipv6=subnet6 is not None),
        labels=options.labels,
        options=options.options,
        id=network_id,
        created=time.time(),
    )


def check_name(name: str) -> None:
    """Raise UsageError unless a network may be called so."""
    rest = name.replace("_", "").replace(".", "").replace("-", "")
    if not (name[:1].isalnum() and rest.isalnum() and name.isascii() and len(name) <= 128):
        raise UsageError(
            f"{name!r} is no network name",
            hint="letters, digits, _ . - and a letter or digit in front",
            subject=name,
        )
    if name in RESERVED:
        raise UsageError(f"{name!r} is a network of limpet's own", hint="choose another name")


def is_device_name(name: str) -> bool:
    """Return whether a bridge, and an nftables table, can be called so."""
    plain = name.replace("_", "").replace(".", "").replace("-", "")
    return len(name) <= NAME_BYTES and plain.isalnum() and name.isascii() and name[0].isalpha()


def _device(wanted: str, network_id: str) -> str:
    if wanted and not is_device_name(wanted):
        raise UsageError(
            f"{OPTION_NAME}={wanted!r}: a device's name has at most {NAME_BYTES} letters, "
            "digits and . _ -, a letter first"
        )
    return wanted or PREFIX + network_id[: NAME_BYTES - len(PREFIX)]


def _by_family(texts: Iterable[str], flag: str) -> tuple[Subnet | None, Subnet | None]:
    found: dict[int, Subnet] = {}
    for text in texts:
        try:
            subnet = Subnet(text)
        except ValueError as error:
            raise UsageError(f"{flag}: {error}") from None
        if subnet.bits in found:
            raise UsageError(
                f"{flag} twice for one family", hint="a network has one IPv4 and one IPv6 subnet"
            )
        if not 8 <= subnet.prefix <= subnet.bits - 2:
            raise UsageError(
                f"{flag} {text}: the prefix must be from 8 to {subnet.bits - 2}", subject=text
            )
        found[subnet.bits] = subnet
    return found.get(32), found.get(128)


def _choose(pool: Subnet, used: Sequence[Subnet]) -> Subnet:
    """Return the first subnet of the pool that nobody uses."""
    step = 1 << (32 - max(AUTOMATIC_PREFIX, pool.prefix))
    for first in range(pool.first, pool.last + 1, step):
        subnet = Subnet(f"{pool.write(first)}/{max(AUTOMATIC_PREFIX, pool.prefix)}")
        if not any(map(subnet.overlaps, used)):
            return subnet
    raise Conflict(
        f"every subnet in {pool} is in use",
        hint="choose one: --subnet, or set network.pool in config.toml; "
        "limpet network prune removes networks that nobody uses",
    )


def _check_unused(subnet: Subnet, used: Sequence[Subnet]) -> None:
    for other in used:
        if subnet.overlaps(other):
            raise Conflict(
                f"the subnet {subnet} overlaps {other}, which is in use on this host",
                hint="ip route and limpet network ls show them; choose another, or leave it out",
                subject=str(subnet),
            )


def _gateways(wanted: Iterable[str], subnet: Subnet, subnet6: Subnet | None) -> tuple[str, str]:
    found = {32: subnet.gateway, 128: subnet6.gateway if subnet6 else ""}
    for text in wanted:
        family = subnet6 if ":" in text and subnet6 else subnet
        number = family.read(text)
        if number is None or not family.first < number < family.last:
            raise UsageError(f"--gateway {text} is no host's address in {family}", subject=text)
        found[family.bits] = family.write(number)
    return found[32], found[128]


def _check_within(text: str, subnet: Subnet) -> None:
    try:
        span = Subnet(text)
    except ValueError as error:
        raise UsageError(f"--ip-range: {error}") from None
    if span.bits != 32 or not (subnet.first <= span.first and span.last <= subnet.last):
        raise UsageError(f"--ip-range {text} is not within {subnet}", subject=text)


def _mtu(wanted: int, options: dict[str, str], *, ipv6: bool) -> int:
    texts = [options[name] for name in OPTION_MTU if name in options]
    least = LEAST_MTU_IPV6 if ipv6 else LEAST_MTU
    for text in [str(wanted)] if wanted else texts:
        if not (text.isdecimal() and least <= int(text) <= MOST_MTU):
            raise UsageError(f"an MTU of {text}: it must be from {least} to {MOST_MTU}")
        return int(text)
    return MTU
