"""Limits, devices and freezing on cgroup v2, under the kernel that servers run."""

from __future__ import annotations

import pytest

from tests.virtual_machine import VirtualMachine

SCRIPT = r"""
part() { echo; echo "== $1"; }
limpet image starter
part limits
limpet run --rm -m 16m --cpus 0.5 --pids-limit 20 --network none starter sh -c '
    cat /proc/self/cgroup; cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max pids.max'
part memory
limpet run --name big -m 16m --network none starter sh -c 'x=a; while :; do x=$x$x; done'
echo "code $?"
limpet ps -a --format '{{.Status}}'
part processes
limpet run --rm --pids-limit 10 --network none starter sh -c '
    i=0; while [ $i -lt 20 ]; do sleep 1 & i=$((i+1)); done'
part time
limpet run --rm --cpus 0.25 --network none starter sh -c '
    i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; grep throttled /sys/fs/cgroup/cpu.stat'
part devices
limpet run --rm --network none starter sh -c '
    mknod /disk b 254 0 && head -c1 /disk; echo x > /dev/null && echo null works'
part locked
limpet run --rm --network none starter sh -c 'echo 1 > /sys/fs/cgroup/pids.max'
part freeze
limpet run -d --name web --network none starter sleep 1000
limpet pause web
limpet ps --format '{{.Status}}'
cat /sys/fs/cgroup/limpet/*/cgroup.freeze
limpet unpause web
limpet exec web cat /proc/self/cgroup
part update
limpet update -m 64m --memory-swap 96m --cpus 0.5 --pids-limit 30 --cpu-shares 512 \
    --memory-reservation 32m --cpuset-cpus 0 web
limpet exec web sh -c 'cd /sys/fs/cgroup
    cat memory.max memory.swap.max memory.low cpu.max cpu.weight pids.max cpuset.cpus'
limpet update -m 0 --cpus 0 --pids-limit 0 web
limpet exec web sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max'
limpet top web -o cpid,comm
limpet cp /etc/hostname web:/tmp/name
limpet exec web ls /tmp/name
limpet diff web
limpet rm -f web big
part bridge
limpet run --rm starter ping -c1 -w5 10.89.0.1
part given
mkdir -p /sys/fs/cgroup/given/shell
chown -R person /sys/fs/cgroup/given
echo '+cpu +memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
cat > /tmp/given <<'EOF'
cd
limpet image starter
limpet doctor | grep cgroups
limpet run -d --name web -m 16m --cpus 0.5 --pids-limit 20 --network none starter sleep 1000
limpet exec web sh -c 'cat /proc/self/cgroup; cd /sys/fs/cgroup; cat memory.max cpu.max pids.max'
limpet pause web
limpet ps --format '{{.Status}}'
limpet unpause web
limpet update -m 32m web
limpet exec web cat /sys/fs/cgroup/memory.max
limpet run --name big -m 16m --network none starter sh -c 'x=a; while :; do x=$x$x; done'
limpet ps -a --format '{{.Status}}'
limpet rm -f web big
EOF
sh -c 'echo $$ > /sys/fs/cgroup/given/shell/cgroup.procs; exec su - person -c ". /tmp/given"'
find /sys/fs/cgroup/given -mindepth 1 -type d
part kernel
modprobe -r overlay
rm -r /lib/modules
limpet run --rm --network none starter true
echo "code $?"
part left
find /sys/fs/cgroup/limpet -mindepth 1 -type d
part end
"""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What each part of the script said."""
    text = VirtualMachine().run(SCRIPT)
    parts = [part.partition("\n") for part in text.split("\n== ")[1:]]
    return {name: rest for name, _, rest in parts}


def test_limits_are_set_and_the_container_sees_its_own_group(said: dict[str, str]) -> None:
    assert said["limits"].split("\n")[:5] == [
        "0::/", str(16 << 20), str(16 << 20), "50000 100000", "20"]  # fmt: skip


def test_who_takes_too_much_memory_is_killed_and_it_is_told(said: dict[str, str]) -> None:
    assert "code 137" in said["memory"]
    assert "Exited (137, out of memory)" in said["memory"]


def test_a_fork_bomb_stops_at_its_limit(said: dict[str, str]) -> None:
    assert "can't fork" in said["processes"]


def test_the_processor_is_held_back(said: dict[str, str]) -> None:
    throttled = next(line for line in said["time"].split("\n") if line.startswith("nr_throttled"))
    assert int(throttled.split()[1]) > 0


def test_the_host_s_disk_cannot_be_opened(said: dict[str, str]) -> None:
    assert "/disk: Operation not permitted" in said["devices"]
    assert "null works" in said["devices"]


def test_limits_cannot_be_changed_from_inside(said: dict[str, str]) -> None:
    assert "Read-only file system" in said["locked"]


def test_freezing_and_entering(said: dict[str, str]) -> None:
    lines = said["freeze"].split("\n")
    assert any("(Paused)" in line for line in lines)
    assert "1" in lines
    assert "0::/" in lines


def test_limits_change_while_it_runs(said: dict[str, str]) -> None:
    assert said["update"].split("\n")[1:8] == [
        str(64 << 20), str(32 << 20), str(32 << 20), "50000 100000", "20", "30", "0"]  # fmt: skip
    assert said["update"].split("\n")[9:12] == ["max", "max 100000", "max"]
    assert "1      sleep" in said["update"]
    assert "A /tmp/name" in said["update"]


def test_the_bridge_works_with_the_stock_kernel_s_modules(said: dict[str, str]) -> None:
    assert "1 packets received" in said["bridge"]


def test_an_ordinary_user_limits_what_was_given_to_him(said: dict[str, str]) -> None:
    given = said["given"]
    assert "/sys/fs/cgroup/given with cpu, " in given
    assert f"0::/\n{16 << 20}\n50000 100000\n20\n" in given
    assert "(Paused)" in given
    assert f"\n{32 << 20}\n" in given
    assert "Exited (137, out of memory)" in given
    left = [line for line in given.split("\n") if line.startswith("/sys")]
    assert left == ["/sys/fs/cgroup/given/shell"]


def test_a_kernel_without_overlay_is_named(said: dict[str, str]) -> None:
    assert "overlay" in said["kernel"]
    assert "try: modprobe overlay" in said["kernel"]
    assert "code 125" in said["kernel"]


def test_no_cgroup_is_left(said: dict[str, str]) -> None:
    # The kernel may say something, too.
    assert not [line for line in said["left"].split("\n") if line.startswith("/sys")]
    assert "end" in said
