"""An echo server with asyncio: the code looks as if it blocked, but an event loop multiplexes (docs.python.org, asyncio).

Start it by python3 asyncio_server.py 8080, and try it by nc 127.0.0.1 8080.
"""

import asyncio
import os
import sys


async def main() -> None:
    """Listens on 127.0.0.1, on the port of the command line or of the variable PORT; 0 is any free port."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "0"))
    server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=128)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves one connection. The loop runs one such coroutine for each connection."""
    try:
        while True:
            # GAP 1: Suspend this coroutine until data arrives, and take at most 64 kB of it.
            # CHECKS: protocol, partial_messages
            data = await reader.read(65536)
            # HINT: The stub waits for a newline, and the clients send none.
            # HINT: Read docs.python.org, asyncio streams, StreamReader.read: how many bytes does read(n) wait for?
            # HINT: data = await reader.read(65536)
            # STUB: data = await reader.readline()
            # END
            # GAP 2: Leave the loop if the client has ended the connection.
            # CHECKS: half_close, protocol, silent_client, never-spins, serves-in-turn
            if not data:
                break
            # HINT: At the end of the stream, read returns at once, without suspending the coroutine. What does it return then?
            # HINT: read returns b"". Without a test for that, the coroutine runs for ever, and the loop serves no other
            #       connection.
            # HINT: if not data: break
            # END
            # GAP 3: Send `data` back, and suspend this coroutine while the send buffer is full.
            # CHECKS: protocol, huge_message
            writer.write(data)
            await writer.drain()
            # HINT: Two calls: the first gives the data to the loop, the second waits for the flow control.
            # HINT: Read docs.python.org, asyncio streams, StreamWriter.write and StreamWriter.drain.
            # HINT: writer.write(data), then await writer.drain()
            # END
    except ConnectionError:
        pass  # the client has reset the connection
    # GAP 4: Close the connection.
    # CHECKS: half_close, closes-ended-connections
    writer.close()
    # HINT: The end of the coroutine does not close the connection: the loop keeps the transport.
    # HINT: Read docs.python.org, asyncio streams, StreamWriter.close.
    # HINT: writer.close()
    # END


if __name__ == "__main__":
    asyncio.run(main())
