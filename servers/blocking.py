"""Blocking I/O: one thread serves one connection at a time, and sleeps in each call that has to wait.

accept sleeps until a client connects, recv until data arrives, sendall until the send buffer has room. This is the shortest
possible server. Its price: while the thread sleeps in recv on one connection, it can't serve any other connection
(UNP 6.2, "Blocking I/O Model"). Over UDP there are no connections, and one recvfrom waits for all clients at once.
"""

import socket

from servers.kit.echo import receive, send_back


def serve(listener: socket.socket) -> None:
    """Serves one connection after the other, each to its end."""
    while True:
        connection, _address = listener.accept()
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except ConnectionError:
                pass  # the client reset the connection; the next connection is waiting


def serve_udp(sock: socket.socket) -> None:
    """Sleeps in recvfrom until a datagram arrives, and in sendto until the send buffer has room."""
    while True:
        if datagram := receive(sock):
            send_back(sock, datagram)
