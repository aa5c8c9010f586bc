"""The model and the architecture of each recorded server: what the table of confusion holds the classification against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from findings.models.model import Architecture, Mechanism, Model
from findings.threads.roles import Identity, identify
from findings.view import Run
from probes.measure.result import Result
from tests.conftest import measured


@dataclass(frozen=True)
class Expected:
    """A recording of tests/data (and one of its cases, after a colon), and what its server is."""

    name: str
    model: Model
    architecture: Architecture
    also: tuple[Mechanism, ...] = ()


_ONE = Architecture.SINGLE_LOOP
_IN_TURN = Architecture.SEQUENTIAL
_THREADS = Architecture.THREAD_PER_CONNECTION

RECORDED = (
    Expected("blocking", Model.BLOCKING, _IN_TURN),
    Expected("threads", Model.THREADS, _THREADS),
    Expected("processes", Model.PROCESSES, Architecture.PROCESS_PER_CONNECTION),
    Expected("thread_pool", Model.THREAD_POOL, Architecture.THREAD_POOL),
    Expected("process_pool", Model.PROCESS_POOL, Architecture.PREFORK),
    Expected("nonblocking", Model.NONBLOCKING, _ONE),
    Expected("select", Model.SELECT, _ONE),
    Expected("poll", Model.POLL, _ONE),
    Expected("epoll", Model.EPOLL, _ONE),
    Expected("epoll_edge", Model.EPOLL_EDGE, _ONE),
    Expected("selectors", Model.EPOLL, _ONE),
    Expected("signal_driven", Model.SIGNAL_DRIVEN, _ONE),
    Expected("posix_aio", Model.POSIX_AIO, Architecture.LOOP_AND_HELPERS),
    Expected("native_aio", Model.NATIVE_AIO, _ONE),
    Expected("io_uring:single", Model.IO_URING, _ONE),
    Expected("io_uring:multishot", Model.IO_URING, _ONE),
    Expected("io_uring:worker", Model.IO_URING, _ONE),
    Expected("io_uring:SQPOLL", Model.IO_URING, _ONE),
    Expected("asyncio", Model.EPOLL, _ONE),
    Expected("textbook:non-blocking", Model.BLOCKING, _IN_TURN, (Mechanism.NONBLOCKING,)),
    Expected("textbook:non-blocking mended", Model.NONBLOCKING, _ONE),
    Expected("textbook:non-blocking working", Model.NONBLOCKING, _ONE),
    Expected("textbook:select", Model.SELECT, _ONE),
    Expected("textbook:select long", Model.SELECT, _ONE),
    Expected("textbook:select mended", Model.SELECT, _ONE),
    Expected("textbook:callbacks", Model.EPOLL, _ONE),
    Expected("textbook:callbacks mended", Model.EPOLL, _ONE),
    Expected("textbook:one message", Model.BLOCKING, _IN_TURN),
    Expected("textbook:one message long", Model.BLOCKING, _IN_TURN),
    Expected("textbook:one message mended", Model.BLOCKING, _IN_TURN),
    Expected("silent_client:broken", Model.BLOCKING, _IN_TURN),
    Expected("silent_client:mended", Model.THREADS, _THREADS),
    Expected("silent_client:one thread", Model.EPOLL, _ONE),
    Expected("pool_ceiling:broken", Model.THREAD_POOL, Architecture.THREAD_POOL),
    Expected("pool_ceiling:mended", Model.THREADS, _THREADS),
    Expected("pool_ceiling:one thread", Model.EPOLL, _ONE),
    Expected("slow_handler:broken", Model.EPOLL, _ONE),
    Expected("slow_handler:mended", Model.EPOLL, Architecture.LOOP_AND_WORKERS),
    Expected("edge_starvation:broken", Model.EPOLL_EDGE, _ONE),
    Expected("edge_starvation:mended", Model.EPOLL_EDGE, _ONE),
    Expected("edge_undrained:broken", Model.EPOLL, _ONE),
    Expected("edge_undrained:mended", Model.EPOLL, _ONE),
    Expected("edge_undrained:level", Model.EPOLL, _ONE),
    Expected("lost_signal:broken", Model.SIGNAL_DRIVEN, _ONE),
    Expected("lost_signal:raced", Model.SIGNAL_DRIVEN, _ONE),
    Expected("lost_signal:mended", Model.SIGNAL_DRIVEN, _ONE),
    Expected("thundering_herd:in accept", Model.PROCESS_POOL, Architecture.PREFORK),
    Expected("thundering_herd:in select", Model.PROCESS_POOL, Architecture.PREFORK),
    Expected("thundering_herd:in epoll", Model.PROCESS_POOL, Architecture.PREFORK),
    Expected("thundering_herd:exclusive", Model.PROCESS_POOL, Architecture.PREFORK),
    Expected("thundering_herd:reuseport", Model.PROCESS_POOL, Architecture.PREFORK),
    Expected("poll_pause:no pause", Model.NONBLOCKING, _ONE),
    Expected("poll_pause:2 ms", Model.NONBLOCKING, _ONE),
    Expected("poll_pause:10 ms", Model.NONBLOCKING, _ONE),
    Expected("poll_pause:select", Model.SELECT, _ONE),
    Expected("time_out_polling:time-out 0", Model.EPOLL, _ONE),
    Expected("time_out_polling:time-out 1 ms", Model.EPOLL, _ONE),
    Expected("time_out_polling:no time-out", Model.EPOLL, _ONE),
    Expected("blocking_accepted:polling", Model.BLOCKING, _IN_TURN, (Mechanism.NONBLOCKING,)),
    Expected("blocking_accepted:polling, mended", Model.NONBLOCKING, _ONE),
    Expected("blocking_accepted:event loop", Model.BLOCKING, _IN_TURN, (Mechanism.EPOLL,)),
    Expected("blocking_accepted:event loop, mended", Model.EPOLL, _ONE),
    Expected("always_writable:broken", Model.EPOLL, _ONE),
    Expected("always_writable:mended", Model.EPOLL, _ONE),
    Expected("always_writable:broken select", Model.SELECT, _ONE),
    Expected("always_writable:mended select", Model.SELECT, _ONE),
    Expected("short_write:broken", Model.EPOLL, _ONE),
    Expected("short_write:mended", Model.EPOLL, _ONE),
    Expected("short_write:blocking", Model.THREADS, _THREADS),
)


@cache
def identity_of(name: str) -> Identity:
    """What the server of a recording, or of one of its cases, classifies as."""
    return identify(result_of(name))


@cache
def result_of(name: str) -> Result:
    """The result of a recording, or of one of its cases."""
    recording, _, case = name.partition(":")
    result = measured(recording)
    return Run(result).case(case).result if case else result
