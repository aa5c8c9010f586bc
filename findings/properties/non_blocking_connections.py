"""A thread that waits for several descriptors reads no connection that is blocking."""

from __future__ import annotations

from findings.descriptors.connections import connections, left_blocking
from findings.properties.property import Observation, Property, broken, held, not_shown
from findings.view import Run
from probes.kernel import syscalls
from probes.words import count


def observe(run: Run) -> Observation:
    """Checks, for each accepted connection, the flag of accept4, fcntl and ioctl, and the threads that read it.

    Linux does not pass O_NONBLOCK on from the listener (man 2 accept). A blocking connection may hold the thread even after the
    multiplexer has reported it: in a send for which the room is too small, or in a second read.
    """
    loops = {call.thread for call in run.result.calls if call.name in syscalls.MULTIPLEXERS}
    found = connections(run)
    if not loops or not found:
        return not_shown("no thread that waits in select, poll or epoll accepted a connection")
    blocking = left_blocking(found, loops)
    if not blocking:
        return held(
            f"{count(len(found), 'connection')}, and the thread that waits for all of them reads 0 blocking connections"
        )
    return broken(
        f"no call set O_NONBLOCK for {len(blocking)} of {count(len(found), 'connection')}, and the thread that waits for all of"
        " them reads them"
    )


NON_BLOCKING_CONNECTIONS = Property(
    id="non-blocking-connections",
    statement="a thread with a multiplexer reads non-blocking connections only",
    remedy="make each accepted socket non-blocking (SOCK_NONBLOCK of accept4): Linux does not take the flag from the listener",
    observe=observe,
)
