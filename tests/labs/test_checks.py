"""Each check holds on its own model's recording, and fails on a recording of a server without the property."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

import labs
from labs.kit.lab import Run, turns
from probes.measure import phases
from probes.measure.result import Verdict
from probes.recording import Recording

HOLDS = {Verdict.CONFIRMED, Verdict.REFINED, Verdict.REFUTED}
CHECKS = [(lab, name) for lab in labs.names() for name, _, _ in labs.find(lab).checks]
# For each check the recording of a server that does not have the property. Every check must be named here.
# An experiment has no server to exchange: tests/labs/wrong_experiments.py has one that does the other thing.
WRONG = "its wrong experiment"
# A lab with several servers is judged with each taken for the next one, so that the broken one stands for the mended.
TURNED = "its cases, each taken for the next"
COUNTEREXAMPLES = {
    ("blocking", "asleep in recvfrom"): "epoll",
    ("blocking", "sockets block by default"): "epoll",
    ("blocking", "both phases in one call"): "epoll",
    ("blocking", "one silent client holds up the rest"): "epoll",
    ("epoll", "blocked in the multiplexer, not in the socket call"): "blocking",
    ("epoll", "the callback fills the ready list and wakes the waiter"): "blocking",
    ("epoll", "registered once, not at every wait"): "blocking",
    ("epoll", "one thread serves many connections"): "blocking",
    ("epoll", "does epoll share memory with the process?"): "blocking",
    ("asyncio", "multiplexing underneath"): "select",
    ("asyncio", "waits that don't wait"): "epoll",
    ("epoll_edge", "blocked in the multiplexer, not in the socket call"): "threads",
    ("epoll_edge", "told once: what is left unread is not told again"): "epoll",
    ("epoll_edge", "registered once for both directions, drained every time"): "epoll",
    ("io_uring", "asked for beforehand, told when it is done"): TURNED,
    ("io_uring", "the thread itself copies, inside that call"): TURNED,
    ("io_uring", "multishot: asked once, told many times"): TURNED,
    ("io_uring", "IOSQE_ASYNC: a worker of the kernel has it first"): TURNED,
    ("io_uring", "SQPOLL: a thread of the kernel asks, and copies"): TURNED,
    ("native_aio", "readiness only: the thread copies by itself"): "posix_aio",
    ("native_aio", "a submitted read of a blocking socket blocks in io_submit"): "epoll",
    ("nonblocking", "EAGAIN at once, never asleep"): "epoll_edge",
    ("nonblocking", "phase 2 is in the call that succeeds"): "blocking",
    ("nonblocking", "it takes a whole core"): "select",
    ("nonblocking", "a round costs a call for each connection"): "epoll_edge",
    ("poll", "blocked in the multiplexer, not in the socket call"): "threads",
    ("poll", "a wait queue wakes it"): "epoll",
    ("poll", "wish and answer apart, and all of them at every call"): "select",
    ("posix_aio", "neither phase holds the thread that asked"): "signal_driven",
    ("posix_aio", "but helper threads wait and copy"): "io_uring",
    ("process_pool", "nothing is created for a connection"): "processes",
    ("process_pool", "beyond its size, connections wait"): "processes",
    ("processes", "connections don't wait for each other"): "epoll",
    ("processes", "each connection costs a process"): "process_pool",
    ("select", "blocked in the multiplexer, not in the socket call"): "threads",
    ("select", "a wait queue wakes it"): "epoll",
    ("select", "the sets are handed over at every call"): "epoll",
    ("select", "nothing above 1023"): "poll",
    ("selectors", "epoll underneath"): "select",
    ("selectors", "wait, then dispatch: the Reactor"): "blocking",
    ("signal_driven", "told by a signal, free in phase 1"): "epoll",
    ("signal_driven", "held in phase 2 like the rest"): "posix_aio",
    ("thread_pool", "beyond its size, connections wait"): "threads",
    ("threads", "connections don't wait for each other"): "blocking",
    ("threads", "each connection costs a thread"): "thread_pool",
    ("silent_client", "a silent client holds up a single thread"): TURNED,
    ("silent_client", "with a thread for each it holds up nobody"): TURNED,
    ("silent_client", "nor with one thread that waits in epoll"): TURNED,
    ("pool_ceiling", "beyond its size, connections wait"): TURNED,
    ("pool_ceiling", "without a ceiling, nobody does"): TURNED,
    ("pool_ceiling", "one thread has no ceiling either"): TURNED,
    ("slow_handler", "one slow handler stalls every other connection"): TURNED,
    ("slow_handler", "handed to workers, it stalls nobody"): TURNED,
    ("edge_starvation", "drained without a limit, one sender starves the rest"): TURNED,
    ("edge_starvation", "a turn for each serves them all"): TURNED,
    ("lost_signal", "a datagram for each signal: some are left lying"): TURNED,
    ("lost_signal", "look, then sleep: a signal between the two wakes nobody"): TURNED,
    ("lost_signal", "waited for and drained, nothing is lost"): TURNED,
    ("thundering_herd", "accept wakes one"): TURNED,
    ("thundering_herd", "select wakes them all"): TURNED,
    ("thundering_herd", "so does epoll"): TURNED,
    ("thundering_herd", "EPOLLEXCLUSIVE wakes one or few"): TURNED,
    ("thundering_herd", "with SO_REUSEPORT there is no queue in common"): TURNED,
    ("poll_pause", "the longer the pause, the less CPU"): TURNED,
    ("poll_pause", "and the later the answer: half a pause, on average"): TURNED,
    ("poll_pause", "select pays neither price"): TURNED,
    ("select", "every descriptor is asked at every call"): "epoll",
    ("select", "on every descriptor's wait queue, and off again"): "epoll",
    ("select", "the cost grows with the descriptors"): "epoll",
    ("poll", "every descriptor is asked at every call"): "epoll",
    ("poll", "on every descriptor's wait queue, and off again"): "epoll",
    ("poll", "the cost grows with the descriptors"): "epoll",
    ("epoll", "the cost of a wait does not grow with the descriptors"): "select",
    ("epoll", "what limits it is the number of open files"): "select",
    ("accept", "it waits like an input call"): WRONG,
    ("connect", "it waits like an output call"): WRONG,
    ("delivery", "reading empties the receiver, acknowledging the sender"): WRONG,
    ("files", "a regular file can't be waited for"): WRONG,
    ("input_calls", "blocking, each sleeps and then copies"): WRONG,
    ("input_calls", "non-blocking, each is refused at once"): WRONG,
    ("output_calls", "blocking, each sleeps until there is room"): WRONG,
    ("output_calls", "non-blocking, each is refused at once"): WRONG,
    ("terms", "synchronous: back only with the result"): WRONG,
    ("terms", "asynchronous: a handle at once, the result later"): WRONG,
    ("terms", "synchronous is not blocking"): WRONG,
    ("terms", "non-blocking: back at once"): WRONG,
}


def verdict(lab: str, check: str, recording: Recording) -> tuple[Verdict, str]:
    judged = labs.find(lab).judge(phases.measure(recording))
    (found,) = [one for one in judged.checks if one.name == check]
    return found.verdict, found.evidence


@pytest.mark.parametrize(("lab", "check"), CHECKS)
def test_a_check_holds_on_its_own_model(lab: str, check: str, recorded: Callable[[str], Recording]) -> None:
    found, evidence = verdict(lab, check, recorded(lab))
    assert found in HOLDS, evidence
    assert any(letter.isdigit() for letter in evidence), "a check quotes its evidence in figures"


@pytest.mark.parametrize(("lab", "check"), CHECKS)
def test_a_check_fails_on_a_server_without_the_property(lab: str, check: str, recorded: Callable[[str], Recording]) -> None:
    other = COUNTEREXAMPLES.get((lab, check))
    assert other, f"name a recording in COUNTEREXAMPLES on which {lab}: {check!r} fails"
    if other == WRONG:
        found, evidence = verdict(lab, check, recorded(f"wrong/{lab}"))
        assert found is Verdict.FAILED, f"{found}: {evidence}"
        return
    if other == TURNED:
        cases = recorded(lab).context["cases"]
        turned = [one | {"name": two["name"]} for one, two in zip(cases, cases[1:] + cases[:1], strict=True)]
        found, evidence = verdict(lab, check, recorded(lab).with_context(cases=turned))
        assert found is Verdict.FAILED, f"{found}: {evidence}"
        return
    aside = recorded(lab).context.get("aside", {})  # the experiment beside the traffic goes with the lab, not with the server
    found, evidence = verdict(lab, check, recorded(other).with_context(aside=aside))
    assert found is Verdict.FAILED, f"{found}: {evidence}"


@pytest.mark.parametrize("lab", labs.names())
def test_lost_events_make_every_check_inconclusive(lab: str, recorded: Callable[[str], Recording]) -> None:
    recording = recorded(lab)
    recording.meta["losses"]["RING_FULL"] = 1
    judged = labs.find(lab).judge(phases.measure(recording))
    assert {one.verdict for one in judged.checks} == {Verdict.INCONCLUSIVE}
    assert judged.verdict == "inconclusive"


def test_a_recording_that_was_full_too_soon_proves_nothing(recorded: Callable[[str], Recording]) -> None:
    recording = recorded("epoll")
    recording.meta["losses"]["FULL"] = 1
    result = labs.find("epoll").judge(phases.measure(recording))
    assert result.events.sound and result.verdict == "inconclusive"
    assert all(one.evidence.startswith("the recording was full") for one in result.checks)


def test_a_failed_check_fails_the_run(recorded: Callable[[str], Recording]) -> None:
    assert labs.find("blocking").judge(phases.measure(recorded("epoll"))).verdict == "fail"
    assert labs.find("blocking").judge(phases.measure(recorded("blocking"))).verdict == "pass"


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({"mmap": "ENODEV", "epoll_wait": "EFAULT"}, Verdict.REFUTED),
        ({"mmap": "mapped", "epoll_wait": "EFAULT"}, Verdict.FAILED),
    ],
)
def test_the_kernel_decides_on_shared_memory(
    told: dict[str, str], verdict: Verdict, recorded: Callable[[str], Recording]
) -> None:
    result = phases.measure(recorded("epoll").with_context(aside=told))
    (check,) = [one for one in labs.find("epoll").judge(result).checks if one.claims == ("C37",)]
    assert check.verdict is verdict


def test_one_client_shows_nothing_about_the_others(recorded: Callable[[str], Recording]) -> None:
    result = phases.measure(recorded("blocking"))
    first = next(one for one in result.calls if one.name == "accept4" and one.result is not None and one.result >= 0)
    alone = dataclasses.replace(result, calls=tuple(c for c in result.calls if c.name != "accept4" or c is first))
    found = {one.name: one.verdict for one in labs.find("blocking").judge(alone).checks}
    assert found["one silent client holds up the rest"] is Verdict.UNAVAILABLE


def test_an_edge_that_is_not_drained_is_seen(recorded: Callable[[str], Recording]) -> None:
    """A server that registers once, too, but stops reading before EAGAIN half of the times."""
    from labs.epoll_edge import harder

    result = phases.measure(recorded("epoll_edge"))
    fruitless = [call for call in result.calls if call.name == "recvfrom" and call.errno == "EAGAIN"]
    assert harder(Run(result)).verdict is Verdict.CONFIRMED
    hasty = tuple(call for call in result.calls if call not in fruitless[::2])
    assert harder(Run(dataclasses.replace(result, calls=hasty))).verdict is Verdict.FAILED


def test_turns(recorded: Callable[[str], Recording]) -> None:
    assert turns(Run(phases.measure(recorded("blocking"))).reads) == (3, 3)
    count, served = turns(Run(phases.measure(recorded("epoll"))).reads)
    assert count == 3 and served > 30
