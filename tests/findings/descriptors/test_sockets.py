"""What nobody took from the sockets of a program: found in wrong programs, quiet in their right twins."""

from __future__ import annotations

import dataclasses

import pytest

from findings.descriptors.sockets import not_accepted, sockets, unread
from findings.diagnosis import ProgramFinding, diagnose
from findings.properties.property import Holds
from findings.view import Run
from tests.conftest import measured

BUSY = {"gets-a-cpu"}  # the recordings were made on a busy machine


def broken(way: str) -> dict[str, ProgramFinding]:
    found = diagnose(measured(f"faults/sockets-{way}")).broken
    return {finding.id: finding for finding in found if finding.id not in BUSY}


@pytest.mark.parametrize("way", ["read", "drained", "accepted", "addresses"])
def test_a_right_program_is_quiet(way: str) -> None:
    assert not broken(way)
    held = {finding.id for finding in diagnose(measured(f"faults/sockets-{way}")).held}
    assert {"reads-every-byte", "accepts-every-connection"} <= held


def test_data_that_nobody_read_is_counted_with_its_time() -> None:
    (finding,) = broken("unread").values()
    assert finding.id == "reads-every-byte" and finding.cost.bytes == 16 + 3 + 5
    assert "2 sockets were closed with 24 bytes that the program never read, for up to 6" in finding.evidence
    assert "reset 1 connection (RST)" in finding.evidence
    assert {place.descriptor.split()[0] for place in finding.places} == {"TCP", "UDP"}
    assert all(50_000_000 < place.cost.ns < 2_000_000_000 and place.since for place in finding.places)


def test_what_a_finding_about_calls_explains_is_said_once() -> None:
    (finding,) = broken("edge").values()
    assert finding.id == "leaves-no-data-unread" and "12 unread bytes" in finding.evidence
    assert [each.end.unread for each in unread(Run(measured("faults/sockets-edge")))] == [12]


def test_a_connection_that_no_accept_took_is_counted_with_its_time() -> None:
    (finding,) = broken("queued").values()
    assert finding.id == "accepts-every-connection" and finding.cost.calls == 1
    assert (
        "the server never accepted 1 connection: it was in the accept queue when the listener was closed, for 6"
        in finding.evidence
    )
    assert finding.places[0].descriptor == "TCP 127.0.0.1:18030 listening"


def test_data_of_the_last_moment_is_no_fault() -> None:
    result = measured("faults/sockets-unread")
    ends = [dataclasses.replace(end, first=end.at - 1_000_000, latest=end.at) for end in result.socket_ends]
    assert not unread(Run(dataclasses.replace(result, socket_ends=tuple(ends))))


def test_an_alert_that_ends_tls_is_no_fault() -> None:
    result = measured("faults/sockets-unread")
    ends = [dataclasses.replace(end, state=8, unread=24) for end in result.socket_ends if end.unread == 16]
    assert ends and not unread(Run(dataclasses.replace(result, socket_ends=tuple(ends))))


def test_an_older_recording_shows_nothing_of_it() -> None:
    shown = {finding.id: finding.verdict for finding in diagnose(measured("faults/leaks-right")).findings}
    assert shown["reads-every-byte"] is Holds.NOT_SHOWN and not not_accepted(Run(measured("epoll")))


def test_each_socket_has_its_life() -> None:
    lives = sockets(Run(measured("faults/sockets-queued")))
    assert [(life.kind, life.name.role.name, life.end is not None) for life in lives] == [
        ("TCP", "LISTENING", True), ("TCP", "CONNECTED", True), ("TCP", "CONNECTED", True), ("TCP", "ACCEPTED", True),
    ]  # fmt: skip
    assert all(life.end and life.since < life.end.at for life in lives)


@pytest.mark.parametrize(("way", "bytes_left"), [("oneshot", 32), ("forgotten", 20)])
def test_a_descriptor_outside_the_set_is_named_with_what_stayed_unread(way: str, bytes_left: int) -> None:
    found = {finding.id: finding for finding in diagnose(measured(f"faults/epoll_set-{way}")).broken}
    finding = found["arms-every-descriptor"]
    assert f"{bytes_left} bytes came there and stayed unread for up to" in finding.evidence
    assert finding.cost.bytes == bytes_left and "reads-every-byte" not in found
    assert all(place.descriptor.startswith("TCP 127.0.0.1:") and "<-" in place.descriptor for place in finding.places)
