"""Each trial is refused by a server with the fault that it looks for, and passed by a right server."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from labs.kit.traffic import Traffic
from runs.driving import peer
from runs.driving.run import TRIALS, run
from runs.driving.task import Outcome, Task
from runs.driving.trials import reset, served
from servers.kit.echo import talk

Serve = Callable[[socket.socket], None]  # one connection
TRAFFIC = Traffic(clients=2, messages=2, gap_ms=1, give_up_after=1)
SERVED = [name for name in TRIALS if name != "alive"]


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Outcome]]:
    """Runs one trial against a server that gives each connection to `serve`, in a thread of its own or in turn."""
    for file in (peer, reset, served):
        monkeypatch.setattr(file, "PATIENCE", 0.15)  # the trials wait for replies that never come
    with contextlib.ExitStack() as stack:

        def of(trial: str, serve: Serve, protocol: str = "echo", own_thread: bool = True, **more: bool) -> Outcome:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
            accepting = threading.Thread(target=_accept, args=(listener, serve, own_thread), daemon=True)
            accepting.start()
            stack.callback(accepting.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)  # ends accept; a close alone does not (accept(2))
            host, port = listener.getsockname()
            task = Task(trial, host, port, 0, "seed/ada", protocol, TRAFFIC, clients=20, **more)
            return asyncio.run(run(task))

        yield of
    while KEPT:
        KEPT.pop().close()


def _accept(listener: socket.socket, serve: Serve, own_thread: bool) -> None:
    with contextlib.ExitStack() as threads, contextlib.suppress(OSError):  # the end of the test shuts the listener down
        while True:
            connection, _address = listener.accept()
            if own_thread:
                serving = threading.Thread(target=_guarded, args=(serve, connection), daemon=True)
                serving.start()
                threads.callback(serving.join)
            else:
                serve(connection)


def _guarded(serve: Serve, connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        serve(connection)


def one_read(connection: socket.socket) -> None:
    connection.sendall(connection.recv(65536))


def one_message(connection: socket.socket) -> None:
    one_read(connection)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):  # a close with unread data sends a reset, which may overtake the end of the stream
        pass


def one_send(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    while data := connection.recv(1 << 20):
        connection.send(data, socket.MSG_DONTWAIT)


def never_closes(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)
    KEPT.append(connection.dup())


def closes_at_once(connection: socket.socket) -> None:
    while data := connection.recv(65536, socket.MSG_PEEK):
        threading.Event().wait(0.02)  # a read of the end of the stream comes before the echo
        if len(connection.recv(65536)) and connection.recv(1, socket.MSG_PEEK) == b"":
            return
        connection.sendall(data)


def changes_a_byte(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data[:-1] + bytes([data[-1] ^ 1]))


def shares_a_buffer(connection: socket.socket) -> None:
    while size := connection.recv_into(SHARED):
        with memoryview(SHARED) as data:
            connection.sendall(data[:size])


def never_ends(connection: socket.socket) -> None:
    data = connection.recv(65536)
    while True:
        connection.sendall(data)


def dies_of_a_reset(connection: socket.socket) -> None:
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def dies_of_a_broken_pipe(connection: socket.socket) -> None:
    with connection, contextlib.suppress(ConnectionResetError):
        while data := connection.recv(4096):
            connection.sendall(data)


def waits_for_later_data(connection: socket.socket) -> None:
    """As signal-driven I/O and edge-triggered epoll do that look at a new connection only after a report."""
    with contextlib.suppress(BlockingIOError):
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        KEPT.append(connection.dup())
        return
    talk(connection)


def looks_at_the_end_first(connection: socket.socket) -> None:
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLRDHUP)
    while not poll.poll()[0][1] & select.POLLRDHUP:
        connection.sendall(connection.recv(65536))


def drops_its_queue_at_the_end(connection: socket.socket) -> None:
    connection.setblocking(False)
    queue: collections.deque[bytes] = collections.deque()
    while True:
        readable, writable, _ = select.select([connection], [connection] if queue else [], [])
        if writable:
            data = queue.popleft()
            if rest := data[connection.send(data) :]:
                queue.appendleft(rest)
        elif readable and not (data := connection.recv(1 << 20)):
            return
        elif readable:
            queue.append(data)


SHARED = bytearray(65536)
KEPT: list[socket.socket] = []


@pytest.mark.parametrize("trial", SERVED)
def test_a_right_server_passes_every_trial(drive: Callable[..., Outcome], trial: str) -> None:
    outcome = drive(trial, talk)
    assert (outcome.fault, bool(outcome.seen)) == ("", True)
    assert outcome.end > outcome.begin


@pytest.mark.parametrize(
    ("trial", "serve", "own_thread", "words"),
    [
        ("traffic", changes_a_byte, True, "byte 63 of 64 is"),
        ("traffic", one_message, True, "the server closed the connection before its echo: 0 of 64 bytes came back"),
        ("silent_client", talk, False, "while one client was silent, another client was not served"),
        ("slow_reader", talk, False, "while one client did not read its reply, another client was not served"),
        ("slow_reader", one_send, True, "131,072 bytes came"),
        ("slow_reader", shares_a_buffer, True, "bytes of another client's reply came: the connections share a buffer"),
        ("partial_messages", one_read, True, "before a message in pieces was whole"),
        ("huge_message", one_send, True, "1,048,576"),
        ("many_clients", never_ends, True, "of 20 clients that connected at once were not served"),
        ("reset", dies_of_a_reset, False, "after clients had reset their connections, a new client was not served"),
        ("half_close", never_closes, True, "the server did not close the connection"),
        ("half_close", closes_at_once, True, "did not get its reply"),
        ("half_close", looks_at_the_end_first, True, "did not get its reply"),
        ("half_close", drops_its_queue_at_the_end, True, "the server closed the connection"),
        ("many_clients", waits_for_later_data, True, "not served"),
        ("reset", dies_of_a_broken_pipe, False, "after clients had reset their connections, a new client was not served"),
    ],
)
def test_a_trial_refuses_the_server_with_its_fault(
    drive: Callable[..., Outcome], trial: str, serve: Serve, own_thread: bool, words: str
) -> None:
    assert words in drive(trial, serve, own_thread=own_thread).fault


@pytest.mark.parametrize("trial", ["silent_client", "slow_reader", "many_clients"])
def test_a_model_that_takes_turns_is_tried_in_turn(drive: Callable[..., Outcome], trial: str) -> None:
    assert drive(trial, talk, own_thread=False, one_at_a_time=True).fault == ""


def test_upper_case_is_not_echo(drive: Callable[..., Outcome]) -> None:
    assert "expected" in drive("traffic", talk, protocol="upper").fault
