"""Wrong for lab asyncio: each function is a server on asyncio with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/asyncio.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import selectors
import socket
import threading
import time
from collections.abc import Awaitable, Callable

from servers.asyncio import main, talk
from servers.kit.echo import talk as blocking_talk

WRONG = {
    "sleeps_in_a_coroutine": "in clock_nanosleep",
    "blocking_recv": "in recvfrom, on the socket's queue",
    "waits_for_a_lock": "in futex, on the queue of futex",
    "sleeps_for_zero": "the wait returned at once with nothing ready",
    "short_time_out": "in epoll_wait ended because a time-out expired",
    "reads_in_threads": "the thread of the loop made 0 of",
    "serves_in_an_executor": "the thread of the loop made 0 of",
    "one_after_the_other": "had unread data while the thread slept in its wait",
    "select_loop": "the loop waits in pselect6",
    "polls_with_eagain": "the wait returned at once with nothing ready",
}
RIGHT = ("protocol", "socket_calls", "debug_loop")
Talk = Callable[[asyncio.AbstractEventLoop, socket.socket], Awaitable[None]]


def _serve(listener: socket.socket, talk_to: Talk) -> None:
    """Accepts in the loop, and starts a coroutine for each connection."""

    async def accept() -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        tasks = set()
        while True:
            connection, _address = await loop.sock_accept(listener)
            tasks.add(asyncio.ensure_future(talk_to(loop, connection)))

    asyncio.run(accept())


def sleeps_in_a_coroutine(listener: socket.socket) -> None:
    """Calls time.sleep: the thread sleeps, and with it all coroutines."""

    async def talk_to(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        while data := await loop.sock_recv(connection, 65536):
            time.sleep(0.003)
            await loop.sock_sendall(connection, data)
        connection.close()

    _serve(listener, talk_to)


def blocking_recv(listener: socket.socket) -> None:
    """Calls recv of a blocking socket in a coroutine."""

    async def talk_to(_loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        connection.setblocking(True)
        while data := connection.recv(65536):
            connection.sendall(data)
            await asyncio.sleep(0)
        connection.close()

    _serve(listener, talk_to)


def waits_for_a_lock(listener: socket.socket) -> None:
    """Waits in a coroutine for the result of a thread, by Future.result instead of await."""
    pool = concurrent.futures.ThreadPoolExecutor(1)

    def work(data: bytes) -> bytes:
        time.sleep(0.004)
        return data

    async def talk_to(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        while data := await loop.sock_recv(connection, 65536):
            await loop.sock_sendall(connection, pool.submit(work, data).result())
        connection.close()

    _serve(listener, talk_to)


def sleeps_for_zero(listener: socket.socket) -> None:
    """Waits for data by asyncio.sleep(0) in a loop: a callback is always due, so that epoll_wait never sleeps."""

    async def talk_to(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        received = loop.create_task(loop.sock_recv(connection, 65536))
        while True:
            while not received.done():
                await asyncio.sleep(0)
            if not (data := received.result()):
                return connection.close()
            await loop.sock_sendall(connection, data)
            received = loop.create_task(loop.sock_recv(connection, 65536))

    _serve(listener, talk_to)


def polls_with_eagain(listener: socket.socket) -> None:
    """Reads the non-blocking socket itself, and lets the loop go on after each EAGAIN."""

    async def talk_to(_loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        while True:
            try:
                data = connection.recv(65536)
            except BlockingIOError:
                await asyncio.sleep(0)
                continue
            if not data:
                return connection.close()
            connection.sendall(data)

    _serve(listener, talk_to)


def short_time_out(listener: socket.socket) -> None:
    """Waits for data for 1 ms at most, again and again."""

    async def talk_to(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        while True:
            try:
                data = await asyncio.wait_for(loop.sock_recv(connection, 65536), 0.001)
            except TimeoutError:
                continue
            if not data:
                return connection.close()
            await loop.sock_sendall(connection, data)

    _serve(listener, talk_to)


def reads_in_threads(listener: socket.socket) -> None:
    """Gives each blocking read to a thread (asyncio.to_thread)."""

    async def talk_to(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        connection.setblocking(True)
        while data := await asyncio.to_thread(connection.recv, 65536):
            connection.sendall(data)
        connection.close()

    _serve(listener, talk_to)


def serves_in_an_executor(listener: socket.socket) -> None:
    """Gives each connection to a pool of threads, in which blocking calls serve it."""
    pool = concurrent.futures.ThreadPoolExecutor(8)

    async def talk_to(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        connection.setblocking(True)
        await loop.run_in_executor(pool, blocking_talk, connection)

    _serve(listener, talk_to)


def one_after_the_other(listener: socket.socket) -> None:
    """Awaits the end of each connection before it accepts the next one: no task is created."""

    async def accept() -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            connection, _address = await loop.sock_accept(listener)
            with connection:
                while data := await loop.sock_recv(connection, 65536):
                    await loop.sock_sendall(connection, data)

    asyncio.run(accept())


def select_loop(listener: socket.socket) -> None:
    """Runs a loop that is not the default one: its selector is select."""
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main(listener))


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def protocol(listener: socket.socket) -> None:
    """Right: callbacks instead of coroutines."""

    async def start() -> None:
        server = await asyncio.get_running_loop().create_server(_Echo, sock=listener)
        await server.serve_forever()

    asyncio.run(start())


def socket_calls(listener: socket.socket) -> None:
    """Right: the loop's calls on sockets instead of streams, and a thread that has nothing to do with the connections."""

    async def talk_to(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        with connection:
            while data := await loop.sock_recv(connection, 65536):
                await loop.sock_sendall(connection, data)

    threading.Thread(target=threading.Event().wait, daemon=True).start()
    _serve(listener, talk_to)


def debug_loop(listener: socket.socket) -> None:
    """Right: the loop's debug mode, which only adds checks."""

    async def start() -> None:
        server = await asyncio.start_server(talk, sock=listener)
        await server.serve_forever()

    asyncio.run(start(), debug=True)
