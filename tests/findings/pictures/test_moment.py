"""The moment of a fault: from recordings of broken servers, and from the clients of a trial."""

from __future__ import annotations

import json

import pytest

from findings.diagnosis import diagnose
from findings.pictures.figure import Doing
from findings.pictures.moment import Fate, Moment, of_place, of_trial
from findings.properties.property import Place
from findings.spoke import Spoke
from findings.view import Run
from probes import shapes
from tests.conftest import measured


def broken(lab: str, case: str, finding: str) -> tuple[Run, Place]:
    """The run of a lab's case, and where it breaks a property."""
    run = Run(measured(lab)).case(case)
    place = next(each for each in diagnose(run.result).broken if each.id == finding).place
    assert place is not None
    return run, place


def test_a_sleep_of_an_event_loop_keeps_the_data_of_other_connections() -> None:
    run, place = broken("slow_handler", "broken", "blocks-only-in-its-wait")
    moment = of_place(run, place, 0)
    assert moment is not None
    assert moment.begin <= (place.since or 0) <= moment.end
    assert moment.calls[0].name == place.call and moment.calls[0].asleep > 1_000_000
    assert {each.fate for each in moment.waiting} == {Fate.UNREAD} and len(moment.waiting) <= 3
    unread = {(message.ready, message.fd, message.bytes) for message in run.result.messages}
    assert {(each.begin, each.fd, each.bytes) for each in moment.waiting} <= unread
    assert all(each.begin < moment.end and (each.end or 0) > moment.begin for each in moment.waiting)
    asleep = sum(span.end - span.begin for span in moment.spans if span.doing is Doing.ASLEEP)
    assert asleep > 0.5 * (moment.end - moment.begin)


def test_data_that_a_read_left_is_shown_for_as_long_as_it_was_unread() -> None:
    run, place = broken("edge_undrained", "broken", "leaves-no-data-unread")
    moment = of_place(run, place, None)
    assert moment is not None and moment.calls[0].name.startswith("epoll_")
    (left,) = moment.waiting
    assert left.fate is Fate.UNREAD and left.bytes and (left.end or 0) - left.begin > 1_000_000


def test_where_nothing_waited_there_is_no_picture() -> None:
    run = Run(measured("epoll"))
    thread = run.server
    asleep = next(call for call in run.result.calls if call.sleeps and call.wait > 1_000_000)
    place = Place(thread=thread.serial, call=asleep.name, since=asleep.sleeps[0].off)
    assert of_place(run, place, None) is None
    assert of_place(run, Place(), None) is None


@pytest.fixture
def held_up() -> tuple[Run, int, int]:
    """A run of one thread, and when it slept longest."""
    run = Run(measured("silent_client")).case("broken")
    sleep = max((each for call in run.result.calls for each in call.sleeps), key=lambda each: each.wait)
    return run, sleep.off, sleep.woken


def test_a_trial_shows_the_silent_client_and_those_without_a_reply(held_up: tuple[Run, int, int]) -> None:
    run, begin, end = held_up
    silent = Spoke(connected=begin, closed=end, reads=False)
    waits = [Spoke(begin + 1, end, True, 64, sent=begin + 1_000 * number) for number in range(1, 6)]
    served = Spoke(begin, end, True, 64, sent=begin, answered=begin + 5)
    moment = of_trial(run, [silent, served, *waits], None)
    assert moment is not None
    assert [(each.fate, each.client) for each in moment.waiting] == [
        (Fate.SILENT, 1), (Fate.NO_REPLY, 3), (Fate.NO_REPLY, 4),
    ]  # fmt: skip
    assert moment.more == 3
    assert moment.spans and moment.begin < begin and moment.end > end
    assert of_trial(run, [silent, served], None) is None


def test_a_moment_can_be_kept_and_read_again(held_up: tuple[Run, int, int]) -> None:
    run, begin, end = held_up
    moment = of_trial(run, [Spoke(begin, end, True, 64, sent=begin)], begin)
    assert shapes.read(Moment, json.loads(json.dumps(moment, default=shapes.plain)), "moment") == moment
