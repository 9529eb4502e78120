"""The process that unpacks layers; started by `core.images.unpacking.unpack` by this file's path.

Each layer has a fork of its own, which may change its root.  Stdin is a SEQPACKET socket; each
message says what to unpack, the fields of an `Order` with NUL bytes between them, and brings a
stream socket for the answer.  Over that come a pidfd of the fork, beside a byte that means
nothing, lines `bytes N` as it goes, then `done SIZE FILES`, `failed CODE MESSAGE`, or
`ended MESSAGE`.
"""

from __future__ import annotations

import _socket
import gc
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import FileIO

MAX_ORDER = 64 << 10
FD_BYTES = 4
FIRST_WAIT_S, LONGEST_WAIT_S = 0.002, 0.05
"""For a blob that is still on its way to grow: longer, the slower it comes."""
CHUNK = 256 << 10


def main() -> None:
    """Unpack what is asked for until nobody can ask; the argument is where our modules are."""
    sys.path[:0] = sys.argv[1].split(os.pathsep)
    # Nothing here refers to itself; a search for such garbage would only cost time, and copy
    # the memory that forks share.
    gc.disable()
    _import_all()
    from core.images.tar.compression import import_codec

    orders = _socket.socket(fileno=0)
    processors = len(os.sched_getaffinity(0))
    running: dict[int, int] = {}  # bytes of blobs, by fork
    while True:
        message, ancillary, _, _ = orders.recvmsg(
            MAX_ORDER, _socket.CMSG_SPACE(FD_BYTES), _socket.MSG_CMSG_CLOEXEC
        )
        if not message:
            return
        order = Order(*os.fsdecode(message).split("\0"))
        report = int.from_bytes(ancillary[0][2], sys.byteorder)
        import_codec(order.media_type)
        _reap(running)
        ahead = worth_two(order.size, sum(running.values()), processors)
        fork = os.fork()
        if fork == 0:
            orders.close()
            os.dup2(report, 1)
            os.close(report)
            _tell_who()
            os._exit(_carry_out(order, ahead=ahead))
        running[fork] = order.size
        os.close(report)


def worth_two(size: int, others: int, processors: int) -> bool:
    """Tell whether a layer's share of the bytes in work is nearer to two processors than to one.

    The few bytes of a small layer are soon done: they must not slow the large one beside them.
    """
    return 2 * size * processors > 3 * (size + others)


class Order:
    """What to unpack: numbers are given as text."""

    def __init__(
        self,
        blob: str,
        arriving: str,
        size: str,
        target: str,
        index: str,
        media_type: str,
        digest: str,
        diff_id: str,
        max_bytes: str,
        max_files: str,
    ) -> None:
        self.blob = blob
        self.arriving = arriving
        """Where the blob lies while it is on its way, empty: it is there."""
        self.size = int(size)
        self.target = target
        self.index = index
        self.media_type = media_type
        self.digest = digest
        self.diff_id = diff_id
        self.max_bytes = int(max_bytes)
        self.max_files = int(max_files)


def say(line: str) -> None:
    """Write one line for the parent."""
    os.write(1, line.replace("\n", "\x1f").encode("utf-8", "backslashreplace") + b"\n")


def _import_all() -> None:
    """Import what an unpack takes: before the root changes, and once for all layers."""
    import core.images.tar.stream
    import core.images.unpacking.extract
    import core.linux.process
    import core.privileges  # noqa: F401
    from core.images.tar.compression import import_codec

    import_codec("")  # what most layers take


