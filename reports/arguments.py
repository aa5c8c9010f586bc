"""The arguments of a call in words, as far as a record has them: the first four registers. No record has what they point to."""

from __future__ import annotations

from probes.kernel.parameters import As, parameters, signed
from probes.measure.result import Call
from probes.measure.sockets import SocketName
from reports.descriptors import with_number
from reports.flags import argument_words, takes

_AT_FDCWD = -100  # linux/fcntl.h
_EXECS = {"execve", "execveat"}


def arguments(call: Call, name: SocketName | None = None) -> str:
    """As in "TCP[5], 0x7f31c0, 4096"; "..." stands for arguments after the fourth. `name`: the addresses of its socket."""
    known = parameters().get(call.name)
    if call.histogram is not None:  # a burst: only the first argument is the same in all its calls
        return f"{_descriptor(call, call.fd, name)}, ..." if call.fd is not None else "..."
    if call.name in _EXECS and call.result == 0:
        return "..."  # the registers are those of the new program
    if known is None:
        return ", ".join(f"{value:#x}" for value in call.args)
    names = argument_words(call)
    known = known[: takes(call, len(known))]
    shown = []
    for index, (parameter, value) in enumerate(zip(known, call.args, strict=False)):
        if index == 0 and call.fd is not None:
            shown.append(_descriptor(call, call.fd, name))
        elif index in names:
            shown.append(names[index](value & 0xFFFFFFFF))
        else:
            shown.append(_value(parameter.kind, value))
    return ", ".join(shown + (["..."] if len(known) > len(call.args) else []))


def _descriptor(call: Call, fd: int | None, name: SocketName | None) -> str:
    if fd is None:
        return ""
    return "AT_FDCWD" if fd == _AT_FDCWD else with_number(call.descriptor, fd, name)


def _value(kind: As, value: int) -> str:
    match kind:
        case As.FD:
            number = signed(value, 32)
            return "AT_FDCWD" if number == _AT_FDCWD else str(number)
        case As.POINTER:
            return f"{value:#x}" if value else "NULL"
        case As.INT:
            return str(signed(value, 32))
        case As.LONG:
            return str(signed(value, 64))
        case As.MODE:
            return f"0{value & 0o7777:o}"
        case As.FLAGS:
            return f"{value & 0xFFFFFFFF:#x}" if value & 0xFFFFFFFF else "0"
        case _:
            return str(value) if value >> 32 == 0 else f"{value:#x}"
