"""The instrument: loads the probes, follows the processes that it invited, and returns a recording.

    with Instrument() as instrument:
        ...start a process that calls follow_me(instrument.invite()), let it work, wait for its end...
        recording = instrument.stop(TraceRun(command=("ls",)))

programs.py has the programs that it loads, attach.py the places that it attaches them to.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType

from probes import clock
from probes.capture import ring, running
from probes.capture.attach import PROBES, Hook, ProbeSpec, Refused, attach, first_choices
from probes.capture.btf import Btf
from probes.capture.details import Budget
from probes.capture.emptier import LOOK_EVERY
from probes.capture.emptying import Emptying, Orders, Windows
from probes.capture.feed import Feed, Quiet
from probes.capture.keeping import Keeper
from probes.capture.prctl import new_cookie
from probes.capture.privileges import need_privileges
from probes.capture.programs import RING, Programs
from probes.capture.system import Map
from probes.context import Context, TraceRun
from probes.errors import CannotTrace
from probes.kernel.limits import SIZES, Sizes
from probes.kernel.records import Hit, Loss
from probes.recording import Head, Machine, Missing, Probe, Quality, Recording, Writer
from probes.snapshots import Schedule

_AT_ONCE = 1000  # threads or sockets; the last records of this many fit into the ring
SAVE_EVERY = 0.5  # seconds between two pieces for a file
MOST_BYTES = 512 << 20  # of records: about 2.5 million calls, which take ten times as much memory while they are measured
WALK_EVERY = 16  # of sleeps that look alike, where details are sampled


@dataclass(frozen=True)
class Reading:
    """The kernel's tables at one moment. `records`: packed, without addresses; `stacks`: the names of all stacks so far."""

    at: int
    records: bytes
    stacks: Mapping[int, tuple[str, ...]]


