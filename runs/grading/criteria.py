"""What a submission is judged by: the trials, and the checks of the model's lab that a server alone can show."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

import labs
from findings import properties
from findings.models.model import Model
from labs.kit.lab import Lab
from probes.errors import WrongUsage
from probes.words import did_you_mean


class Kind(enum.StrEnum):
    """Where the verdict of a criterion comes from."""

    CLIENTS = "clients"  # what the clients of a trial saw
    KERNEL = "kernel"  # what the probes saw during the traffic of the model's lab
    PROCESS = "process"  # how the process started and ended


@dataclass(frozen=True)
class Criterion:
    """One thing that a server must do. `lab` shows it, and what goes wrong without it."""

    id: str
    statement: str
    kind: Kind
    lab: str = ""
    remedy: str = ""


NO_OTHER_MISTAKE = "no_other_mistake"
_BASIC = (
    Criterion(
        "starts",
        "the server starts, and listens on a TCP port",
        Kind.PROCESS,
        remedy="bind to 127.0.0.1 and to the port of the command line ({port}) or of the variable PORT, then listen",
    ),
    Criterion(
        "protocol",
        "every request gets the whole right reply",
        Kind.CLIENTS,
        "short_write",
        "read all data that is there, send all of the reply, and keep what a short send left over",
    ),
    Criterion("model", "the server's I/O model is the one that is asked for", Kind.KERNEL),
    Criterion(
        "silent_client",
        "a silent client keeps no other client waiting",
        Kind.CLIENTS,
        "silent_client",
        "wait for all connections at once, or give each connection a thread or a process",
    ),
    Criterion(
        "slow_reader",
        "a client that does not read keeps no other client waiting, and gets every byte later",
        Kind.CLIENTS,
        "short_write",
        "make the connections non-blocking, keep what send did not take, and wait for room (EPOLLOUT, POLLOUT) only then",
    ),
    Criterion(
        "partial_messages",
        "a message in pieces, and two messages in one piece, get their whole replies",
        Kind.CLIENTS,
        "textbook",
        "TCP is a stream: one recv may return a part of a message, or two messages; keep the rest for the next recv",
    ),
    Criterion(
        "huge_message",
        "a message larger than every buffer gets its whole reply",
        Kind.CLIENTS,
        "short_write",
        "send may take only a part of the data: send the rest when there is room again",
    ),
    Criterion(
        "many_clients",
        "many clients that connect at once are all served",
        Kind.CLIENTS,
        "accept",
        "accept until no connection waits, with a backlog of 128 or more, and keep serving the accepted connections",
    ),
    Criterion(
        "reset",
        "clients that reset their connections end neither the server nor the service for others",
        Kind.CLIENTS,
        "output_calls",
        "close the connection on ECONNRESET and EPIPE, and ignore SIGPIPE (or send with MSG_NOSIGNAL)",
    ),
    Criterion(
        "half_close",
        "a client that ends its own direction gets its reply, and then the connection is closed",
        Kind.CLIENTS,
        "delivery",
        "when recv returns 0, send what is left, then close the connection",
    ),
    Criterion(NO_OTHER_MISTAKE, "no other mistake loses data, keeps clients waiting, or takes a CPU", Kind.KERNEL),
    Criterion(
        "ends_on_sigterm",
        "SIGTERM ends the server and all that it started",
        Kind.PROCESS,
        remedy="leave SIGTERM its default, or end the loop in its handler; end and collect children and threads",
    ),
)
TRIALS = tuple(
    criterion.id for criterion in _BASIC if criterion.kind is Kind.CLIENTS and criterion.id != "protocol"
)  # in the order in which they run
BASIC = {criterion.id: criterion for criterion in _BASIC}


SHOWN_BY = {  # the labs that show a server without the property, by its id
    "non-blocking-connections": "blocking_accepted",
    "echoes-every-byte": "short_write",
    "accepts-every-connection": "accept",
    "reads-large-pieces": "input_calls",
}
# The properties of any program that explain why a trial failed; another property that the server breaks does not.
EXPLAINED_BY = {
    "silent_client": {"blocks-only-in-its-wait", "queues-at-no-lock", "never-spins", "sleeps-without-work", "has-one-owner"},
    "slow_reader": {
        "blocks-only-in-its-wait", "queues-at-no-lock", "never-spins", "sends-every-byte", "sleeps-without-work",
        "has-one-owner",
    },
    "partial_messages": {"sends-every-byte", "leaves-no-data-unread", "arms-every-descriptor"},
    "huge_message": {"sends-every-byte", "leaves-no-data-unread", "arms-every-descriptor", "has-one-owner"},
    "many_clients": {
        "accepts-every-connection", "computes-little", "blocks-only-in-its-wait", "leaves-no-data-unread", "dies-of-no-signal",
        "has-one-owner",
    },
    "reset": {"dies-of-no-signal", "never-spins", "has-one-owner"},
    "half_close": {"never-spins", "sends-every-byte", "has-one-owner"},
}  # fmt: skip
# What makes a server the model, where another model was found.
_HOW = {
    "asyncio": "serve all connections from one asyncio event loop",
    "blocking": "accept a connection, serve it to its end by blocking calls, then accept the next",
    "epoll": "register each descriptor with epoll once, and wait for all of them in epoll_wait",
    "epoll_edge": "register each descriptor with EPOLLET, and read until EAGAIN after each report",
    "io_uring": "submit accept, recv and send to io_uring, and wait for completions in io_uring_enter",
    "native_aio": "submit the requests by io_submit, and wait in io_getevents",
    "nonblocking": "make all sockets non-blocking, and try each of them in turn without a wait",
    "poll": "give all descriptors to poll, and let it wait for all of them",
    "posix_aio": "start reads by aio_read, and let the C library's helper threads wait",
    "process_pool": "fork a fixed number of processes before the first connection, and let each serve one connection at a time",
    "processes": "fork a process for each accepted connection",
    "select": "give all descriptors to select, and let it wait for all of them",
    "selectors": "wait for all connections in a selector (selectors.DefaultSelector)",
    "signal_driven": "let a signal report data: F_SETOWN, F_SETSIG and O_ASYNC for each socket",
    "thread_pool": "start a fixed number of threads, and let each serve one connection at a time",
    "threads": "start a thread for each accepted connection, which serves it by blocking calls to its end",
}
# What to do where a check of the model's lab fails that rests on no property, by the check's name.
_REMEDIES = {
    "asleep_in_epoll_wait": _HOW["epoll"],
    "woken_by_the_callback": _HOW["epoll"],
    "registered_once": "call EPOLL_CTL_ADD once for each descriptor, and EPOLL_CTL_MOD only where the wanted events change",
    "one_thread": "let one thread serve all connections in turns, with short handlers; give long work to another thread",
    "harder": "read until EAGAIN, or until a read returns less than it asked for, after each report of EPOLLET",
    "isolated": "let each connection's thread or process run alone: hold no lock in a call that sleeps, and do not join it",
    "created_for_it": "start the thread or process after accept, one for each connection, and end it with the connection",
    "few": "start the pool's threads once, and pass the connections to them through a queue",
    "ceiling": "let each thread or process of the pool take the next connection as soon as it is free",
    "nothing_created": "fork all processes before the first accept",
    "reaped": "collect each child that has ended: waitpid, or SIGCHLD with SIG_IGN",
    "never_asleep": _HOW["nonblocking"],
    "whole_core": _HOW["nonblocking"],
    "multiplexing": _HOW["asyncio"],
    "notified_by_signal": _HOW["signal_driven"],
    "reactor": _HOW["selectors"],
    "completion": _HOW["io_uring"],
    "waits": _HOW["native_aio"],
}
ONE_AT_A_TIME = {"blocking"}  # models that serve a connection when the connection before it has ended
NEVER_ASLEEP = {"nonblocking"}  # models whose servers poll
BY_SIGNALS = {"signal_driven"}  # models that queued signals notify
ONE_THREAD = {"asyncio", "epoll", "epoll_edge", "poll", "select", "selectors", "signal_driven"}  # one thread serves all
_OF_CONNECTIONS = {"process_pool", "processes", "thread_pool", "threads"}  # a connection has a thread or a process
_ALONE = "let each connection's thread or process wait alone: hold no lock while it reads or sends, and do not join it"
POOLS = {"process_pool", "thread_pool"}
_SEEN_AS = {"asyncio": Model.EPOLL, "selectors": Model.EPOLL}  # libraries that wait in epoll_wait on Linux
_IN_TURN = {
    "silent_client": "the next client is served as soon as a silent client has left",
    "slow_reader": "a client that reads late gets every byte",
}


def basic(model: str) -> dict[str, Criterion]:
    """The criteria besides the checks of the model's lab, by their names."""
    lab, words = model.partition(":")[0], expected(model).words
    own = replace(BASIC["model"], statement=f"the server's I/O model is {words}", lab=lab, remedy=_HOW.get(lab, ""))
    found = BASIC | {"model": own}
    if lab in _OF_CONNECTIONS:
        found |= {name: replace(found[name], remedy=_ALONE) for name in ("silent_client", "slow_reader")}
    if model in ONE_AT_A_TIME:
        found = {name: replace(each, statement=_IN_TURN.get(name, each.statement)) for name, each in found.items()}
    return found


