"""Options of docker's that limpet's verbs do not have, each with what to do instead."""

from __future__ import annotations

DRIVERS = "a volume is a directory of limpet's; for one of the host, or NFS mounted there: -v"
REAL_TIME = "--cpus, --cpu-shares and --cpuset-cpus divide the processors"
SWARMS = "that is for swarms of docker's; leave it out"

RUN = {
    "--link": "containers on one network find each other by name: network create, --network",
    "--link-local-ip": "--ip and --ip6 give addresses of the network's",
    "--volume-driver": DRIVERS,
    "--runtime": "limpet is the runtime; leave it out",
    "--storage-opt": "what a container writes has no limit of its own; limpet ps -s shows it",
    "--cgroup-parent": "containers have cgroups of limpet's; each has limits of its own",
    "--blkio-weight-device": "--blkio-weight is for all disks; --device-read-bps limits one",
    "--cpu-rt-period": REAL_TIME,
    "--cpu-rt-runtime": REAL_TIME,
    "--kernel-memory": "the kernel has no such limit any more; --memory counts it, too",
    "--isolation": "that is for Windows; leave it out",
    "--disable-content-trust": "images are not checked for signatures; leave it out",
    "--use-api-socket": "there is no daemon whose socket a container could use",
}
VOLUME = {"-o": DRIVERS, "--opt": DRIVERS}
NETWORK = {
    "--attachable": SWARMS,
    "--ingress": SWARMS,
    "--scope": SWARMS,
    "--config-only": SWARMS,
    "--config-from": SWARMS,
    "--ipam-driver": "--subnet, --gateway and --ip-range say where addresses come from",
    "--ipam-opt": "--subnet, --gateway and --ip-range say where addresses come from",
    "--aux-address": "--ip-range says which part containers get; the rest stays free",
    "--ipv4": "every network has IPv4; leave it out",
}
LOGS = {"--details": "a line has a stream and a time, nothing else: --timestamps"}
