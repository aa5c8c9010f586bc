"""Names of kernel addresses, from /proc/kallsyms (kernel/kallsyms.c), by libbcc's cache of it."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path


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

    def name(self, address: int) -> str:
        """The function at an address; "?" where the kernel gives no name."""
        found = _Symbol()
        if self._library.bcc_symcache_resolve_no_demangle(self._cache, ctypes.c_uint64(address), ctypes.byref(found)) < 0:
            return "?"
        return readable((found.name or b"").decode(errors="replace"))

    def address(self, name: str) -> int:
        """The address of a function; 0 where the kernel gives none. (libbcc builds its table of names anew at each look-up.)"""
        return self._addresses.get(name, 0)

    @functools.cached_property
    def _addresses(self) -> dict[str, int]:
        with Path("/proc/kallsyms").open() as lines:
            words = (line.split(None, 3) for line in lines)
            return {word[2].rstrip(): int(word[0], 16) for word in words}


def readable(symbol: str) -> str:
    """A kernel symbol without the compiler's endings: `do_epoll_wait.constprop.0` is do_epoll_wait."""
    return symbol.split(".", 1)[0] if symbol else "?"
