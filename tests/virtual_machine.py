"""A virtual machine with Debian's stock kernel: what servers have and a test host may lack.

It boots from a file system made of a minimal Debian and this checkout, runs one shell
script as root and shuts down; what the script said comes back over the serial line.  There
is no network in it, and a user `person`.  Its first process is the script, or systemd.
"""

from __future__ import annotations

import fcntl
import gzip
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests import isolation
from tests.fixture_images import CACHE, DEBIAN_SUITE

ROOT = Path(__file__).parent.parent
KERNEL_PACKAGE = "linux-image-cloud-amd64"
PROGRAMS = (
    "python3,nftables,iproute2,kmod,busybox-static,libsqlite3-0,uidmap,systemd-sysv,dbus,"
    "libpam-systemd"
)
BOOT_MODULES = ("virtio_pci", "virtio_blk", "ext4")
"""What it takes to reach the root file system; those built into the kernel are left out."""
GUEST = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -o remount,rw /
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
ip link set lo up
. /script >/dev/ttyS0 2>&1
echo o >/proc/sysrq-trigger
sleep 60
"""

LIMPET = """\
#!/usr/bin/python3 -IS
import os, sys
sys.path += ["/limpet", "/site-packages"]
from cli.main import main
code = main()
sys.stdout.flush()
os._exit(code)
"""
SYSTEMD = "#!/bin/sh\nexec /sbin/init\n"
UNIT = """\
[Unit]
After=limpet.service

[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/bin/sh -c '. /script >/dev/ttyS0 2>&1; systemctl poweroff'
TimeoutStartSec=0
"""


class VirtualMachine:
    """A kernel, an initrd and a Debian, made once and kept in the tests' cache."""

    def __init__(self) -> None:
        self.home = CACHE / "vm"
        CACHE.mkdir(mode=0o755, exist_ok=True)
        with (CACHE / "vm.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done, made_of = self.home / "done", f"{_suite()}: {PROGRAMS}"
            if not done.exists() or done.read_text() != made_of:
                shutil.rmtree(self.home, ignore_errors=True)
                self.home.mkdir()
                self._make()
                done.write_text(made_of)

    def run(self, script: str, timeout_s: float = 600, *, systemd: bool = False) -> str:
        """Boot, run a script in which `limpet` is this checkout's, and return what it said.

        With `systemd` the script is a service of its, which is started at each boot; it may
        boot the machine anew, and is waited for until it ends without that.
        """
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
            root, disk = Path(directory, "root"), Path(directory, "disk")
            subprocess.run(["cp", "-a", "--reflink=auto", self.home / "root", root], check=True)
            for package in ("core", "cli", "tui"):
                shutil.copytree(ROOT / package, root / "limpet" / package)
            (found,) = (ROOT / ".venv" / "lib").glob("python3*/site-packages")
            shutil.copytree(found, root / "site-packages")
            (root / "script").write_text(script)
            _install(root / "guest", SYSTEMD if systemd else GUEST)
            _install(root / "usr/bin/limpet", LIMPET)
            units = root / "etc/systemd/system"
            (units / "script.service").write_text(UNIT)
            (units / "multi-user.target.wants").mkdir(exist_ok=True)
            (units / "multi-user.target.wants/script.service").symlink_to("../script.service")
            with disk.open("wb") as file:
                file.truncate(2 << 30)
            subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk], check=True)
            again, calm = [] if systemd else ["-no-reboot"], "systemd.show_status=0"
            words = ["qemu-system-x86_64", "-m", "1024", "-smp", "2", "-nographic", *again,
                     "-nic", "none", "-kernel", f"{self.home}/vmlinuz", "-initrd",
                     f"{self.home}/initrd", "-append", f"console=ttyS0 quiet panic=-1 {calm}",
                     "-drive", f"file={disk},format=raw,if=virtio"]  # fmt: skip
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=True
            )
        return done.stdout.decode("utf-8", "replace").replace("\r", "")

    def _make(self) -> None:
        root, kernel = self.home / "root", self.home / "kernel"
        include = f"--include={PROGRAMS}"
        command = ["debootstrap", "--variant=minbase", include, _suite(), str(root)]
        subprocess.run(isolation.on_host_network(command), check=True, stdout=2)
        depends = subprocess.run(
            ["apt-cache", "depends", KERNEL_PACKAGE], check=True, capture_output=True, text=True
        )
        package = re.findall(r"linux-image-[0-9]\S+", depends.stdout)[0]
        command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
        subprocess.run(isolation.on_host_network(command), check=True, stdout=2, cwd=self.home)
        (archive,) = self.home.glob("linux-image-*.deb")
        subprocess.run(["dpkg", "-x", archive, kernel], check=True)
        # Below usr since Debian 13.
        (modules,) = (*kernel.glob("lib/modules/*"), *kernel.glob("usr/lib/modules/*"))
        version = modules.name
        shutil.copytree(modules, root / "lib" / "modules" / version)
        subprocess.run(["chroot", root, "depmod", version], check=True)
        subprocess.run(["chroot", root, "useradd", "-m", "-s", "/bin/sh", "person"], check=True)
        shutil.copy(kernel / "boot" / f"vmlinuz-{version}", self.home / "vmlinuz")
        self._make_initrd(root, root / "lib" / "modules" / version)
        for name in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc"):
            shutil.rmtree(root / name, ignore_errors=True)
        shutil.rmtree(kernel)
        archive.unlink()

    def _make_initrd(self, root: Path, modules: Path) -> None:
        needs: dict[str, list[str]] = {}
        for line in (modules / "modules.dep").read_text().splitlines():
            path, _, rest = line.partition(":")
            # A module's own dependencies stand in the order in which they are unloaded.
            needs[Path(path).name.partition(".")[0]] = [*reversed(rest.split()), path]
        wanted = [path for name in BOOT_MODULES for path in needs.get(name, ())]
        with tempfile.TemporaryDirectory() as directory:
            tree = Path(directory)
            for name in ("bin", "proc", "dev", "new"):
                (tree / name).mkdir()
            shutil.copy(root / "bin" / "busybox", tree / "bin")
            lines = ["#!/bin/busybox sh", "/bin/busybox mount -t proc proc /proc",
                     "/bin/busybox mount -t devtmpfs dev /dev"]  # fmt: skip
            for path in dict.fromkeys(wanted):
                shutil.copy(modules / path, tree)
                lines.append(f"/bin/busybox insmod /{Path(path).name}")
            lines += ["/bin/busybox mount -t ext4 /dev/vda /new",
                      "/bin/busybox mount -t devtmpfs dev /new/dev",
                      "exec /bin/busybox switch_root /new /guest"]  # fmt: skip
            (tree / "init").write_text("\n".join(lines) + "\n")
            (tree / "init").chmod(0o755)
            names = "\n".join(str(path.relative_to(tree)) for path in tree.rglob("*"))
            packed = subprocess.run(
                [tree / "bin" / "busybox", "cpio", "-o", "-H", "newc"],
                check=True, cwd=tree, input=names.encode(), capture_output=True,
            )  # fmt: skip
        (self.home / "initrd").write_bytes(gzip.compress(packed.stdout, 1))


def _suite() -> str:
    """Return this host's release: its Python is the one that .venv holds modules for."""
    release = platform.freedesktop_os_release()
    return release["VERSION_CODENAME"] if release["ID"] == "debian" else DEBIAN_SUITE


def _install(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
