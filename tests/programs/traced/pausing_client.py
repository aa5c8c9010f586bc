"""A client pauses between its messages, and a thread of the same process echoes them."""

import socket
import threading
import time


def serve(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(4096):
            connection.sendall(data)


with socket.create_server(("127.0.0.1", 0)) as listener:
    server = threading.Thread(target=serve, args=(listener,))
    server.start()
    with socket.create_connection(listener.getsockname()) as client:
        for _ in range(7):
            client.sendall(b"x" * 100)
            client.recv(4096)
            time.sleep(0.03)
    server.join()
