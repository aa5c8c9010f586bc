"""The bpf() system call (bpf(2), include/uapi/linux/bpf.h): maps, programs, and where they are attached.

The calls are direct, without BCC or libbpf: loading needs no compiler, and the commands are the same on every kernel from 5.10
on. Every function raises OSError with the kernel's error number.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import platform
import resource
import struct
from collections.abc import Iterator
from pathlib import Path

from probes.kernel.syscalls import numbers

MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_NEXT_KEY, PROG_LOAD = range(6)
PROG_TEST_RUN, OBJ_GET_INFO, RAW_TRACEPOINT_OPEN, MAP_LOOKUP_BATCH = 10, 15, 17, 24
HASH, ARRAY, PERCPU_ARRAY, LRU_HASH, RINGBUF = 1, 2, 6, 9, 27
KPROBE, RAW_TRACEPOINT, TRACING = 2, 17, 26  # program types
FENTRY, FEXIT = 24, 25  # attach types of TRACING
_PUNCH_HOLE = 3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_LOG_BYTES = 1 << 20
_LOADS = 5  # times, at most, as in libbpf (bpf_prog_load)
_NAME = 15  # BPF_OBJ_NAME_LEN - 1
_AT_ONCE = 512  # entries of a map that are read by one call
_NO_BATCHES = {errno.EINVAL, errno.EPERM, 524}  # before 5.6, under a filter of system calls, ENOTSUPP of this kind of map

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@functools.cache
def _number() -> int:
    return numbers(platform.machine())["bpf"]


def _call(command: int, buffer: ctypes.Array[ctypes.c_char]) -> int:
    """One bpf() call whose attributes the kernel may change; the error number, 0 for none."""
    result = int(_libc.syscall(ctypes.c_long(_number()), ctypes.c_long(command), buffer, ctypes.c_long(len(buffer))))
    return ctypes.get_errno() if result < 0 else 0


_BATCH_COUNT = 32  # where union bpf_attr has the number of entries of a batch


def _batch(
    place: ctypes.Array[ctypes.c_char] | None,
    after: ctypes.Array[ctypes.c_char],
    keys: ctypes.Array[ctypes.c_char],
    values: ctypes.Array[ctypes.c_char],
    room: int,
    fd: int,
) -> bytes:
    begin = ctypes.addressof(place) if place is not None else 0
    addresses = (begin, ctypes.addressof(after), ctypes.addressof(keys), ctypes.addressof(values))
    return struct.pack("=QQQQIIQQ", *addresses, room, fd, 0, 0)


def _pairs(keys: bytes, values: bytes, number: int, key_size: int, value_size: int) -> Iterator[tuple[bytes, bytes]]:
    for at in range(number):
        yield keys[at * key_size : (at + 1) * key_size], values[at * value_size : (at + 1) * value_size]


def bpf(command: int, attributes: bytes) -> int:
    """One bpf() call; its result."""
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    result = int(_libc.syscall(ctypes.c_long(_number()), ctypes.c_long(command), buffer, ctypes.c_long(len(buffer))))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def update(fd: int, key: bytes, value: bytes) -> None:
    """Sets the value of a key in the map behind a descriptor. The value has the size of the map's values."""
    held = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
    bpf(MAP_UPDATE, struct.pack("=IIQQQ", fd, 0, *map(ctypes.addressof, held), 0))


def lookup(fd: int, key: bytes, size: int) -> bytes:
    """The value of a key, of `size` bytes, in the map behind a descriptor."""
    held = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(size)
    bpf(MAP_LOOKUP, struct.pack("=IIQQQ", fd, 0, *map(ctypes.addressof, held), 0))
    return held[1].raw


def forget(fd: int, begin: int, end: int) -> None:
    """Gives back the memory of these bytes of a memory file (fallocate(2), FALLOC_FL_PUNCH_HOLE)."""
    _libc.fallocate(fd, _PUNCH_HOLE, ctypes.c_long(begin), ctypes.c_long(end - begin))


def possible_cpus() -> int:
    """How many CPUs the kernel may ever have: a per-CPU value has one part for each."""
    first, _, last = Path("/sys/devices/system/cpu/possible").read_text().strip().rpartition("-")
    del first
    return int(last) + 1


