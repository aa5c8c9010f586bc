"""A descriptor in words with its number."""

from __future__ import annotations

from findings.descriptors.words import file_words, socket_words
from probes.measure.rows import Descriptor
from probes.measure.sockets import SocketName


def with_number(descriptor: Descriptor | None, fd: int, name: SocketName | None = None) -> str:
    """As in "epoll[12]", "TCP[6] 127.0.0.1:8080<-:51000"; the number alone where the kind is not known.

    >>> with_number(Descriptor("pipe_release"), 5), with_number(None, 5)
    ('pipe[5]', '5')
    """
    if name:
        protocol, _, addresses = socket_words(name).partition(" ")
        return f"{protocol}[{fd}] {addresses}"
    words = file_words(descriptor) if descriptor else ""
    return f"{words}[{fd}]" if words else str(fd)
