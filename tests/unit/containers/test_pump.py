"""What front ends say to a monitor, and how it comes there."""

from __future__ import annotations

import _socket
import os

from core.containers.supervision import protocol
from core.containers.supervision.pump import Loop, Pump

ENDLESS = 64 << 20


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


def test_output_that_never_ends_is_not_waited_for() -> None:
    """What an exec has left in the background writes on, and holds both pipes open."""
    logged: list[int] = []
    loop = Loop()
    written = 0
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()

    def log(_: int, data: bytes) -> None:
        nonlocal written
        logged.append(len(data))
        if written < ENDLESS:
            written += os.write(err_end, data)

    pump = Pump(loop, log, lambda *_: None, lambda _: None)
    ours, theirs = protocol.pair()
    pump.add_client(ours, attached=True)
    pump.add_output(out, 1)
    pump.add_output(err, 2)
    os.write(err_end, bytes(60000))
    pump.drain()
    assert sum(logged) < ENDLESS
    pump.send_all(bytes((protocol.EXIT, 0)))
    # The front end reads at last, and gets all that was logged, and the exit code behind it.
    theirs.setblocking(False)
    message = said = b""
    while message[:1] != b"x":
        said += message[1:]
        try:
            message = protocol.receive(theirs)
        except BlockingIOError:
            message = b""
            loop.turn()
    assert len(said) == sum(logged)
    for fd in (out_end, err_end):
        os.close(fd)
    for end in (ours, theirs):
        end.close()
