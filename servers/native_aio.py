"""Linux native AIO on sockets: one-shot polls by io_submit, then ordinary reads.

A read submitted for an empty blocking socket would block in io_submit for as long as the data takes, and for a non-blocking
one it fails with EAGAIN; so the server asks only to be told when it can read. That makes it a multiplexer, with a system call
more for each message than epoll: every poll is for once (man 2 io_submit, IOCB_CMD_POLL; UNP 6.2 knows no such model).
"""

import contextlib
import select
import socket

from servers.kit.echo import accept, echo
from servers.kit.native_aio import POLL, Context


def serve(listener: socket.socket) -> None:
    """Serves what is ready, and asks again."""
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
    """What has ended; nothing, if a signal came first."""
    try:
        return context.completions()
    except InterruptedError:
        return []
