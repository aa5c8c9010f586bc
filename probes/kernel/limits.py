"""Every bounded table of the kernel side: its size, what happens when it is full, and what then can't be trusted.

`table()` prints it for docs/how-it-works.md; tests/probes/capture/test_limits.py fills each table that can be filled.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How many entries the kernel side has room for. Tests make them small; `waiting` must be a power of two."""

    ring_bytes: int = 64 << 20  # of records not read yet: 0.8 s of the busiest server seen
    threads: int = 16384  # followed at the same time
    bursts: int = 8192  # of folded calls, open at the same time
    waiting: int = 256  # datagrams in one socket; the default receive buffer holds 277 of 64 B
    generations: int = 65536  # addresses of connections
    watchers: int = 65536  # descriptors that followed threads registered with epoll
    invitations: int = 1024  # cookies given out and not said yet


SIZES = Sizes()


@dataclass(frozen=True)
class Limit:
    """One table: `when_full` says what happens, `counted_as` which Loss counts it ("" where nothing is lost)."""

    table: str
    size: str
    when_full: str
    counted_as: str
    inconclusive: str


LIMITS = (
    Limit("records (ring buffer)", "64 MB", "the record is dropped", "RING_FULL", "everything"),
    Limit("recording in memory", "512 MB", "following ends; the program goes on", "FULL", "everything"),
    Limit("threads", "16,384 at a time", "the new thread is not followed", "THREADS_FULL", "everything"),
    Limit("thread numbers", "4,194,304 per CPU", "a number is given twice", "SERIALS_FULL", "everything"),
    Limit("bursts of folded calls", "8,192 at a time", "the call gets a record of its own", "", "nothing"),
    Limit("arrivals at TCP sockets", "65,536 sockets", "the oldest is forgotten", "ARRIVAL", "messages"),
    Limit("sockets with datagrams", "4,096", "the oldest is forgotten", "ARRIVAL", "messages"),
    Limit("datagrams in one socket", "256", "the arrival of the next is not remembered", "ARRIVAL", "messages"),
    Limit("addresses of connections", "65,536", "two connections may get one name", "GENERATIONS_FULL", "messages"),
    Limit("epoll's registrations", "65,536", "the callback of the next is not reported", "WATCHERS_FULL", "epoll's callbacks"),
    Limit("stacks seen", "16,384 kinds", "a stack is reported once more", "", "nothing"),
    Limit("frames of a stack", "64", "the outermost are cut off", "STACK_CUT", "nothing: a chain may lack its start"),
    Limit("a burst's histogram", "64 buckets, up to 4 ms", "longer calls fall into the last bucket", "", "nothing: bounds"),
    Limit("a thread's name", "15 bytes", "the kernel itself cuts it", "", "nothing"),
    Limit("invitations", "1,024", "starting a followed process fails with an error", "", "nothing"),
)


def table() -> str:
    """The limits as a Markdown table."""
    rows = [("table", "size", "when it is full", "counted as", "inconclusive then"), ("---",) * 5]
    rows += [
        (
            limit.table,
            limit.size,
            limit.when_full,
            f"`{limit.counted_as.lower()}`" if limit.counted_as else "-",
            limit.inconclusive,
        )
        for limit in LIMITS
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    print(table(), end="")
