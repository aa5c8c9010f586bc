"""asyncio: code that reads as if it blocked, on a loop that multiplexes.

`await` suspends a coroutine, not the thread; the thread sleeps in epoll_wait like that of the epoll server, and reads when
the data is there (UNP 6.2 would call it I/O multiplexing; docs.python.org, asyncio).

Over UDP it awaits the socket itself. A DatagramProtocol would be told of each datagram by a callback, but its transport drops
empty ones (before Python 3.13) and reads on without limit while the send buffer is full.
"""

import asyncio
import socket


def serve(listener: socket.socket) -> None:
    """Runs the loop until the server is ended."""
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
    """Runs the loop until the server is ended."""
    sock.setblocking(False)
    asyncio.run(main_udp(sock))


async def main_udp(sock: socket.socket) -> None:
    """One coroutine for the one socket."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            datagram = await loop.sock_recvfrom(sock, 65535)
        except ConnectionError:
            continue  # an earlier one found nobody: its client has gone
        await send_back(loop, sock, datagram)


async def send_back(loop: asyncio.AbstractEventLoop, sock: socket.socket, datagram: tuple[bytes, tuple[str, int]]) -> None:
    """Sends it when there is room; drops what can't be delivered."""
    while True:
        try:
            await loop.sock_sendto(sock, *datagram)
        except ConnectionError:
            continue  # told in place of sending this one
        except OSError:
            pass
        return
