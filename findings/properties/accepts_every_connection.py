"""Every connection that a client makes is accepted."""

from __future__ import annotations

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.words import count


def observe(run: Run) -> Observation:
    """Compares the connections that the clients made with those that the server accepted.

    The kernel completes a connection by itself: connect returns in the client while the connection waits in the accept queue.
    """
    made = sum(1 for client in run.clients if client.port)
    accepted = len(run.connections)
    if run.udp or not made:
        return not_shown("no client of iolab made a connection, and no probe reports the accept queue of a listener")
    if not accepted:
        return not_shown("no call of accept returned a connection")
    if accepted >= made:
        return held(f"the server accepted {made} of {count(made, 'connection')}")
    last = run.connections[-1]
    thread = next(thread for thread in run.result.threads if thread.serial == last.thread)
    return broken(
        f"the server never accepted {made - accepted} of {count(made, 'connection')}",
        places=[place_of(thread, last.name, last.fd, last.exit, Cost(calls=made - accepted))],
    )


ACCEPTS_EVERY_CONNECTION = Property(
    id="accepts-every-connection",
    statement="the server accepts every connection",
    remedy="keep the listener registered; with edge-triggered epoll accept until EAGAIN",
    observe=observe,
    gravity=Gravity.LOST,
    fault="connections are never accepted",
    needs_all=True,
)
