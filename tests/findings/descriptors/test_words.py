"""Descriptors in words, from the recording of a program that uses one socket of each kind."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest

from findings.descriptors.words import socket_words
from findings.view import Run
from probes.measure.measure import measure
from probes.measure.result import Call
from probes.measure.sockets import Address, Role, SocketName
from probes.recording import load
from tests.conftest import DATA


@cache
def run() -> Run:
    return Run(measure(load(DATA / "faults" / "sockets-addresses.iolab")))


def said(name: str) -> list[str]:
    """The words for the descriptors of these calls, in order, without what differs from run to run."""
    words = [run().descriptors.of(call) for call in run().result.named(name)]
    return [
        re.sub(r"iolab-\w{6}/", "iolab/", re.sub(r"(?<=[\d\]>-]:)(?!1800)\d+", "N", text)) for text in words if text != "file"
    ]


def test_the_calls_that_make_connections() -> None:
    assert said("bind") == [
        "TCP 127.0.0.1:18000", "UDP 127.0.0.1:18000", "TCP [::1]:18001", "UDP [::1]:18001", "unix /tmp/iolab/s",
        "unix @iolab-sockets",
    ]  # fmt: skip
    assert said("listen") == ["TCP 127.0.0.1:18000 listening", "TCP [::1]:18001 listening", "unix /tmp/iolab/s listening"]
    assert said("accept") == said("listen")
    assert said("connect") == [
        "TCP 127.0.0.1:N->:18000", "UDP 127.0.0.1:N->:18000", "TCP [::1]:N->:18001", "UDP [::1]:N->:18001",
        "unix ->/tmp/iolab/s", "unix ->@iolab-sockets",
    ]  # fmt: skip


def test_the_calls_that_move_data() -> None:
    assert said("recvfrom")[0] == "TCP 127.0.0.1:18000<-:N"
    assert said("recvfrom")[-3:] == ["unix /tmp/iolab/s<-", "unix @iolab-sockets", "unix socketpair"]
    assert said("write")[0] == "TCP 127.0.0.1:18000<-:N", "the descriptor is a copy that dup made"
    assert said("epoll_wait") == ["epoll[3]"]


def test_a_close_names_what_it_closes() -> None:
    assert said("close")[:6] == [
        "TCP 127.0.0.1:18000<-:N", "TCP 127.0.0.1:18000<-:N", "TCP 127.0.0.1:N->:18000", "TCP 127.0.0.1:18000 listening",
        "UDP 127.0.0.1:N->:18000", "UDP 127.0.0.1:18000",
    ]  # fmt: skip


def test_an_accept_leads_to_its_connection() -> None:
    accept: Call = run().result.named("accept")[0]
    name = run().descriptors.name_of(accept)
    assert name is not None and name.ports > {18000} and len(name.ports) == 2


@pytest.mark.parametrize("name", ["execve", "mmap", "exit_group"])
def test_a_call_without_a_descriptor_has_no_words(name: str) -> None:
    assert {run().descriptors.of(call) for call in run().result.named(name)} <= {""}


def test_a_connection_that_was_refused_has_no_port_of_its_own() -> None:
    name = SocketName(0, 1, 5, 7, 0, 2, 1, 6, Role.CONNECTED, Address("127.0.0.1", 0), Address("127.0.0.1", 1))
    assert socket_words(name) == "TCP ->127.0.0.1:1"


def test_every_socket_ends_and_nothing_is_left_in_it() -> None:
    ends = run().result.socket_ends
    assert len({end.name.inode for end in ends}) == len({name.inode for name in run().result.socket_names}) == 17
    assert not any(end.open or end.unread or end.backlog for end in ends)


def test_a_part_of_a_run_has_no_names_of_other_threads() -> None:
    """A recording of several servers is read server by server: the names of the others' sockets stay in the result."""
    result = run().result
    others = {name.thread for name in result.socket_names}
    part = replace(result, threads=tuple(thread for thread in result.threads if thread.serial not in others), calls=())
    assert others and Run(part).descriptors is not None
