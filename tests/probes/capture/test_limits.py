"""Each table of the kernel side, filled: what does not fit is counted, and the verdict is inconclusive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from probes.context import ServerRun
from probes.errors import CannotTrace
from probes.kernel import limits
from probes.kernel.limits import Sizes
from probes.kernel.records import Loss
from probes.measure.measure import measure
from probes.measure.result import Result
from probes.recording import load
from tests.conftest import COMMAND, ROOT, kernel_lacks, tool

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
# Other sizes need another compilation, which takes seconds. So one set of sizes has several small tables, and each script fills
# one of these tables.
SMALL = Sizes(waiting=4, threads=4, generations=4, watchers=4)
FEW = Sizes(serials=2, datagram_sockets=16)
SPARE = Sizes(sockets=4, socket_records=20, bursts=1, invitations=2)  # a full table of these makes no run inconclusive
WORK = "for number in range(20000): os.lseek(9, number, 0) if False else os.getppid()\n"


def followed(script: str, sizes: Sizes, most_bytes: int = 512 << 20) -> Result:
    from probes.capture.instrument import Instrument

    with Instrument(sizes, most_bytes=most_bytes) as instrument:
        line = [sys.executable, "-c", FOLLOWED + script, str(instrument.invite())]
        subprocess.run(line, cwd=ROOT, check=True)
        return measure(instrument.stop())


@pytest.mark.live
@pytest.mark.parametrize(
    ("script", "sizes", "reason", "number"),
    [
        (DATAGRAMS, SMALL, "arrival", 16),
        (CHILDREN, SMALL, "threads_full", 5),  # the parent is one of the four
        (CHILDREN, FEW, "serials_full", None),
        (ONE_SOCKET, FEW, "arrival", None),
        (UNREAD, Sizes(arrivals=1024), "arrival", None),
        (CONNECTIONS, SMALL, "generations_full", None),
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
def test_addresses_that_do_not_fit_are_counted(kernel: None) -> None:
    result = followed(CONNECTIONS, SPARE)
    assert result.events.sound and result.verdict == "pass", result.events
    assert result.events.reasons["sockets_full"] > 20
    assert len(result.socket_names) == 20 and len(result.socket_ends) == 4


@pytest.mark.live
def test_calls_without_a_burst_are_reported_one_by_one(kernel: None) -> None:
    result = followed(EAGAIN, SPARE)
    assert result.events.sound and result.verdict == "pass", result.events
    assert sum(call.count for call in result.named("read") if call.errno == "EAGAIN") == 400


@pytest.mark.live
def test_epoll_registrations_that_do_not_fit_are_counted(kernel: None) -> None:
    script = "import select; poll = select.epoll(); pipes = [os.pipe() for _ in range(20)]\n"
    result = followed(script + "for reader, _ in pipes: poll.register(reader, select.EPOLLIN)\n", SMALL)
    if any(probe.name == "wait queues" and not probe.attached for probe in result.probes):
        kernel_lacks("the kernel refuses probes in its functions")
    assert result.verdict == "inconclusive" and result.events.reasons["watchers_full"] == 16


@pytest.mark.live
def test_an_invitation_too_many_is_refused(kernel: None) -> None:
    from probes.capture.instrument import Instrument

    with Instrument(SPARE) as instrument:
        instrument.invite()
        instrument.invite()
        with pytest.raises(CannotTrace, match="2 processes were invited"):
            instrument.invite()


def test_each_limit_names_a_loss_that_there_is() -> None:
    for limit in limits.LIMITS:
        assert limit.counted_as in {"", "FULL", *Loss.__members__}


def test_the_page_has_the_limits() -> None:
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    assert limits.table() in page, "docs/how-it-works.md: put in what `python -m probes.kernel.limits` prints"


# CLOCK_MONOTONIC of a process there is 100,000 s ahead of the kernel's clock, which the probes read.
AHEAD = ("--time", "--monotonic", "100000", "--fork")
ALIVE_AT_THE_END = """
import subprocess, sys
from probes.capture.instrument import Instrument
from probes.measure.measure import measure
with Instrument() as instrument:
    line = [sys.executable, "-c", sys.argv[1], str(instrument.invite())]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        result = measure(instrument.stop())
        child.stdin.close()
(thread,) = result.threads
print(thread.ended, thread.wall)
"""


@pytest.mark.live
def test_in_a_time_namespace_a_thread_that_lives_on_has_its_own_age(kernel: None) -> None:
    script = FOLLOWED + "print(flush=True); sys.stdin.read()"
    line = [tool("unshare", "util-linux"), *AHEAD, sys.executable, "-c", ALIVE_AT_THE_END, script]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    ended, wall = done.stdout.split()
    assert ended == "False" and 0 < int(wall) < 60e9


@pytest.mark.live
def test_in_a_time_namespace_the_clients_times_are_the_probes(kernel: None, tmp_path: Path) -> None:
    saved = tmp_path / "run.iolab"
    line = [*COMMAND, "lab", "epoll", "--messages", "3", "--save", str(saved)]
    done = subprocess.run([tool("unshare", "util-linux"), *AHEAD, *line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    recording = load(saved)
    assert isinstance(recording.context, ServerRun)
    sent = [exchange.sent for exchange in recording.context.traffic_seen.exchanges]
    ready = [message.ready for message in measure(recording).messages]
    assert len(sent) == len(ready) == 9
    assert abs(min(sent) - min(ready)) < 60e9
