"""The typical message: the median of those that found their thread asleep in the call that then reported them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from findings.pictures.scene import choose
from probes.context import Client, Exchange, Seen, ServerRun
from probes.measure.result import Message, Sleep
from probes.recording import Recording
from tests.conftest import checked
from tests.probes.measure.streams import call


@pytest.mark.parametrize("name", ["blocking", "epoll", "select", "poll", "asyncio"])
def test_the_message_of_a_model_that_sleeps_found_the_thread_asleep(name: str, recorded: Callable[[str], Recording]) -> None:
    scene = choose(checked(name))
    assert scene and scene.sleep_when_ready
    call, sleep = scene.sleep_when_ready
    assert sleep.off <= scene.message.ready <= sleep.on <= scene.message.notified <= call.exit


def test_a_thread_that_never_sleeps_is_not_said_to_have_slept(recorded: Callable[[str], Recording]) -> None:
    result = checked("nonblocking")
    scene = choose(result)
    assert scene and scene.sleep_at_start is None and scene.sleep_when_ready is None and not scene.slept_for
    assert scene.median_of == scene.messages == len(result.messages)


def test_data_that_arrived_during_a_sleep_for_another_client_is_left_out(recorded: Callable[[str], Recording]) -> None:
    scene = choose(checked("blocking"))
    assert scene and scene.slept_for and scene.median_of < scene.messages


def test_a_thread_that_other_data_had_woken_was_not_found_asleep() -> None:
    """Two clients send while the thread sleeps: the first message wakes it, and the second comes while it waits for a CPU.

    The second message was drawn as if its data had woken the thread, before its client had called send.
    """
    wait = call("epoll_wait", 10, 200, sleeps=(Sleep(20, 100, 190, "epoll", (), None, probed=30),))
    reads = [call("recvfrom", start, start + 8, socket=number, bytes=64) for number, start in ((1, 210), (2, 230))]
    first = message(socket=1, ready=60, read=210, probed=30)
    second = message(socket=2, ready=150, read=230)
    scene = choose(replace(checked("epoll"), calls=(wait, *reads), messages=(first, second), context=sent_at(50, 140)))
    assert scene and scene.message.socket == 1 and (scene.median_of, scene.messages) == (1, 2)
    assert scene.sleep_when_ready and scene.sent == 50
    only = choose(replace(checked("epoll"), calls=(wait, *reads), messages=(second,), context=sent_at(50, 140)))
    assert only and only.sleep_when_ready is None and only.sleep_at_start and not only.slept_for


def test_the_sleep_at_the_send_and_the_sleep_in_which_the_data_came_may_differ() -> None:
    first = call("epoll_wait", 10, 120, sleeps=(Sleep(20, 90, 110, "epoll", (), None),))
    second = call("epoll_wait", 130, 200, sleeps=(Sleep(140, 180, 190, "epoll", (), None),))
    read = call("recvfrom", 210, 218, socket=1, bytes=64)
    late = message(socket=1, ready=160, read=210)
    scene = choose(replace(checked("epoll"), calls=(first, second, read), messages=(late,), context=sent_at(50)))
    assert scene and scene.sleep_at_start and scene.sleep_when_ready
    assert (scene.sleep_at_start[1].woken, scene.sleep_when_ready[1].woken) == (90, 180)
    assert scene.message.ready < scene.sleep_when_ready[1].woken


def message(socket: int, ready: int, read: int, probed: int = 0) -> Message:
    return Message(
        socket=socket,
        thread=1,
        fd=4,
        ready=ready,
        notified=190,
        notified_by="epoll_wait",
        read=read,
        copied=read + 5,
        returned=read + 8,
        bytes=64,
        reads=1,
        arrivals=1,
        probed=probed,
    )


def sent_at(*moments: int) -> ServerRun:
    """A run in which each client sent one message, at one of these moments."""
    context = checked("epoll").context
    assert isinstance(context, ServerRun)
    clients = tuple(Client(asked=0, connected=0, port=0, exchanges=(Exchange(at, at + 1000),)) for at in moments)
    return replace(context, traffic_seen=Seen(clients))
