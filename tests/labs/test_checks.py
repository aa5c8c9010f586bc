"""Each check holds on its own model's recording, and fails on a recording of a server without the property."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import pytest

import labs
from findings.properties import ALL
from labs.kit.lab import Run, turns
from probes.measure.measure import measure
from probes.measure.result import Result, Verdict
from probes.recording import Recording
from tests.conftest import cases_of, checked, lab_run, measured, measured_with, recording_of, renamed

HOLDS = {Verdict.CONFIRMED, Verdict.REFINED, Verdict.REFUTED}
# Checks about other systems, which no run on Linux shows: always unavailable, with what is known instead.
NOT_ON_LINUX = {("selectors", "on other systems DefaultSelector waits in kqueue, /dev/poll or select")}
CHECKS = [(lab, name) for lab in labs.names() for name, _, _ in labs.find(lab).checks]
# Properties of findings/properties are refused in tests/findings/properties, and by the wrong servers of labs/wrong.
OWN = [(lab, name) for lab, name in CHECKS if name not in {each.statement for each in ALL}]
# For each check of a lab's own the recording of a server that does not have the property. Every check must be named here.
# An experiment has no server to exchange: labs/wrong/NAME.py holds an experiment that does the other thing.
WRONG = "its wrong experiment"
# A lab with several servers is judged with each case in the place of the next, the broken server in that of the mended.
TURNED = "its cases, each in the place of the next"
COUNTEREXAMPLES = {
    ("blocking", "the thread sleeps in recvfrom until data arrives"): "epoll",
    ("blocking", "sockets block by default"): "epoll",
    ("blocking", "one call passes both phases: it sleeps, then it copies"): "epoll",
    ("blocking", "a connection waits until the connection before it has ended"): "epoll",
    ("epoll", "the thread sleeps in epoll_wait and in no other call"): "blocking",
    ("epoll", "a thread without work sleeps: it polls neither in a loop nor after short time-outs"): "nonblocking",
    ("epoll", "ep_poll_callback fills the ready list and wakes the waiter"): "blocking",
    ("epoll", "epoll_ctl registers each descriptor once, and not at every wait"): "blocking",
    ("epoll", "one thread serves many connections"): "blocking",
    ("epoll", "epoll shares its events with the process by mmap"): "blocking",
    ("asyncio", "asyncio's default loop sleeps in epoll_wait"): "select",
    ("asyncio", "the thread of the loop copies the data in its own recvfrom"): "threads",
    ("asyncio", "while a callback is due, the loop calls epoll_wait with a time-out of 0"): "epoll",
    ("epoll_edge", "the thread sleeps in epoll_wait and in no other call"): "threads",
    ("epoll_edge", "a thread without work sleeps: it polls neither in a loop nor after short time-outs"): "nonblocking",
    ("epoll_edge", "edge-triggered epoll reports unread data only once"): "epoll",
    ("epoll_edge", "the server takes all that a report announces: every connection, and all data"): "epoll",
    ("epoll_edge", "the server registers each descriptor once and drains it every time"): "blocking",
    ("epoll_edge", "edge-triggered epoll takes fewer waits than level-triggered epoll"): "epoll",
    ("epoll_edge", "edge-triggered epoll is faster than level-triggered epoll"): "epoll",
    ("io_uring", "the thread waits for completions, and no call reads a socket"): TURNED,
    ("io_uring", "the kernel copies the data without the thread that made the request"): TURNED,
    ("io_uring", "one multishot request brings many messages"): TURNED,
    ("io_uring", "with IOSQE_ASYNC a worker of the kernel takes the request"): TURNED,
    ("io_uring", "with SQPOLL a thread of the kernel takes the requests and copies the data"): TURNED,
    ("native_aio", "the thread sleeps in io_getevents until a poll completes, and in no call on a socket"): "posix_aio",
    ("native_aio", "the kernel copies the data into the buffer of the request"): "epoll",
    ("native_aio", "a poll reports once, so that each report costs one more request"): "epoll",
    ("native_aio", "io_submit of a read returns before the data arrives"): "epoll",
    ("nonblocking", "a call without data gets EAGAIN at once, and no call sleeps"): "epoll_edge",
    ("nonblocking", "the call that succeeds copies the data itself"): "blocking",
    ("nonblocking", "the polling thread takes a whole core"): "select",
    ("nonblocking", "each round makes one call for every connection, ready or not"): "epoll_edge",
    ("poll", "the thread sleeps in poll while it has nothing to do, and nowhere else"): "threads",
    ("poll", "a socket's wait queue wakes the thread, through pollwake"): "epoll",
    ("poll", "poll keeps events and revents apart, and every call copies the whole array"): "select",
    ("poll", "poll takes any descriptor, and any number of them"): "select",
    ("poll", "poll costs less than select"): "select",
    ("posix_aio", "neither phase blocks the thread that makes the requests"): "signal_driven",
    ("select", "one thread serves all connections, and keeps none of them waiting"): "threads",
    ("poll", "one thread serves all connections, and keeps none of them waiting"): "threads",
    ("selectors", "one thread serves all connections, and keeps none of them waiting"): "threads",
    ("posix_aio", "the kernel waits for the data and copies it, in no thread of the process"): "threads",
    ("posix_aio", "the thread that makes the requests sleeps until a completion is reported"): "nonblocking",
    ("posix_aio", "requests of several connections wait for data at the same time"): "blocking",
    ("process_pool", "no process is created for a connection"): "processes",
    ("process_pool", "connections beyond the pool's size wait"): "processes",
    ("processes", "connections do not wait for each other"): "epoll",
    ("processes", "every connection has a process, created for it and ended with it"): "process_pool",
    ("processes", "no process that has ended stays a zombie"): "threads",
    ("processes", "hundreds of processes cost creation time, memory and switches"): "threads",
    ("select", "the thread sleeps in select while it has nothing to do, and nowhere else"): "threads",
    ("select", "a socket's wait queue wakes the thread, through pollwake"): "epoll",
    ("select", "the kernel sends the process a signal when data comes"): "epoll",
    ("select", "every call copies the descriptor sets in, and overwrites them and its time-out"): "epoll",
    ("select", "select takes no descriptor above 1023"): "poll",
    ("selectors", "DefaultSelector waits in epoll_wait"): "select",
    ("selectors", "on other systems DefaultSelector waits in kqueue, /dev/poll or select"): "select",
    ("selectors", "the thread sleeps in epoll_wait while it has nothing to do, and nowhere else"): "poll",
    ("selectors", "the selector registers each descriptor once, and not at every wait"): "asyncio",
    ("selectors", "the loop waits, then calls a handler: the Reactor pattern"): "blocking",
    ("signal_driven", "a signal notifies the process, and no call on a socket sleeps"): "epoll",
    ("signal_driven", "a process that computes goes on until the signal interrupts it"): "epoll",
    ("signal_driven", "each socket needs an owner and O_ASYNC of its own: a connection inherits no O_ASYNC"): "epoll",
    ("signal_driven", "the thread copies the data in its own recvfrom"): "posix_aio",
    ("thread_pool", "connections beyond the pool's size wait"): "threads",
    ("thread_pool", "the server creates no more threads than the pool has"): "epoll",
    ("threads", "connections do not wait for each other"): "blocking",
    ("threads", "every connection has a thread, created for it and ended with it"): "thread_pool",
    ("threads", "hundreds of threads cost creation time, memory and switches"): "epoll",
    ("silent_client", "a silent client delays all others of a single blocking thread"): TURNED,
    ("silent_client", "with a thread for each connection a silent client delays no other"): TURNED,
    ("silent_client", "a single thread that waits in epoll delays no client"): TURNED,
    ("pool_ceiling", "connections beyond the pool's size wait"): TURNED,
    ("pool_ceiling", "with a thread for each connection no client waits for another"): TURNED,
    ("pool_ceiling", "one thread that waits in epoll has no ceiling"): TURNED,
    ("slow_handler", "a slow handler stalls every other connection"): TURNED,
    ("slow_handler", "a slow handler in a worker thread stalls no other connection"): TURNED,
    ("edge_starvation", "a server that drains without a limit starves the other clients"): TURNED,
    ("edge_starvation", "a limited turn for each connection serves all clients"): TURNED,
    ("lost_signal", "one read per signal leaves datagrams unread"): TURNED,
    ("lost_signal", "a signal between the last read and pause is lost"): TURNED,
    ("lost_signal", "a server that waits for the signal and then drains loses no datagram"): TURNED,
    ("thundering_herd", "a connection wakes one process of those asleep in accept"): TURNED,
    ("thundering_herd", "a connection wakes all processes asleep in select"): TURNED,
    ("thundering_herd", "a connection wakes all processes asleep in epoll_wait"): TURNED,
    ("thundering_herd", "with EPOLLEXCLUSIVE a connection wakes one process"): TURNED,
    ("thundering_herd", "with SO_REUSEPORT each process has a queue of its own"): TURNED,
    ("blocking_accepted", "connections of a non-blocking listener are non-blocking, too"): TURNED,
    ("blocking_accepted", "one connection without data stalls a thread that polls blocking connections"): TURNED,
    ("blocking_accepted", "a read beyond the last byte takes an event loop to sleep on one connection"): TURNED,
    ("blocking_accepted", "a thread that polls non-blocking connections sleeps on none of them"): TURNED,
    ("blocking_accepted", "an event loop with non-blocking connections sleeps in epoll_wait only"): TURNED,
    ("always_writable", "a descriptor that is always writable keeps epoll_wait from sleeping"): TURNED,
    ("always_writable", "a descriptor that is always writable keeps select from sleeping"): TURNED,
    ("always_writable", "a server that asks for EPOLLOUT only while data is unsent sleeps in epoll_wait"): TURNED,
    ("always_writable", "a server whose write set has only connections with unsent data sleeps in select"): TURNED,
    ("time_out_polling", "with a time-out of 0 the thread takes a whole core"): TURNED,
    ("time_out_polling", "with a time-out of 1 ms a timer ends most waits, without result"): TURNED,
    ("time_out_polling", "a packet ends the wait at once, with a time-out and without"): TURNED,
    ("time_out_polling", "without a time-out epoll_wait returns only with a result"): TURNED,
    ("edge_undrained", "edge-triggered epoll does not report again what a read left in the socket"): TURNED,
    ("edge_undrained", "a server that reads until EAGAIN leaves no data unread"): TURNED,
    ("edge_undrained", "level-triggered epoll reports a socket until it is empty"): TURNED,
    ("edge_undrained", "edge-triggered epoll takes fewer waits for messages longer than the buffer"): TURNED,
    ("short_write", "a send without enough room takes a part, and a server that ignores its result loses the rest"): TURNED,
    ("short_write", "a server that keeps the rest and waits for room sends every byte"): TURNED,
    ("short_write", "a blocking send sleeps until all bytes have found room"): TURNED,
    ("poll_pause", "a longer pause takes less CPU"): TURNED,
    ("poll_pause", "data waits for half a pause on average"): TURNED,
    ("poll_pause", "select takes little CPU, and the packet wakes its thread at once"): TURNED,
    ("select", "every call polls every descriptor, and again after a wake-up or a time-out"): "epoll",
    ("select", "every call that waits enters every descriptor's wait queue, and leaves it"): "epoll",
    ("select", "the cost of a call grows in proportion to the descriptors"): "epoll",
    ("poll", "every call polls every descriptor, and again after a wake-up or a time-out"): "epoll",
    ("poll", "every call that waits enters every descriptor's wait queue, and leaves it"): "epoll",
    ("poll", "the cost of a call grows in proportion to the descriptors"): "epoll",
    ("epoll", "the cost of epoll_wait does not grow with the descriptors"): "select",
    ("epoll", "the number of open files limits epoll"): "select",
    ("accept", "accept waits like an input call"): WRONG,
    ("connect", "connect waits like an output call"): WRONG,
    ("delivery", "a read takes its bytes out of the receive buffer"): WRONG,
    ("delivery", "the sender's copy is released when TCP acknowledges it, before any read"): WRONG,
    ("files", "epoll takes sockets, terminals and pipes, and refuses a regular file"): WRONG,
    ("files", "select and poll report a regular file ready at once, and wait for an empty pipe"): WRONG,
    ("input_calls", "every blocking input call sleeps first, then copies"): WRONG,
    ("input_calls", "every non-blocking input call gets EAGAIN at once"): WRONG,
    ("output_calls", "every blocking output call sleeps until the send buffer has room"): WRONG,
    ("output_calls", "every non-blocking output call gets EAGAIN at once"): WRONG,
    ("textbook", "the connections of a non-blocking listener are non-blocking"): TURNED,
    ("textbook", "with every connection non-blocking, the polling thread sleeps in no read"): TURNED,
    ("textbook", "the polling server does other work between two rounds, and its answers wait for the work"): TURNED,
    ("textbook", "a queue of answers costs a second call of select for each answer"): TURNED,
    ("textbook", "the second part of a message replaces the first part in the queue of answers"): TURNED,
    ("textbook", "the mended select server sends all that it reads"): TURNED,
    ("textbook", "the server with callbacks drops what send does not take, and then the connection"): TURNED,
    ("textbook", "the mended server waits for room to send, and sends all that it reads"): TURNED,
    ("textbook", "the first server of most courses serves one message of each connection"): TURNED,
    ("textbook", "one recv returns one message"): TURNED,
    ("textbook", "a server that reads until the end of the connection answers messages of any length"): TURNED,
    ("async_results", "a synchronous call lets its caller sleep until the result is there"): WRONG,
    ("async_results", "reading the state again and again keeps the caller awake"): WRONG,
    ("async_results", "a callback reports the end once, and lets its caller sleep"): WRONG,
    ("connection_pool", "a pool saves the set-up of a connection for each request"): WRONG,
    ("connection_pool", "a pool of connections has a ceiling: a request that finds it empty waits"): WRONG,
    ("epoll_steps", "epoll_ctl puts the task that calls it on the wait queue of the socket"): WRONG,
    ("epoll_steps", "epoll_wait sleeps for a moment, checks the ready list, and sleeps again"): WRONG,
    ("epoll_steps", "epoll_wait does not sleep if an event is on the ready list already"): WRONG,
    ("epoll_steps", "epoll_wait returns only a number, and the program then fetches the ready descriptors"): WRONG,
    ("select_steps", "step 1: select copies the sets from user space into the kernel"): WRONG,
    ("select_steps", "step 2: select registers the callback __pollwait"): WRONG,
    ("select_steps", "step 3: select walks all descriptors and calls the poll method of each"): WRONG,
    ("select_steps", "step 4: __pollwait puts the thread on the wait queue of each descriptor"): WRONG,
    ("select_steps", "step 5: the poll method returns a mask, which select stores in the sets"): WRONG,
    ("select_steps", "step 6: with no descriptor ready, schedule_timeout puts the thread to sleep"): WRONG,
    ("select_steps", "step 7: after the wake-up select walks all descriptors again"): WRONG,
    ("select_steps", "step 8: select copies the sets from the kernel to user space"): WRONG,
    ("terms", "a synchronous call returns only with its result"): WRONG,
    ("terms", "an asynchronous call returns a handle at once, and reports its result later"): WRONG,
    ("terms", "a synchronous computation does not block its thread"): WRONG,
    ("terms", "a non-blocking call returns at once"): WRONG,
}


def verdict(lab: str, check: str, recording: Recording) -> tuple[Verdict, str]:
    return of(labs.find(lab).judge(measure(recording)), check)


def of(judged: Result, check: str) -> tuple[Verdict, str]:
    (held,) = [held for held in judged.checks if held.name == check]
    return held.verdict, held.evidence


@functools.cache
def judged_as(lab: str, other: str) -> Result:
    """The verdicts of a lab on the recording of another; its own experiment beside the traffic goes with the lab."""
    return labs.find(lab).judge(measured_with(other, aside=lab_run(recording_of(lab)).aside))


@functools.cache
def judged_turned(lab: str) -> Result:
    """The verdicts of a lab with each of its cases in the place of the next."""
    cases = cases_of(recording_of(lab))
    names = [case.name for case in cases]
    return labs.find(lab).judge(measured_with(lab, cases=renamed(cases, names[1:] + names[:1])))


@functools.cache
def judged_wrong(lab: str) -> Result:
    """The verdicts of a lab on its wrong experiment."""
    return labs.find(lab).judge(measured(f"wrong/{lab}"))


@pytest.mark.parametrize(("lab", "check"), CHECKS)
def test_a_check_holds_on_its_own_model(lab: str, check: str) -> None:
    outcome, evidence = of(checked(lab), check)
    assert outcome is Verdict.UNAVAILABLE if (lab, check) in NOT_ON_LINUX else outcome in HOLDS, evidence
    assert any(letter.isdigit() for letter in evidence), "a check quotes its evidence in figures"


@pytest.mark.parametrize(("lab", "check"), OWN)
def test_a_check_fails_on_a_server_without_the_property(lab: str, check: str) -> None:
    other = COUNTEREXAMPLES.get((lab, check))
    assert other, f"name a recording in COUNTEREXAMPLES on which {lab}: {check!r} fails"
    judged = judged_wrong(lab) if other == WRONG else judged_turned(lab) if other == TURNED else judged_as(lab, other)
    outcome, evidence = of(judged, check)
    assert outcome is Verdict.FAILED, f"{outcome}: {evidence}"


@pytest.mark.parametrize("lab", labs.names())
def test_lost_events_make_every_check_inconclusive(lab: str, recorded: Callable[[str], Recording]) -> None:
    recording = recorded(lab)
    recording.losses["RING_FULL"] = 1
    judged = labs.find(lab).judge(measure(recording))
    shown = [check for check in judged.checks if (lab, check.name) not in NOT_ON_LINUX]
    assert {check.verdict for check in shown} == {Verdict.INCONCLUSIVE}
    assert judged.verdict == "inconclusive"


def test_a_recording_that_was_full_too_soon_proves_nothing(recorded: Callable[[str], Recording]) -> None:
    recording = recorded("epoll")
    recording.losses["FULL"] = 1
    result = labs.find("epoll").judge(measure(recording))
    assert result.events.sound and result.verdict == "inconclusive"
    assert all(check.evidence.startswith("the recording was full") for check in result.checks)


def test_a_failed_check_fails_the_run(recorded: Callable[[str], Recording]) -> None:
    assert labs.find("blocking").judge(measured("epoll")).verdict == "fail"
    assert labs.find("blocking").judge(measured("blocking")).verdict == "pass"


@pytest.mark.parametrize(
    ("aside", "verdict"),
    [
        ({"mmap": "ENODEV", "epoll_wait": "EFAULT"}, Verdict.REFUTED),
        ({"mmap": "mapped", "epoll_wait": "EFAULT"}, Verdict.FAILED),
    ],
)
def test_the_kernel_decides_on_shared_memory(aside: dict[str, str], verdict: Verdict) -> None:
    result = measured_with("epoll", aside=aside)
    (check,) = [check for check in labs.find("epoll").judge(result).checks if check.claims == ("C37",)]
    assert check.verdict is verdict


def test_one_client_shows_nothing_about_the_others(recorded: Callable[[str], Recording]) -> None:
    result = measured("blocking")
    first = next(call for call in result.calls if call.name == "accept4" and call.result is not None and call.result >= 0)
    alone = dataclasses.replace(result, calls=tuple(c for c in result.calls if c.name != "accept4" or c is first))
    verdicts = {check.name: check.verdict for check in labs.find("blocking").judge(alone).checks}
    assert verdicts["a connection waits until the connection before it has ended"] is Verdict.UNAVAILABLE


def test_an_edge_that_is_not_drained_is_seen(recorded: Callable[[str], Recording]) -> None:
    """A server that registers once, too, but stops reading before EAGAIN half of the times."""
    from labs.epoll_edge import harder

    result = measured("epoll_edge")
    assert harder(Run(result)).verdict is Verdict.CONFIRMED
    small = [
        dataclasses.replace(call, args=(*call.args[:2], call.bytes, *call.args[3:])) if call.bytes else call
        for call in result.calls
    ]
    refused = [call for call in small if call.name == "recvfrom" and call.errno == "EAGAIN"]
    assert harder(Run(dataclasses.replace(result, calls=tuple(small)))).verdict is Verdict.CONFIRMED
    hasty = tuple(call for call in small if call not in refused[::2])
    assert harder(Run(dataclasses.replace(result, calls=hasty))).verdict is Verdict.FAILED


def test_turns(recorded: Callable[[str], Recording]) -> None:
    assert turns(Run(measured("blocking")).reads) == (3, 3)
    count, served = turns(Run(measured("epoll")).reads)
    assert count == 3 and served > 30