class Map:
    """A map that the programs share with this process. Keys and values are bytes; integers are little-endian words."""

    def __init__(self, name: str, kind: int, key_size: int, value_size: int, entries: int, flags: int) -> None:
        self.name, self.kind, self.key_size = name, kind, key_size
        parts = possible_cpus() if kind == PERCPU_ARRAY else 1
        self.value_size = value_size if parts == 1 else (value_size + 7 & ~7) * parts
        attributes = struct.pack("=7I", kind, key_size, value_size, entries, flags, 0, 0) + name.encode()[:_NAME]
        try:
            self.fd = bpf(MAP_CREATE, attributes)
        except PermissionError:  # before 5.11 maps are locked memory (RLIMIT_MEMLOCK)
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            self.fd = bpf(MAP_CREATE, attributes)

    def _element(self, command: int, key: bytes, value: ctypes.Array[ctypes.c_char] | None) -> int:
        held = ctypes.create_string_buffer(key, self.key_size)
        address = ctypes.addressof(value) if value is not None else 0
        return bpf(command, struct.pack("=IIQQQ", self.fd, 0, ctypes.addressof(held), address, 0))

    def lookup(self, key: bytes) -> bytes | None:
        """The value of a key; None if the map does not have the key."""
        value = ctypes.create_string_buffer(self.value_size)
        try:
            self._element(MAP_LOOKUP, key, value)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return value.raw

    def update(self, key: bytes, value: bytes) -> None:
        """Sets the value of a key."""
        update(self.fd, key, value.ljust(self.value_size, b"\0"))

    def keys(self) -> Iterator[bytes]:
        """Every key, in no order; a key that another deletes meanwhile may be missed or come twice."""
        found = self._batches() if self.kind == HASH else None
        return self._keys_one_by_one() if found is None else (key for key, _ in found)

    def _keys_one_by_one(self) -> Iterator[bytes]:
        following, at = ctypes.create_string_buffer(self.key_size), 0
        held: ctypes.Array[ctypes.c_char] | None = None
        while True:
            at = ctypes.addressof(held) if held is not None else 0
            try:
                bpf(MAP_NEXT_KEY, struct.pack("=IIQQ", self.fd, 0, at, ctypes.addressof(following)))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return
                raise
            yield following.raw
            held = ctypes.create_string_buffer(following.raw, self.key_size)

    def values(self) -> Iterator[bytes]:
        """The value of every key."""
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key with its value, in no order; a key that is added or deleted meanwhile may be missed."""
        found = self._batches() if self.kind == HASH else None
        if found is None:
            return ((key, value) for key in self._keys_one_by_one() if (value := self.lookup(key)) is not None)
        return iter(found)

    def _batches(self) -> list[tuple[bytes, bytes]] | None:
        """All entries, many by one call; None where the kernel does not offer that (BPF_MAP_LOOKUP_BATCH, since 5.6)."""
        found: list[tuple[bytes, bytes]] = []
        room, place, begun = _AT_ONCE, ctypes.create_string_buffer(8), False
        while True:
            keys = ctypes.create_string_buffer(room * self.key_size)
            values = ctypes.create_string_buffer(room * self.value_size)
            after = ctypes.create_string_buffer(8)
            attributes = ctypes.create_string_buffer(_batch(place if begun else None, after, keys, values, room, self.fd), 128)
            error = _call(MAP_LOOKUP_BATCH, attributes)
            if error in _NO_BATCHES and not begun:
                return None
            if error == errno.ENOSPC:  # a bucket of the table has more entries than there is room for
                room *= 2
                continue
            if error not in (0, errno.ENOENT):
                raise OSError(error, os.strerror(error))
            (number,) = struct.unpack_from("=I", attributes, _BATCH_COUNT)
            found += _pairs(keys.raw, values.raw, number, self.key_size, self.value_size)
            if error == errno.ENOENT:  # the end
                return found
            place, begun = after, True

    def total(self, index: int) -> int:
        """The sum over all CPUs, of a per-CPU array of u64."""
        value = self.lookup(struct.pack("=I", index)) or b""
        return sum(struct.unpack(f"={len(value) // 8}Q", value))

    def close(self) -> None:
        """Gives the map back; the kernel frees it with its last user."""
        os.close(self.fd)


def load_program(kind: int, name: str, instructions: bytes, *, attach: int = 0, function: int = 0) -> int:
    """Loads a program; its descriptor. `attach` and `function` (a BTF id) are for TRACING programs only."""
    log = ctypes.create_string_buffer(_LOG_BYTES)
    held, license_ = ctypes.create_string_buffer(instructions, len(instructions)), ctypes.create_string_buffer(b"GPL")

    def attributes(level: int) -> bytes:
        size, at = (_LOG_BYTES, ctypes.addressof(log)) if level else (0, 0)
        head = struct.pack("=IIQQIIQII", kind, len(instructions) // 8, ctypes.addressof(held), ctypes.addressof(license_),
                           level, size, at, 0, 0)  # fmt: skip
        return head + struct.pack("=16sIIIIQIIQII", name.encode()[:_NAME], 0, attach, 0, 0, 0, 0, 0, 0, 0, function)

    try:
        return _load(attributes(0))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EACCES):
            raise
        try:  # the verifier says why
            return _load(attributes(1))
        except OSError as again:
            lines = [line for line in log.value.decode(errors="replace").splitlines() if line and "processed" not in line]
            raise OSError(again.errno, lines[-1][:160] if lines else os.strerror(again.errno or 0)) from again


def _load(attributes: bytes) -> int:
    """Loads a program. The verifier gives up with EAGAIN if a signal comes meanwhile (kernel/bpf/verifier.c, do_check)."""
    for _ in range(_LOADS - 1):
        with contextlib.suppress(BlockingIOError):
            return bpf(PROG_LOAD, attributes)
    return bpf(PROG_LOAD, attributes)


def attach_raw(program: int, tracepoint: str = "") -> int:
    """Attaches a program at a raw tracepoint; without a name, a TRACING program where it belongs. The link's descriptor."""
    name = ctypes.create_string_buffer(tracepoint.encode()) if tracepoint else None
    return bpf(RAW_TRACEPOINT_OPEN, struct.pack("=QI", ctypes.addressof(name) if name else 0, program))


