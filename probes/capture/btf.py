"""The types of the running kernel (BTF): offsets of struct members, arguments of tracepoints.

The BTF shows how kernels differ; no code depends on a kernel's version number. libbpf, which is installed with BCC, reads the
BTF. Its functions are called by ctypes: https://libbpf.readthedocs.io/en/latest/api.html
"""

from __future__ import annotations

import ctypes
from functools import cached_property

from probes.errors import CannotTrace

_STRUCT, _TYPEDEF, _FUNCTION = 4, 8, 12  # BTF_KIND_*
_POINTER, _INT = 2, 1
_MODIFIERS = {8, 9, 10, 11, 18}  # typedef, volatile, const, restrict, type tag


class Btf:
    """The BTF of the running kernel. Raises CannotTrace if the kernel has none."""

    def __init__(self) -> None:
        try:
            self._lib = ctypes.CDLL("libbpf.so.1")
        except OSError as error:
            raise CannotTrace(f"libbpf is missing ({error})", "apt-get install python3-bpfcc") from error
        self._found: dict[tuple[str, int], int] = {}
        pointer, number = ctypes.c_void_p, ctypes.c_uint32
        for name, result, arguments in (
            ("btf__load_vmlinux_btf", pointer, ()),
            ("btf__find_by_name_kind", ctypes.c_int32, (pointer, ctypes.c_char_p, number)),
            ("btf__type_by_id", pointer, (pointer, number)),
            ("btf__name_by_offset", ctypes.c_char_p, (pointer, number)),
            ("btf__resolve_size", ctypes.c_int64, (pointer, number)),
        ):
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, list(arguments)

    @cached_property
    def _btf(self) -> int:
        loaded = self._lib.btf__load_vmlinux_btf()
        if not loaded:
            raise CannotTrace(
                "this kernel has no type information (/sys/kernel/btf/vmlinux)",
                "use a kernel built with CONFIG_DEBUG_INFO_BTF: Debian's since 5.10, Ubuntu's since 20.10, Fedora's since 31",
            )
        return int(loaded)

    def _words(self, type_id: int, count: int = 3, skip: int = 0) -> ctypes.Array[ctypes.c_uint32]:
        address = self._lib.btf__type_by_id(self._btf, type_id) + 4 * skip
        return (ctypes.c_uint32 * count).from_address(address)

    def _find(self, name: str, kind: int) -> int | None:
        key = name, kind
        if key not in self._found:  # libbpf goes through all types
            self._found[key] = self._lib.btf__find_by_name_kind(self._btf, name.encode(), kind)
        return self._found[key] if self._found[key] > 0 else None

    def _name(self, offset: int) -> str:
        return bytes(self._lib.btf__name_by_offset(self._btf, offset)).decode()

    def _kind(self, type_id: int) -> int:
        return self._words(type_id)[1] >> 24 & 0x1F

    def _strip(self, type_id: int) -> int:
        while type_id and self._kind(type_id) in _MODIFIERS:
            type_id = self._words(type_id)[2]
        return type_id

    def size(self, struct: str) -> int | None:
        """The size of a struct in bytes; None if this kernel has no such struct."""
        found = self._find(struct, _STRUCT)
        return int(self._lib.btf__resolve_size(self._btf, found)) if found else None

    def offset(self, struct: str, member: str) -> int | None:
        """Bytes from the start of the struct to the member (also of an unnamed inner struct); None if it is missing."""
        found = self._find(struct, _STRUCT)
        return self._member(found, member) if found else None

    def _member(self, type_id: int, wanted: str) -> int | None:
        info = self._words(type_id)[1]
        for index in range(info & 0xFFFF):
            name, inner, where = self._words(type_id, skip=3 + 3 * index)
            bits = where & 0xFFFFFF if info >> 31 else where
            if name and self._name(name) == wanted:
                return bits // 8
            inner = self._strip(inner)
            if not self._name(name) and self._kind(inner) in (4, 5):
                below = self._member(inner, wanted)
                if below is not None:
                    return bits // 8 + below
        return None

    def has_function(self, name: str) -> bool:
        """Whether the kernel has a function of this name that is not inlined. The kernel may still refuse a probe there."""
        return self._find(name, _FUNCTION) is not None

    def function_id(self, name: str) -> int:
        """The BTF id of a function, by which a program is attached to it. Raises OSError if there is none."""
        found = self._find(name, _FUNCTION)
        if found is None:
            raise OSError(f"the kernel's BTF has no function {name}")
        return found

    def tracepoint(self, name: str) -> list[bool] | None:
        """For each argument of a tracepoint, whether it is a pointer; None if this kernel has no such tracepoint.

        Each tracepoint has a typedef btf_trace_NAME for its handler. The first parameter of the handler is no argument of the
        tracepoint (include/trace/bpf_probe.h).
        """
        found = self._find(f"btf_trace_{name}", _TYPEDEF)
        if found is None:
            return None
        proto = self._words(self._words(found)[2])[2]
        count = self._words(proto)[1] & 0xFFFF
        parameters = [self._words(proto, 2, 3 + 2 * index)[1] for index in range(count)]
        return [self._kind(self._strip(parameter)) == _POINTER for parameter in parameters[1:]]
