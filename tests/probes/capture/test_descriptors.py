"""The kinds of descriptors in the rows of sums, also where the kernel gives a new file the memory of another."""

from __future__ import annotations

import collections
import errno
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.capture import programs
from probes.capture.attach import Hook
from probes.measure.rows import Descriptor
from tests.conftest import Followed

pytestmark = pytest.mark.live


def _only_without_types(load: Callable[[programs.Programs, Hook], None]) -> Callable[[programs.Programs, Hook], None]:
    def refusing(self: programs.Programs, hook: Hook) -> None:
        if self.typed:
            raise OSError(errno.EACCES, "Permission denied")
        load(self, hook)

    return refusing


@pytest.mark.parametrize("typed", [True, False])
def test_a_row_is_of_one_kind_of_descriptor(
    follow: Callable[..., Followed], compiled: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, typed: bool
) -> None:
    """Also on a kernel that refuses to read memory through pointers with a type."""
    if not typed:
        monkeypatch.setattr(programs.Programs, "load", _only_without_types(programs.Programs.load))
    result = follow(compiled("kinds")).result
    assert result.events.sound, result.events
    kinds: dict[str, collections.Counter[Descriptor | None]] = collections.defaultdict(collections.Counter)
    for row in result.sums:
        kinds[row.name][row.descriptor] += row.count
    udp = Descriptor("sock_close", socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
    tcp = Descriptor("sock_close", socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    unix = Descriptor("sock_close", socket.AF_UNIX, socket.SOCK_DGRAM)
    assert kinds["recvfrom"] == {udp: 20, tcp: 20, unix: 20}
    reads = {kind.release: count for kind, count in kinds["read"].items() if kind}
    assert reads["pipe_release"] == 20 and len(reads) == 2
    closed = collections.Counter({kind.release if kind else "": 0 for kind in kinds["close"]})
    for kind, count in kinds["close"].items():
        closed[kind.release if kind else ""] += count
    assert closed["sock_close"] == 60 and closed["pipe_release"] == 40 and not closed[""], "a close has the kind that it closed"
