"""Drained records: no address stays in them, stacks get names once, and a file and a feed take them while the program runs."""

from __future__ import annotations

import io
from typing import Any

from probes.capture.feed import Feed
from probes.capture.keeping import Keeper
from probes.kernel.records import LAYOUTS, Kind

ADDRESS = 0xFFFFFFFF81000000


class File:
    """It takes what a recording's writer takes."""

    def __init__(self) -> None:
        self.kept = io.BytesIO()
        self.names: dict[int, tuple[str, ...]] = {}

    def records(self, data: bytes) -> None:
        self.kept.write(data)

    def stacks(self, names: dict[int, tuple[str, ...]]) -> None:
        self.names |= names


def packed(kind: Kind, **values: Any) -> bytes:
    """A record of zeros but for these values."""
    layout = LAYOUTS[kind]
    data = bytearray(layout.codec.size)
    data[0] = int(kind)
    for name, value in values.items():
        at = layout.offset(name)
        data[at : at + 8] = value.to_bytes(8, "little")
    return bytes(data)


def socket_copy(socket: int = ADDRESS) -> bytes:
    return packed(Kind.SOCKET_COPY, socket=socket)


def test_no_address_is_kept() -> None:
    keeper = Keeper(hex)
    keeper.take(socket_copy())
    assert len(keeper.data) == keeper.bytes == len(socket_copy())
    assert ADDRESS.to_bytes(8, "little") not in keeper.data


def test_one_address_has_one_number_in_all_pieces() -> None:
    keeper = Keeper(hex)
    keeper.take(socket_copy())
    first = keeper.newest()
    keeper.take(socket_copy(ADDRESS + 64))
    other = keeper.newest()
    keeper.take(socket_copy())
    assert keeper.newest() == first != other
    assert keeper.data == b"", "records that newest() returned are not kept"


def test_the_newest_records_end_with_those_of_the_moment() -> None:
    keeper = Keeper(hex)
    keeper.take(socket_copy())
    size = len(socket_copy())
    assert len(keeper.newest(socket_copy(), socket_copy())) == 3 * size and keeper.newest() == b""


def test_a_file_takes_all_records_at_once() -> None:
    keeper, file = Keeper(hex), File()
    keeper.writer = file  # type: ignore[assignment]
    keeper.take(socket_copy())
    keeper.take(socket_copy(ADDRESS + 64))
    assert file.kept.getvalue() == keeper.data


def test_records_of_a_moment_go_to_the_feed_and_are_not_kept() -> None:
    keeper = Keeper(hex)
    keeper.moment(socket_copy())  # no feed takes it
    keeper.feed = Feed()
    keeper.moment(socket_copy())
    assert keeper.data == b""
