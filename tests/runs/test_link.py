"""The link between server and clients: what --link takes, that its figures are really there, and that nothing is left of it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.kit.lab import Case
from labs.kit.traffic import Traffic
from probes.capture.privileges import State
from probes.context import LinkUsed
from probes.errors import CannotTrace, WrongUsage
from probes.patience import PATIENCE
from runs.lab import serve
from runs.link import Link, Shape, examine, joined, parse, words
from tests.conftest import COMMAND, ROOT, cannot, failures, iolab, readable_by_all, whole

SHAPES = st.builds(
    Shape, delay=st.integers(1_000, 2_000_000), jitter=st.integers(0, 1_000), loss=st.integers(0, 300_000),
    rate=st.just(0) | st.integers(64_000, 10_000_000_000),
)  # fmt: skip


@given(SHAPES)
def test_a_shape_is_what_its_words_say(shape: Shape) -> None:
    assert parse(str(shape)) == shape


@pytest.mark.parametrize("text", ["delay=20ms", "delay=0.02s", "delay=20000us", " Delay = 20MS ", "delay=20.0ms,loss=0%"])
def test_the_same_in_any_unit(text: str) -> None:
    assert parse(text.lower()) == Shape(delay=20_000) == parse("delay=20ms")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("latency=20ms", "does not know 'latency': it takes delay, jitter, loss, rate"),
        ("20ms", "does not know '20ms'"),
        ("delay=20ms,", "does not know ''"),
        ("delay=20", "one of the units us, ms, s"),
        ("delay=20min", "one of the units us, ms, s"),
        ("delay=", "one of the units us, ms, s"),
        ("delay=-1ms", "delay=-1ms is out of range"),
        ("delay=3s", "delay=3s is out of range"),
        ("delay=0.5us", "delay=0.5us is out of range"),
        ("delay=1ms,delay=2ms", "says delay twice"),
        ("delay=1ms,jitter=2ms", "a jitter larger than the delay"),
        ("loss=200%", "loss=200% is out of range"),
        ("loss=0.01", "a number with %"),
        ("rate=1", "one of the units bit, kbit, mbit, gbit"),
        ("rate=1bit", "rate=1bit is out of range"),
        ("rate=nanmbit", "one of the units bit"),
    ],
)
def test_what_it_does_not_take_is_wrong_usage(text: str, problem: str) -> None:
    with pytest.raises(WrongUsage) as error:
        parse(text)
    assert problem in error.value.problem
    assert "for example --link delay=" in error.value.remedy or "give a " in error.value.remedy


def test_where_a_delay_is_missing_the_clients_pause_as_long() -> None:
    description = LinkUsed(
        wanted="delay=20ms,rate=1mbit",
        used="rate=1mbit",
        missing="delay=20ms",
        reason="this kernel has no netem",
        instead="the clients pause 40 ms longer before each message",
    )
    link = Link((), (), Shape(rate=1_000_000), description, pause_ms=40)
    assert link.paced(Traffic(gap_ms=5)).gap_ms == 45
    assert words(description) == (
        "over a link with rate=1mbit in each direction, without delay=20ms: this kernel has no netem;"
        " instead the clients pause 40 ms longer before each message"
    )


def test_datagrams_are_given_the_time_of_their_way() -> None:
    link = Link((), (), Shape(delay=300_000, jitter=50_000), LinkUsed(""), pause_ms=0)
    assert link.paced(Traffic(udp=True)).lost_after == pytest.approx(Traffic().lost_after + 0.7)
    assert link.seconds(Traffic(clients=2, messages=3)) > 2 * 3 * 0.6


def test_what_losses_cost_tcp_is_bounded_by_what_was_seen() -> None:
    """Two clients with four messages of 20,000 bytes each, at 30 %, took 38, 73 and 97 s on kernel 7.2."""
    traffic = Traffic(clients=2, messages=4, size=20_000)
    much, little = (Link((), (), Shape(loss=loss), LinkUsed(""), pause_ms=0).seconds(traffic) for loss in (300_000, 10_000))
    assert 97 < much < 600 and little < 2


@contextlib.contextmanager
def standing(text: str, needs: str = "") -> Iterator[Link]:
    """A link of this machine; the test is skipped where the kernel has no discipline for the figure that it needs."""
    shape = parse(text)
    try:
        with joined(shape) as link:
            if needs and not getattr(link.used, needs):
                pytest.skip(f"{link.description.reason}; on a kernel with it (Debian's) this shows {needs}")
            yield link
    except CannotTrace as error:
        cannot(error.problem, error.remedy)


def trips(link: Link, traffic: Traffic, server: str = "blocking") -> list[int]:
    """Round trips over the link, ns, sorted."""
    return serve(Case("", server), traffic, None, link).traffic_seen.round_trips


@pytest.mark.live
def test_a_delay_is_one_ways_both_ways() -> None:
    with standing("delay=30ms", needs="delay") as link:
        seen = serve(Case("", "epoll"), Traffic(clients=2, messages=4, gap_ms=1), None, link).traffic_seen
    for client in seen.clients:
        assert client.connected - client.asked >= 60e6, "SYN, and SYN with ACK"
    assert all(round_trip >= 60e6 for round_trip in seen.round_trips)
    # the slowest of them may have waited for a CPU, the fastest has not: put on twice, the delay would make 120 ms
    assert min(seen.round_trips) < 120e6


@pytest.mark.live
def test_a_loss_loses_datagrams_and_no_byte_of_a_stream() -> None:
    # at much more than 10 % TCP's timeout, doubled each time, may become minutes
    with standing("loss=10%", needs="loss") as link:
        datagrams = serve(Case("", "epoll"), Traffic(clients=2, messages=60, gap_ms=0, udp=True), None, link)
        assert sum(client.resent for client in datagrams.traffic_seen.clients), "0.81 to the power of 120 is nothing"
        assert len(trips(link, Traffic(clients=2, messages=4, size=20_000, gap_ms=0))) == 8


@pytest.mark.live
def test_a_rate_bounds_the_throughput() -> None:
    size, rate = 250_000, 4_000_000
    with standing("rate=4mbit", needs="rate") as link:
        (trip,) = trips(link, Traffic(clients=1, messages=1, size=size, gap_ms=0))
    assert trip >= 0.98 * 8e9 * size / rate, "the bucket may be full at first: 2,000 bytes of it pass at once"


@pytest.mark.live
@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("server", ["blocking", "epoll"])
def test_every_message_comes_back(server: str, udp: bool) -> None:
    traffic = Traffic(clients=3, messages=5, size=40_000, gap_ms=1, udp=udp)  # datagrams in 28 fragments each
    with standing("rate=1gbit") as link:
        assert len(trips(link, traffic, server)) == 15
        assert link.description.wanted == "rate=1gbit" and bool(link.description.missing) != bool(link.used.rate)


@pytest.mark.live
def test_what_this_kernel_lacks_is_said_and_the_rest_goes_on() -> None:
    wanted = "delay=20ms,jitter=1ms,loss=1%,rate=100mbit"
    with standing(wanted) as link:
        lacking = (link.description.missing or "").split(",") if link.description.missing else []
        using = (link.description.used or "").split(",") if link.description.used else []
        assert sorted(lacking + using) == sorted(wanted.split(","))
        assert bool(link.description.reason) == bool(lacking)
        assert link.pause_ms == (40 if "delay=20ms" in lacking else 0)
        found = examine()
        assert (found.state is State.YES) == (not lacking) == (not found.remedy)


def spaces(pid: int) -> set[str]:
    """The network namespaces that a process lives in or holds a descriptor of, as the kernel writes them: net:[4026532179]."""
    found = set()
    with contextlib.suppress(OSError):
        for place in (Path(f"/proc/{pid}/ns/net"), *Path(f"/proc/{pid}/fd").iterdir()):
            with contextlib.suppress(OSError):
                found.add(str(place.readlink()))
    return {name for name in found if name.startswith("net:[")}


def left_of(ours: set[str]) -> set[str]:
    """Which of these namespaces something still holds: a process, a descriptor or a mount."""
    held = {space for pid in psutil.pids() for space in spaces(pid)} & ours
    return held | {our for our in ours if our in Path("/proc/self/mountinfo").read_text()}


@pytest.mark.live
def test_server_and_clients_are_apart_and_the_machines_network_is_not_touched() -> None:
    before = spaces(os.getpid())
    with standing("delay=0ms") as link:
        asks = [
            subprocess.run([*end, "readlink", "/proc/self/ns/net"], capture_output=True, text=True, check=True).stdout.strip()
            for end in (link.server, link.clients)
        ]
        assert len({*asks, *before}) == 2 + len(before)
        assert spaces(os.getpid()) == before
        assert "link" not in {name for _index, name in socket.if_nameindex()}
        assert left_of(set(asks)) == set(asks)
    assert left_of(set(asks)) == set()


LINE = [*COMMAND, "lab", "epoll", "--link", "delay=1ms,rate=50mbit"]


@pytest.mark.live
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind(kernel: None, how: signal.Signals) -> None:
    """Ctrl-C, and kill -9 of the runner, while server and clients are at work at both ends of the link."""
    with subprocess.Popen(
        [*LINE, "--messages", "20", "--gap-ms", "100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stderr
        while "traced: " not in (line := runner.stderr.readline()):
            assert line, "the lab ended early"
        host, us = spaces(os.getpid()), psutil.Process(runner.pid)
        children: list[psutil.Process] = []
        while len(ours := {space for child in children for space in spaces(child.pid)} - host) < 2 or len(children) < 4:
            assert runner.poll() is None
            time.sleep(0.01)
            children = us.children()
        os.kill(runner.pid, how)
        _, errors = runner.communicate(timeout=20 * PATIENCE)
    _gone, alive = psutil.wait_procs(children, timeout=10 * PATIENCE)
    assert not alive, alive
    assert left_of(ours) == set()
    assert "link" not in {name for _index, name in socket.if_nameindex()}
    if how is signal.SIGINT:
        assert runner.returncode == 130 and "interrupted" in errors


@pytest.mark.live
def test_two_labs_at_the_same_time_each_on_its_own_link(kernel: None) -> None:
    line = [*LINE, "--messages", "5", "--json"]
    limit = 120 * PATIENCE

    def lab(_number: int) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        return whole(lambda: subprocess.run(line, capture_output=True, text=True, timeout=limit))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        for done, found in pool.map(lab, range(2)):
            assert done.returncode == 0, failures(found)
            assert found["messages"]["bytes"] == 3 * 5 * 64
            assert found["link"]["wanted"] == "delay=1ms,rate=50mbit"


@pytest.mark.live
@pytest.mark.parametrize("lab", ["blocking", "processes", "io_uring", "slow_handler"])
def test_a_lab_holds_over_a_link(kernel: None, lab: str) -> None:
    done, found = whole(lambda: iolab("lab", lab, "--json", "--link", "rate=50mbit"))
    assert done.returncode == 0, failures(found)
    assert found["link"]["used"] == "rate=50mbit" or found["link"]["missing"] == "rate=50mbit"
    assert f"iolab: {words(LinkUsed(**found['link']))}\n" in done.stderr


@pytest.mark.parametrize("line", [("lab", "epoll", "--link", "loss=200%"), ("compare", "--link", "delay=fast")])
def test_a_wrong_link_ends_with_2_before_anything_runs(line: tuple[str, ...]) -> None:
    done = iolab(*line)
    assert done.returncode == 2 and "--link" in done.stderr and "Traceback" not in done.stderr and done.stdout == ""


@pytest.mark.live
def test_a_lab_without_clients_has_no_use_for_a_link(kernel: None) -> None:
    done = iolab("lab", "files", "--link", "delay=1ms")
    assert done.returncode == 2 and "without clients" in done.stderr


@pytest.mark.live
def test_without_the_right_to_make_namespaces_the_error_names_the_remedy() -> None:
    readable_by_all()
    line = [sys.executable, "-m", "runs.link", str(os.getpid()), "delay=1ms"]
    with subprocess.Popen(
        line, cwd=ROOT, stdout=subprocess.PIPE, text=True, user=65534, group=65534, extra_groups=[]
    ) as holder:
        answer = json.loads(holder.communicate(timeout=60 * PATIENCE)[0])
    assert "no network namespace" in answer["problem"] and "CAP" not in answer["problem"]
    assert "--privileged" in answer["remedy"] and "leave --link out" in answer["remedy"]
