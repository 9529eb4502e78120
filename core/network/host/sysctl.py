"""Settings of the kernel under /proc/sys, changed only where they differ."""

from __future__ import annotations

from core.errors import HostError


def get_sysctl(name: str) -> str:
    """Return a setting such as `net/ipv4/ip_forward`, "" where the kernel has none."""
    try:
        with open(f"/proc/sys/{name}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def set_sysctl(name: str, value: str) -> None:
    """Give a setting a value unless it has it; HostError when that is refused."""
    if get_sysctl(name) == value:
        return
    path = f"/proc/sys/{name}"
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
    except OSError as error:
        raise HostError(
            f"{path} cannot be set to {value}: {error.strerror}",
            hint=f"set it on the host: sysctl -w {name.replace('/', '.')}={value}",
            errno=error.errno or 0,
        ) from error
