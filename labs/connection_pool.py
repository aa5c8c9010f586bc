"""A pool of connections: a client takes an open connection for each request, and gives it back. What does that save and cost?

The followed process is the client. Its server is a process of its own, with a thread for each connection.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from labs.kit.experiment import Sections
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.questions.question import Question, Truth, Undecided
from labs.kit.questions.sections import ANY_CALL, what_it_does, what_wakes_it
from probes.kernel import syscalls
from probes.measure.percentiles import median
from probes.measure.result import Call
from probes.words import count, ms
from servers.kit.echo import talk
from servers.kit.process import end_with_parent

LAB = Lab(
    model="blocking",
    chapter="Blocking",
    question="What does a client save if it keeps its connections open and uses them again?",
    watch="the calls of each request; and the request that finds the pool empty, which sleeps until a connection comes back.",
    try_next=(
        "invoke lab connect       what connect waits for",
        "invoke lab pool_ceiling  the ceiling of a pool of threads",
        "invoke lab threads       what a connection costs the server",
    ),
    reading=(
        "UNP 2.6, TCP connection establishment and termination",
        "docs.python.org: queue.Queue",
        "man 2 connect, man 2 futex",
    ),
    experiment="labs.connection_pool:experiment",
    picture=False,
)
REQUESTS = 20
SIZE = 2  # connections in the pool
HOLD = 0.1  # seconds for which all of them are in use; long enough for the next request to find none on a busy machine
SET_UP = {"socket", "connect", "close"}
_REQUEST = b"request"


@contextlib.contextmanager
def server() -> Iterator[tuple[str, int]]:
    """The address of an echo server in a process of its own, which has a thread for each connection."""
    parent = os.getpid()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if not (pid := os.fork()):
            end_with_parent(parent)
            while True:
                threading.Thread(target=talk, args=listener.accept()[:1]).start()
        address = listener.getsockname()
    try:
        yield address
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def request(connection: socket.socket) -> None:
    """Sends a request and waits for its answer."""
    connection.sendall(_REQUEST)
    answer(connection)


def answer(connection: socket.socket) -> None:
    """Waits for the answer to a request that was sent."""
    connection.recv(len(_REQUEST), socket.MSG_WAITALL)


def experiment() -> dict[str, Any]:
    """Makes the same requests without a pool and with a pool; then one request more than the pool has connections."""
    section = Sections()
    with server() as address:
        section("without a pool")
        for _ in range(REQUESTS):
            with socket.create_connection(address) as connection:
                request(connection)
        section("filling the pool")
        pool: queue.Queue[socket.socket] = queue.Queue()
        for _ in range(SIZE):
            pool.put(socket.create_connection(address))
        section("with a pool")
        for _ in range(REQUESTS):
            connection = pool.get()
            request(connection)
            pool.put(connection)
        section("between")
        used = [pool.get() for _ in range(SIZE)]
        for connection in used:
            connection.sendall(_REQUEST)

        def give_back() -> None:
            answer(used[0])
            pool.put(used[0])

        other = threading.Timer(HOLD, give_back)
        other.start()
        section("pool is empty")
        connection = pool.get()
        request(connection)
        section("between")
        other.join()
        section("one more connection")
        with socket.create_connection(address) as connection:
            request(connection)
        section("between")
        answer(used[1])
        for connection in used:
            connection.close()
    return section.outcome()


def calls_of(run: Run, section: str) -> list[Call]:
    """The client's calls on connections in that section."""
    wanted = SET_UP | syscalls.READS | syscalls.WRITES
    return [call for call in run.sections.get(section, []) if call.name in wanted]


def made(calls: list[Call], name: str) -> int:
    """How many calls of that name succeeded."""
    return sum(1 for call in calls if call.name == name and call.result is not None and call.result >= 0)


def sent(calls: list[Call]) -> int:
    """How many requests were sent."""
    return sum(1 for call in calls if call.name in syscalls.WRITES and call.bytes == len(_REQUEST))


def accepted(run: Run) -> int:
    """How many connections the server accepted in the whole run."""
    return len(run.connections)


