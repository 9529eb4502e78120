"""What front ends say to a monitor, and how it comes there."""

from __future__ import annotations

import _socket

from core.containers.supervision import protocol
from core.containers.supervision.pump import Loop, Pump


def test_what_a_front_end_has_asked_for_is_heard_though_it_has_left_before_it_is_told() -> None:
    orders: list[bytes] = []
    gone: list[object] = []
    loop = Loop()
    pump = Pump(loop, lambda *_: None, lambda _, message: orders.append(message), gone.append)
    ours, theirs = protocol.pair()
    pump.add_client(ours)
    order = protocol.signal(15, protocol.BY_PERSON)
    theirs.send(order)
    theirs.close()
    pump.send_all(bytes((protocol.ENDED, 137)))
    pump.send_all(bytes((protocol.EXIT, 137)))
    while not gone:
        loop.turn()
    assert orders == [order]
    assert pump.clients == {}


def test_a_front_end_that_is_gone_is_forgotten() -> None:
    gone: list[object] = []
    loop = Loop()
    pump = Pump(loop, lambda *_: None, lambda *_: None, gone.append)
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    pump.add_client(ours, attached=True)
    theirs.close()
    pump.send_all(bytes((protocol.ENDED, 0)))
    if not gone:
        loop.turn()
    assert len(gone) == 1
    assert pump.is_idle
