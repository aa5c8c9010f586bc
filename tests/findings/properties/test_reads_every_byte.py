"""Unread data of a socket between the processes of a server is not data of a client."""

from __future__ import annotations

import dataclasses
import socket

from findings.properties.property import Holds
from findings.properties.reads_every_byte import READS_EVERY_BYTE
from findings.view import Run
from tests.conftest import measured


def test_a_servers_own_socket_is_left_out_in_a_lab() -> None:
    traced, lab = measured("faults/sockets-unread"), measured("epoll").context
    assert READS_EVERY_BYTE.observe(Run(traced)).holds is Holds.BROKEN
    of_lab = dataclasses.replace(traced, context=lab)
    assert READS_EVERY_BYTE.observe(Run(of_lab)).holds is Holds.BROKEN
    ends = tuple(
        dataclasses.replace(end, name=dataclasses.replace(end.name, family=socket.AF_UNIX)) for end in of_lab.socket_ends
    )
    assert READS_EVERY_BYTE.observe(Run(dataclasses.replace(of_lab, socket_ends=ends))).holds is Holds.HELD
