"""The select server of many courses: a list of sockets to read, a list of sockets to write, and a dictionary of answers.

`broken` puts each answer into the dictionary and the socket into the write list. The next select finds room in the send buffer
at once, so that each answer costs a second call of select. The dictionary has room for one answer per socket: if a message
comes in two reads, the second part replaces the first, which is then lost. The time-out of half a second ends the call for
nothing while no client sends. `mended` sends at once, puts a socket into the write list only while data is unsent, reads no
more of that connection until then, and waits without a time-out. It also sets TCP_NODELAY: without it, the second part of an
answer waits until the client has acknowledged the first part, often for 40 ms (Nagle's algorithm, man 7 tcp).
"""

import select
import socket


def broken(listener: socket.socket) -> None:
    """Queues one answer per socket, and sends it after the next select."""
    listener.setblocking(False)
    readers: list[socket.socket] = [listener]
    writers: list[socket.socket] = []
    answers: dict[socket.socket, bytes] = {}
    while True:
        readable, writable, _ = select.select(readers, writers, [], 0.5)
        for sock in readable:
            if sock is listener:
                connection, _address = listener.accept()
                readers.append(connection)
                continue
            try:
                data = sock.recv(1024)
            except ConnectionError:
                data = b""
            if data:
                answers[sock] = data
                if sock not in writers:
                    writers.append(sock)
            else:
                readers.remove(sock)
                sock.close()
        for sock in writable:
            sock.send(answers.pop(sock))
            writers.remove(sock)


def mended(listener: socket.socket) -> None:
    """Sends at once. A socket is in the write list only while its send buffer has no room."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit this option
    listener.setblocking(False)
    readers: list[socket.socket] = [listener]
    unsent: dict[socket.socket, bytes] = {}
    while True:
        readable, writable, _ = select.select(readers, list(unsent), [])
        for sock in readable + writable:
            try:
                if sock is listener:
                    connection, _address = listener.accept()
                    connection.setblocking(False)
                    readers.append(connection)
                    continue
                data = unsent.pop(sock, b"") or sock.recv(1024)
                if not data:
                    raise ConnectionResetError
                if rest := data[_send(sock, data) :]:
                    unsent[sock] = rest
                    if sock in readers:
                        readers.remove(sock)
                elif sock not in readers:
                    readers.append(sock)
            except BlockingIOError:
                pass
            except ConnectionError:
                if sock in readers:
                    readers.remove(sock)
                sock.close()


def _send(sock: socket.socket, data: bytes) -> int:
    """How many bytes the send buffer took, perhaps none."""
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0
