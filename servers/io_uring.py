"""io_uring: requests and completions in rings that process and kernel share, and one system call for many of both.

A receive is asked for before there is data; the completion comes when the data is in the process's buffer. Who copied it
depends: with data there already, the thread itself inside io_uring_enter; with data that came later, the thread again, woken
for just that work inside the same call; only with IOSQE_ASYNC (`io_uring:worker`) or SQPOLL (`io_uring:sqpoll`) is it a
thread of the kernel. `io_uring:multishot` asks once and is answered many times (servers/kit/multishot.py; man 7 io_uring).
"""

import ctypes
import errno
import os
import socket

from servers.kit.io_uring import ACCEPT, ASYNC, RECV, RECVMSG, SEND, SENDMSG, SQPOLL, Ring
from servers.kit.message import Message
from servers.kit.multishot import accepted, multishot
from servers.kit.requirements import missing

__all__ = ["missing", "multishot", "serve", "serve_udp", "sqpoll", "worker"]


class Peer:
    """A connection's buffer, and what of it is still to be sent."""

    def __init__(self) -> None:
        self.memory = ctypes.create_string_buffer(65536)
        self.address = ctypes.addressof(self.memory)
        self.start = self.left = 0


def serve(listener: socket.socket) -> None:
    """The process submits, waits and copies, all inside io_uring_enter."""
    with Ring() as ring:
        echo(listener, ring, receive_flags=0)


def worker(listener: socket.socket) -> None:
    """Each receive goes to a worker thread of the kernel (iou-wrk), which copies; the process only waits.

    A worker that finds no data sleeps on the socket in older kernels, and in newer ones leaves word there (poll) and is free.
    """
    with Ring() as ring:
        echo(listener, ring, receive_flags=ASYNC)


def sqpoll(listener: socket.socket) -> None:
    """A thread of the kernel (iou-sqp) looks for requests, carries them out and copies; the process only waits."""
    with Ring(flags=SQPOLL) as ring:
        echo(listener, ring, receive_flags=0)


def echo(listener: socket.socket, ring: Ring, receive_flags: int) -> None:
    """Asks for connections and for data, and goes on with each as it completes."""
    peers: dict[int, Peer] = {}
    ring.request(ACCEPT, listener.fileno(), 0, 0, data=listener.fileno())
    while True:
        for done in ring.wait():
            fd = done.data
            if fd == listener.fileno():
                ring.request(ACCEPT, fd, 0, 0, data=fd)
                if accepted(done):
                    peer = peers[done.result] = Peer()
                    ring.request(RECV, done.result, peer.address, 65536, data=done.result, flags=receive_flags)
                continue
            peer = peers[fd]
            if done.result <= 0:  # the end of the connection, or its error
                del peers[fd]
                os.close(fd)
            elif peer.left == 0:  # that was a receive: send it back
                peer.start, peer.left = 0, done.result
                ring.request(SEND, fd, peer.address, peer.left, data=fd)
            else:
                peer.start, peer.left = peer.start + done.result, peer.left - done.result
                if peer.left:
                    ring.request(SEND, fd, peer.address + peer.start, peer.left, data=fd)
                else:
                    ring.request(RECV, fd, peer.address, 65536, data=fd, flags=receive_flags)


def serve_udp(sock: socket.socket) -> None:
    """One request at a time, receive or send, so that the datagrams keep their order; a full send buffer delays the send."""
    message = Message()
    with Ring() as ring:
        ring.request(RECVMSG, sock.fileno(), message.room(), 1, data=RECVMSG)
        while True:
            for done in ring.wait():
                if done.data == RECVMSG and done.result >= 0:
                    size = done.result
                    ring.request(SENDMSG, sock.fileno(), message.echo(size), 1, data=SENDMSG)
                elif done.data == SENDMSG and done.result == -errno.ECONNREFUSED:  # of an earlier one: this one wasn't sent
                    ring.request(SENDMSG, sock.fileno(), message.echo(size), 1, data=SENDMSG)
                else:
                    ring.request(RECVMSG, sock.fileno(), message.room(), 1, data=RECVMSG)
