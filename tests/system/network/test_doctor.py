"""What doctor says of networks on a host like this."""

from __future__ import annotations

from core.network.definition import NetworkOptions
from tests.system.network.lab import BRIDGE, SOME, Lab, run


def test_all_is_well(lab: Lab) -> None:
    assert all(fact.ok for fact in lab.network.facts())
    lab.prepare("a")
    facts = {fact.name: fact for fact in lab.network.facts()}
    assert set(facts) == {"bridge", "table", "ip_forward", "low ports"}
    assert all(fact.ok for fact in facts.values())


def test_a_firewall_that_drops_is_named_with_the_remedy(lab: Lab) -> None:
    lab.prepare("a")
    run("nft add table ip filter")
    try:
        hook = "{ type filter hook forward priority 0 ; policy drop ; }"
        run(f"nft add chain ip filter FORWARD {hook}")
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert not fact.ok
        assert "ip filter FORWARD" in fact.text
        for command in fact.hint.split(" && "):
            run(command)
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert fact.ok
        run("nft add chain ip filter DOCKER-USER")
        run("nft flush chain ip filter FORWARD")
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert fact.hint.startswith(f"iptables -I DOCKER-USER -i {BRIDGE}")
    finally:
        run("nft delete table ip filter")


def test_rules_for_networks_to_come_are_proposed(lab: Lab) -> None:
    made = lab.network.create(NetworkOptions("six", ipv6=True))
    lab.stack.callback(lab.network.remove, made.name, lambda _: ())
    lab.network.prepare(SOME, "six", (), dict)
    run("nft add table ip6 filter")
    try:
        hook = "{ type filter hook forward priority 0 ; policy drop ; }"
        run(f"nft add chain ip6 filter FORWARD {hook}")
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert "ip6 filter FORWARD" in fact.text
        assert "iifname lp-* accept" in fact.hint
        for command in fact.hint.split(" && "):
            run(command)
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert fact.ok
    finally:
        run("nft delete table ip6 filter")


def test_a_lost_table_is_told(lab: Lab) -> None:
    lab.prepare("a")
    run(f"nft delete table inet {BRIDGE}")
    facts = {fact.name: fact for fact in lab.network.facts()}
    assert not facts["table"].ok
    assert facts["bridge"].ok
