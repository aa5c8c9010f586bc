"""The bpf() system call against the running kernel: maps, and the verifier's message about a refused program."""

from __future__ import annotations

import errno
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.capture import system
from probes.capture.system import Map

pytestmark = pytest.mark.live
EXIT = struct.pack("=BBhi", 0x95, 0, 0, 0)  # BPF_JMP | BPF_EXIT
ZERO = struct.pack("=BBhi", 0xB7, 0, 0, 0)  # r0 = 0


@pytest.fixture
def table(kernel: None) -> Iterator[Map]:
    made = Map("iolab_test", system.HASH, 4, 8, 4, 0)
    yield made
    made.close()


def word(number: int) -> bytes:
    return struct.pack("=I", number)


def test_a_map_gives_back_what_was_put_in(table: Map) -> None:
    assert table.lookup(word(1)) is None and list(table.values()) == []
    for number in range(4):
        table.update(word(number), struct.pack("=Q", number << 40))
    assert table.lookup(word(3)) == struct.pack("=Q", 3 << 40)
    assert sorted(table.keys()) == sorted(map(word, range(4)))
    assert sorted(table.values()) == sorted(struct.pack("=Q", number << 40) for number in range(4))


def test_a_full_map_is_an_error(table: Map) -> None:
    for number in range(4):
        table.update(word(number), bytes(8))
    with pytest.raises(OSError) as refused:
        table.update(word(4), bytes(8))
    assert refused.value.errno == errno.E2BIG  # htab_map_update_elem


def test_the_definition_of_a_map_makes_the_same_map(table: Map) -> None:
    assert system.map_definition(table.fd) == (system.HASH, 4, 8, 4, 0)


def test_the_total_of_a_per_cpu_array_is_over_all_cpus(kernel: None) -> None:
    cpus = system.possible_cpus()
    counters = Map("iolab_test", system.PERCPU_ARRAY, 4, 8, 2, 0)
    try:
        assert counters.total(1) == 0
        counters.update(word(1), struct.pack(f"={cpus}Q", *range(1, cpus + 1)))
        assert (counters.total(0), counters.total(1)) == (0, cpus * (cpus + 1) // 2)
    finally:
        counters.close()
    assert cpus >= (os.cpu_count() or 1)


def test_a_refused_program_is_refused_in_the_verifiers_words(kernel: None) -> None:
    with pytest.raises(OSError, match="R0 !read_ok"):
        system.load_program(system.RAW_TRACEPOINT, "iolab_test", EXIT)
    assert not [
        entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink() and "bpf-prog" in str(entry.readlink())
    ]


def test_a_signal_does_not_keep_a_program_from_being_loaded(kernel: None) -> None:
    """The verifier goes through each round of the loop, which takes tens of ms, and gives up when the signal comes."""
    count = struct.pack("=BBhi", 0x07, 0, 0, 1)  # r0 += 1
    again = struct.pack("=BBhi", 0xA5, 0, -2, 300_000)  # if r0 < 300,000: back to the addition
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: came.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.003)
        os.close(system.load_program(system.RAW_TRACEPOINT, "iolab_test", ZERO + count + again + EXIT))
        assert came, "the signal was to come while the program was loaded"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_program_is_attached_and_runs(kernel: None) -> None:
    program = system.load_program(system.RAW_TRACEPOINT, "iolab_test", ZERO + EXIT)
    try:
        system.run_program(program, 1, 2)
        assert system.misses(program) == 0
        os.close(system.attach_raw(program, "sched_process_exec"))
        with pytest.raises(OSError) as refused:
            system.attach_raw(program, "no_such_tracepoint")
        assert refused.value.errno == errno.ENOENT
    finally:
        os.close(program)


@pytest.mark.live
@pytest.mark.parametrize("number", [0, 1, 3000])
def test_many_entries_are_read_at_once_as_one_by_one(kernel: None, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    table = system.Map("test", system.HASH, 4, 16, 4096, 0)
    try:
        entries = {key.to_bytes(4, "little"): (key * 7).to_bytes(16, "little") for key in range(number)}
        for key, value in entries.items():
            table.update(key, value)
        at_once = dict(table.items()), sorted(table.keys()), sorted(table.values())
        monkeypatch.setattr(system.Map, "_batches", lambda _table: None)
        assert at_once == (entries, sorted(entries), sorted(entries.values()))
        assert (dict(table.items()), sorted(table.keys()), sorted(table.values())) == at_once
    finally:
        table.close()
