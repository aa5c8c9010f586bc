"""asyncio: the code looks as if it blocked, but an event loop multiplexes.

`await` suspends a coroutine, not the thread. The thread sleeps in epoll_wait, as in the epoll server, and reads when the data
is there (UNP 6.2 would call this I/O multiplexing; docs.python.org, asyncio).

Over UDP the server awaits the socket itself. A DatagramProtocol would get each datagram by a callback. But its transport drops
empty datagrams (before Python 3.13), and reads on without limit while the send buffer is full.
"""

import asyncio
import socket


def serve(listener: socket.socket) -> None:
    """Runs the loop until SIGTERM ends the server."""
    asyncio.run(main(listener))


async def main(listener: socket.socket) -> None:
    """Starts a coroutine for each connection."""
    server = await asyncio.start_server(talk, sock=listener)
    await server.serve_forever()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echoes one connection to its end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def serve_udp(sock: socket.socket) -> None:
    """Runs the loop until SIGTERM ends the server."""
    sock.setblocking(False)
    asyncio.run(main_udp(sock))


async def main_udp(sock: socket.socket) -> None:
    """Serves the socket with a single coroutine."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            datagram = await loop.sock_recvfrom(sock, 65535)
        except ConnectionError:
            continue  # the kernel reports that an earlier datagram could not be delivered: its client has gone
        await send_back(loop, sock, datagram)


async def send_back(loop: asyncio.AbstractEventLoop, sock: socket.socket, datagram: tuple[bytes, tuple[str, int]]) -> None:
    """Sends the datagram when the send buffer has room. Drops a datagram that can't be delivered."""
    while True:
        try:
            await loop.sock_sendto(sock, *datagram)
        except ConnectionError:
            continue  # the error of an earlier datagram; this datagram was not sent
        except OSError:
            pass
        return