def _is_classified(name: str) -> bool:
    """Can the classification find this model? It does not know a model that was only just added."""
    return name in _SEEN_AS or name in set(Model)


def needs_io_uring(model: str) -> bool:
    """Must the filter of system calls let the model's servers use io_uring?"""
    return model.partition(":")[0] == "io_uring"


def expected(model: str) -> Model:
    """The model that the classification finds for a server of that model."""
    name = model.partition(":")[0]
    return _SEEN_AS.get(name) or Model(name)


def models() -> list[str]:
    """The models that a submission can be checked for: they have a server and a lab of the same name, and are classified.

    The cases of such a lab are models, too: `io_uring:multishot`.
    """
    found = []
    for name in labs.names():
        lab = labs.find(name)
        if lab.servers and lab.model == name and lab.chapter != "Classic mistakes" and _is_classified(name):
            found += [name, *(f"{name}:{case.name}" for case in lab.cases[1:])]
    return found


def find(model: str) -> Lab:
    """The model's lab. Raises WrongUsage, with the nearest name, if there is no such model."""
    known = models()
    if model in known:
        return labs.find(model.partition(":")[0])
    if model in labs.names():
        raise WrongUsage(f"lab {model} is not about one model of servers", f"the models: {', '.join(known)}")
    raise WrongUsage(f"there is no model {model!r}", f"{did_you_mean(model, known)}the models: {', '.join(known)}")


def case_of(model: str) -> str:
    """The case of the lab that the submission stands for; "" where the lab has a single server."""
    cases = find(model).cases
    return (model.partition(":")[2] or cases[0].name) if cases else ""


def evidence(model: str) -> dict[str, Criterion]:
    """The checks of the model's lab, by a short name: a property's id, or the name of the check's function."""
    ids = {each.statement: each.id for each in properties.ALL}
    found = {}
    for statement, _claims, function in find(model).checks:
        name = ids.get(statement, function.__name__)
        found[name] = Criterion(name, statement, Kind.KERNEL, model, _REMEDIES.get(name, ""))
    return found
