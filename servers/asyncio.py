"""asyncio: code that reads as if it blocked, on a loop that multiplexes.

`await` suspends a coroutine, not the thread; the thread sleeps in epoll_wait like that of the epoll server, and reads when
the data is there (UNP 6.2 would call it I/O multiplexing; docs.python.org, asyncio).
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
