"""Each table of the kernel side, filled: what does not fit is counted, and the verdict is inconclusive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from probes.errors import CannotTrace
from probes.kernel import limits
from probes.kernel.limits import Sizes
from probes.kernel.records import Loss
from probes.measure.measure import measure
from probes.measure.result import Result
from tests.conftest import ROOT, kernel_lacks, tool

FOLLOWED = "import os, resource, socket, sys; most = resource.getrlimit(7)[1]; resource.setrlimit(7, (most, most))\n"
FOLLOWED += "from probes.capture.prctl import follow_me; follow_me(int(sys.argv[1]))\n"
DATAGRAMS = """
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind(("127.0.0.1", 0))
for number in range(20): sock.sendto(b"x", sock.getsockname())
for number in range(20): sock.recvfrom(9)
"""
CHILDREN = """
stay, go = os.pipe()
for number in range(8):
    if not os.fork(): os.close(go); os.read(stay, 1); os._exit(0)
os.close(go)
for number in range(8): os.wait()
"""
ONE_SOCKET = """
early = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); early.bind(("127.0.0.1", 0))
early.sendto(b"x", early.getsockname())
kept = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for number in range(300)]
for other in kept: other.bind(("127.0.0.1", 0)); other.sendto(b"x", other.getsockname())
early.sendto(b"y", early.getsockname())
early.recvfrom(9); early.recvfrom(9)
"""
UNREAD = """
listener = socket.create_server(("127.0.0.1", 0), backlog=10); kept = []
for number in range(1500):
    client = socket.create_connection(listener.getsockname()); server = listener.accept()[0]
    client.sendall(b"x"); kept += [client, server]
kept[0].sendall(b"y"); kept[1].recv(9)
"""
EAGAIN = """
pipes = [os.pipe() for _ in range(4)]
for number in range(100):
    for reader, _ in pipes:
        os.set_blocking(reader, False)
        try: os.read(reader, 1)
        except BlockingIOError: pass
"""
CONNECTIONS = """
listener = socket.create_server(("127.0.0.1", 0)); kept = []
for number in range(20): kept += [socket.create_connection(listener.getsockname()), listener.accept()[0]]
"""
WORK = "for number in range(20000): os.lseek(9, number, 0) if False else os.getppid()\n"


def followed(script: str, sizes: Sizes, most_bytes: int = 512 << 20) -> Result:
    from probes.capture.instrument import Instrument

    with Instrument(sizes, most_bytes=most_bytes) as instrument:
        line = [sys.executable, "-c", FOLLOWED + script, str(instrument.invite())]
        subprocess.run(line, cwd=ROOT, check=True)
        return measure(instrument.stop({}))


@pytest.mark.live
@pytest.mark.parametrize(
    ("script", "sizes", "reason", "number"),
    [
        (DATAGRAMS, Sizes(waiting=4), "arrival", 16),
        (CHILDREN, Sizes(threads=4), "threads_full", 5),  # the parent is one of the four
        (CHILDREN, Sizes(serials=2), "serials_full", None),
        (ONE_SOCKET, Sizes(datagram_sockets=16), "arrival", None),
        (UNREAD, Sizes(arrivals=1024), "arrival", None),
        (CONNECTIONS, Sizes(generations=4), "generations_full", None),
        (WORK, Sizes(ring_bytes=4096), "ring_full", None),
    ],
)
def test_what_does_not_fit_is_counted(kernel: None, script: str, sizes: Sizes, reason: str, number: int | None) -> None:
    result = followed(script, sizes)
    assert result.verdict == "inconclusive"
    assert result.events.reasons.get(reason) == number or (number is None and result.events.reasons[reason] > 0)


@pytest.mark.live
def test_with_room_nothing_is_lost(kernel: None) -> None:
    for script in (DATAGRAMS, CHILDREN, CONNECTIONS, ONE_SOCKET, UNREAD):
        result = followed(script, limits.SIZES)
        assert result.events.sound and result.verdict == "pass", result.events
    assert len(followed(DATAGRAMS, limits.SIZES).messages) == 20


@pytest.mark.live
def test_calls_without_a_burst_are_reported_one_by_one(kernel: None) -> None:
    result = followed(EAGAIN, Sizes(bursts=1))
    assert result.events.sound and result.verdict == "pass", result.events
    assert sum(call.count for call in result.named("read") if call.errno == "EAGAIN") == 400


@pytest.mark.live
def test_epoll_registrations_that_do_not_fit_are_counted(kernel: None) -> None:
    script = "import select; poll = select.epoll(); pipes = [os.pipe() for _ in range(20)]\n"
    result = followed(script + "for reader, _ in pipes: poll.register(reader, select.EPOLLIN)\n", Sizes(watchers=4))
    if any(probe.name == "wait queues" and not probe.attached for probe in result.probes):
        kernel_lacks("the kernel refuses probes in its functions")
    assert result.verdict == "inconclusive" and result.events.reasons["watchers_full"] == 16


@pytest.mark.live
def test_an_invitation_too_many_is_refused(kernel: None) -> None:
    from probes.capture.instrument import Instrument

    with Instrument(Sizes(invitations=2)) as instrument:
        instrument.invite()
        instrument.invite()
        with pytest.raises(CannotTrace, match="2 processes were invited"):
            instrument.invite()


@pytest.mark.live
def test_a_full_recording_is_inconclusive(kernel: None) -> None:
    result = followed(WORK * 10, limits.SIZES, most_bytes=1 << 18)
    assert result.verdict == "inconclusive" and "full" in result.events.reasons


def test_each_limit_names_a_loss_that_there_is() -> None:
    for limit in limits.LIMITS:
        assert limit.counted_as in {"", "FULL", *Loss.__members__}


def test_the_page_has_the_limits() -> None:
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    assert limits.table() in page, "docs/how-it-works.md: put in what `python -m probes.kernel.limits` prints"


@pytest.mark.live
def test_a_time_namespace_changes_no_figure(kernel: None, tmp_path: Path) -> None:
    """CLOCK_MONOTONIC of a process there is ahead of the kernel's, which the probes read."""
    unshare = [tool("unshare", "util-linux"), "--time", "--monotonic", "100000", "--fork"]
    line = [
        *unshare,
        sys.executable,
        "-I",
        str(ROOT / "runs" / "start.py"),
        "tasks",
        "lab",
        "epoll",
        "--messages",
        "3",
        "--json",
    ]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(thread["wall_ns"] < 60e9 for thread in found["threads"])