@LAB.check("a pool saves the set-up of a connection for each request", claims=("C49",))
def saves(run: Run) -> Finding:
    """Without a pool each request has a socket, a connect with its handshake, and a close; with the pool none of them."""
    without, with_pool = calls_of(run, "without a pool"), calls_of(run, "with a pool")
    filling = made(calls_of(run, "filling the pool"), "connect")
    requests, again = sent(without), sent(with_pool)
    set_up = sum(call.total for call in without if call.name in SET_UP)
    words = (
        f"without a pool {count(requests, 'request')} made {count(len(without), 'call')}, {made(without, 'connect')} of them of"
        f" connect, and {ms(set_up / max(requests, 1))} of set-up each; with a pool {count(again, 'request')} made"
        f" {count(len(with_pool), 'call')}, {made(with_pool, 'connect')} of them of connect,"
        f" after {count(filling, 'call')} of connect that"
        " filled the pool;"
        f" the server accepted {count(accepted(run), 'connection')} in the whole run"
    )
    good = requests == again == made(without, "connect") and not made(with_pool, "connect") and 0 < filling < requests
    return confirmed(words) if good and accepted(run) == requests + filling + 1 else failed(words)


@LAB.check("a pool of connections has a ceiling: a request that finds it empty waits", claims=("C49",))
def ceiling(run: Run) -> Finding:
    """All connections are in use. The thread sleeps on a futex until another thread gives a connection back.

    The same request with a connection of its own sleeps for its answer only.
    """
    waiting, own = run.sections.get("pool is empty", []), calls_of(run, "one more connection")
    slept = [sleep for call in waiting for sleep in call.sleeps if sleep.queue == "futex"]
    longest = max((sleep.wait for sleep in slept), default=0)
    by_thread = any(sleep.waker and "futex" in sleep.waker.chain for sleep in slept if sleep.wait == longest)
    others = [sleep for call in own for sleep in call.sleeps if sleep.queue == "futex"]
    words = (
        f"all {SIZE} connections in use for {ms(HOLD * 1e9)}: the next request slept {ms(longest)} on a futex, until another"
        f" thread gave a connection back; with a connection of its own a request made {made(own, 'connect')} connect and"
        f" {count(len(others), 'sleep')} on a futex"
    )
    good = longest > 0.5e9 * HOLD and by_thread and not made(calls_of(run, "pool is empty"), "connect")
    return confirmed(words) if good and made(own, "connect") == 1 and not others else failed(words)


NONE, FEWER, EACH = "none", "fewer than one for each request", "one for each request"


def handshakes(run: Run) -> Truth:
    """How many connects the requests with the pool made."""
    calls = calls_of(run, "with a pool")
    if not sent(calls):
        raise Undecided("0 requests in this section")
    connects, requests = made(calls, "connect"), sent(calls)
    option = EACH if connects >= requests else FEWER if connects else NONE
    return Truth(option, f"{count(requests, 'request')} with the pool made {count(connects, 'connect')}")


def request_times(run: Run) -> Truth:
    """How the time of set-up compares with the time of the request itself."""
    calls = calls_of(run, "without a pool")
    if not sent(calls):
        raise Undecided("0 requests in this section")
    per_call = {name: [call.total for call in calls if call.name == name] for name in SET_UP}
    set_up = sum(median(totals) or 0 for totals in per_call.values())
    sending = median(call.total for call in calls if call.name in syscalls.WRITES) or 0
    words = f"medians: {set_up / 1e3:.0f} us for socket, connect and close, {sending / 1e3:.0f} us for sending the request"
    return Truth(LESS if set_up < sending else MORE, words)


LESS, MORE = "less than the call that sends the request", "more than the call that sends the request"
LAB.ask(
    what_it_does("pool is empty", ANY_CALL, "All connections of a pool are in use. A thread that needs one"),
    what_wakes_it("pool is empty", ANY_CALL, "All connections of a pool are in use. A thread waits for one"),
    Question(
        "handshakes",
        f"A pool has {SIZE} open connections. How many calls of connect do {REQUESTS} requests make?",
        (NONE, FEWER, EACH),
        handshakes,
    ),
    Question(
        "set-up",
        "Without a pool: how long do socket, connect and close take together, for each request?",
        (LESS, MORE),
        request_times,
    ),
)
