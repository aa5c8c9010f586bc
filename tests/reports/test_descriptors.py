"""A descriptor with its number: its kind and its addresses, if they are known."""

from __future__ import annotations

import socket

import pytest

from probes.measure.rows import Descriptor
from probes.measure.sockets import Address, Role, SocketName
from reports.descriptors import with_number


def name(role: Role, peer: Address | None) -> SocketName:
    return SocketName(
        at=1, thread=1, fd=6, inode=9, socket=3, family=socket.AF_INET, type=socket.SOCK_STREAM, protocol=socket.IPPROTO_TCP,
        role=role, local=Address("127.0.0.1", 8080), peer=peer,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("descriptor", "words"), [(None, "5"), (Descriptor(""), "5"), (Descriptor("ep_eventpoll_release"), "epoll[5]")]
)
def test_the_kind_stands_before_the_number_where_it_is_known(descriptor: Descriptor | None, words: str) -> None:
    assert with_number(descriptor, 5) == words


def test_a_socket_has_its_addresses() -> None:
    accepted = with_number(Descriptor("sock_close"), 6, name(Role.ACCEPTED, Address("10.0.0.9", 51000)))
    assert accepted.startswith("TCP[6] ") and "127.0.0.1:8080" in accepted and "10.0.0.9:51000" in accepted
    assert "51000" not in with_number(None, 6, name(Role.LISTENING, None))
