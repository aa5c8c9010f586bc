"""One client: the words for a reply that did not come, and for a connection that was not made."""

from __future__ import annotations

import asyncio
import socket

import pytest

from runs.driving.peer import Peer
from runs.driving.run import run
from runs.driving.task import Task
from runs.protocols import PROTOCOLS


@pytest.mark.parametrize(
    ("protocol", "words"),
    [("upper", "1 byte of a reply of 64 bytes came"), ("http", "1 byte of a reply to a request of 64 bytes came")],
)
def test_a_reply_is_named_by_its_own_size(protocol: str, words: str) -> None:
    """Of a protocol with several right replies, only the size of the request is known."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert Peer(sock, PROTOCOLS[protocol])._so_far(bytearray(1), 64) == words


def test_a_port_without_a_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcome = asyncio.run(run(Task("alive", "127.0.0.1", port, 0, "s", "echo")))
    assert outcome.fault == "no connection was made: Connection refused"
