"""I/O multiplexing with level-triggered epoll: one thread waits in epoll_wait for all connections at once.

The server registers each descriptor once, with epoll_ctl. When data arrives for a descriptor, the kernel's callback
(ep_poll_callback) puts the descriptor on the ready list and wakes the thread. epoll_wait returns the descriptors of that list.
The sockets are non-blocking, so the thread sleeps in epoll_wait only (UNP 6.2, "I/O Multiplexing Model"; man 7 epoll).
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
                    epoll.modify(fd, select.EPOLLOUT)  # a slow client: wait for room before reading on
                elif events & select.EPOLLOUT:
                    epoll.modify(fd, select.EPOLLIN)


def serve_udp(sock: socket.socket) -> None:
    """Serves all clients on one socket. Sleeps in epoll_wait until the socket has a datagram, or room to send one."""
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
