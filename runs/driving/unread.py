"""What the kernel knows about the data of a client's socket: not acknowledged, not read by the server."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios

_WINDOW_AT, _TCP_INFO_BYTES = 228, 232  # of tcpi_snd_wnd in struct tcp_info (uapi: tcp.h, Linux 5.4)


def all_read(sock: socket.socket, widest: int) -> bool:
    """Did the peer acknowledge all data, and is its window as wide as before?"""
    return unacknowledged(sock) == 0 and window(sock) >= widest


def unacknowledged(sock: socket.socket) -> int:
    """The bytes that the peer has not acknowledged, or that were not sent yet (tcp(7), SIOCOUTQ)."""
    return int(struct.unpack("=i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0])


def window(sock: socket.socket) -> int:
    """The window that the peer announced last."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int(struct.unpack_from("=I", info, _WINDOW_AT)[0]) if len(info) == _TCP_INFO_BYTES else 0
