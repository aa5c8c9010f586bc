"""I/O multiplexing with epoll, level-triggered: one thread, asleep in epoll_wait for all connections at once.

Each descriptor is registered once, by epoll_ctl. When data arrives for one, the kernel's callback puts it on the ready list
and wakes the thread, and epoll_wait hands over just that list. The sockets are non-blocking, so the only place where the
thread ever sleeps is epoll_wait (UNP 6.2, "I/O Multiplexing Model"; man 7 epoll).
"""

import select
import socket

from servers.kit.echo import accept, echo, receive, send_back


def serve(listener: socket.socket) -> None:
    """Serves all connections in turn, as each becomes ready."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                    continue
                rest = echo(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    epoll.unregister(fd)
                    connections.pop(fd).close()
                elif rest:
                    unsent[fd] = rest
                    epoll.modify(fd, select.EPOLLOUT)  # a slow reader: wait for room before reading on
                elif events & select.EPOLLOUT:
                    epoll.modify(fd, select.EPOLLIN)


def serve_udp(sock: socket.socket) -> None:
    """One socket for all clients: asleep in epoll_wait until it has a datagram, or room for one."""
    sock.setblocking(False)
    unsent = None
    with select.epoll() as epoll:
        epoll.register(sock, select.EPOLLIN)
        while True:
            for fd, events in epoll.poll():
                unsent = unsent or receive(sock)
                if unsent and not send_back(sock, unsent):
                    epoll.modify(fd, select.EPOLLOUT)  # wait for room before reading on
                    continue
                unsent = None
                if events & select.EPOLLOUT:
                    epoll.modify(fd, select.EPOLLIN)
