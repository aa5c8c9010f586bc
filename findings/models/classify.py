"""What a program is: the I/O model of its serving threads, the architecture over them, and the counts that show both.

The names of programs, threads and files are no evidence. A run that shows too little gives the model *unknown*.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

from findings.descriptors.registrations import EPOLLET
from findings.models.behaviour import Behaviour, Use, behaviour
from findings.models.descriptors import Descriptor
from findings.models.evidence import about_epoll, about_reads, about_waits, coverage, what_else
from findings.models.model import Architecture, Classification, Confidence, Mechanism, Model, ThreadModel
from findings.models.servers import servers
from findings.models.shape import Server, Shape, shape
from probes.measure.result import Result, Thread
from probes.words import count

_SURE, _LIKELY = 0.95, 0.8  # shares of the reads that one mechanism announced
_ENOUGH_READS, _ENOUGH_CONNECTIONS = 6, 2
_BY_ARCHITECTURE = {
    Architecture.PROCESS_PER_CONNECTION: Model.PROCESSES,
    Architecture.THREAD_PER_CONNECTION: Model.THREADS,
    Architecture.PREFORK: Model.PROCESS_POOL,
    Architecture.THREAD_POOL: Model.THREAD_POOL,
}


def classify(result: Result) -> Classification:
    """The classification of the program and of all processes that it started."""
    return classify_behaviour(result, behaviour(result))


def classify_behaviour(result: Result, seen: Behaviour) -> Classification:
    """The same, from the behaviour of a result that was read before.

    Of several servers with clients of their own, the first is the program, and the others are `beside` it.
    """
    first, *others = (_classify(result, each) for each in servers(seen))
    return replace(first, beside=tuple(others))


def _classify(result: Result, seen: Behaviour) -> Classification:
    threads = {thread.serial: thread for thread in result.threads}
    serving = sorted((use for use in seen.uses.values() if use.served), key=lambda use: -use.served)
    if not serving:
        return _without_clients(result, seen)
    edge = _edge(seen.connections)
    models = [_thread_model(use, threads[use.serial], edge, seen) for use in serving]
    mechanisms = {model.thread: model.mechanism for model in models if model.mechanism}
    total = _all_reads(serving, edge, seen)
    if not mechanisms or not total.total():
        return _unclear(result, seen, models)
    mechanism = total.most_common(1)[0][0]
    server = Server(seen, threads, tuple(use.serial for use in serving), mechanisms)
    found = shape(server, mechanism)
    return _server(result, server, models, total, found)


def _server(
    result: Result, server: Server, models: list[ThreadModel], total: collections.Counter[Mechanism], found: Shape
) -> Classification:
    mechanism, number = total.most_common(1)[0]
    model = _BY_ARCHITECTURE.get(found.architecture) or Model(mechanism)
    others = tuple(each for each, n in total.most_common()[1:] if n > (1 - _LIKELY) * total.total())
    if mechanism is Mechanism.BLOCKING and any(_polls_its_listener(use) for use in server.behaviour.uses.values()):
        others = (Mechanism.NONBLOCKING, *others)
    share = number / total.total() if not others else 0.0
    confidence = _confidence(share, total.total(), len(server.connections))
    if model in _BY_ARCHITECTURE.values() and found.architecture is not Architecture.THREAD_POOL:
        others, confidence = (), _confidence(1, total.total(), len(server.connections))
    uses = [server.use(each.thread) for each in models]
    loops = {reporter for use in uses for reporter in use.handed} or {use.serial for use in uses}
    because = (
        *about_waits([server.use(loop) for loop in loops], server.threads, mechanism),
        *about_reads(uses),
        *about_epoll(server.connections, mechanism),
        *found.because,
        *coverage(result, server.behaviour),
    )
    words = f"{model.words}: {found.architecture.words}"
    if confidence is Confidence.MIXED:
        words += f"; also {', '.join(Model(each).words for each in others)}"
    return Classification(
        model=model,
        architecture=found.architecture,
        confidence=confidence,
        because=because,
        threads=tuple(models),
        also=others if confidence is Confidence.MIXED else (),
        uses=frozenset(total),
        summary=words,
    )


def _confidence(share: float, reads: int, connections: int) -> Confidence:
    if share < _LIKELY:
        return Confidence.MIXED
    enough = reads >= _ENOUGH_READS and connections >= _ENOUGH_CONNECTIONS
    return Confidence.CERTAIN if share >= _SURE and enough else Confidence.LIKELY


def _edge(connections: Iterable[Descriptor]) -> bool:
    """Are most connections in epoll sets registered with EPOLLET?"""
    known = [connection.events for connection in connections if connection.events]
    return bool(known) and sum(1 for events in known if events & EPOLLET) > len(known) / 2


def _reads(use: Use, edge: bool, seen: Behaviour) -> collections.Counter[Mechanism]:
    """A thread's reads by what announced them. Reads that nothing announced count only where the thread has no others."""
    found = collections.Counter(use.reads)
    if _serves_in_turn(use, seen.connections_of[use.serial]):
        found = collections.Counter({Mechanism.BLOCKING: found.total()})
    if edge and Mechanism.EPOLL in found:
        found[Mechanism.EPOLL_EDGE] = found.pop(Mechanism.EPOLL)
    if found.keys() <= {Mechanism.BLOCKING} and use.lucky:
        found[Mechanism.BLOCKING] += use.lucky
    if not found and use.unannounced and (mechanism := _unannounced(use, seen.connections_of[use.serial])):
        found[mechanism] = use.unannounced
    return collections.Counter({Mechanism.POSIX_AIO: found.total()}) if use.seekless and found else found


