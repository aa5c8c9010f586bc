"""A recording: all records and the context of a run, in one file that any machine can show again.

The file (format 2) is a row of chunks (chunks.py): HEAD has what is known at the start (the machine, the probes, the layouts of
the records, what is run); then come records as they were drained, the names of kernel stacks, and now and then the sums until
then (snapshots.py); END has what is known at the end, and the seal (seal.py). So a writer can be fed while the program runs,
and what it wrote can be shown even if it dies.
No kernel address is in the file: stacks are names, sockets ordinals (addresses.py). Format 1, a zip file, is only read
(zipped.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from probes import bounds, chunks, files, seal, shapes, snapshots, zipped
from probes.addresses import without_addresses as without_addresses
from probes.beginning import Records
from probes.chunks import ChunkKind
from probes.context import Context, LabRun, TraceRun
from probes.context import read as read_context
from probes.errors import WrongUsage
from probes.garbage import uncollected
from probes.kernel import descriptions
from probes.kernel.records import LAYOUTS, Kind, Layout
from probes.kernel.syscalls import ARCHITECTURES

_KEYS = {"machine", "probes", "losses", "seen", "stacks", "layouts", "end", "context"}
_PIECE = 1 << 20  # bytes of records in a chunk
_EVERY = 1.0  # seconds: so much of a quiet run is not in the file yet; a little more in a run of days, for fewer chunks
_NAMES = 100  # stacks in a chunk: 64 names of 512 bytes each at most (KSYM_NAME_LEN)


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
    CUT = "CUT"  # the file has no end: iolab was killed, or the copy is not complete
    SUMMED_MS = "SUMMED_MS"  # of such a file: so many ms of the recording are in its sums


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
class Head:
    """What is known when a recording begins."""

    machine: Machine
    probes: tuple[Probe, ...]  # as attached, without hits
    context: Context  # what is run
    layouts: Mapping[Kind, Layout] = field(default_factory=lambda: LAYOUTS)


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
    windows: tuple[tuple[int, int], ...] = ()  # when calls and sleeps were reported one by one, monotonic ns; empty: always
    left_out: int = 0  # calls that the file has one by one, and `data` does not (load)
    seal: seal.Seal = field(default=seal.Seal(), compare=False)  # of the file that it was read from

    def stack(self, number: int) -> tuple[str, ...]:
        """The kernel functions of a stack, innermost first; empty for a stack that was not taken."""
        return self.stacks.get(number, ())

    def with_context(self, **changes: Any) -> Recording:
        """The same recording with other values in these fields of its context."""
        return dataclasses.replace(self, context=dataclasses.replace(self.context, **changes))

    def save(self, path: str) -> str:
        """Writes the file, whole or not at all; its seal. Raises WrongUsage if the place can't be written."""
        try:
            with files.whole(path, "wb") as file:
                writer = Writer(file, Head(self.machine, self.probes, self.context, self.layouts))
                writer.stacks(self.stacks)
                writer.records(self.data)
                return writer.finish(self)
        except ValueError as error:
            raise WrongUsage(f"can't write {path}: {error}", "name a recording that is whole") from error


