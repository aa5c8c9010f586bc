"""The words of a classification: mechanisms, models, architectures, and how sure the verdict is.

A *mechanism* is the way in which a thread learns that a client's data has arrived (UNP 6.2). A *model* is the mechanism of the
threads that serve clients, or, for blocking calls, the way in which connections are given to threads and processes. Its values
are the names of the labs. An *architecture* is the way in which the threads of a program share the work.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Mechanism(enum.StrEnum):
    """How a thread learns that data has arrived."""

    BLOCKING = "blocking"
    NONBLOCKING = "nonblocking"
    SELECT = "select"
    POLL = "poll"
    EPOLL = "epoll"
    EPOLL_EDGE = "epoll_edge"
    SIGNAL_DRIVEN = "signal_driven"
    POSIX_AIO = "posix_aio"
    NATIVE_AIO = "native_aio"
    IO_URING = "io_uring"


class Model(enum.StrEnum):
    """What a program is: the labs' models, and what is no server or not shown."""

    BLOCKING = "blocking"
    THREADS = "threads"
    PROCESSES = "processes"
    THREAD_POOL = "thread_pool"
    PROCESS_POOL = "process_pool"
    NONBLOCKING = "nonblocking"
    SELECT = "select"
    POLL = "poll"
    EPOLL = "epoll"
    EPOLL_EDGE = "epoll_edge"
    SIGNAL_DRIVEN = "signal_driven"
    POSIX_AIO = "posix_aio"
    NATIVE_AIO = "native_aio"
    IO_URING = "io_uring"
    CLIENT = "client"
    NO_SERVER = "no_server"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """The model as people read it."""
        return _MODELS[self]


class Architecture(enum.StrEnum):
    """How the threads and processes of a server share the work."""

    SEQUENTIAL = "sequential"
    SINGLE_LOOP = "single_loop"
    LOOP_AND_HELPERS = "loop_and_helpers"
    LOOP_AND_WORKERS = "loop_and_workers"
    LOOP_PER_LISTENER = "loop_per_listener"
    LOOPS_ON_ONE_LISTENER = "loops_on_one_listener"
    ACCEPTOR_AND_WORKERS = "acceptor_and_workers"
    SHARED_LOOP = "shared_loop"
    THREAD_PER_CONNECTION = "thread_per_connection"
    PROCESS_PER_CONNECTION = "process_per_connection"
    PREFORK = "prefork"
    THREAD_POOL = "thread_pool"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """The architecture as people read it."""
        return _ARCHITECTURES[self]


class Confidence(enum.StrEnum):
    """How sure a classification is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    MIXED = "mixed"  # two mechanisms, each with a share that is no exception
    UNKNOWN = "unknown"


_MODELS = {
    Model.BLOCKING: "blocking I/O",
    Model.THREADS: "thread per connection",
    Model.PROCESSES: "process per connection",
    Model.THREAD_POOL: "thread pool",
    Model.PROCESS_POOL: "process pool",
    Model.NONBLOCKING: "non-blocking polling",
    Model.SELECT: "select",
    Model.POLL: "poll",
    Model.EPOLL: "epoll",
    Model.EPOLL_EDGE: "edge-triggered epoll",
    Model.SIGNAL_DRIVEN: "signal-driven I/O",
    Model.POSIX_AIO: "POSIX AIO",
    Model.NATIVE_AIO: "native AIO",
    Model.IO_URING: "io_uring",
    Model.CLIENT: "a client",
    Model.NO_SERVER: "no server",
    Model.UNKNOWN: "unknown",
}
_ARCHITECTURES = {
    Architecture.SEQUENTIAL: "one thread serves one connection after the other",
    Architecture.SINGLE_LOOP: "one event loop",
    Architecture.LOOP_AND_HELPERS: "one event loop with a pool of helper threads",
    Architecture.LOOP_AND_WORKERS: "an event loop that hands ready connections to a pool of workers",
    Architecture.LOOP_PER_LISTENER: "several event loops, each with a listener of its own",
    Architecture.LOOPS_ON_ONE_LISTENER: "several event loops that accept from the same listener",
    Architecture.ACCEPTOR_AND_WORKERS: "an acceptor that hands connections to workers",
    Architecture.SHARED_LOOP: "threads that share one event loop and the connections",
    Architecture.THREAD_PER_CONNECTION: "a new thread for each connection",
    Architecture.PROCESS_PER_CONNECTION: "a new process for each connection",
    Architecture.PREFORK: "processes that exist before the connections and serve one connection at a time",
    Architecture.THREAD_POOL: "a pool of threads that serve one connection at a time each",
    Architecture.UNKNOWN: "unknown",
}


@dataclass(frozen=True)
class ThreadModel:
    """How one serving thread learns of its clients' data."""

    thread: int  # serial number
    mechanism: Mechanism | None  # None: its reads do not show it
    confidence: Confidence
    because: tuple[str, ...]


@dataclass(frozen=True)
class Classification:
    """What a program is, with the reasons. `threads` are the serving threads, the busiest first."""

    model: Model
    architecture: Architecture
    confidence: Confidence
    because: tuple[str, ...]
    threads: tuple[ThreadModel, ...] = ()
    also: tuple[Mechanism, ...] = ()  # where confidence is MIXED: the other mechanisms
    uses: frozenset[Mechanism] = frozenset()  # all mechanisms by which a serving thread learnt of data
    beside: tuple[Classification, ...] = ()  # other servers of the same run, with listeners of their own
    summary: str = ""  # one sentence

    @property
    def serves(self) -> bool:
        """Is the program a server whose model the run shows?"""
        return self.model not in (Model.CLIENT, Model.NO_SERVER, Model.UNKNOWN)
