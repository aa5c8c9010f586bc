"""Wrong for lab blocking: each function is a server of one thread with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/blocking.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time

from servers.kit.echo import talk

WRONG = {
    "with_time_out": "times in poll",
    "select_first": "times in pselect6",
    "polls_the_connection": "got EAGAIN",
    "receive_time_out": "got EAGAIN",
    "a_thread_each": "by 3 threads",
    "half_of_each_message": "were never echoed",
    "one_message": "the server closed the connection before its echo",
    "sleeping_handler": "of clock_nanosleep",
}
RIGHT = ("recv_into_a_buffer", "as_a_file", "read_and_write")


def with_time_out(listener: socket.socket) -> None:
    """Sets a time-out. Python then makes the socket non-blocking, and waits in poll first (Modules/socketmodule.c)."""
    while True:
        connection, _address = listener.accept()
        connection.settimeout(60)
        talk(connection)


def select_first(listener: socket.socket) -> None:
    """Waits in select for the connection's data, and reads afterwards."""
    while True:
        connection, _address = listener.accept()
        with connection:
            while select.select([connection], [], []) and (data := connection.recv(65536)):
                connection.sendall(data)


def polls_the_connection(listener: socket.socket) -> None:
    """Makes the connection non-blocking, and reads again and again."""
    while True:
        connection, _address = listener.accept()
        connection.setblocking(False)
        data = None
        with connection:
            while data != b"":
                try:
                    data = connection.recv(65536)
                    connection.send(data)
                except BlockingIOError:
                    continue


def receive_time_out(listener: socket.socket) -> None:
    """Gives recv a time-out of 2 ms in the kernel (SO_RCVTIMEO), and reads again after each EAGAIN."""
    while True:
        connection, _address = listener.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 2000))
        data = None
        with connection:
            while data != b"":
                try:
                    data = connection.recv(65536)
                    connection.sendall(data)
                except BlockingIOError:
                    continue


def a_thread_each(listener: socket.socket) -> None:
    """Starts a thread for each connection, so that no connection waits for another."""
    while True:
        connection, _address = listener.accept()
        threading.Thread(target=talk, args=(connection,), daemon=True).start()


def half_of_each_message(listener: socket.socket) -> None:
    """Sends back the first half of what it has read."""
    while True:
        connection, _address = listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                connection.sendall(data[: len(data) // 2])


def one_message(listener: socket.socket) -> None:
    """Reads one message of each connection, answers it, and closes the connection."""
    while True:
        connection, _address = listener.accept()
        with connection:
            connection.sendall(connection.recv(65536))


def recv_into_a_buffer(listener: socket.socket) -> None:
    """Right: reads into a buffer of its own, which it uses again for each read."""
    buffer = memoryview(bytearray(4096))
    while True:
        connection, _address = listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            while size := connection.recv_into(buffer):
                connection.sendall(buffer[:size])


def as_a_file(listener: socket.socket) -> None:
    """Right: makes a file object of each connection, without a buffer in user space."""
    while True:
        connection, _address = listener.accept()
        with connection, connection.makefile("rwb", buffering=0) as stream, contextlib.suppress(ConnectionError):
            while data := stream.read(65536):
                rest = memoryview(data)
                while rest:
                    rest = rest[stream.write(rest) :]


def read_and_write(listener: socket.socket) -> None:
    """Right: reads and writes the descriptor with the calls for files."""
    while True:
        connection, _address = listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            while data := os.read(connection.fileno(), 65536):
                while data:
                    data = data[os.write(connection.fileno(), data) :]


def sleeping_handler(listener: socket.socket) -> None:
    """Sleeps for 3 ms before each echo, so that the other clients wait even longer."""
    while True:
        connection, _address = listener.accept()
        with connection:
            while data := connection.recv(65536):
                time.sleep(0.003)
                connection.sendall(data)
