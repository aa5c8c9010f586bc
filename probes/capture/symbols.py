"""Names of kernel addresses, from /proc/kallsyms (kernel/kallsyms.c).

libbcc's cache of it is several times faster than Python, but BCC 0.26 reads the file for root only. A user with the
capabilities that iolab needs may read it as well, so for other users Python does.
"""

from __future__ import annotations

import bisect
import ctypes
import functools
import os
from pathlib import Path

_TEXT = "tTwW"  # the types of functions (nm(1))


class _Symbol(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("demangled", ctypes.c_char_p),
        ("module", ctypes.c_char_p),
        ("offset", ctypes.c_uint64),
    )


class Symbols:
    """The kernel's symbols as they are now: programs that are unloaded later have their names in it only until then."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libbcc.so.0")
        self._library.bcc_symcache_new.restype = ctypes.c_void_p
        self._cache = ctypes.c_void_p(self._library.bcc_symcache_new(-1, None))
        self._names: dict[int, str] = {}

    def name(self, address: int) -> str:
        """The function at an address; "?" where the kernel gives no name.

        Each address is looked up once: a run has thousands of stacks, but only a few hundred addresses.
        """
        found = self._names.get(address)
        if found is None:
            found = self._names[address] = self._look_up(address)
        return found

    def _look_up(self, address: int) -> str:
        if os.getuid() != 0:
            return self._found(address)
        found = _Symbol()
        if self._library.bcc_symcache_resolve_no_demangle(self._cache, ctypes.c_uint64(address), ctypes.byref(found)) < 0:
            return "?"
        return readable((found.name or b"").decode(errors="replace"))

    def address(self, name: str) -> int:
        """The address of a function; 0 where the kernel gives none. (libbcc builds its table of names anew at each look-up.)"""
        return self._addresses.get(name, 0)

    @functools.cached_property
    def _sorted(self) -> tuple[list[int], list[str]]:
        """The addresses and the names of all functions; none where the kernel hides them: then each address is 0."""
        with Path("/proc/kallsyms").open() as lines:
            words = (line.split(None, 3) for line in lines)
            pairs = sorted((int(word[0], 16), word[2].rstrip()) for word in words if word[1] in _TEXT)
        known = [pair for pair in pairs if pair[0]]
        return [address for address, _ in known], [name for _, name in known]

    @functools.cached_property
    def _addresses(self) -> dict[str, int]:
        return dict(zip(reversed(self._sorted[1]), reversed(self._sorted[0]), strict=True))

    def _found(self, address: int) -> str:
        addresses, names = self._sorted
        place = bisect.bisect_right(addresses, address) - 1
        return readable(names[place]) if place >= 0 else "?"


def readable(symbol: str) -> str:
    """A kernel symbol without the compiler's endings: `do_epoll_wait.constprop.0` is do_epoll_wait."""
    return symbol.split(".", 1)[0] if symbol else "?"
