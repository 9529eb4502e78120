"""What an edit changes of a container, told line by line before it is done."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.configuration.options import ContainerOptions


def differences(before: ContainerOptions, after: ContainerOptions) -> list[str]:
    """Return what changes between two sets of options, one line each."""
    lines = []
    for name, old in before.as_dict().items():
        new = getattr(after, name)
        if old == new or name in ("image", "name"):
            continue
        words = name.removesuffix("_bytes").removesuffix("_us").replace("_", " ")
        if isinstance(old, tuple) and isinstance(new, tuple):
            lines += [f"{words}: - {_shown(one)}" for one in old if one not in new]
            lines += [f"{words}: + {_shown(one)}" for one in new if one not in old]
        elif name.endswith("_bytes"):
            lines.append(f"{words}: {_bytes(old)} -> {_bytes(new)}")
        else:
            lines.append(f"{words}: {old or 'default'} -> {new or 'default'}")
    return lines


def _bytes(count: int) -> str:
    from core.commands.show import binary_size

    return binary_size(count) if count > 0 else ("any" if count else "no limit")


def _shown(one: Any) -> str:
    from core.commands.container.facts import port_text
    from core.containers.configuration.options import Mount
    from core.model import Endpoint, Port

    if isinstance(one, Endpoint):
        return one.network
    if isinstance(one, Port):
        return port_text(one)
    if isinstance(one, Mount):
        source = one.source or one.kind
        return f"{source}:{one.target}{':ro' * one.read_only}"
    return "=".join(map(str, one)) if isinstance(one, tuple) else str(one)
