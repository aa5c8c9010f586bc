"""Blocking I/O: one thread, one connection at a time, asleep in whichever call has nothing to give yet.

accept sleeps until a client comes, recv until data comes, sendall until the send buffer has room. It is the shortest server
there is, and its price is plain to see: while it sleeps in recv on one connection, it cannot look at any other
(UNP 6.2, "Blocking I/O Model"). Over UDP there are no connections: one recvfrom waits for all clients at once.
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
                pass  # reset by its client: the next one is waiting


def serve_udp(sock: socket.socket) -> None:
    """Asleep in recvfrom until a datagram comes, in sendto until there is room."""
    while True:
        if datagram := receive(sock):
            send_back(sock, datagram)
