"""Empties the ring of the records while the program runs: a process of its own, which emptying.py starts.

`emptier.py CONTROL PARENT`: a socket to the instrument, and the id of a parent with which the process ends (0: none). The first
message on the socket brings the orders as JSON, and three descriptors: the ring, the kernel's table that says whether details
are wanted (settings), and a file in memory that takes the records (store). The first answer says that the process is at work.

A thread of the instrument would have to wait for the interpreter while another thread runs Python code: on a machine whose CPUs
are busy, that took up to 2 seconds. This process waits for no other thread, and it has a high priority. It also decides when
details are wanted, because a late decision would record more details than the budget allows. It imports little, so that it
starts in 20 ms.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time

LOOK_EVERY = 0.02  # seconds; the ring holds 0.4 s of the busiest server that was measured, so a late check loses nothing
# The process empties the ring when this part of it is full. Until then, the traced program has the CPUs for itself.
DRAIN_AT = 1 / 32
DRAIN, LEAVE_DETAILS, STOP = b"drain", b"leave details", b"stop"  # what the instrument asks for
AT_WORK = b"at work"
MOST_ORDERS = 1 << 12  # bytes
_MORE = 64 << 20  # bytes of records that may wait in the file beyond those that the budget allows
PRIORITY = -10  # on a busy machine a late reader loses records


class Emptier:
    """The ring, the file, and the budget of details. `offset`: by how much this process's clock is ahead of the probes'."""

    def __init__(self, control: socket.socket, descriptors: list[int], orders: dict[str, object]) -> None:
        from probes.capture.details import Budget
        from probes.capture.ring import Ring
        from probes.capture.settings import Settings

        self._control = control
        ring, settings, self._store = descriptors
        self._ring = Ring(ring, int(str(orders["ring_bytes"])))
        records, self._most = orders["details"], int(str(orders["most_bytes"]))
        self._budget = Budget(records if isinstance(records, int) else None, self._most)
        self._settings = Settings(settings, int(str(orders["walk_every"])), bool(orders["callbacks"]))
        self._offset = int(str(orders["clock_offset"]))
        self._begin = self._ring.produced
        self._written = self._taken = 0
        self._wanted, self._decides = True, True
        self._budget.wants(0, int(str(orders["began"])))

    def _now(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) - self._offset

    def run(self) -> None:
        """Works until the instrument asks for the end, or has ended."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        self._control.send(AT_WORK)
        pause = 0.0
        while True:
            if poll.poll(1000 * pause):
                request = self._control.recv(64)
                if not request or not self._answer(request):
                    return
            fresh = self._ring.filled > DRAIN_AT and self._drain()
            pause = self._decide()
            if fresh and self._ring.filled > DRAIN_AT:
                pause = 0  # during the drain, more records came than may wait in the ring

    def _answer(self, request: bytes) -> bool:
        """Does what the instrument asks for. Returns False at the end."""
        name, _, taken = request.partition(b" at ")
        self._taken = int(taken or 0)
        if name == LEAVE_DETAILS:
            self._decides = False
        else:
            self._drain()
            self._decide()
        budget = self._budget
        self._control.send(json.dumps([self._written, budget.windows, budget.opened, budget.full]).encode())
        return name != STOP

    def _drain(self) -> bool:
        """Moves the records of the ring to the file. Returns False if it moved nothing.

        The file has a limit, because the instrument may be stopped.
        """
        if self._written - self._taken > self._most + _MORE:
            return False
        length = self._ring.drain_to(self._store, self._written)
        self._written += length
        return length > 0

    def _decide(self) -> float:
        """Sets whether the kernel side reports details. Returns the seconds until the next check."""
        if not self._decides:
            return LOOK_EVERY
        closed = self._settings.closed() if self._wanted else 0
        taken = self._ring.produced - self._begin
        wanted = self._budget.wants(taken, self._now(), closed=closed)
        if wanted is not self._wanted or closed:
            self._wanted = wanted
            self._settings.set(details=wanted, most_bytes=self._budget.grant(taken))
        return self._budget.pause(self._now(), LOOK_EVERY)


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # a container may lack CAP_SYS_NICE
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120 (pathlib is slow)
    import probes.capture.details
    import probes.capture.ring
    import probes.capture.settings  # noqa: F401 (all are loaded before the orders come)
    from probes.capture.prctl import end_with_parent

    if parent := int(sys.argv[2]):
        end_with_parent(parent)
    with contextlib.suppress(ConnectionError), socket.socket(fileno=int(sys.argv[1])) as instrument:  # or it has ended
        text, descriptors, _, _ = socket.recv_fds(instrument, MOST_ORDERS, 3)
        if descriptors:
            Emptier(instrument, descriptors, json.loads(text)).run()
