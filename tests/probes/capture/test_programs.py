"""The compiled programs, lent to one recording after the other."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probes.capture import image
from probes.capture.instrument import Instrument
from probes.measure.measure import measure
from probes.measure.result import Result

pytestmark = pytest.mark.live


def _opened(kind: str) -> int:
    """How many programs, links or maps of BPF this process holds."""
    entries = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]  # not iterdir's own, closed by now
    return sum(str(entry.readlink()).endswith(kind) for entry in entries)


def _sleeps(program: Path, times: int) -> Result:
    with Instrument() as instrument:
        subprocess.run([program, str(times), str(instrument.invite())], check=True, stdout=subprocess.DEVNULL)
        assert _opened("bpf-prog") >= 8
        return measure(instrument.stop())


def test_a_second_recording_compiles_nothing_and_holds_nothing_of_the_first(
    kernel: None, compiled: Callable[..., Path]
) -> None:
    first = _sleeps(compiled("sleeps"), 101)
    assert (_opened("bpf-prog"), _opened("bpf_link"), _opened("perf_event]")) == (0, 0, 0), "nothing stays in the kernel"
    assert _opened("bpf-map") == 0
    known = dict(image._known)
    again = _sleeps(compiled("sleeps"), 7)
    assert image._known == known
    assert first.events.sound and again.events.sound
    assert len(again.threads) == 1 and again.events.seen < first.events.seen / 3
    asleep = [sleep for call in again.calls for sleep in call.sleeps]
    assert len(asleep) >= 7 and all(sleep.stack for sleep in asleep)


def test_two_recordings_at_once_have_programs_of_their_own(kernel: None, compiled: Callable[..., Path]) -> None:
    with Instrument() as first, Instrument() as other:
        subprocess.run([compiled("sleeps"), "11", str(first.invite())], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([compiled("sleeps"), "3", str(other.invite())], check=True, stdout=subprocess.DEVNULL)
        results = [measure(instrument.stop()) for instrument in (first, other)]
    assert all(len(result.threads) == 1 and result.events.sound for result in results)
    assert results[0].threads[0].calls > results[1].threads[0].calls


def test_a_crowded_recording_leaves_empty_maps(kernel: None, compiled: Callable[..., Path]) -> None:
    """Threads still alive and runs still open at the end of one recording are not in the next one."""
    loop = "import os; from probes.capture.prctl import *; follow_me({}); print(flush=True)\nwhile True: os.getppid()"
    with (
        Instrument() as instrument,
        subprocess.Popen([sys.executable, "-c", loop.format(instrument.invite())], stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout
        process.stdout.readline()
        instrument.stop()
        with Instrument() as after:
            assert after.followed() == 0
            result = measure(after.stop())
        process.kill()
    assert not result.threads and not result.calls and result.events.sound


@pytest.mark.live
def test_no_program_has_an_atomic_instruction_that_old_kernels_refuse(kernel: None) -> None:
    """Before 5.12 a kernel knows one: an addition without a result, whose constant is 0 (uapi/linux/bpf.h, BPF_XADD)."""
    from probes.capture.btf import Btf
    from probes.capture.programs import Programs

    programs, seen = Programs(Btf()), 0
    try:
        for name, program in programs.image.programs.items():
            for operation, constant in _instructions(program.code):
                if operation in _ATOMIC:
                    seen += 1
                    assert constant == 0, name
    finally:
        programs.close()
    assert seen > 100


_ATOMIC, _WIDE = (0xDB, 0xC3), 0x18  # BPF_STX | BPF_ATOMIC | BPF_DW or BPF_W; a load of two instructions


def _instructions(code: bytes) -> Iterator[tuple[int, int]]:
    """The operation and the constant of each instruction (struct bpf_insn)."""
    index = 0
    while index < len(code) // 8:
        operation, _registers, _offset, constant = struct.unpack_from("=BBhi", code, 8 * index)
        yield operation, constant
        index += 2 if operation == _WIDE else 1
