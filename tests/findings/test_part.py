"""What the user asked to see of a run: threads by id or pattern, calls by pattern, descriptors and ports."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from findings.part import Part


class Thread(NamedTuple):
    """A thread in a container: its id there, and on the machine."""

    tid: int = 7
    host_tid: int = 4007
    name: str = "worker-3"


@pytest.mark.parametrize(
    ("threads", "has"),
    [
        ((), True),
        (("7",), True),
        (("4007",), True),
        (("worker*",), True),
        (("8", "worker-?"), True),
        (("8",), False),
        (("40",), False),  # an id matches only as a whole
        (("work",), False),  # a pattern must match the whole name, too
        (("Worker*",), False),
    ],
)
def test_a_thread_is_named_by_an_id_or_a_pattern(threads: tuple[str, ...], has: bool) -> None:
    assert Part(threads=threads).has_thread(Thread()) is has


def test_a_call_is_named_by_a_pattern() -> None:
    part = Part(calls=("recv*", "futex"))
    assert [name for name in ("recvfrom", "futex", "futex_wait", "send") if part.has_name(name)] == ["recvfrom", "futex"]
    assert Part().has_name("send")


def test_an_empty_part_is_the_whole_run() -> None:
    assert not Part() and Part().words == ""
    for part in (Part(threads=("1",)), Part(calls=("read",)), Part(fds=(0,)), Part(ports=(80,))):
        assert part and part.words
    assert Part(fds=(0,)).of_descriptors and Part(ports=(80,)).of_descriptors and not Part(calls=("read",)).of_descriptors


def test_a_call_must_have_the_name_and_the_descriptor() -> None:
    from tests.conftest import measured

    calls = measured("thread_pool").named("recvfrom")
    fd = calls[0].fd
    assert fd is not None
    part = Part(calls=("recvfrom",), fds=(fd,))
    assert {call.fd for call in calls if part.has_call(call)} == {fd} != {call.fd for call in calls}
    assert not any(map(Part(calls=("sendto",), fds=(fd,)).has_call, calls))
