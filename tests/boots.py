"""`python3 -m tests.boots`: as root.  limpet beside a real systemd, in a virtual machine.

Units bring containers up with the host and stop them before it goes down; an ordinary user's
containers have a scope of his systemd's, with limits; the OCI runtime makes scopes.  It takes
minutes without hardware that helps, so it is no test of the suite's.
"""

from __future__ import annotations

import sys

from tests.virtual_machine import VirtualMachine

SCRIPT = r"""
part() { echo; echo "== $1"; }
if [ -e /second ]; then
    part second
    limpet ps -a --format '{{.Names}} {{.Status}}'
    limpet logs keep
    limpet logs session
    part limits
    for name in lost keep; do
        limpet exec $name sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max'
    done
    part lingering
    cat > /tmp/user <<'EOF'
cd
for _ in $(seq 60); do systemctl --user is-active limpet.service && break; sleep 1; done
limpet ps
limpet logs kept
limpet exec kept cat /sys/fs/cgroup/memory.max
EOF
    XDG_RUNTIME_DIR=/run/user/1000 su person -c '. /tmp/user'
    part end
    limpet rm -f $(limpet ps -aq)
    return
fi
limpet image starter
part user
loginctl enable-linger person
until [ -S /run/user/1000/systemd/private ]; do sleep 1; done
cat > /tmp/user <<'EOF'
cd
limpet image starter
limpet doctor | grep cgroups
limpet run -d --name web -m 16m --cpus 0.5 --pids-limit 20 --network none starter sleep 1000
systemctl --user list-units --no-pager --no-legend limpet.scope
limpet exec web sh -c 'cat /proc/self/cgroup; cd /sys/fs/cgroup; cat memory.max cpu.max pids.max'
limpet pause web
limpet ps --format '{{.Status}}'
limpet rm -f web
limpet run -d --name kept -m 16m --restart unless-stopped --network none starter sh -c '
    echo begins; trap "echo ends; exit 0" TERM; while :; do sleep 1; done'
limpet unit install
until systemctl --user is-active limpet.service; do sleep 1; done | tail -n 1
EOF
XDG_RUNTIME_DIR=/run/user/1000 su person -c '. /tmp/user'
part runtime
mkdir -p /bundle/rootfs/bin /bundle/rootfs/dev /bundle/rootfs/proc /bundle/rootfs/sys
cp /bin/busybox /bundle/rootfs/bin/sh
cd /bundle
limpet oci spec
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"sh", "-c", "sleep 1000"/' config.json
limpet oci --systemd-cgroup create one
limpet oci start one
systemctl list-units --no-pager --no-legend 'limpet-*.scope'
limpet oci pause one
limpet oci list
limpet oci delete --force one
systemctl list-units --no-pager --no-legend 'limpet-*.scope'
part units
ends='echo begins; trap "echo ends; exit 0" TERM; while :; do sleep 1; done'
limits='-m 16m --cpus 0.5 --pids-limit 20'
limpet run -d --name keep --restart unless-stopped $limits --network none starter sh -c "$ends"
# As of a login that nobody ends: its monitor gets the signal, whatever the unit does.
systemd-run -q --scope limpet run -d --name session --network none starter sh -c "$ends"
limpet run -d --name once --network none starter sleep 100000
lost=$(limpet run -d --name lost --restart always $limits --network none starter sleep 100000)
limpet run -d --name halted --restart unless-stopped --network none starter sleep 100000
limpet stop -t 0 halted
limpet create --name solo --network none starter sleep 1000
limpet unit install
limpet unit install solo
systemctl is-active limpet.service limpet-solo.service
kill -9 $(grep -sl "[m]onitor at .*$lost" /proc/[0-9]*/cmdline | cut -d/ -f3)
touch /second
systemctl reboot
sleep 600
"""
WANTED = {
    "user": (
        "user@1000.service with cpu, ",
        "limpet.scope",
        "0::/\n16777216\n50000 100000\n20\n",
        "(Paused)",
        "limpet.service\nactive",
    ),
    "runtime": ("limpet-one.scope", "paused"),
    "units": ("active\ninactive",),
    "second": (
        "keep Up",
        "lost Up",
        "solo Up",
        "halted Exited",
        "once Exited",
        "session Exited (0)",
        "begins\nends\nbegins\nbegins\nends\n",
    ),
    # Its `sleep` is in the scope as well, of which systemd ends each process: the shell may say so.
    "lingering": (" Up ", "\nbegins\nends\n", "\nbegins\n16777216\n"),
    "limits": ("16777216\n50000 100000\n20\n" * 2,),
}


def main() -> int:
    """Boot, boot again, and tell what is not as it should be."""
    text = VirtualMachine().run(SCRIPT, 1800, systemd=True)
    parts = {part.partition("\n")[0]: part.partition("\n")[2] for part in text.split("\n== ")[1:]}
    lost = [
        f"{name}: {words!r}"
        for name, wanted in WANTED.items()
        for words in wanted
        if words not in parts.get(name, "")
    ]
    for line in lost or ["all is as it should be"]:
        sys.stdout.write(f"{line}\n")
    if lost:
        sys.stdout.write(text)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
