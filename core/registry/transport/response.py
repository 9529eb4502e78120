"""Reads answers of HTTP/1.1: the status, the headers, and a body however it is framed.

By hand, because the standard library's reader imports the one of e-mail, and ssl: as much as
all else that a pull imports.  What is no HTTP is an error here, never a guess.
https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader

MAX_LINE = 64 << 10
MAX_HEADERS = 100
MAX_INTERIM = 10
"""Answers such as 100 Continue that may come before the one that counts."""
MAX_DIGITS = 18
"""Of a length: less than 63 bits."""
HEX = b"0123456789abcdefABCDEF"
END = (b"\r\n", b"\n")
WITHOUT_BODY = (204, 304)


class HttpError(Exception):
    """An answer that is not HTTP/1.1, or only a part of it."""


class CutShort(HttpError):
    """The connection ended before the answer did; `missing` bytes at least, 0 for unknown."""

    def __init__(self, missing: int = 0) -> None:
        super().__init__(missing)
        self.missing = missing


class NoAnswer(ConnectionResetError):
    """The connection ended before the first byte of an answer."""


class Response:
    """An answer whose headers have been read; all methods raise HttpError and OSError."""

    def __init__(self, file: BufferedReader, method: str) -> None:
        self._file = file
        self._headers: dict[str, list[str]] = {}
        self.status = 100
        for _ in range(MAX_INTERIM):
            version, self.status, self.reason = self._read_status()
            self._headers = self._read_headers()
            if self.status >= 200:
                break
        else:
            raise HttpError("nothing but answers that announce another")
        self.length: int | None = None
        """Bytes of the body that are still to come; None where no header tells."""
        self._is_chunked = False
        self._chunk = -1
        """Bytes of this chunk that are still to come; -1 before the first one."""
        if method == "HEAD" or self.status in WITHOUT_BODY:
            self.length = 0
        else:
            self._frame()
        options = ",".join(self.headers("Connection")).lower()
        self.will_close: bool = (
            version != b"HTTP/1.1"
            or "close" in options
            or (self.length is None and not self._is_chunked)
        )

    def header(self, name: str) -> str:
        """Return a header's value, the first of several, empty if it is not there."""
        return (self.headers(name) or [""])[0]

    def headers(self, name: str) -> list[str]:
        """Return all values of a header."""
        return self._headers.get(name.lower(), [])

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes of the body as soon as some are there, b"" at the end.

        The end of the connection is one, too: `length` then tells what is missing.
        """
        if self._is_chunked:
            return self._read_chunked(size)
        if self.length is None:
            return self._file.read1(size)
        data = self._file.read1(min(size, self.length))
        self.length -= len(data)
        return data

    def _read_status(self) -> tuple[bytes, int, str]:
        line = self._file.readline(MAX_LINE)
        if not line:
            raise NoAnswer
        version, _, rest = line.partition(b" ")
        code, _, reason = rest.strip().partition(b" ")
        if not line.endswith(b"\n") or not version.startswith(b"HTTP/1."):
            raise HttpError(f"{line[:40]!r} is no status line")
        if len(code) != 3 or not code.isdigit() or code < b"100":
            raise HttpError(f"{line[:40]!r} has no status")
        return version, int(code), reason.decode("latin-1")

    def _read_headers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        last: list[str] = []
        for line in self._lines():
            text = line.decode("latin-1").strip()
            if line[:1] in (b" ", b"\t"):
                if not last:
                    raise HttpError(f"{line[:40]!r} is no header")
                last[-1] += " " + text  # a long value, folded as long ago
                continue
            name, colon, value = text.partition(":")
            if not colon or not name or name != name.strip():
                raise HttpError(f"{line[:40]!r} is no header")
            last = found.setdefault(name.lower(), [])
            last.append(value.strip())
        return found

    def _lines(self) -> list[bytes]:
        """Return the lines up to an empty one."""
        found: list[bytes] = []
        while (line := self._line()) not in END:
            if len(found) >= MAX_HEADERS:
                raise HttpError(f"more than {MAX_HEADERS} headers")
            found.append(line)
        return found

    def _line(self) -> bytes:
        line = self._file.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            if len(line) >= MAX_LINE:
                raise HttpError(f"a line of more than {MAX_LINE} bytes")
            raise CutShort
        return line

    def _frame(self) -> None:
        """Find out where the body ends: section 6.3."""
        coding = ",".join(self.headers("Transfer-Encoding")).lower()
        if coding not in ("", "identity", "chunked"):
            raise HttpError(f"transfer encoding {coding[:40]!r}")
        if coding == "chunked":
            self._is_chunked = True
            return
        lengths = set(self.headers("Content-Length"))
        if not lengths:
            return
        length = lengths.pop()
        if lengths or not length.isascii() or not length.isdigit() or len(length) > MAX_DIGITS:
            raise HttpError(f"a length of {length[:40]!r}")
        self.length = int(length)

    def _read_chunked(self, size: int) -> bytes:
        if self.length == 0:
            return b""
        if self._chunk <= 0:
            if self._chunk == 0 and self._line() not in END:
                raise HttpError("a chunk that does not end where it says")
            self._chunk = self._chunk_size()
        if not self._chunk:
            self._lines()
            self.length = 0
            return b""
        data = self._file.read1(min(size, self._chunk))
        if not data:
            raise CutShort(self._chunk)
        self._chunk -= len(data)
        return data

    def _chunk_size(self) -> int:
        digits = self._line().partition(b";")[0].strip()
        if not digits or digits.strip(HEX) or len(digits) > MAX_DIGITS - 3:
            raise HttpError(f"a chunk of {digits[:40]!r} bytes")
        return int(digits, 16)
