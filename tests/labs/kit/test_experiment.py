"""What the labs without clients are made of."""

from __future__ import annotations

import os
import time

from labs.kit.experiment import PAUSE, later


def test_the_other_side_acts_when_the_caller_is_asleep_and_not_before() -> None:
    reader, writer = os.pipe()
    acted: list[float] = []

    def act() -> None:
        acted.append(time.monotonic())
        os.write(writer, b"x")

    with later(act):
        busy_until = time.monotonic() + 3 * PAUSE
        while time.monotonic() < busy_until:
            pass
        os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    assert len(acted) == 1 and acted[0] >= busy_until


def test_a_caller_that_never_sleeps_is_waited_for_only_so_long() -> None:
    acted: list[float] = []
    with later(lambda: acted.append(time.monotonic())):
        pass
    assert len(acted) == 1
