"""The sums that the kernel side keeps in its tables: what it must know for them, and how they become records at the end."""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from probes.capture.system import Map
from probes.kernel import syscalls
from probes.kernel.records import LAYOUTS, OTHERS, SUM_BUCKETS, Fact, Kind, Outcome, encode

_ASKED = {"write", "sendto", "pwrite64"}
_ASKS = {"read", "recvfrom"}
_FLAGS_IN_2, _FLAGS_IN_3 = {"recvmsg"}, {"recvfrom"}


def facts_by_number() -> dict[int, Fact]:
    """What the kernel side must know of this machine's system calls, by their numbers."""
    return {number: fact for name, number in syscalls.numbers(platform.machine()).items() if (fact := _facts(name))}


def _facts(name: str) -> Fact:
    facts = {
        Fact.DESCRIPTOR: syscalls.ON_DESCRIPTOR,
        Fact.BYTES: syscalls.MOVES_BYTES,
        Fact.ASKED: _ASKED,
        Fact.FLAGS_IN_2: _FLAGS_IN_2,
        Fact.FLAGS_IN_3: _FLAGS_IN_3,
        Fact.ASKS: _ASKS,
        Fact.SOCKET: syscalls.NAMES_SOCKETS,
    }
    return Fact(sum(fact for fact, names in facts.items() if name in names))


def rows(maps: Mapping[str, Map]) -> bytes:
    """The open bursts and all rows of sums, as packed records."""
    return b"".join((open_bursts(maps), *(_as_sum(burst) for _, burst in _open_bursts(maps)), *_records(maps)))


def rows_now(maps: Mapping[str, Map]) -> bytes:
    """The rows of sums while the programs are at work, with the open bursts added to them.

    A burst that ends while the rows are read may be in them already, or not yet. So they are read again then, a few times.
    """
    for _ in range(_AGAIN):
        before = {(burst.thread, burst.nr, burst.first) for _, burst in _open_bursts(maps)}
        found = list(_records(maps))
        bursts = [burst for _, burst in _open_bursts(maps)]
        if before <= {(burst.thread, burst.nr, burst.first) for burst in bursts}:
            break
    return b"".join((*found, *map(_as_sum, bursts)))


_AGAIN = 5


def _open_bursts(maps: Mapping[str, Map]) -> list[tuple[bytes, Any]]:
    values = ((value, LAYOUTS[Kind.BURST].decode(value)) for value in maps["bursts"].values())
    return [(value, burst) for value, burst in values if burst.kind]


def open_bursts(maps: Mapping[str, Map]) -> bytes:
    """The bursts that are open now and are reported when they end, as packed records."""
    return b"".join(value[: LAYOUTS[Kind.BURST].codec.size] for value, burst in _open_bursts(maps) if burst.detailed)


def _records(maps: Mapping[str, Map]) -> Iterator[bytes]:
    for table in ("sums", "shared_sums"):
        yield from map(_sum, maps[table].items())
    for table in ("sleep_sums", "shared_sleep_sums"):
        yield from map(_sleep_sum, maps[table].items())
    unlisted = LAYOUTS[Kind.OTHERS].decode(maps["unlisted"].lookup(struct.pack("=I", 0)) or b"")
    if unlisted.threads:
        yield encode(unlisted._replace(kind=int(Kind.OTHERS), thread=OTHERS))


def _sum(item: tuple[bytes, bytes]) -> bytes:
    """A row with its key in the fields that the key stands for (struct sum_key)."""
    thread, nr, outcome, socket, release = struct.unpack("=IiiIQ", item[0])
    row = bytearray(item[1][: LAYOUTS[Kind.SUM].codec.size])
    struct.pack_into("<IIiiQI", row, 0, Kind.SUM, thread, nr, outcome, release, socket)
    return bytes(row)


def _sleep_sum(item: tuple[bytes, bytes]) -> bytes:
    """The same for sleeps (struct sleep_sum_key)."""
    thread, nr, flags, waker, stack, waker_stack = struct.unpack("=IiIIQQ", item[0])
    row = bytearray(item[1][: LAYOUTS[Kind.SLEEP_SUM].codec.size])
    struct.pack_into("<IIiIIIQQ", row, 0, Kind.SLEEP_SUM, thread, nr, flags, waker, 0, stack, waker_stack)
    return bytes(row)


def _as_sum(burst: Any) -> bytes:
    """An open burst as a row: the kernel side adds a burst to the sums only when it ends."""
    blank = dict.fromkeys((name for name, _, _ in LAYOUTS[Kind.SUM].fields), 0)
    same = ("thread", "nr", "release", "socket", "count", "total", "delay", "preempted", "preemptions", "polled", "queued",
            "unqueued", "longest")  # fmt: skip
    values = blank | {name: getattr(burst, name) for name in same}
    values |= {"kind": int(Kind.SUM), "outcome": Outcome.DONE if burst.ret > 0 else burst.ret}
    buckets = (*burst.buckets, *[0] * (SUM_BUCKETS - len(burst.buckets)))
    return encode(LAYOUTS[Kind.SUM].record(**values | {"buckets": buckets}))
