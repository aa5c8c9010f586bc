"""A recording: all records and the context of a run, in one file that any machine can show again.

The file is a zip: meta.json (machine, probes, losses, the layouts of the records, kernel stacks as names, the context the run
was made in) and records.bin (the records, packed). No kernel address is in it: stacks are names, sockets ordinals.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probes import files, shapes
from probes.context import Context
from probes.context import read as read_context
from probes.errors import WrongUsage
from probes.kernel import records
from probes.kernel.records import LAYOUTS, Kind, Layout
from probes.kernel.syscalls import ARCHITECTURES

FORMAT = 1
# Names in recordings of iolab 0.1.0, with their current names: kinds of records, their fields, and a probe's keys.
_OLD_KINDS = {"RUN": "BURST", "TAKEN": "SOCKET_COPY", "LISTED": "READY_LIST"}
_OLD_FIELDS = {"handed_in": "copy_in_max", "handed_out": "copy_out_max", "runs": "bursts"}
_OLD_PROBE_KEYS = {"more": "optional"}
_KEYS = {"machine", "probes", "losses", "seen", "stacks", "layouts", "end", "context"}


class Quality(enum.StrEnum):
    """How far a figure can be trusted."""

    MEASURED = "measured"  # an exact bracket
    BOUNDED = "bounded"  # an upper bound
    UNAVAILABLE = "unavailable"  # not known here, with the reason


class Missing(enum.StrEnum):
    """Why a figure may be missing, counted by the capturing side; records.Loss names what the kernel side counts."""

    MISSED = "MISSED"  # the kernel skipped a program, and nothing else reports the event
    SKIPPED = "SKIPPED"  # the kernel skipped the program at one end of a system call, and its stand-in too
    PAIRED = "PAIRED"  # the kernel skipped a program of a copy; the other program of the copy shows if it was followed
    FULL = "FULL"  # the recording was full before the end


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe as attached in this run; `attached` is kind:category:event, or None with the reason in `reason`."""

    name: str
    attached: str | None
    quality: Quality
    reason: str = ""
    hits: int | None = None
    optional: bool = False  # shows what tracepoints can't show; many kernels have no place for it


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that a recording was made on."""

    kernel: str
    arch: str
    cpus: int
    python: str = ""


@dataclass(frozen=True)
class Recording:
    """What the probes saw of one run, and what is known of the run beside it."""

    data: bytes  # packed records
    machine: Machine
    probes: tuple[Probe, ...]  # as attached in the run
    losses: dict[str, int]  # by the names of Loss and Missing
    seen: int  # events
    stacks: Mapping[int, tuple[str, ...]]  # the kernel functions of each stack, innermost first
    end: int  # when the recording ended, monotonic ns
    context: Context  # the command or the lab, its traffic, the witnesses' figures
    layouts: Mapping[Kind, Layout] = field(default_factory=lambda: LAYOUTS)  # of the records

    def stack(self, number: int) -> tuple[str, ...]:
        """The kernel functions of a stack, innermost first; empty for a stack that was not taken."""
        return self.stacks.get(number, ())

    def meta(self) -> dict[str, Any]:
        """What meta.json holds: plain data and dataclasses, for json.dumps with `shapes.plain`."""
        return {
            "format": FORMAT,
            "machine": self.machine,
            "probes": [dataclasses.asdict(probe) for probe in self.probes],  # also what is None, unlike shapes.plain
            "losses": self.losses,
            "seen": self.seen,
            "stacks": {str(number): names for number, names in self.stacks.items()},
            "layouts": records.describe(self.layouts),
            "end": self.end,
            "bytes": len(self.data),
            "context": self.context,
        }

    def with_context(self, **changes: Any) -> Recording:
        """The same recording with other values in these fields of its context."""
        return dataclasses.replace(self, context=dataclasses.replace(self.context, **changes))

    def save(self, path: str) -> None:
        """Writes the file, whole or not at all. Raises WrongUsage if the place can't be written."""
        with files.whole(path, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("meta.json", json.dumps(self.meta(), indent=1, default=shapes.plain))
            archive.writestr("records.bin", self.data)


def load(path: Path) -> Recording:
    """Reads a saved recording, and checks all that it holds beside the records. Raises WrongUsage for a file that is missing,
    damaged, or of a newer iolab.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            meta, data = _json(_member(archive, "meta.json", _LARGEST_META)), _member(archive, "records.bin", _LARGEST_DATA)
        if not isinstance(meta, dict):
            raise ValueError("meta.json is not an object")
        if meta.get("format") != FORMAT:
            raise WrongUsage(
                f"{path} has another format than this iolab reads ({FORMAT})", "show it with the iolab that made it"
            )
        return _recording(_with_new_names(meta), data)
    except OSError as error:
        raise WrongUsage(f"can't read {path}: {error.strerror or error}", "name a file made by --save") from error
    except _DAMAGE as error:
        why = str(error) or type(error).__name__
        raise WrongUsage(f"{path} is not a whole iolab recording ({why})", "name a file made by --save") from error


# RuntimeError: an encrypted member; NotImplementedError: an unknown compression; RecursionError: JSON nested too deeply
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OverflowError, RuntimeError, NotImplementedError,
    RecursionError,
)  # fmt: skip
_LARGEST_META, _LARGEST_DATA = 256 << 20, 1 << 30  # bytes; a recording in memory ends at 512 MB
_DENSEST, _SMALL = 100, 16 << 20  # a larger member that was packed more than so many times is a zip bomb; a real one is 5 to 20


def _member(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """One file of the archive, in bounded memory. The size in the directory is the most that zipfile unpacks."""
    if archive.namelist().count(name) > 1:
        raise ValueError(f"{name} is in it more than once")
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        raise ValueError(f"{name} is packed in another way than --save does")
    if info.file_size > largest or info.file_size > max(_SMALL, _DENSEST * info.compress_size):
        raise ValueError(f"{name} is too large")
    return archive.read(info)


def _json(text: bytes) -> Any:
    """JSON without NaN, and without a key that stands twice in one object."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("a key stands twice in one object")
        return members

    return json.loads(text, parse_constant=refuse, object_pairs_hook=once)


@dataclass(frozen=True)
class _Meta:
    """meta.json without its layouts and its context, which have checks of their own."""

    machine: Machine
    probes: tuple[Probe, ...]
    losses: dict[str, int]
    seen: int
    stacks: Mapping[str, tuple[str, ...]]
    end: int
    bytes: int | None = None


def _recording(meta: dict[str, Any], data: bytes) -> Recording:
    """The recording. Raises ValueError if something of it is missing, or is not what it must be."""
    if missing := _KEYS - set(meta):
        raise ValueError(f"{min(missing)} is missing")
    whole: _Meta = shapes.read(_Meta, meta, "meta")
    if whole.machine.arch not in ARCHITECTURES:
        raise ValueError(f"the architecture {whole.machine.arch[:40]} is not known")
    if not {"copy"} <= {probe.name for probe in whole.probes}:
        raise ValueError("the probe of copies is missing")
    if len({probe.name for probe in whole.probes}) != len(whole.probes):
        raise ValueError("two probes have the same name")
    if min(whole.losses.values(), default=0) < 0 or whole.seen < 0:
        raise ValueError("a count is negative")
    if len(data) != (len(data) if whole.bytes is None else whole.bytes) or (whole.seen and not data):
        raise ValueError("records are missing")
    if any(not number.isdecimal() for number in whole.stacks):
        raise ValueError("a stack has no number")
    return Recording(
        data=data,
        machine=whole.machine,
        probes=whole.probes,
        losses=whole.losses,
        seen=whole.seen,
        stacks={int(number): names for number, names in whole.stacks.items()},
        end=whole.end,
        context=read_context(meta["context"]),
        layouts=records.from_description(meta["layouts"]),
    )


def _with_new_names(meta: dict[str, Any]) -> dict[str, Any]:
    """The same recording with the current names."""
    layouts, probes = meta.get("layouts"), meta.get("probes")
    if isinstance(layouts, dict):
        layouts = {_OLD_KINDS.get(kind, kind): _renamed(fields) for kind, fields in layouts.items()}
    if isinstance(probes, list):
        probes = [
            {_OLD_PROBE_KEYS.get(key, key): value for key, value in probe.items()} if isinstance(probe, dict) else probe
            for probe in probes
        ]
    return meta | {name: value for name, value in (("layouts", layouts), ("probes", probes)) if value is not None}


def _renamed(fields: Any) -> Any:
    """A layout's fields with the current names; what is no list of fields stays as it is, for the check."""
    if not isinstance(fields, list) or not all(
        isinstance(field, list) and field and isinstance(field[0], str) for field in fields
    ):
        return fields
    return [[_OLD_FIELDS.get(name, name), *rest] for name, *rest in fields]


def without_addresses(data: bytes) -> tuple[bytes, dict[int, list[int]]]:
    """Packed records with every kernel address replaced by a small number, and the frames (addresses) behind each stack.

    The stack records themselves leave the stream: their frames are what is returned.
    """
    sizes = {int(kind): layout.codec.size for kind, layout in LAYOUTS.items()}
    numbers: dict[int, int] = {0: 0}
    objects: dict[int, int] = {0: 0}
    sockets: dict[int, int] = {0: 0}
    places = {
        int(kind): [(LAYOUTS[kind].offset(name), known) for name, known in addresses.items()]
        for kind, addresses in (
            (Kind.SLEEP, {"stack": numbers, "waker_stack": numbers, "object": objects}),
            (Kind.CALL, {"socket": sockets}),
            (Kind.SOCKET_COPY, {"socket": sockets}),
        )
    }
    stacks: dict[int, list[int]] = {}
    word, source, kept, at, since = struct.Struct("<Q"), bytearray(data), bytearray(), 0, 0
    while at < len(source):
        kind = source[at]
        if kind == Kind.STACK:
            stack = LAYOUTS[Kind.STACK].decode(bytes(source[at : at + sizes[kind]]))
            stacks[numbers.setdefault(stack.id, len(numbers))] = list(stack.frames[: stack.depth])
            kept += source[since:at]
            since = at + sizes[kind]
        for place, known in places.get(kind, ()):
            address = word.unpack_from(source, at + place)[0]
            word.pack_into(source, at + place, known.setdefault(address, len(known)))
        at += sizes[kind]
    return bytes(kept + source[since:]), stacks
