"""The instrument: loads the probes, follows whoever says the cookie, and hands back a recording.

    with Instrument() as instrument:
        ...start a process that calls follow_me(instrument.invite()), let it work, wait for its end...
        recording = instrument.stop({"what": "..."})

What it loads comes from programs.py, where each goes from attach.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any

from probes import clock
from probes.capture import ring
from probes.capture.attach import PROBES, Hook, ProbeSpec, attach
from probes.capture.btf import Btf
from probes.capture.prctl import new_cookie
from probes.capture.privileges import need_privileges
from probes.capture.programs import RING, borrow, give_back
from probes.capture.symbols import readable
from probes.kernel.limits import SIZES, Sizes
from probes.kernel.records import LAYOUTS, CallFlag, Hit, Kind, Loss, SleepFlag, encode
from probes.recording import Probe, Quality, Recording, without_addresses

DRAIN_EVERY = 0.02  # seconds; the ring holds 0.8 s of the busiest server seen, so a late reader loses nothing
MOST_BYTES = 512 << 20  # of records: some 2.5 million calls, which take ten times as much memory while they are measured


class Instrument:
    """Follows processes from construction to `stop`. Raises CannotTrace where the machine can't."""

    def __init__(self, sizes: Sizes = SIZES, wanted: tuple[ProbeSpec, ...] = PROBES, most_bytes: int = MOST_BYTES) -> None:
        need_privileges()
        self._most_bytes = most_bytes
        self._ended: int | None = None
        self._wanted = wanted
        self._spans: list[bytes] = []
        self._stopped = threading.Event()
        btf = Btf()
        self._programs = borrow(btf, sizes)
        self._borrowed = True
        try:
            self.probes = attach(btf, self._programs.load, self._programs.unload, wanted)
            self._ring = ring.Ring(self._table(RING).map_fd, sizes.ring_bytes)
        except BaseException:
            self._give_back_programs()
            raise
        self._ring.drain()  # whatever a recording before this one left: nobody is followed yet
        self._drainer = threading.Thread(target=self._drain, name="iolab-drain", daemon=True)
        self._drainer.start()

    def __enter__(self) -> Instrument:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def _drain(self) -> None:
        with contextlib.suppress(OSError):  # a container may lack CAP_SYS_NICE
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -10)  # on a busy machine a late reader loses records
        held = 0
        while not self._stopped.wait(DRAIN_EVERY):
            self._spans.append(self._ring.drain())
            held += len(self._spans[-1])
            if held > self._most_bytes:  # what is followed goes on, unrecorded
                self._ended = self._freeze()
                return

    def _freeze(self) -> int:
        """Nothing is followed any more; returns when (ns)."""
        self._table(b"stopped")[ctypes.c_int(0)] = ctypes.c_uint32(1)
        now = clock.now_ns()  # after: what a thread told until then lies before it
        self._misses = self._programs.misses()
        return now

    def _close(self) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            self._drainer.join()
            self._ring.close()
        self._give_back_programs()

    def _give_back_programs(self) -> None:
        if self._borrowed:
            self._borrowed = False
            give_back(self._programs)

    def _table(self, name: bytes) -> Any:
        return self._programs.table(name)

    def invite(self) -> int:
        """A cookie that one process may say to be followed (prctl.follow_me). It is good for once."""
        cookie = new_cookie()
        self._table(b"invitations")[ctypes.c_uint64(cookie)] = ctypes.c_uint32(1)
        return cookie

    @property
    def full(self) -> bool:
        """Has the recording ended by itself?"""
        return self._ended is not None

    def followed(self) -> int:
        """How many threads are followed right now."""
        if self.full:
            return 0
        return sum(1 for _ in self._table(b"threads").keys())  # noqa: SIM118 (a BCC table iterates over entries)

    def wait_until_gone(self, seconds: float) -> bool:
        """Waits until every followed thread has ended, at most that long; did they?"""
        end = time.monotonic() + seconds
        while self.followed():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def stop(self, context: dict[str, Any]) -> Recording:
        """Ends the recording and makes it self-contained: kernel addresses become names and ordinals.

        `context` is kept with it (the lab, its parameters, what the clients and the witnesses saw).
        """
        self._stopped.set()
        self._drainer.join()
        full = self.full
        end = self._ended or self._freeze()
        misses = self._misses
        self._programs.leave_the_kernel()
        self._spans.append(self._ring.drain())
        self._ring.close()
        threads = list(self._table(b"threads").values())
        # a program that was under way at `end` may have told of something a moment later
        end = max([end, *(max(one.enter, one.off_at, one.on_at) for one in threads)])
        live = [record for one in threads for record in self._live(one, end)]
        bursts = b"".join(bytes(burst) for burst in self._table(b"bursts").values() if burst.kind)
        data, frames = without_addresses(ring.strip(self._spans) + bursts + b"".join(encode(one) for one in live))
        losses = {loss: self._total(b"losses", loss) for loss in Loss}
        hits = {hit: self._total(b"hits", hit) for hit in Hit}
        # The kernel may skip a program while it is half done for another thread on that CPU. If that was at either end of a
        # followed thread's call, and the stand-in was skipped as well, the other end tells: an end without a begin, or a begin
        # inside a call (Loss.UNMATCHED).
        ends = {hook: number for hook, number in misses.items() if hook.place.startswith("raw_syscalls:")}
        copies = [{hook: misses[hook] for hook in one.hooks if hook in misses} for one in self._wanted if one.has_partner]
        added = sum(misses.get(hook, 0) for one in self._wanted if one.optional for hook in one.hooks)
        all_else = sum(misses.values()) - sum(ends.values()) - sum(sum(one.values()) for one in copies) - added
        recording = Recording.new(
            data,
            machine=machine(),
            probes=[
                _probe_with_hits(p, w, sum(misses.get(hook, 0) for hook in w.hooks), hits)
                for p, w in zip(self.probes, self._wanted, strict=True)
            ],
            losses={loss.name: losses[loss] for loss in Loss}
            | {
                "MISSED": all_else,
                "SKIPPED": _not_stood_in_for(ends),
                "PAIRED": sum(map(_not_stood_in_for, copies)),
                "FULL": int(full),
            },
            seen=sum(hits.values()),
            stacks={number: [self._symbol(one) for one in addresses] for number, addresses in frames.items()},
            end=end,
            context=context,
        )
        self._close()
        return recording

    def _total(self, table: bytes, index: int) -> int:
        return int(sum(self._table(table)[ctypes.c_int(int(index))]))

    def _symbol(self, address: int) -> str:
        return readable(self._programs.symbol(address))

    @staticmethod
    def _live(t: Any, end: int) -> Iterator[Any]:
        """The records that a thread still alive has not had occasion to write: what it is in, and its totals."""
        off = max(end - t.off_at, 0) if t.off else 0
        waiting, late, newborn = (off if t.off == one else 0 for one in (1, 2, 3))
        inside = getattr(t, "in")
        if t.off == 1:
            yield LAYOUTS[Kind.SLEEP].record(
                Kind.SLEEP, t.serial, SleepFlag.OPEN | (0 if t.where == 1 else SleepFlag.OUTSIDE),
                0, t.off_at, max(end, t.off_at), max(end, t.off_at), t.stack, 0, 0, t.object, "",
            )  # fmt: skip
        if t.where == 1:
            yield LAYOUTS[Kind.CALL].record(
                Kind.CALL, t.serial, t.nr, CallFlag.OPEN, t.enter, end, 0, tuple(t.args),
                inside.wait + waiting, inside.delay, inside.preempted + late, t.copy,
                inside.sleeps + (t.off == 1), inside.preemptions, t.socket, t.ready, t.copied, t.arrivals, t.unread,
                t.polled, t.queued, t.unqueued, t.copies, t.copy_in_max, 0,
            )  # fmt: skip
        outside = [t.out.wait, t.out.delay, t.out.preempted, t.birth, t.birth_copy, t.out.sleeps, t.out.preemptions]
        if t.where != 1:
            outside = [a + b for a, b in zip(outside, (waiting, newborn, late, 0, 0, t.off == 1, 0), strict=True)]
        if t.where == 2:  # not yet in user code, or never (a worker of the kernel): what fold_exit would do
            spent = inside.wait + inside.delay + inside.preempted + t.copy
            birth = max(end - t.enter, 0) - off - spent
            born = (inside.wait, inside.delay, inside.preempted, birth, t.copy, inside.sleeps, inside.preemptions)
            outside = [a + b for a, b in zip(outside, born, strict=True)]
        yield LAYOUTS[Kind.EXIT].record(Kind.EXIT, t.serial, end, t.calls + (t.where == 1), t.bursts, *outside, "")


def _not_stood_in_for(misses: dict[Hook, int]) -> int:
    """How many events of a probe may have gone untold, at most: those skipped for the stand-ins, where there are some."""
    return sum({hook: number for hook, number in misses.items() if hook.stands_in}.values() or misses.values())


def _probe_with_hits(probe: Probe, wanted: ProbeSpec, missed: int, hits: dict[Hit, int]) -> Probe:
    """The probe with its hits; one that shows more than tracepoints do, and was skipped, is of no use, but no loss."""
    if not probe.attached or not (wanted.optional and missed):
        return replace(probe, hits=hits[wanted.hit] if probe.attached and wanted.hit is not None else None)
    reason = f"the kernel skipped its program {missed} times, as it was at work on that CPU; without it: {wanted.without}"
    return Probe(wanted.name, None, Quality.UNAVAILABLE, reason, optional=True)


def machine() -> dict[str, Any]:
    """The machine a recording was made on."""
    return {
        "kernel": platform.release(),
        "arch": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }
