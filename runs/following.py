"""Hands the events of a traced program to a writer while the program runs, in a thread of its own.

The writer may be slower than the program, or may stand still: neither the program nor the instrument waits for it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from findings.following import Event, Following, Wanted
from probes.capture.feed import Feed
from probes.capture.instrument import Instrument, machine
from probes.context import TraceRun
from probes.measure.reader import Reader
from probes.recording import Recording
from runs.signals import ENDING, HeldSignals

_LOOK = 0.1  # seconds between two looks whether the writer has finished


@dataclass(frozen=True)
class Lines:
    """Which events are wanted, and what writes them; it returns False if nobody reads them any more."""

    wanted: Wanted
    write: Callable[[Iterator[Event], Following], bool]


class Follower:
    """The thread between an instrument and a writer."""

    def __init__(self, instrument: Instrument, lines: Lines) -> None:
        self._error: BaseException | None = None
        self.unread = False  # nobody reads the lines any more
        self._feed, stacks = instrument.follow()
        recording = Recording(
            b"", machine(), tuple(instrument.probes), losses={}, seen=0, stacks=stacks, end=0, context=TraceRun()
        )
        self.following = Following(Reader(recording), lines.wanted)
        self._thread = threading.Thread(target=self._run, args=(self._feed, lines), name="iolab-follow", daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run(self, feed: Feed, lines: Lines) -> None:
        try:
            while (piece := feed.take(_LOOK)) is not None:
                if piece.records and not self.unread:
                    read = self.following.moment if piece.moment else self.following.read
                    self.unread = not lines.write(read(piece.records), self.following)
            if not self.unread:
                lines.write(self.following.end(), self.following)
        except BaseException as error:  # of the writer: `finish` raises it in the main thread
            self._error = error
            feed.abandon()

    def finish(self, held: HeldSignals) -> None:
        """Waits until all is written, or until a signal such as Ctrl-C comes. The feed must be closed. Raises what the writer
        raised.
        """
        while self._thread.is_alive():
            info = held.take(_LOOK)
            if info and info.si_signo in ENDING:
                self._feed.abandon()
                return
            self._thread.join(0)
        if self._error:
            raise self._error