class Writer:
    """Writes a recording piece by piece, also while the program runs: `load` opens the file from the first piece on.

        with Writer.open(path, head) as writer:
            ...writer.stacks(names), writer.records(data) as they come...
            writer.finish(recording)

    A disk that is full does not end the run: after an OSError the writer writes nothing more, and `finish` raises the error.
    """

    def __init__(self, file: IO[bytes], head: Head) -> None:
        self._chunks = chunks.Writer(file)
        self._chain = seal.Chain()
        self._sizes = {int(kind): layout.codec.size for kind, layout in head.layouts.items()}
        self._waiting, self._names = bytearray(), dict[int, tuple[str, ...]]()
        self._bytes = 0
        self._error: OSError | None = None
        self._head = head
        start = {"machine": head.machine, "layouts": descriptions.describe(head.layouts)}
        self._write(ChunkKind.HEAD, start | {"probes": _described(head.probes), "context": head.context})
        self._due = time.monotonic() + _EVERY

    @staticmethod
    @contextlib.contextmanager
    def open(path: str, head: Head) -> Iterator[Writer]:
        """A writer to a file that stays where it is if this process is killed. Raises WrongUsage if it can't be written."""
        with files.growing(path) as file:
            yield Writer(file, head)

    def records(self, data: bytes) -> None:
        """Takes packed records without addresses, each of them whole."""
        for piece in self._pieces(data):
            self._waiting += piece
            if len(self._waiting) >= _PIECE or time.monotonic() >= self._due:
                self.flush()

    def stacks(self, stacks: Mapping[int, tuple[str, ...]]) -> None:
        """Takes the names of stacks. They come into the file before the records that wait."""
        self._names.update(stacks)

    def sums(self, rows: bytes, begin: int, at: int) -> None:
        """Takes the sums of the time from `begin` to `at` (ns), for a file that is cut off later."""
        self.flush()
        for payload in snapshots.payloads(list(self._pieces(rows)), begin, at):
            self._write_chunk(ChunkKind.SUMS, payload)

    def flush(self) -> None:
        """Puts into the file what waits."""
        names = list(self._names.items())
        for at in range(0, len(names), _NAMES):
            self._write(ChunkKind.STACKS, {str(number): frames for number, frames in names[at : at + _NAMES]})
        if self._waiting:
            self._write_chunk(ChunkKind.RECORDS, bytes(self._waiting))
            self._bytes += len(self._waiting)
        self._waiting.clear()
        self._names.clear()
        self._due = time.monotonic() + _EVERY * (1 + self._chunks.number / 10_000)

    def finish(self, recording: Recording) -> str:
        """Writes the end: what `recording` has beside its records and its stacks, as far as the head does not say the same.

        Returns the seal.
        """
        self.flush()
        end: dict[str, Any] = {"losses": recording.losses, "seen": recording.seen, "end": recording.end, "bytes": self._bytes}
        if recording.windows:
            end["windows"] = recording.windows
        if recording.probes != self._head.probes:
            end["probes"] = _described(recording.probes)
        if recording.context != self._head.context:
            end["context"] = recording.context
        text = _text(end)
        self._chain.add(ChunkKind.END.value, text)
        self._write_chunk(ChunkKind.END, seal.closed(text, self._chain.digest))
        if self._error:
            raise self._error
        return self._chain.digest

    def _write(self, kind: ChunkKind, content: Mapping[str, Any]) -> None:
        self._write_chunk(kind, _text(content))

    def _write_chunk(self, kind: ChunkKind, payload: bytes) -> None:
        if self._error is None:
            try:
                self._chunks.write(kind, payload)
                if kind is not ChunkKind.END:
                    self._chain.add(kind.value, payload)
            except OSError as error:
                self._error = error

    def _pieces(self, data: bytes) -> Iterator[memoryview]:
        """The records in pieces of at most _PIECE bytes and a record, so that each chunk has whole records."""
        view, begin, at = memoryview(data), 0, 0
        while len(data) - begin > _PIECE:
            while at < len(data) and at - begin < _PIECE:
                at += self._size(view[at])
            yield view[begin:at]
            begin = at
        yield view[begin:]

    def _size(self, kind: int) -> int:
        if kind not in self._sizes:
            raise ValueError("a record of it is damaged")
        return self._sizes[kind]


def _text(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), default=shapes.plain).encode()


def _described(probes: tuple[Probe, ...]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(probe) for probe in probes]  # also what is None, unlike shapes.plain


def load(path: Path, most_details: int | None = None) -> Recording:
    """Reads a saved recording, and checks all that it holds beside the records. Raises WrongUsage for a file that is missing,
    damaged, or of a newer iolab. `most_details`: how many calls and sleeps of a trace to read, from its beginning on; None:
    all.
    """
    try:
        with path.open("rb") as file, uncollected():
            first = file.read(len(chunks.MAGIC))
            if first != chunks.MAGIC:
                file.seek(0)
                return _recording(*zipped.read(file))
            number = file.readline(8).rstrip(b"\n")
            if number != b"%d" % chunks.FORMAT:
                raise zipped.OtherFormat(number.decode("ascii", "backslashreplace"))
            return _read(file, most_details)
    except zipped.OtherFormat as error:
        raise WrongUsage(
            f"{path} has another format ({error}) than this iolab reads ({zipped.FORMAT} and {chunks.FORMAT})",
            "show it with the iolab that made it",
        ) from error
    except OSError as error:
        raise WrongUsage(f"can't read {path}: {error.strerror or error}", "name a file made by --save") from error
    except MemoryError as error:
        raise WrongUsage(f"{path} is too large for the memory of this machine", "show it on a larger machine") from error
    except _DAMAGE as error:
        why = str(error) or type(error).__name__
        raise WrongUsage(f"{path} is not a whole iolab recording ({why})", "name a file made by --save") from error


# RecursionError: JSON nested too deeply
_DAMAGE = (*zipped.DAMAGE, zlib.error, KeyError, ValueError, OverflowError, RecursionError)


