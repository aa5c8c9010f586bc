"""Every connection that a client makes is accepted."""

from __future__ import annotations

from findings.descriptors.sockets import Untaken, ends_are_known, not_accepted
from findings.descriptors.words import socket_words
from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from findings.whole import why_not_whole
from probes.measure.sockets import Role
from probes.words import count, ms


def observe(run: Run) -> Observation:
    """Checks what waited in the accept queues at the end; in a lab, compares what the clients made with what was accepted.

    The kernel completes a connection by itself: connect returns in the client while the connection waits in the accept queue.
    """
    if left := not_accepted(run):
        return _left_waiting(run, left)
    if any(client.port for client in run.clients) and not run.udp:
        return _held_against_clients(run)
    listeners = [end for end in run.result.socket_ends if end.name.role is Role.LISTENING]
    if not ends_are_known(run) or not listeners:
        return not_shown("the recording has no end of a listener, and no client of iolab made a connection")
    return held(
        f"{count(len(run.connections), 'connection')} accepted; no connection waited in the accept queue of"
        f" {count(len(listeners), 'listener')} at the close or at the end of the recording"
    )


def _left_waiting(run: Run, left: list[Untaken]) -> Observation:
    threads = {thread.serial: thread for thread in run.result.threads}
    number, longest = sum(each.end.backlog for each in left), max(left, key=lambda each: each.ns)
    at = "when the recording ended" if longest.end.open else "when the listener was closed"
    since = ms(longest.ns) if longest.end.backlog == 1 else f"{ms(longest.ns)} or more"
    made = sum(1 for client in run.clients if client.port)
    never = f"{number} of {count(made, 'connection')}" if number <= made else count(number, "connection")
    it = "it was" if sum(each.end.backlog for each in left) == 1 else "they were"
    return broken(
        f"the server never accepted {never}: {it} in the accept queue {at}, for {since} ({socket_words(longest.end.name)})",
        places=[
            place_of(
                threads[each.end.name.thread],
                fd=each.end.name.fd if each.end.name.fd >= 0 else None,
                since=each.since,
                cost=Cost(ns=each.ns, calls=each.end.backlog),
            )
            for each in left
        ],
    )


def _held_against_clients(run: Run) -> Observation:
    if why := why_not_whole(run.result):
        return not_shown(why)
    made = sum(1 for client in run.clients if client.port)
    accepted = len(run.connections)
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
)
