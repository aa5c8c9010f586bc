"""The section about the quality of the measurement: its sentences about losses, and about events that are no loss."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from probes.measure.measure import measure
from probes.recording import Recording
from reports.terminal import quality
from reports.terminal.screen import screen


@pytest.fixture
def section(recorded: Callable[[str], Recording]) -> Callable[..., str]:
    """The section of a shipped recording, as if its losses were these."""
    result = measure(recorded("epoll"))

    def show(lost: int = 0, needs_room: bool = False, **reasons: int) -> str:
        file = io.StringIO()
        events = replace(result.events, lost=lost, unmatched=0, reasons=reasons, needs_room=needs_room)
        quality.show(replace(result, events=events), screen(file, 200))
        return file.getvalue()

    return show


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("uninvited", "iolab refused 3 attempts of other processes to enter this recording"),
        ("refused", "a seccomp filter answered 3 system calls before the call began"),
        ("emulated", "a tracer answered or skipped 3 system calls"),
        ("killed", "3 threads died at the entry of a system call"),
    ],
)
def test_what_is_no_loss_is_said_and_nothing_is_to_be_run_again(section: Callable[..., str], reason: str, words: str) -> None:
    text = section(**{reason: 3})
    assert words in text and "un it again" not in text and "inconclusive" not in text
    assert words not in section()


def test_only_what_another_run_can_mend_is_to_be_run_again(section: Callable[..., str]) -> None:
    assert "Run it again" in section(lost=3, ring_full=3)
    assert "Run it again" in section(lost=3, missed=2, arrival=1)
    full = section(lost=3, needs_room=True, arrival=3, refused=1)
    assert "Run it again" not in full and "fewer clients" in full and "inconclusive" in full
