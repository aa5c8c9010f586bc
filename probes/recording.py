"""A recording: everything a run left behind, in one file that any machine can show again.

The file is a zip: meta.json (machine, probes, losses, the layouts of the records, kernel stacks as names, the context the run
was made in) and records.bin (the records, packed). No kernel address is in it: stacks are names, sockets ordinals.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes import files
from probes.errors import WrongUsage
from probes.kernel import records
from probes.kernel.records import LAYOUTS, Kind

FORMAT = 1
# What recordings of iolab 0.1.0 called otherwise: kinds of records, their fields, and a probe's own keys.
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
    optional: bool = False  # shows what no tracepoint can; many kernels have no place for it


@dataclass(frozen=True)
class Recording:
    """`data` is packed records (records.decode reads it with `layouts`), `meta` the rest as plain JSON data."""

    data: bytes
    meta: dict[str, Any]

    @classmethod
    def new(
        cls,
        data: bytes,
        *,
        machine: dict[str, Any],
        probes: list[Probe],
        losses: dict[str, int],
        seen: int,
        stacks: dict[int, list[str]],
        end: int,
        context: dict[str, Any],
    ) -> Recording:
        """A recording made just now. `losses` counts by the names of Loss and Missing; `end` is monotonic ns."""
        return cls(
            data,
            {
                "format": FORMAT,
                "machine": machine,
                "probes": [dataclasses.asdict(one) for one in probes],
                "losses": losses,
                "seen": seen,
                "stacks": {str(number): names for number, names in stacks.items()},
                "layouts": records.describe(),
                "end": end,
                "bytes": len(data),
                "context": context,
            },
        )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The probes as attached in the run."""
        return tuple(Probe(**(one | {"quality": Quality(one["quality"])})) for one in self.meta["probes"])

    @property
    def context(self) -> dict[str, Any]:
        """What the run was: the command or lab, its traffic, the witnesses' figures."""
        found: dict[str, Any] = self.meta["context"]
        return found

    def stack(self, number: int) -> tuple[str, ...]:
        """The kernel functions of a stack, innermost first; empty for a stack that was not taken."""
        return tuple(self.meta["stacks"].get(str(number), ()))

    def with_context(self, **more: Any) -> Recording:
        """The same recording, knowing more about its run."""
        return Recording(self.data, self.meta | {"context": self.context | more})

    def save(self, path: str) -> None:
        """Writes the file, whole or not at all. Raises WrongUsage if the place can't be written."""
        with files.whole(path, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("meta.json", json.dumps(self.meta, indent=1))
            archive.writestr("records.bin", self.data)


def load(path: Path) -> Recording:
    """Reads a saved recording. Raises WrongUsage for a file that is missing, damaged, or of a newer iolab."""
    try:
        with zipfile.ZipFile(path) as archive:
            meta, data = json.loads(archive.read("meta.json")), archive.read("records.bin")
    except OSError as error:
        raise WrongUsage(f"can't read {path}: {error.strerror}", "name a file made by --save") from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise WrongUsage(f"{path} is not a whole iolab recording ({error})", "name a file made by --save") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise WrongUsage(f"{path} has another format than this iolab reads ({FORMAT})", "show it with the iolab that made it")
    if not set(meta) >= _KEYS or len(data) != meta.get("bytes", len(data)) or (meta["seen"] and not data):
        raise WrongUsage(f"{path} is not a whole iolab recording (something is missing)", "name a file made by --save")
    return Recording(data, _with_new_names(meta))


def _with_new_names(meta: dict[str, Any]) -> dict[str, Any]:
    """The same, with the names of today."""
    layouts = {
        _OLD_KINDS.get(kind, kind): [[_OLD_FIELDS.get(name, name), *rest] for name, *rest in fields]
        for kind, fields in meta["layouts"].items()
    }
    probes = [{_OLD_PROBE_KEYS.get(key, key): value for key, value in probe.items()} for probe in meta["probes"]]
    return meta | {"layouts": layouts, "probes": probes}


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
            one = LAYOUTS[Kind.STACK].decode(bytes(source[at : at + sizes[kind]]))
            stacks[numbers.setdefault(one.id, len(numbers))] = list(one.frames[: one.depth])
            kept += source[since:at]
            since = at + sizes[kind]
        for place, known in places.get(kind, ()):
            address = word.unpack_from(source, at + place)[0]
            word.pack_into(source, at + place, known.setdefault(address, len(known)))
        at += sizes[kind]
    return bytes(kept + source[since:]), stacks