def _read(file: IO[bytes], most_details: int | None) -> Recording:
    """The recording from the chunks after the first line. A recording without an END chunk was cut off, and ends there."""
    meta: dict[str, Any] = {}
    stacks: dict[str, Any] = {}
    data, texts, last, sums = Records(most_details), bounds.Texts(), ChunkKind.HEAD, snapshots.Latest()
    chain, stated, head = seal.Chain(), "", None  # head: the context at the start, if the end has another one
    for last, payload in chunks.read(file):
        if last is ChunkKind.END:
            payload, stated = seal.opened(payload)
        chain.add(last.value, payload)
        if last is ChunkKind.RECORDS:
            data.add(payload)
            continue
        if last is ChunkKind.SUMS:
            sums.add(payload)
            continue
        content = texts.read(payload)
        if not isinstance(content, dict):
            raise ValueError(f"{last.name} is not an object")
        if last is ChunkKind.END and "context" in content:
            head = meta.get("context")
        if last is ChunkKind.STACKS:
            stacks |= content
        else:
            meta |= content
        if last is ChunkKind.HEAD and isinstance(read_context(meta["context"]), TraceRun):
            data.begin(descriptions.from_description(meta["layouts"]))
    whole = data.data
    if last is not ChunkKind.END:
        if not whole:
            raise ValueError("it was cut off before its first records")
        whole += sums.rows
        seen, end = _extent(whole, descriptions.from_description(meta.get("layouts")))
        summed = {Missing.SUMMED_MS: sums.ns // 1_000_000} if sums.rows else {}
        meta |= {"losses": {Missing.CUT: 1} | summed, "seen": seen, "end": end}
    found = _recording(meta | {"stacks": stacks}, whole, data)
    return dataclasses.replace(found, seal=_seal(found.context, head, stated, chain.digest))


def _seal(context: Context, head: Any, stated: str, digest: str) -> seal.Seal:
    """What the seal of a file says, whose end states this seal. `head` is the context in the first chunk, as JSON data; None
    if the end has none of its own.
    """
    if not stated:
        return seal.Seal(seal.State.NONE, digest)
    if stated != digest:
        return seal.Seal(seal.State.BROKEN, digest)
    if head is None or not isinstance(context, LabRun):
        return seal.Seal(seal.State.WHOLE, digest)
    early = read_context(head)
    if not isinstance(early, LabRun) or early.prediction != context.prediction:
        return seal.Seal(seal.State.LATE, digest)
    return seal.Seal(seal.State.WHOLE, digest)


_TIMES = ("start", "exit", "last", "on", "end", "at", "copied")  # the fields that say when a record was written, in some kinds


def _extent(data: bytes, layouts: Mapping[Kind, Layout]) -> tuple[int, int]:
    """How many records these are, and the latest time in them."""
    sizes = {int(kind): layout.codec.size for kind, layout in layouts.items()}
    places = {
        int(kind): [
            layout.offset(name) for name, ctype, length in layout.fields if name in _TIMES and (ctype, length) == ("u64", 0)
        ]
        for kind, layout in layouts.items()
    }
    number = at = latest = 0
    while at < len(data):
        kind = data[at]
        if kind not in sizes:
            raise ValueError(f"damaged record at byte {at}")
        for place in places[kind]:
            latest = max(latest, int.from_bytes(data[at + place : at + place + 8], "little"))
        at += sizes[kind]
        number += 1
    return number, latest


@dataclass(frozen=True)
class _Meta:
    """What a file has beside the records, without the layouts and the context, which have checks of their own."""

    machine: Machine
    probes: tuple[Probe, ...]
    losses: dict[str, int]
    seen: int
    stacks: Mapping[str, tuple[str, ...]]
    end: int
    bytes: int | None = None
    windows: tuple[tuple[int, int], ...] = ()


def _recording(meta: dict[str, Any], data: bytes, records: Records | None = None) -> Recording:
    """The recording. `records` knows what was left out of `data`. Raises ValueError if anything else is missing or wrong."""
    records = records or Records()
    if absent := _KEYS - set(meta):
        raise ValueError(f"{min(absent)} is missing")
    whole: _Meta = shapes.read(_Meta, meta, "meta")
    if whole.machine.arch not in ARCHITECTURES:
        raise ValueError(f"the architecture {whole.machine.arch[:40]} is not known")
    if not {"copy"} <= {probe.name for probe in whole.probes}:
        raise ValueError("the probe of copies is missing")
    if len({probe.name for probe in whole.probes}) != len(whole.probes):
        raise ValueError("two probes have the same name")
    if min(whole.losses.values(), default=0) < 0 or whole.seen < 0:
        raise ValueError("a count is negative")
    if whole.bytes not in (None, len(data) + records.missing) or (whole.seen and not data):
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
        layouts=descriptions.from_description(meta["layouts"]),
        windows=records.windows(whole.windows),
        left_out=records.left_out,
    )