def _tell_who() -> None:
    """Give whoever asked the means to end this process."""
    from core.linux.process import pidfd_open

    own = pidfd_open(os.getpid())
    rights = own.to_bytes(FD_BYTES, sys.byteorder)
    report = _socket.socket(fileno=os.dup(1))
    report.sendmsg([b"\n"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    report.close()
    os.close(own)


def _reap(running: dict[int, int]) -> None:
    """Let go of forks that have ended."""
    try:
        while fork := os.waitpid(-1, os.WNOHANG)[0]:
            del running[fork]
    except ChildProcessError:
        pass


def _carry_out(order: Order, *, ahead: bool) -> int:
    from core.errors import Error

    try:
        size, files = unpack(order, ahead=ahead)
    except Error as error:
        say(f"failed {error.code} {error.message}\n{error.hint}")
    except OSError as error:
        say(f"failed host {error.errno} {error.strerror}")
    except BaseException as error:  # noqa: BLE001 - the other side tells it
        say(f"ended {type(error).__name__}: {error}")
    else:
        say(f"done {size} {files}")
        return 0
    return 1


def unpack(order: Order, *, ahead: bool) -> tuple[int, int]:
    """Unpack and verify; returns bytes of files and their number.

    `ahead`: there is a processor for each of two threads.
    """
    from core.errors import Corrupt
    from core.images.digest import hasher, split_digest
    from core.images.tar.compression import Hashed, open_layer
    from core.images.tar.stream import Chunks, TarStream
    from core.images.unpacking.extract import Extractor
    from core.privileges import is_rootless

    compressed, plain = (hasher(split_digest(text)[0]) for text in (order.digest, order.diff_id))
    with _open(order) as file:
        # Whoever brings a blob sums it up; what it then holds is checked here in any case.
        source = Arriving(file.fileno(), order.size) if order.arriving else Hashed(file, compressed)
        # Opened now: it lies outside the root that is about to be taken.
        index_fd = os.open(order.index, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        root = os.open(order.target, os.O_RDONLY | os.O_DIRECTORY)
        layer = open_layer(source, order.media_type)
        rootless = is_rootless()  # asked of /proc, which lies outside
        if os.geteuid() == 0:
            os.chroot(order.target)
            os.chdir("/")
        os.umask(0)
        ceiling = 2 * order.max_bytes + (1 << 30)
        chunks = Chunks(layer, source, plain, ceiling, lambda read: say(f"bytes {read}"))
        stream = TarStream(chunks, ahead=ahead)
        extractor = Extractor(
            root, stream, max_files=order.max_files, max_bytes=order.max_bytes, rootless=rootless
        )
        try:
            extractor.run()
            stream.finish()
        except Corrupt as error:
            if order.arriving:
                raise
            # A blob that is not what its digest says explains whatever was wrong inside.
            stream.abandon()
            _compare(compressed.hexdigest(), order.digest, "blob")
            raise error from None
    if not order.arriving:
        _compare(compressed.hexdigest(), order.digest, "blob")
    _compare(plain.hexdigest(), order.diff_id, "content of layer")
    extractor.index.write(index_fd)
    return extractor.size, extractor.index.count


def _open(order: Order) -> FileIO:
    """Open the blob, which is renamed as soon as it has come."""
    if order.arriving:
        try:
            return open(order.arriving, "rb", buffering=0)
        except FileNotFoundError:
            pass
    return open(order.blob, "rb", buffering=0)


class Arriving:
    """Gives the bytes of a file that somebody else makes longer until it has `size` of them."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size
        self.position = 0

    def read(self, size: int = CHUNK) -> bytes:
        """Return at most `size` bytes, b"" at the end; waits for some."""
        wanted = min(size, self._size - self.position)
        wait = FIRST_WAIT_S
        while wanted > 0:
            if data := os.read(self._fd, wanted):
                self.position += len(data)
                return data
            if select.select([1], [], [], wait)[0]:
                os._exit(1)  # whoever asked is gone
            wait = min(2 * wait, LONGEST_WAIT_S)
        return b""


def _compare(actual: str, digest: str, what: str) -> None:
    from core.errors import Corrupt

    if digest.partition(":")[2] != actual:
        raise Corrupt(
            f"{what} {digest} has digest {actual}",
            hint="fetch it again; if that does not help, the registry's copy is damaged",
        )


if __name__ == "__main__":
    main()
