"""One datagram as recvmsg and sendmsg need it (struct msghdr, man 2 recvmsg), for io_uring."""

from __future__ import annotations

import ctypes

_ADDRESS_SIZE = 128  # struct sockaddr_storage: room for any family


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Message:
    """Room for a datagram of up to 65,535 bytes and for its sender's address. `address` is the address of the msghdr."""

    def __init__(self) -> None:
        self._data = ctypes.create_string_buffer(65535)
        self._name = ctypes.create_string_buffer(_ADDRESS_SIZE)
        self._vector = _Vector(ctypes.addressof(self._data))
        self._header = _Header(name=ctypes.addressof(self._name), vectors=ctypes.addressof(self._vector), count=1)
        self.address = ctypes.addressof(self._header)

    def room(self) -> int:
        """Prepares the message for the next datagram. Returns the address of the msghdr."""
        self._vector.size, self._header.name_size = len(self._data), _ADDRESS_SIZE
        return self.address

    def echo(self, size: int) -> int:
        """Prepares the message to send `size` bytes back to the sender, whose address recvmsg has stored."""
        self._vector.size = size
        return self.address
