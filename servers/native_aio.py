"""Linux native AIO on sockets: io_submit submits one-shot polls, and ordinary calls read the data.

A read submitted for an empty blocking socket would block in io_submit until data arrives. For a non-blocking socket, the read
fails with EAGAIN. So the server submits polls only, which report that a socket can be read. The server is therefore a
multiplexer. It needs one system call more per message than epoll, because each poll reports once (man 2 io_submit,
IOCB_CMD_POLL; UNP 6.2 has no such model).
"""

import contextlib
import select
import socket

from servers.kit.echo import accept, echo
from servers.kit.native_aio import POLL, Context


def serve(listener: socket.socket) -> None:
    """Serves the ready descriptors, and submits their next polls."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with contextlib.closing(Context()) as context:
        context.submit(POLL, listener.fileno(), select.POLLIN)
        while True:
            for fd, _mask in completions(context):
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connections[connection.fileno()] = connection
                        context.submit(POLL, connection.fileno(), select.POLLIN)
                    context.submit(POLL, fd, select.POLLIN)
                    continue
                rest = echo(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()
                    continue
                if rest:
                    unsent[fd] = rest
                context.submit(POLL, fd, select.POLLOUT if rest else select.POLLIN)


def completions(context: Context) -> list[tuple[int, int]]:
    """The completed polls; an empty list if a signal interrupted the wait."""
    try:
        return context.completions()
    except InterruptedError:
        return []