def run_program(program: int, *arguments: int) -> None:
    """Runs a raw tracepoint's program once, on this thread, with these arguments (since 5.10)."""
    context = ctypes.create_string_buffer(struct.pack(f"={len(arguments)}Q", *arguments))
    size = 8 * len(arguments)
    bpf(
        PROG_TEST_RUN, struct.pack("=IIIIQQIIIIQQII", program, 0, 0, 0, 0, 0, 0, 0, size, 0, ctypes.addressof(context), 0, 0, 0)
    )


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """A descriptor of the same file as another process's descriptor (pidfd_getfd(2), since 5.6). It closes on exec."""
    number = numbers(platform.machine())["pidfd_getfd"]
    result = int(_libc.syscall(ctypes.c_long(number), ctypes.c_long(pidfd), ctypes.c_long(fd), ctypes.c_long(0)))
    if result < 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed))
    return result


def misses(program: int) -> int:
    """How often the kernel skipped a program because it was already at work on that CPU (since 5.12; 0 before).

    struct bpf_prog_info.recursion_misses, at byte 208.
    """
    info = ctypes.create_string_buffer(256)
    try:
        bpf(OBJ_GET_INFO, struct.pack("=IIQ", program, len(info), ctypes.addressof(info)))
    except OSError:
        return 0
    return int(struct.unpack_from("=Q", info.raw, 208)[0])


def map_definition(fd: int) -> tuple[int, int, int, int, int]:
    """The description of a map that BCC made: kind, key size, value size, entries, flags (struct bpf_map_info)."""
    info = ctypes.create_string_buffer(128)
    bpf(OBJ_GET_INFO, struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)))
    kind, _id, key_size, value_size, entries, flags = struct.unpack_from("=6I", info.raw)
    return kind, key_size, value_size, entries, flags