class Instrument:
    """Follows processes from construction to `stop`. Raises CannotTrace if this machine can't be traced."""

    def __init__(
        self,
        sizes: Sizes = SIZES,
        wanted: tuple[ProbeSpec, ...] = PROBES,
        most_bytes: int = MOST_BYTES,
        details: int | None = None,
    ) -> None:
        """`details`: how many calls and sleeps are reported one by one, at most; None: all, until `most_bytes` are held."""
        need_privileges()
        self._budget = Budget(details, most_bytes)
        self._walk_every = 1 if details is None else WALK_EVERY
        self._sizes = sizes
        self._wanted = wanted
        self._stacks: list[bytes] = []  # records of the stacks in which threads slept when they were adopted
        self._stopped = threading.Event()
        self._quiet = Quiet()
        self._windows = Windows([], None)
        self._taking = threading.Lock()  # of what is drained: two threads may take it while a program is watched
        self._emptying = Emptying()
        try:
            self._programs, self.probes = _attached(Btf(), sizes, wanted)
        except BaseException:
            self._emptying.close()
            raise
        self._borrowed = True
        try:
            self._keeper = Keeper(self._programs.symbol)
            self._programs.set_up(details=details != 0, walk_every=self._walk_every, most_bytes=self._budget.grant(0))
            self._emptying.begin(self._table(RING).fd, self._table("settings").fd, self._orders(details, most_bytes))
        except BaseException:
            self._emptying.close()
            self._give_back_programs()
            raise
        self._taker: threading.Thread | None = None  # takes the records while the program runs, for a file or a feed

    def _orders(self, details: int | None, most_bytes: int) -> Orders:
        """For the process that empties the ring."""
        return Orders(self._sizes.ring_bytes, details, most_bytes, self._walk_every, self._programs.callbacks)

    def __enter__(self) -> Instrument:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def _start_taker(self) -> None:
        if self._taker is None:
            self._taker = threading.Thread(target=self._take_all_along, name="iolab-take", daemon=True)
            _start_without_signals(self._taker)

    def _take_all_along(self) -> None:
        """Takes the records while the program runs, for a file and a feed."""
        schedule, wanted = Schedule(clock.now_ns()), True
        while not self._stopped.wait(LOOK_EVERY if self._keeper.feed else SAVE_EVERY):
            with self._taking:
                fresh = self._take()
            self._save_sums(schedule)
            if self._keeper.feed:
                wanted = self._decide(self._keeper.feed, wanted, fresh)

    def _save_sums(self, schedule: Schedule) -> None:
        """Gives the file the sums until now, if it is time for them."""
        if self._keeper.writer and schedule.is_due(clock.now_ns()):
            with self._taking:
                self._take()  # the records of the threads that the sums are of come first
                rows = self._programs.rows_now()
                self._keeper.sums(rows, schedule.begin, clock.now_ns())
            schedule.taken(clock.now_ns(), len(rows))

    def _decide(self, feed: Feed, before: bool, fresh: int) -> bool:
        """Whether calls and sleeps are reported one by one from now on: while the reader of the feed keeps up."""
        wanted = not feed.behind
        self._keeper.thinner.wanted = self._budget.wants(self._keeper.bytes, clock.now_ns(), wanted)
        if (wanted and not before) or self._quiet.lasts(not fresh):
            self._say_moment()
        if wanted is not before:
            self._programs.settings.set(details=wanted)
        return wanted

    def _say_moment(self) -> None:
        """Tells the reader of the feed what each thread is in, and how many calls it has made until now."""
        with self._taking:
            moment = self._programs.states() + self._programs.open_bursts()
            self._take()
            self._keeper.moment(moment)

    def _take(self) -> int:
        """Takes what has come; the number of bytes."""
        taken = 0
        for records in self._emptying.take():
            taken += len(records)
            self._keeper.take(records)
        return taken

    def follow(self) -> tuple[Feed, Mapping[int, tuple[str, ...]]]:
        """From now on all records also go into a feed. Returned with the names of the stacks, which grow.

        While the reader of the feed is behind, calls are not reported one by one. After that, and where nothing happens for a
        second, the feed gets the state of each thread. `stop` closes the feed.
        """
        self._programs.states()  # loads its program
        with self._taking:
            self._keeper.feed = Feed()
            self._emptying.leave_details()
            self._budget.wants(0, clock.now_ns())
            self._programs.settings.set(details=True)
        self._start_taker()
        return self._keeper.feed, self._keeper.stacks

    def reading(self) -> Reading:
        """The sums and the states of all threads at this moment, and the records since the last reading. `stop` makes no whole
        recording after a reading.
        """
        with self._taking:
            states, rows = self._programs.states(), self._programs.rows()
            stacks, self._stacks = self._stacks, []
            self._keeper.take(b"".join(stacks))
            self._take()
            return Reading(clock.now_ns(), self._keeper.newest(states, rows), self._keeper.stacks)

    def _freeze(self) -> int:
        """Ends the following of all threads; returns the time of the end (ns)."""
        self._table("stopped").update(_word(0), _word(1))
        now = clock.now_ns()  # after `stopped` was set, so each record is from before this time
        self._misses = self._programs.misses()
        return now

    def _close(self) -> None:
        self._stop_taking()
        self._emptying.close()
        self._give_back_programs()

    def _stop_taking(self) -> None:
        self._stopped.set()
        if self._taker:
            self._taker.join()

    def _give_back_programs(self) -> None:
        if self._borrowed:
            self._borrowed = False
            self._programs.close()

    def _table(self, name: str) -> Map:
        return self._programs.table(name)

    def invite(self) -> int:
        """A cookie, which one process presents to be followed (prctl.follow_me). The kernel side accepts it once.

        Raises CannotTrace if too many processes have not presented their cookies yet.
        """
        self._emptying.at_work()
        cookie = new_cookie()
        try:
            self._table("invitations").update(struct.pack("=Q", cookie), _word(1))
        except OSError as error:
            raise CannotTrace(
                f"{self._sizes.invitations:,} processes were invited and have not asked to be followed yet",
                "start fewer at a time",
            ) from error
        return cookie

    def write_to(self, writer: Writer) -> None:
        """From now on a file takes the records as they are drained. `stop` gives it the last of them, but not its end."""
        self._keeper.writer = writer
        self._start_taker()

    def head(self, context: Context) -> Head:
        """What is known at the start, for a file of this recording."""
        return Head(machine(), tuple(self.probes), context)

    def adopt(self, pid: int) -> int:
        """Follows a process that runs already, its descendants, and all their threads. Returns the number of these threads.

        A thread that one of them creates meanwhile is followed by its creation, or found in the next pass.
        """
        self._emptying.at_work()
        seen: set[int] = set()
        self._programs.symbols.address("schedule")  # the first look-up reads all names: not while the threads go on
        while fresh := set(running.tasks(pid)) - seen:
            for tid in sorted(fresh):
                if thread := running.known(tid):
                    number, record = running.stack_record(thread.frames, self._programs.address)
                    self._stacks.append(record)
                    self._programs.adopt(*running.words(thread, number))
            seen |= fresh
        for tid, fd, own in running.sockets(pid):
            self._programs.socket_found(tid, fd, own)
        return len(seen)

    @property
    def full(self) -> bool:
        """Whether details ended before the program did, although all were wanted. The sums go on."""
        return self._windows.full

    def followed(self) -> int:
        """How many threads are followed now."""
        return sum(1 for _ in self._table("threads").keys())  # noqa: SIM118 (a map of the kernel is no dictionary)

    def wait_until_gone(self, seconds: float) -> bool:
        """Waits until each followed thread has ended, at most that long. Whether all have ended."""
        end = time.monotonic() + seconds
        while self.followed():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def stop(self, context: Context | None = None) -> Recording:
        """Ends the recording and makes it self-contained: addresses of the kernel become names and ordinals.

        The recording stores `context`: what was run, its parameters, what the clients and the witnesses saw.
        """
        self._stop_taking()
        self._windows = self._emptying.stop()
        end = self._freeze()
        closed = self._programs.settings.closed()
        self._keep_all(self._last_spans(end))
        if self._keeper.feed:
            self._keeper.feed.close()
        self._programs.leave_the_kernel()
        hits = {hit: self._table("hits").total(hit) for hit in Hit}
        recording = Recording(
            self._keeper.data,
            machine=machine(),
            probes=tuple(
                _probe_with_hits(probe, spec, sum(self._misses.get(hook, 0) for hook in spec.hooks), hits)
                for probe, spec in zip(self.probes, self._wanted, strict=True)
            ),
            losses=self._losses(),
            seen=sum(hits.values()),
            stacks=self._keeper.stacks,
            end=end,
            context=context or TraceRun(),
            windows=tuple(self._budget.end(end)) if self._keeper.feed else self._windows.until(end, closed),
        )
        self._close()
        return recording

    def _keep_all(self, last: list[bytes]) -> None:
        """Takes what was drained, piece by piece: each of them is copied some times, and all together may be 512 MB."""
        self._keeper.take(b"".join(self._stacks))
        for records in (*self._emptying.rest(), ring.strip(last)):
            self._keeper.take(records)
        self._keeper.take(self._programs.rows())

    def _last_spans(self, end: int) -> list[bytes]:
        """Lets the kernel side write its last records, and takes them from the ring: the records of the sockets that are open,
        and of the threads that have not ended.
        """
        with contextlib.closing(ring.Ring(self._table(RING).fd, self._sizes.ring_bytes)) as rest:
            spans = [rest.drain()]
            for name, report in (("sockets", self._programs.socket_open), ("threads", self._programs.report_open)):
                for number, key in enumerate(list(self._table(name).keys())):
                    report(key, end)
                    if number % _AT_ONCE == 0:
                        spans.append(rest.drain())
                spans.append(rest.drain())
        return spans

    def _losses(self) -> dict[str, int]:
        """The counters of the kernel side, and how many events the kernel skipped programs for.

        The kernel may skip a program that is at work for another thread on that CPU. If it skips the program and its stand-in
        at one end of a followed thread's call, the other end shows it: an end without a begin, or a begin inside a call
        (Loss.UNMATCHED).
        """
        misses = self._misses
        ends = {hook: number for hook, number in misses.items() if hook.place.startswith("raw_syscalls:")}
        copies = [{hook: misses[hook] for hook in spec.hooks if hook in misses} for spec in self._wanted if spec.has_partner]
        optional = sum(misses.get(hook, 0) for spec in self._wanted if spec.optional for hook in spec.hooks)
        paired = sum(sum(skipped.values()) for skipped in copies)
        return {loss.name: self._table("losses").total(loss) for loss in Loss} | {
            Missing.MISSED: sum(misses.values()) - sum(ends.values()) - paired - optional,
            Missing.SKIPPED: _not_stood_in_for(ends),
            Missing.PAIRED: sum(map(_not_stood_in_for, copies)),
            Missing.FULL: int(self.full),
        }