def _serves_in_turn(use: Use, connections: Sequence[Descriptor]) -> bool:
    """Does the thread sleep in accept, and read each connection to its end before it accepts the next?

    A select, poll or epoll_wait before a read is a time-out then: a loop would not see the data while it sleeps in accept.
    """
    if len(connections) < _ENOUGH_CONNECTIONS and use.reads[Mechanism.BLOCKING]:
        return False
    return use.accepts_slept > 0.5 * use.accepts > 0 and _in_turn(connections)


def _in_turn(connections: Sequence[Descriptor]) -> bool:
    """Was each connection read to its end before the next was accepted?"""
    return all(after.since >= before.used for before, after in itertools.pairwise(connections))


def _unannounced(use: Use, connections: Sequence[Descriptor]) -> Mechanism | None:
    """What reads of non-blocking descriptors show that nothing announced.

    A thread that gets EAGAIN, and waits by no mechanism, polls. A thread that reads each connection to its end before it
    accepts the next serves them one after the other, as with blocking reads: the data was there each time. (A call of
    ioctl(FIONBIO), whose value the recording lacks, may have cleared the flag as well.)
    """
    if use.refused and not any(waits.reported > waits.alone for waits in use.waits.values()):
        return Mechanism.NONBLOCKING
    return Mechanism.BLOCKING if _in_turn(connections) and not use.refused else None


def _all_reads(serving: Iterable[Use], edge: bool, seen: Behaviour) -> collections.Counter[Mechanism]:
    total: collections.Counter[Mechanism] = collections.Counter()
    for use in serving:
        total += _reads(use, edge, seen)
    return total


def _polls_its_listener(use: Use) -> bool:
    """Does the thread call accept again and again, and get EAGAIN, without a wait between?"""
    return use.accepts_refused > use.accepts > 0 and not use.accepted


def _thread_model(use: Use, thread: Thread, edge: bool, seen: Behaviour) -> ThreadModel:
    reads = _reads(use, edge, seen)
    because = (*about_waits([use], {use.serial: thread}, None), *about_reads([use]))
    if not reads.total():
        return ThreadModel(use.serial, None, Confidence.UNKNOWN, because)
    mechanism, number = reads.most_common(1)[0]
    connections = len(seen.connections_of[use.serial])
    return ThreadModel(use.serial, mechanism, _confidence(number / reads.total(), reads.total(), connections), because)


def _unclear(result: Result, seen: Behaviour, models: list[ThreadModel]) -> Classification:
    uses = [seen.uses[model.thread] for model in models]
    words = "a server; too little traffic: no read shows how a thread learns of data"
    return Classification(
        Model.UNKNOWN,
        Architecture.UNKNOWN,
        Confidence.UNKNOWN,
        (*about_reads(uses), *coverage(result, seen)),
        tuple(models),
        summary=words,
    )


def _without_clients(result: Result, seen: Behaviour) -> Classification:
    """No client's data was read: a server without traffic, a client, or neither."""
    waiting = [use for use in seen.uses.values() if seen.process_of[use.serial] in seen.began and (use.waits or use.listeners)]
    if seen.began:
        accepted = sum(use.accepts for use in seen.uses.values())
        because = (
            f"{count(accepted, 'connection')} accepted, 0 reads of clients' data",
            *about_waits(waiting, {thread.serial: thread for thread in result.threads}, None),
            *coverage(result, seen),
        )
        words = "a server with too little traffic"
        return Classification(Model.UNKNOWN, Architecture.UNKNOWN, Confidence.UNKNOWN, because, summary=words)
    reads = sum(use.client_reads for use in seen.uses.values())
    if reads or seen.clients:
        because = (
            f"{count(seen.clients, 'connection')} to servers, {count(reads, 'read')} of their answers;"
            " no call listened for clients or accepted one",
            *coverage(result, seen),
        )
        words = "a client: it connects to servers and accepts no connection"
        return Classification(Model.CLIENT, Architecture.UNKNOWN, Confidence.CERTAIN, because, summary=words)
    because = ("no call listened for clients, accepted a connection or read from one", *coverage(result, seen))
    words = f"no server: {what_else(result, seen)}"
    return Classification(Model.NO_SERVER, Architecture.UNKNOWN, Confidence.CERTAIN, because, summary=words)
