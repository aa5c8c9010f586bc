"""The phase table: the quality of copies, and percentiles."""

from __future__ import annotations

import random

import pytest

from probes.kernel.records import BURST_BUCKETS, CallFlag, bucket_floor
from probes.measure.table import _copy_quality, percentiles, table
from probes.recording import Probe, Quality
from tests.probes.measure.streams import call, one_call, read


@pytest.mark.parametrize(
    ("name", "ret", "copied", "quality"),
    [
        ("recvfrom", 64, 15, Quality.BOUNDED),
        ("recvfrom", 64, 0, Quality.UNAVAILABLE),
        ("sendto", 64, 0, Quality.UNAVAILABLE),
        ("recvfrom", -11, 0, Quality.MEASURED),
        ("getpid", 64, 0, Quality.MEASURED),
        ("epoll_wait", 1, 0, Quality.UNAVAILABLE),
        ("newfstatat", 0, 0, Quality.UNAVAILABLE),
    ],
)
def test_a_copy_of_zero_is_never_silent(name: str, ret: int, copied: int, quality: Quality) -> None:
    row = one_call(name, ret=ret, copied=copied).rows[0]
    assert row.copy_quality is quality
    assert bool(row.copy_reason) == (quality is Quality.UNAVAILABLE)


def test_a_row_is_as_good_as_the_worst_copy_in_it() -> None:
    copy = Probe("copy", "fentry:skb_copy_datagram_iter", Quality.MEASURED)
    datagrams = Probe("datagram copy", "kprobe:__skb_recv_udp", Quality.BOUNDED)
    stream, datagram = read(10, 20), read(30, 40, linear=True)
    unseen = read(50, 60)
    unseen.copied = None
    assert _copy_quality([stream], copy, datagrams)[0] is Quality.MEASURED
    assert _copy_quality([stream, datagram], copy, datagrams)[0] is Quality.BOUNDED
    skipped = Probe("datagram copy", None, Quality.UNAVAILABLE, "the kernel skipped it", optional=True)
    assert _copy_quality([stream, datagram], copy, skipped) == (Quality.UNAVAILABLE, "the kernel skipped it")
    quality, reason = _copy_quality([stream, unseen], copy, datagrams)
    assert quality is Quality.UNAVAILABLE and reason.startswith("the copy of 1 of these calls")


def test_a_copy_whose_end_was_not_reported_is_an_upper_bound() -> None:
    exact = [Probe("copy", "fentry:skb_copy_datagram_iter", Quality.MEASURED)]
    late, whole = (one_call("recvfrom", ret=64, copied=15, copy=3, flags=flag).calls for flag in (CallFlag.COPY_LATE, 0))
    assert [table(calls, exact)[0].copy_quality for calls in (whole, late)] == [Quality.MEASURED, Quality.BOUNDED]
    assert table([*whole, *late], exact)[0].copy_quality is Quality.BOUNDED


def test_percentiles_of_bursts_are_bounds() -> None:
    stream = random.Random(1).choices(range(100, 1000), k=1000)
    histogram = [0] * BURST_BUCKETS
    for ns in stream:
        histogram[max(i for i in range(BURST_BUCKETS) if bucket_floor(i) <= ns)] += 1
    run = call("recvfrom", 0, 10**6, count=1000, histogram=tuple(histogram), total=sum(stream))
    (p50, p99), quality = percentiles([run], 0.5, 0.99)
    assert quality is Quality.BOUNDED
    exact = sorted(stream)
    assert exact[500] <= p50 <= 1.26 * exact[500]
    assert exact[990] <= p99 <= 1.26 * exact[990]
