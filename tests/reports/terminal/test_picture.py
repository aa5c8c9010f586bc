"""The picture of one message: its lanes agree with its figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from findings.pictures.scene import Scene, choose
from probes.context import Exchange, LinkUsed, Seen, ServerRun
from probes.recording import Recording
from reports.terminal.picture import Scale, draw, states
from reports.terminal.states import STATES
from reports.terminal.steps import steps
from runs import lab as run
from tests.conftest import checked


def scene_of(recording: Recording) -> Scene:
    scene = choose(run.measure_and_check(recording))
    assert scene
    return scene


@pytest.mark.parametrize("name", ["blocking", "epoll"])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_line_fits(name: str, width: int, recorded: Callable[[str], Recording]) -> None:
    for line in draw(scene_of(recorded(name)), width):
        assert len(line.plain.rstrip()) <= width


def test_the_columns_show_what_the_thread_did(recorded: Callable[[str], Recording]) -> None:
    scene = scene_of(recorded("epoll"))
    assert scene.sent is not None
    columns = 2000
    step = (scene.end - scene.sent) / columns
    row = states(scene, Scale(scene.start, step, columns))
    order = [state for index, state in enumerate(row) if not index or row[index - 1] != state]
    assert order[:4] == ["asleep", "run queue", "kernel", "user code"], "asleep, waiting for a CPU, epoll_wait's rest, Python"
    (sleep,) = [sleep for call in scene.calls for sleep in call.sleeps]
    assert row.count("run queue") * step == pytest.approx(sleep.delay, rel=0.05)
    assert "copy" in row


def test_a_copy_is_seen_however_short(recorded: Callable[[str], Recording]) -> None:
    scene = scene_of(recorded("blocking"))
    assert scene.sent is not None
    assert "copy" in states(scene, Scale(scene.start, (scene.end - scene.start) / 30, 30))


@pytest.mark.parametrize("name", ["blocking", "epoll"])
def test_the_steps_are_in_order_and_tell_both_phases(name: str, recorded: Callable[[str], Recording]) -> None:
    lines = steps(scene_of(recorded(name)))
    assert [at for at, _ in lines] == sorted(at for at, _ in lines)
    words = " | ".join(text for _, text in lines)
    asleep = "recvfrom puts the thread to sleep" if name == "blocking" else "epoll_wait puts the thread to sleep"
    arrival = "in the socket's receive queue: ready"
    for part in (asleep, "the client calls send", arrival, "woken: packet", "on a CPU", "copied", "the program has the data"):
        assert part in words
    assert ("epoll_wait returns: the program knows that data is ready" in words) == (name == "epoll")
    assert words.count(": notified") == 1


def test_the_probes_own_work_is_taken_out(recorded: Callable[[str], Recording]) -> None:
    result = checked("epoll")
    scene = choose(result)
    assert scene and scene.message.probed > 0
    (raw,) = [message for message in result.messages if message.ready == scene.message.ready]
    assert scene.message.notified == raw.notified - raw.probed
    assert scene.message.returned - scene.message.notified == raw.returned - raw.notified
    assert raw.ready_to_notified == scene.message.notified - scene.message.ready


def test_no_message_no_picture(recorded: Callable[[str], Recording]) -> None:
    assert choose(checked("trace")) is None


def test_states_have_their_glyphs() -> None:
    plain = [state.ascii for state in STATES.values()]
    assert len(set(plain)) == len(plain) and all(drawing.isascii() for drawing in plain)


def over_a_link(recording: Recording, flight: int) -> Scene:
    """The scene as if each message had been so long on its way, ns."""
    assert isinstance(recording.context, ServerRun)
    earlier = tuple(
        replace(client, exchanges=tuple(Exchange(sent - flight, echoed + flight) for sent, echoed in client.exchanges))
        for client in recording.context.traffic_seen.clients
    )
    return scene_of(recording.with_context(traffic_seen=Seen(earlier), link=LinkUsed("delay=1ms", used="delay=1ms")))


def test_a_message_that_was_long_on_its_way_is_not_drawn_to_scale(recorded: Callable[[str], Recording]) -> None:
    recording = recorded("epoll")
    scene = over_a_link(recording, 2_000_000)
    assert scene.sent is None and scene.sent_long_before is not None
    assert 2_000_000 < scene.message.ready - scene.sent_long_before < 3_000_000
    assert "(sent 2." in "".join(line.plain for line in draw(scene, 80))
    assert any(at < -2_000_000 and words == "the client calls send" for at, words in steps(scene))


def test_where_many_messages_are_on_their_way_no_send_is_guessed(recorded: Callable[[str], Recording]) -> None:
    scene = over_a_link(recorded("epoll"), 10_000_000_000)
    assert scene.sent is None and scene.sent_long_before is None
    assert "(send time not known)" in "".join(line.plain for line in draw(scene, 80))
    assert "the client calls send" not in [words for _at, words in steps(scene)]
