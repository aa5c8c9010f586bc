"""The process that empties the ring, with an instrument that is stopped, and after its own end."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import psutil
import pytest

from probes.kernel.limits import Sizes
from probes.measure.measure import measure

pytestmark = pytest.mark.live


def reader() -> psutil.Process:
    """The process that empties the ring of the instrument that exists now."""
    return next(child for child in psutil.Process().children() if any("emptier.py" in word for word in child.cmdline()))


def ended_without_the_interpreter(process: subprocess.Popen[bytes]) -> None:
    """Waits for the end of a process while no other thread of this process can run: a PyDLL call keeps the interpreter."""
    status = ctypes.c_int()
    assert ctypes.PyDLL(None).waitpid(process.pid, ctypes.byref(status), 0) == process.pid


@pytest.mark.parametrize("details", [None, 2000])
def test_nothing_is_lost_and_no_budget_exceeded_while_the_instrument_cannot_run(
    kernel: None, compiled: Callable[..., Path], details: int | None
) -> None:
    from probes.capture.instrument import Instrument

    with Instrument(details=details) as instrument:
        count = 160_000 if details is None else 1_000_000
        command = [str(compiled("mixed")), str(count), str(instrument.invite())]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        ended_without_the_interpreter(process)
        said = json.loads(process.communicate()[0])
        result = measure(instrument.stop())
    assert result.events.sound, result.events
    assert {row.name: row.count for row in result.rows}["getppid"] == said["getppid"]
    if details is None:
        assert result.details.complete
        assert result.details.recorded * 250 > Sizes().ring_bytes, "the ring had room for all: the test shows nothing"
    else:
        assert details / 4 < len(result.calls) <= details * 1.05, (
            "the kernel side ends the details, not a later check of the reader"
        )
        assert all(begin < end for begin, end in result.details.windows)
        last = max(call.enter for call in result.calls)
        assert any(begin <= last <= end for begin, end in result.details.windows)


def test_a_run_whose_reader_was_killed_passes_only_without_losses(kernel: None, compiled: Callable[..., Path]) -> None:
    """The rest of the records stays in the ring: nothing is missing if the ring had room, else the run reports the loss."""
    from probes.capture.instrument import Instrument

    for count, whole in ((200, True), (5_000, False)):
        with Instrument(Sizes(ring_bytes=1 << 18)) as instrument:
            reader().kill()
            subprocess.run([compiled("mixed"), str(count), str(instrument.invite())], check=True, stdout=subprocess.DEVNULL)
            result = measure(instrument.stop())
        assert result.events.sound is whole, result.events
        assert (result.events.reasons.get("ring_full", 0) == 0) is whole


def test_each_thread_waits_until_the_reader_is_at_work(kernel: None) -> None:
    """A thread that does not wait would take the message of the start for the answer to its request."""
    from probes.capture.emptying import Emptying

    emptying = Emptying()  # without orders it does not begin
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(emptying.at_work) for _ in range(2)]
        try:
            assert not wait(waiting, timeout=0.1).done
        finally:
            os.kill(emptying._process.pid, signal.SIGKILL)  # the end of its socket ends both waits
    emptying.close()


def test_a_stopped_reader_does_not_outlive_its_instrument(kernel: None) -> None:
    from probes.capture.instrument import Instrument

    with Instrument():
        process = reader()
        process.suspend()
    assert not process.is_running()


def test_the_descriptors_of_an_instrument_are_closed(kernel: None) -> None:
    from probes.capture.instrument import Instrument

    before: set[str] = set()
    for _ in range(2):  # the first run may open descriptors that stay open
        before = set(os.listdir("/proc/self/fd"))
        with Instrument() as instrument:
            instrument.stop()
    assert set(os.listdir("/proc/self/fd")) <= before
