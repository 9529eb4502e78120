"""systemd units that bring containers up with the host and down before it.

limpet has no service of its own to run: a unit calls the command once.  An ordinary user's are
units of his own systemd, which runs with the host if he lingers.  systemd.service(5),
systemd.unit(5), loginctl(1).
"""

from __future__ import annotations

import os

from core.errors import HostError, NotFound
from core.privileges import is_rootless, outer_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.paths import Paths

SYSTEMD, SYSTEM = "/etc/systemd", "/etc/systemd/system"
TARGET, USER_TARGET = "multi-user.target", "default.target"
NETWORK = "Wants=network-online.target\nAfter=network-online.target local-fs.target\n"
STOP_S = 300
"""systemd's patience while containers stop; each has its own time within it."""


def unit_name(container: str) -> str:
    """Return the name of a container's unit; without a name, that of all containers."""
    return f"limpet-{container}.service" if container else "limpet.service"


def unit_directory() -> str:
    """Return where units are: those of the host, or of this user's systemd."""
    if not is_rootless():
        return SYSTEM
    home = os.environ.get("XDG_CONFIG_HOME") or f"{os.environ.get('HOME', '')}/.config"
    return f"{home}/systemd/user"


def unit_text(paths: Paths, command: str, container: str) -> str:
    """Return the unit for a container, or for all that are to run; `command` is limpet's path."""
    if container:
        title, up, down = f"limpet container {container}", f"start {container}", f"stop {container}"
    else:
        title, up, down = "limpet containers", "boot", "boot --stop"
    # KillMode: the monitors end with their containers, which ExecStop has stopped.
    return f"""[Unit]
Description={title}
{"" if is_rootless() else NETWORK}RequiresMountsFor={_quoted(paths.data)}

[Service]
Type=oneshot
RemainAfterExit=yes
Environment={_quoted(f"LIMPET_DATA_ROOT={paths.data}")}
Environment={_quoted(f"LIMPET_RUN_ROOT={paths.run}")}
ExecStart={_quoted(command)} {up}
ExecStop={_quoted(command)} {down}
KillMode=process
TimeoutStartSec=0
TimeoutStopSec={STOP_S}

[Install]
WantedBy={_target()}
"""


def install_unit(name: str, text: str, directory: str = "") -> str:
    """Write a unit and have it started with the host; returns its path.

    Raises HostError when this host has no systemd or lets us not.
    """
    directory = directory or unit_directory()
    path, link = f"{directory}/{name}", f"{directory}/{_target()}.wants/{name}"
    needed = SYSTEMD if is_rootless() else directory
    if not os.path.isdir(needed):
        raise HostError(
            f"{needed} does not exist: this host has no systemd",
            hint="have limpet boot called at the host's start by other means",
            subject=needed,
        )
    try:
        os.makedirs(os.path.dirname(link), exist_ok=True)
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(temporary, path)
        if not os.path.lexists(link):
            os.symlink(path, link)
    except OSError as error:
        raise _refused(path, error) from error
    _reload()
    return path


def start_unit(name: str) -> None:
    """Make an installed unit active, where a systemd runs; an ordinary user's will be so soon."""
    if is_rootless():
        from core.linux import systemd

        _ask(lambda: systemd.start(_socket(), outer_uid(), name))
    else:
        _systemctl("start", name)


def lingers() -> bool:
    """Return whether the systemd that has the units runs with the host, logged in or not."""
    return not is_rootless() or os.path.exists(f"/var/lib/systemd/linger/{_person()}")


def linger_command() -> str:
    """Return what makes it so."""
    return f"loginctl enable-linger {_person()}"


def remove_unit(name: str, directory: str = "") -> str:
    """Remove a unit, leaving what it started as it is; NotFound when it is not installed."""
    directory = directory or unit_directory()
    path, link = f"{directory}/{name}", f"{directory}/{_target()}.wants/{name}"
    if not os.path.lexists(path):
        raise NotFound(
            f"{path} is not installed", hint="limpet unit install writes it", subject=name
        )
    try:
        for file in (link, path):
            if os.path.lexists(file):
                os.unlink(file)
    except OSError as error:
        raise _refused(path, error) from error
    _reload()
    return path


def limpet_command() -> str:
    """Return the path of the command that this limpet is started by."""
    import sys

    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for path in (f"{root}/bin/limpet", f"{os.path.dirname(sys.executable)}/limpet"):
        if os.path.exists(path):
            return path
    return "/usr/bin/limpet"


def _target() -> str:
    return USER_TARGET if is_rootless() else TARGET


def _socket() -> str:
    from core.containers.runtime.delegation import systemd_socket

    return systemd_socket(outer_uid())


def _person() -> str:
    import pwd

    try:
        return pwd.getpwuid(outer_uid()).pw_name
    except KeyError:
        return str(outer_uid())


def _reload() -> None:
    if is_rootless():
        from core.linux import systemd

        _ask(lambda: systemd.reload(_socket(), outer_uid()))
    else:
        _systemctl("daemon-reload")


def _ask(order: Callable[[], None]) -> None:
    """Ask the user's systemd; systemctl(1) would take this process for root's."""
    try:
        order()
    except OSError:
        pass  # none runs that would have to know


def _systemctl(*words: str) -> None:
    """Tell a running systemd something."""
    if os.path.isdir("/run/systemd/system"):
        import subprocess

        subprocess.run(["systemctl", *words], check=False, capture_output=True)


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _refused(path: str, error: OSError) -> HostError:
    return HostError(
        f"{path}: {error.strerror}",
        hint="run as root; limpet unit show prints the unit, to be put there by hand",
        errno=error.errno or 0,
        subject=path,
    )
