"""The state machine that runs in the kernel (probes/kernel/fold.h), compiled as it stands, against a plain account of time."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes.kernel.records import SUM_BUCKETS, bucket_floor

Event = tuple[str, int]
EVENTS = ("call", "sleep", "preempt", "waking", "copy", "copied")


@pytest.fixture(scope="module")
def fold(compiled: Callable[..., Path]) -> Any:
    library = ctypes.CDLL(str(compiled("fold_driver", shared=True)))
    library.thread_size.restype = ctypes.c_size_t
    for name in ("leave", "entered", "waking", "in", "copy_start", "copy_end"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    library.enter.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64]
    library.out.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64]
    library.asked.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64]
    library.handed.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p]
    library.phases.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    library.bucket.argtypes = [ctypes.c_uint64]
    return library


class Model:
    """A model of one thread, to compare with the C code: its state, and the time that it spent in each phase."""

    def __init__(self, fold: Any, start: int) -> None:
        self._fold, self._thread = fold, ctypes.create_string_buffer(fold.thread_size())
        self._now, self._entered, self.state = start, 0, "on"
        self._inside = self._copying = self._woken = False
        self._spent = self._nothing()
        self.outside = dict.fromkeys(("wait", "delay", "preempted"), 0)

    @staticmethod
    def _nothing() -> dict[str, int]:
        return dict.fromkeys(("wait", "delay", "preempted", "copy", "kernel", "user"), 0)

    def step(self, kind: str, pause: int) -> None:
        """A pause in the present state, and then the event, if it can happen in this state."""
        phase = self._phase()
        self._now += pause
        (self.outside if not self._inside and phase in self.outside else self._spent)[phase] += pause
        if self.state == "on":
            getattr(self, f"_{kind}")()
        elif self.state == "asleep" and not self._woken:
            self._fold.waking(self._thread, self._now)
            self._woken = True
        elif self.state == "out" and kind == "waking":
            self._waking()  # of a task that is runnable already: must change nothing
        else:
            slept = getattr(self._fold, "in")(self._thread, self._now)
            assert slept == (self.state == "asleep")
            self.state = "on"

    def _phase(self) -> str:
        if self.state == "asleep":
            return "delay" if self._woken else "wait"
        if self.state == "out":
            return "preempted"
        return "copy" if self._copying else "kernel" if self._inside else "user"

    def figures(self, outside: bool) -> list[int]:
        """What the C code counted, without the numbers of sleeps and preemptions."""
        figures = (ctypes.c_uint64 * 6)()
        self._fold.phases(self._thread, int(outside), figures)
        return list(figures)[:4]

    def _call(self) -> None:
        if not self._inside:
            self._fold.enter(self._thread, 7, self._now)
            self._spent, self._entered = self._nothing(), self._now
            self._inside = True
            return
        self._fold.leave(self._thread, self._now)
        counted = self.figures(outside=False)
        assert counted == [self._spent[name] for name in ("wait", "delay", "preempted", "copy")]
        assert sum(counted) + self._spent["kernel"] == self._now - self._entered
        self._inside = self._copying = False

    def _sleep(self) -> None:
        self._fold.out(self._thread, True, self._now)
        self.state, self._woken = "asleep", False

    def _preempt(self) -> None:
        self._fold.out(self._thread, False, self._now)
        self.state = "out"

    def _waking(self) -> None:
        self._fold.waking(self._thread, self._now)  # while it runs: stale, unless it goes to sleep and nobody else wakes it

    def _copy(self) -> None:
        if self._inside:
            self._fold.copy_start(self._thread, self._now)
            self._copying = True

    def _copied(self) -> None:
        if self._inside:
            self._fold.copy_end(self._thread, self._now)
            self._copying = False


@given(
    st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 10**7)), max_size=60),
    st.integers(1, 10**12),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_nanosecond_of_a_call_is_in_exactly_one_phase(fold: Any, events: list[Event], start: int) -> None:
    model = Model(fold, start)
    for kind, pause in events:
        model.step(kind, pause)
    if model.state == "on":
        assert model.figures(outside=True)[:3] == list(model.outside.values())


def test_a_sleep_whose_waker_stayed_hidden_is_all_sleep(fold: Any) -> None:
    thread = ctypes.create_string_buffer(fold.thread_size())
    fold.enter(thread, 1, 100)
    fold.out(thread, 1, 200)
    assert getattr(fold, "in")(thread, 500) == 1
    fold.leave(thread, 600)
    assert phases(fold, thread) == [300, 0, 0, 0, 1, 0]


def test_a_wake_up_that_came_just_before_the_switch_out_counts(fold: Any) -> None:
    thread = ctypes.create_string_buffer(fold.thread_size())
    fold.enter(thread, 1, 100)
    fold.waking(thread, 190)
    fold.out(thread, 1, 200)
    assert getattr(fold, "in")(thread, 500) == 1
    fold.leave(thread, 600)
    assert phases(fold, thread) == [0, 300, 0, 0, 1, 0]


def test_a_stale_wake_up_gives_way_to_the_real_one(fold: Any) -> None:
    thread = ctypes.create_string_buffer(fold.thread_size())
    fold.enter(thread, 1, 100)
    fold.waking(thread, 150)
    fold.out(thread, 1, 200)
    fold.waking(thread, 400)
    fold.waking(thread, 450)  # it is awake already
    assert getattr(fold, "in")(thread, 500) == 1
    fold.leave(thread, 600)
    assert phases(fold, thread) == [200, 100, 0, 0, 1, 0]


def test_a_page_fault_inside_a_copy_is_not_copying(fold: Any) -> None:
    thread = ctypes.create_string_buffer(fold.thread_size())
    fold.enter(thread, 1, 0)
    fold.copy_start(thread, 100)
    fold.out(thread, 1, 110)
    fold.waking(thread, 900)
    getattr(fold, "in")(thread, 1000)
    fold.copy_end(thread, 1010)
    fold.leave(thread, 1100)
    assert phases(fold, thread) == [790, 100, 0, 20, 1, 0]


def test_preempted_after_the_clock_was_read_is_no_copying(fold: Any) -> None:
    """By a program at either end of a copy, which then tells a time before the thread was off the CPU."""
    thread = ctypes.create_string_buffer(fold.thread_size())
    fold.enter(thread, 1, 0)
    fold.out(thread, 0, 100)
    getattr(fold, "in")(thread, 500)
    fold.copy_start(thread, 90)
    fold.out(thread, 0, 600)
    getattr(fold, "in")(thread, 650)
    fold.copy_end(thread, 590)
    fold.asked(thread, 0, 640)
    fold.leave(thread, 700)
    assert phases(fold, thread) == [0, 0, 450, 100, 0, 2]
    figures = (ctypes.c_uint64 * 2)()
    fold.handed(thread, 700, figures)
    assert list(figures) == [200, 50]


def phases(fold: Any, thread: Any) -> list[int]:
    figures = (ctypes.c_uint64 * 6)()
    fold.phases(thread, 0, figures)
    return list(figures)


@given(st.booleans(), st.lists(st.tuples(st.sampled_from(("asks", "sleep", "preempt")), st.integers(1, 10**6)), max_size=20))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_multiplexer_hands_in_and_out_lies_before_and_after_its_asking(
    fold: Any, each: bool, events: list[Event]
) -> None:
    """`each`: as epoll_wait does, which hands out each answer when it has asked; the others do after the last descriptor."""
    thread = ctypes.create_string_buffer(fold.thread_size())
    fold.enter(thread, 1, 1000)
    now, worked = 1000, 0  # ns on the CPU since the call began
    before: int | None = None
    since: int | None = None
    slept = True
    for kind, pause in events:
        now += pause
        worked += pause
        if kind == "asks":
            fold.asked(thread, int(each), now)
            before = worked if before is None else before
            since = worked if slept or not each or since is None else since
            slept = False
        else:
            fold.out(thread, kind == "sleep", now)
            now += 777
            getattr(fold, "in")(thread, now)
            slept = slept or kind == "sleep"
    figures = (ctypes.c_uint64 * 2)()
    fold.handed(thread, now + 50, figures)
    assert list(figures) == [before or 0, worked + 50 - since if since is not None else 0]


@given(st.integers(0, 1 << 40))
def test_buckets_know_a_duration_to_a_quarter(fold: Any, ns: int) -> None:
    index = fold.bucket(ns)
    assert 0 <= index < SUM_BUCKETS
    assert bucket_floor(index) <= ns
    if index < SUM_BUCKETS - 1:
        assert ns < bucket_floor(index + 1) <= max(1.25 * bucket_floor(index), 80)


def test_preempted_inside_our_own_program_at_the_entry_is_before_the_call(fold: Any) -> None:
    thread = ctypes.create_string_buffer(fold.thread_size())
    fold.enter(thread, 1, 100)
    fold.out(thread, 0, 110)  # the program at sys_enter has read the clock, and is preempted
    getattr(fold, "in")(thread, 500)
    fold.entered(thread, 520)
    fold.leave(thread, 600)
    assert phases(fold, thread) == [0, 0, 0, 0, 0, 0]
    outside = (ctypes.c_uint64 * 6)()
    fold.phases(thread, 1, outside)
    assert list(outside) == [0, 0, 390, 0, 0, 1]
    fold.enter(thread, 2, 700)
    fold.entered(thread, 999)  # nothing came between: the call began when it said
    fold.out(thread, 0, 710)
    getattr(fold, "in")(thread, 730)
    fold.leave(thread, 800)
    assert phases(fold, thread) == [0, 0, 20, 0, 0, 1]
