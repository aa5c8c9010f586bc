"""The bounded tables of the kernel side: the size of each, what happens when it is full, and which figures are then void.

`table()` prints them for docs/how-it-works.md. tests/probes/capture/test_limits.py fills the tables.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How many entries each table of the kernel side has room for. Tests make them small. `waiting` is a power of two."""

    ring_bytes: int = 32 << 20  # of records that are not read yet: 0.4 s of the busiest server that was measured
    threads: int = 16384  # followed at the same time
    serials: int = 1 << 22  # numbers of threads, on each CPU
    bursts: int = 8192  # of folded calls, open at the same time
    accounts: int = 8192  # threads with sums of their own
    sums: int = 32768  # rows: a thread, a call, a kind of descriptor, an outcome
    sleep_sums: int = 16384  # rows: a thread, a call, a wait queue, a waker
    shared_sums: int = 2048  # rows for all threads without an account, and for what the tables above have no room for
    walks: int = 16384  # kinds of sleeps whose stacks are sampled
    arrivals: int = 65536  # TCP sockets of the machine that got data
    datagram_sockets: int = 4096  # UDP sockets of the machine
    waiting: int = 256  # datagrams in one socket; the default receive buffer holds 277 of 64 B
    generations: int = 65536  # addresses of connections
    queue_sockets: int = 16384  # AF_UNIX and MPTCP sockets of the machine that got data
    sockets: int = 16384  # of followed processes, open at the same time
    socket_records: int = 131072  # addresses of sockets that are reported
    watchers: int = 65536  # descriptors that followed threads registered with epoll
    invitations: int = 1024  # cookies of processes that have not said theirs yet


SIZES = Sizes()


@dataclass(frozen=True)
class Limit:
    """One table. `counted_as` is the name of the Loss that counts what found no room, "" if nothing is lost."""

    table: str
    size: str
    when_full: str
    counted_as: str
    inconclusive: str


LIMITS = (
    Limit("records (ring buffer)", f"{SIZES.ring_bytes >> 20} MB", "the record is dropped", "RING_FULL", "everything"),
    Limit("calls and sleeps in memory", "512 MB", "later ones are in the sums only", "FULL", "everything: in a lab"),
    Limit("threads with an account", f"{SIZES.accounts:,}", "later threads share one account", "", "nothing"),
    Limit(
        "rows of sums",
        f"{SIZES.sums:,} of calls, {SIZES.sleep_sums:,} of sleeps",
        "a new row is one for all threads",
        "",
        "nothing: the threads of a row are not known",
    ),
    Limit("rows for all threads", f"{SIZES.shared_sums:,} of each", "a call is in no row", "SUMS_FULL", "everything"),
    Limit("kinds of sleeps that are sampled", f"{SIZES.walks:,}", "a stack is walked once more", "", "nothing"),
    Limit("threads", f"{SIZES.threads:,} at a time", "the new thread is not followed", "THREADS_FULL", "everything"),
    Limit(
        "thread numbers",
        f"{SIZES.serials:,} on each of 1,024 CPUs",
        "two threads may get one number",
        "SERIALS_FULL",
        "everything",
    ),
    Limit("bursts of folded calls", f"{SIZES.bursts:,} at a time", "the call gets a record of its own", "", "nothing"),
    Limit(
        "arrivals at TCP sockets",
        f"{SIZES.arrivals:,} sockets",
        "an entry is evicted; counted from three quarters on",
        "ARRIVAL",
        "messages",
    ),
    Limit("sockets with datagrams", f"{SIZES.datagram_sockets:,}", "an entry is evicted", "ARRIVAL", "messages"),
    Limit("datagrams in one socket", f"{SIZES.waiting}", "the arrival time of the next is not kept", "ARRIVAL", "messages"),
    Limit(
        "addresses of connections", f"{SIZES.generations:,}", "two connections may get one name", "GENERATIONS_FULL", "messages"
    ),
    Limit(
        "unix and MPTCP sockets with data",
        f"{SIZES.queue_sockets:,}",
        "an entry is evicted; counted from three quarters on",
        "ARRIVAL",
        "messages",
    ),
    Limit(
        "sockets with a known address",
        f"{SIZES.sockets:,} at a time",
        "the end of the next is not reported",
        "SOCKETS_FULL",
        "nothing: more data may be unread than reported",
    ),
    Limit(
        "addresses of sockets that are reported",
        f"{SIZES.socket_records:,}",
        "the address of the next is not reported",
        "SOCKETS_FULL",
        "nothing: a descriptor may lack its address",
    ),
    Limit("connections at one address", "65,536", "the names begin again", "", "nothing: the first has ended long ago"),
    Limit(
        "epoll's registrations",
        f"{SIZES.watchers:,}",
        "the callback of the next is not reported",
        "WATCHERS_FULL",
        "epoll's callbacks",
    ),
    Limit("stacks seen", "16,384 kinds", "a stack is reported once more", "", "nothing"),
    Limit("frames of a stack", "64", "the outermost are cut off", "STACK_CUT", "nothing: a chain may lack its start"),
    Limit("a burst's histogram", "64 buckets, up to 4 ms", "longer calls fall into the last bucket", "", "nothing: bounds"),
    Limit("a thread's name", "15 bytes", "the kernel itself cuts it", "", "nothing"),
    Limit(
        "cookies not presented yet", f"{SIZES.invitations:,}", "starting a followed process fails with an error", "", "nothing"
    ),
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
