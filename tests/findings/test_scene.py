"""The typical message: the median of those that found their thread asleep in the call that then reported them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from findings.scene import choose
from probes.recording import Recording
from tests.conftest import checked


@pytest.mark.parametrize("name", ["blocking", "epoll", "select", "poll", "asyncio"])
def test_the_message_of_a_model_that_sleeps_found_the_thread_asleep(name: str, recorded: Callable[[str], Recording]) -> None:
    scene = choose(checked(name))
    assert scene and scene.sleep_when_ready
    call, sleep = scene.sleep_when_ready
    assert sleep.off <= scene.message.ready <= sleep.on <= scene.message.notified <= call.exit


def test_a_thread_that_never_sleeps_is_not_said_to_have_slept(recorded: Callable[[str], Recording]) -> None:
    result = checked("nonblocking")
    scene = choose(result)
    assert scene and scene.sleep is None and not scene.slept_for
    assert scene.median_of == scene.messages == len(result.messages)


def test_data_that_arrived_during_a_sleep_for_another_client_is_left_out(recorded: Callable[[str], Recording]) -> None:
    scene = choose(checked("blocking"))
    assert scene and scene.slept_for and scene.median_of < scene.messages