def _attached(btf: Btf, sizes: Sizes, wanted: tuple[ProbeSpec, ...]) -> tuple[Programs, list[Probe]]:
    """The programs, attached. Where the kernel's verifier refuses to read through pointers with a type, the programs read all
    memory through helpers. Raises CannotTrace.
    """
    try:
        return _attach_all(Programs(btf, sizes), btf, wanted)
    except Refused:
        return _attach_all(Programs(btf, sizes, typed=False), btf, wanted)


def _attach_all(programs: Programs, btf: Btf, wanted: tuple[ProbeSpec, ...]) -> tuple[Programs, list[Probe]]:
    try:
        programs.load_ahead(first_choices(btf, wanted))
        probes = attach(btf, programs.load, programs.unload, wanted)
        programs.end_of_start()
    except BaseException:
        programs.close()
        raise
    return programs, probes


def _start_without_signals(thread: threading.Thread) -> None:
    """Starts a thread that blocks all signals: each signal is for the main thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _word(number: int) -> bytes:
    return struct.pack("=I", number)


def _not_stood_in_for(misses: dict[Hook, int]) -> int:
    """How many events of a probe were not reported, at most: those that its stand-ins were skipped for, too. A probe without
    stand-ins did not report any event that it was skipped for.
    """
    return sum({hook: number for hook, number in misses.items() if hook.stands_in}.values() or misses.values())


def _probe_with_hits(probe: Probe, wanted: ProbeSpec, missed: int, hits: dict[Hit, int]) -> Probe:
    """The probe with its hits. An optional probe whose program was skipped counts as unavailable, and not as a loss."""
    if not probe.attached or not (wanted.optional and missed):
        return replace(probe, hits=hits[wanted.hit] if probe.attached and wanted.hit is not None else None)
    reason = f"the kernel skipped its program {missed} times (it was at work already); missing without it: {wanted.without}"
    return Probe(wanted.name, None, Quality.UNAVAILABLE, reason, optional=True)


def machine() -> Machine:
    """This machine."""
    return Machine(
        kernel=platform.release(),
        arch=platform.machine(),
        cpus=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
    )
