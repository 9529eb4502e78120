"""systemd units that bring containers up with the host and down before it.

limpet has no service of its own to run: a unit calls the command once.  systemd.service(5).
"""

from __future__ import annotations

import os

from core.errors import HostError, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.paths import Paths

DIRECTORY = "/etc/systemd/system"
TARGET = "multi-user.target"
STOP_S = 300
"""systemd's patience while containers stop; each has its own time within it."""


def unit_name(container: str) -> str:
    """Return the name of a container's unit; without a name, that of all containers."""
    return f"limpet-{container}.service" if container else "limpet.service"


def unit_text(paths: Paths, command: str, container: str) -> str:
    """Return the unit for a container, or for all that are to run; `command` is limpet's path."""
    if container:
        title, up, down = f"limpet container {container}", f"start {container}", f"stop {container}"
    else:
        title, up, down = "limpet containers", "boot", "boot --stop"
    # KillMode: the monitors end with their containers, which ExecStop has stopped.
    return f"""[Unit]
Description={title}
Wants=network-online.target
After=network-online.target local-fs.target
RequiresMountsFor={_quoted(paths.data)}

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
WantedBy={TARGET}
"""


def install_unit(name: str, text: str, directory: str = DIRECTORY) -> str:
    """Write a unit and have it started with the host; returns its path.

    Raises HostError when this host has no systemd or lets us not.
    """
    path, link = f"{directory}/{name}", f"{directory}/{TARGET}.wants/{name}"
    if not os.path.isdir(directory):
        raise HostError(
            f"{directory} does not exist: this host has no systemd",
            hint="have limpet boot called at the host's start by other means",
            subject=directory,
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
    _systemctl("daemon-reload")
    return path


def start_unit(name: str) -> None:
    """Make an installed unit active, where a systemd runs."""
    _systemctl("start", name)


def remove_unit(name: str, directory: str = DIRECTORY) -> str:
    """Remove a unit, leaving what it started as it is; NotFound when it is not installed."""
    path, link = f"{directory}/{name}", f"{directory}/{TARGET}.wants/{name}"
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
    _systemctl("daemon-reload")
    return path


def limpet_command() -> str:
    """Return the path of the command that this limpet is started by."""
    import sys

    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for path in (f"{root}/bin/limpet", f"{os.path.dirname(sys.executable)}/limpet"):
        if os.path.exists(path):
            return path
    return "/usr/bin/limpet"


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
