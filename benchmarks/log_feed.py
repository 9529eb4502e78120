"""Writes lines into a named pipe, so many a second, until its own input ends: then a last one.

python -m benchmarks.log_feed PIPE LINES_A_SECOND LAST

Prints how many lines a second it wrote.
"""

from __future__ import annotations

import select
import sys
import time

LINE = "{:09d} level=info request served in {} ms GET /things/{} status=200 bytes=5120\n"
BATCH_S = 0.005


def main() -> int:
    """Write them; what is written was made before, which costs no time then."""
    path, rate, last = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    made = [LINE.format(number, number % 89, number % 97).encode() for number in range(50_000)]
    with open(path, "wb", buffering=0) as pipe:
        start, sent = time.monotonic(), 0
        while not select.select([sys.stdin], [], [], BATCH_S)[0]:
            due = int((time.monotonic() - start) * rate)
            while sent < due:
                first = sent % len(made)
                batch = made[first : first + due - sent]
                pipe.write(b"".join(batch))
                sent += len(batch)
        seconds = time.monotonic() - start
        pipe.write(f"{last}\n".encode())
    print(round(sent / seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
