"""What the running kernel lacks for a variant of the io_uring server, found by trying the variant on a pair of sockets."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from servers.kit.io_uring import ASYNC, BUFFER_SELECT, RECV, RECV_MULTISHOT, SQPOLL, Buffers, Ring

_DISABLED = Path("/proc/sys/kernel/io_uring_disabled")


def missing(variant: str) -> str | None:
    """A sentence about what this machine lacks for the function `variant` of servers/io_uring.py, or None.

    The trial runs in a thread of its own. The kernel's workers belong to the thread that needed them first. Workers of the
    server's thread would also serve the server later, but they would exist before the probes follow the server.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_missing, variant).result()


def _missing(variant: str) -> str | None:
    try:
        with Ring(2):
            pass
    except OSError as error:
        return f"this machine refuses io_uring ({error.strerror}): {_why(error)}"
    if variant == "multishot":
        return _multishot()
    if variant == "sqpoll":
        return _sqpoll()
    number = _received(Ring(2), ASYNC if variant == "worker" else 0)
    return f"this kernel's io_uring can't receive from a socket ({os.strerror(number)})" if number else None


def _filtered() -> bool:
    """Whether a seccomp filter checks the system calls of this process, as in a container without --privileged (proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return any(line.startswith("Seccomp:") and line.split()[1] != "0" for line in lines)


def _why(error: OSError) -> str:
    if error.errno == errno.ENOSYS:
        if _filtered():  # Podman's filter returns ENOSYS
            return "a container's seccomp filter hides it, and --security-opt seccomp=unconfined lifts that"
        return "the kernel was built without it, or is too old"
    if _DISABLED.exists() and (value := _DISABLED.read_text().strip()) != "0":
        return f"the sysctl kernel.io_uring_disabled is {value}, and 0 allows it"
    return "most likely a seccomp filter, as Docker's without --privileged"


def _sqpoll() -> str | None:
    try:
        ring = Ring(2, flags=SQPOLL, idle_ms=1)
    except OSError as error:
        return f"this kernel refuses IORING_SETUP_SQPOLL ({error.strerror}): some allow it to root only"
    number = _received(ring)
    if number == errno.EBADF:
        return "this kernel's SQPOLL thread takes registered files only (IORING_FEAT_SQPOLL_NONFIXED is missing)"
    return f"this kernel's SQPOLL thread can't receive from a socket ({os.strerror(number)})" if number else None


def _multishot() -> str | None:
    ring = Ring(2)
    try:
        buffers = Buffers(ring, 0, 1, 16)  # the name keeps its memory alive
    except OSError as error:
        ring.close()
        return f"this kernel has no rings of provided buffers (IORING_REGISTER_PBUF_RING: {error.strerror})"
    number = _received(ring, BUFFER_SELECT, RECV_MULTISHOT, buffers.group)
    return f"this kernel has no multishot receive (IORING_RECV_MULTISHOT: {os.strerror(number)})" if number else None


def _received(ring: Ring, flags: int = 0, priority: int = 0, group: int = 0) -> int:
    """Receives one byte that is already in the socket, and closes the ring. Returns 0, or the errno."""
    memory = ctypes.create_string_buffer(1)
    address, size = (0, 0) if flags & BUFFER_SELECT else (ctypes.addressof(memory), 1)
    here, there = socket.socketpair()
    with ring, here, there:
        there.send(b"x")
        ring.request(RECV, here.fileno(), address, size, data=1, flags=flags, priority=priority, group=group)
        while not (ended := ring.wait()):
            pass  # a signal interrupted the wait
    return max(-ended[0].result, 0)
