"""The ring reader on a ring made by hand: a file with the kernel's layout, mapped like the real one."""

from __future__ import annotations

import mmap
import os
import struct

import pytest

from probes.capture import ring


def span(*bodies: tuple[bytes, int]) -> bytes:
    """Records with their headers; the flag is the busy or the discard bit."""
    out = b""
    for body, flag in bodies:
        out += struct.pack("<II", len(body) | flag, 0) + body + bytes(-len(body) % 8)
    return out


def test_strip_leaves_the_bodies_in_order_and_drops_discarded_ones() -> None:
    drained = [span((b"one", 0), (b"gone", 1 << 30)), span((b"twotwotwo", 0))]
    assert ring.strip(drained) == b"onetwotwotwo"


@pytest.fixture
def made() -> tuple[int, int]:
    """A file that looks like a ring of one page: consumer page, producer page, data (its second mapping follows as a page)."""
    fd = os.memfd_create("ring")
    os.ftruncate(fd, 4 * mmap.PAGESIZE)
    return fd, mmap.PAGESIZE


def produce(fd: int, size: int, at: int, data: bytes) -> None:
    doubled = [(at + index) % size for index in range(len(data))]
    for index, place in enumerate(doubled):
        for copy in (0, size):
            os.pwrite(fd, data[index : index + 1], 2 * mmap.PAGESIZE + copy + place)
    os.pwrite(fd, struct.pack("<Q", at + len(data)), mmap.PAGESIZE)


def test_a_record_that_wraps_reads_straight_and_its_room_is_freed(made: tuple[int, int]) -> None:
    fd, size = made
    reader = ring.Ring(fd, size)
    first = span((b"a" * (size - 64), 0))
    produce(fd, size, 0, first)
    assert ring.strip([reader.drain()]) == b"a" * (size - 64)
    second = span((b"b" * 100, 0))
    produce(fd, size, len(first), second)
    assert ring.strip([reader.drain()]) == b"b" * 100
    assert struct.unpack("<Q", os.pread(fd, 8, 0))[0] == len(first) + len(second)
    assert reader.drain() == b""


def test_a_record_still_being_written_waits_for_the_next_pass(made: tuple[int, int]) -> None:
    fd, size = made
    reader = ring.Ring(fd, size)
    produce(fd, size, 0, span((b"done", 0), (b"busy", 1 << 31)))
    assert ring.strip([reader.drain()]) == b"done"
    produce(fd, size, 0, span((b"done", 0), (b"busy", 0)))
    assert ring.strip([reader.drain()]) == b"busy"
