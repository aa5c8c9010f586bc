"""Signals that are held back: they stay pending, are taken as data, and take their usual effect after the release."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from runs.signals import HeldSignals, from_the_terminal


@pytest.fixture
def held() -> Iterator[HeldSignals]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    held = HeldSignals()
    held.hold()
    yield held
    held.release()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_a_held_signal_is_taken_with_its_sender(held: HeldSignals) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    info = held.take(0)
    assert info and (info.si_signo, info.si_pid) == (signal.SIGTERM, os.getpid())
    assert not from_the_terminal(info), "a process sent it, and not the terminal"
    assert held.take(0) is None


def test_a_signal_that_was_not_taken_takes_effect_at_the_release(held: HeldSignals) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        held.release()


def test_what_was_blocked_before_stays_blocked() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    held = HeldSignals()
    held.hold()
    try:
        assert held.blocked_before == {signal.SIGUSR1}
    finally:
        held.release()
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    assert signal.SIGUSR1 in blocked and signal.SIGTERM not in blocked


def test_a_release_without_a_hold_changes_nothing() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    HeldSignals().release()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
