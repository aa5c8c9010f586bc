"""The instrument against independent witnesses in the same run: what the kernel itself, strace and the other side say."""

from __future__ import annotations

import contextlib
import json
import operator
import os
import platform
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from probes.capture.attach import ProbeSpec
from probes.kernel.limits import Sizes
from probes.measure.result import AnsweredBy, Result, Thread
from probes.patience import PATIENCE
from probes.recording import Quality
from tests.conftest import ROOT, Followed, cannot, kernel_lacks, tool

pytestmark = pytest.mark.live


def thread_of(run: Followed) -> tuple[Thread, dict[str, int]]:
    """The thread that said the cookie, and the accounts that the kernel gave it."""
    assert run.result.events.sound, run.result.events
    return run.result.threads[0], json.loads(run.output)


def test_sleeps_are_the_voluntary_switches(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    thread, kernel = thread_of(follow(compiled("sleeps"), "101"))
    # /proc and getrusage were read after the first followed call and before the last: nothing sleeps around them
    assert thread.voluntary_switches == kernel["voluntary"]
    assert thread.voluntary_switches >= (200 if PATIENCE == 1 else 150)


def test_every_sleep_names_its_queue_and_its_waker(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    run = follow(compiled("sleeps"), "53")
    asleep = [sleep for call in run.result.calls for sleep in call.sleeps]
    slept = Counter(sleep.queue for sleep in asleep)
    # a slow or preempted thread may find its event before it has gone to sleep
    fewest = 48 if PATIENCE == 1 else 40
    assert slept.keys() == {"timer", "pipe"} and all(fewest <= number <= 53 for number in slept.values()), slept
    wakers = {(sleep.queue, sleep.waker.words) for sleep in asleep if sleep.waker}
    assert wakers == {("timer", "timer"), ("pipe", "pipe")}
    assert {sleep.waker.comm for sleep in asleep if sleep.queue == "pipe" and sleep.waker} == {"sleeps"}


def test_cpu_time_is_what_the_thread_was_charged(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    thread, kernel = thread_of(follow(compiled("work"), "600", "0"))
    on_cpu = thread.user + thread.kernel + thread.copy
    # the kernel's own account leaves out interrupts and what a hypervisor took for others; ours is all between two switches
    stolen = max(kernel["wall_ns"] - kernel["delay_ns"] - kernel["cpu_ns"], 0)  # it never sleeps
    assert 0.98 * kernel["cpu_ns"] <= on_cpu <= 1.1 * kernel["cpu_ns"] + stolen
    # getrusage splits by where the tick found the thread: a sample of 150 ticks, of which an emulated machine loses some
    share = kernel["user_us"] / (kernel["user_us"] + kernel["system_us"])
    assert thread.user / on_cpu == pytest.approx(share, abs=0.15 if PATIENCE == 1 else 0.3)


@contextlib.contextmanager
def competitor(compiled: Callable[..., Path]) -> Iterator[None]:
    """Another thread that wants the same CPU, for some seconds at most."""
    with subprocess.Popen([compiled("work"), "20000", "0", "0"], stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def test_waiting_for_a_cpu_is_the_run_delay(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    with competitor(compiled):
        thread, kernel = thread_of(follow(compiled("work"), "300", "0"))
    waited = thread.sched_delay + thread.preempted
    outside = thread.wall - kernel["wall_ns"]  # before the kernel's account was read first, and after it was read last
    assert 0.95 * kernel["delay_ns"] <= waited <= 1.05 * kernel["delay_ns"] + outside
    assert waited > 0.2 * thread.wall, "the competitor took no CPU: the test shows nothing"
    more = 2 + outside / 1e6  # a slice is some milliseconds
    assert -2 <= thread.involuntary_switches - kernel["involuntary"] <= more


def test_counts_are_those_of_strace(compiled: Callable[..., Path], kernel: None, tmp_path: Path) -> None:
    program, counts = compiled("calls"), tmp_path / "counts"
    subprocess.run([tool("strace", "strace"), "-f", "-c", "-U", "name,calls,errors", "-o", counts, program], check=True)
    theirs = {}
    for line in counts.read_text().splitlines():
        if found := re.fullmatch(r"(\w+)\s+(\d+)\s*(\d*)", line.strip()):
            theirs[found[1]] = (int(found[2]), int(found[3] or 0))
    theirs.pop("total", None)
    from probes.measure.measure import measure
    from runs import trace

    traced = trace.run([str(program)], lambda _words: None)
    recording, status = traced.recording, traced.status
    result = measure(recording)
    assert (status, result.events.sound) == (0, True)
    finished = Counter(call.name for call in result.calls for _ in range(call.count) if call.result is not None)
    failed = Counter(call.name for call in result.calls for _ in range(call.count) if call.errno)
    ours = {name: (number, failed[name]) for name, number in finished.items()}
    for name in ("read", "getpid", "gettid", "getppid", "openat", "mmap", "execve", "clone", "clone3", "wait4", "pipe2"):
        assert ours.get(name) == theirs.get(name), name
    differ = {name for name in ours | theirs if ours.get(name) != theirs.get(name)}
    assert differ <= {"restart_syscall", "futex", "exit"}, {name: (ours.get(name), theirs.get(name)) for name in differ}
    assert ours["read"][1] == 997 and ours["getpid"][0] == 101 and ours["gettid"][0] == 53 and ours["getppid"][0] == 23


def test_a_pause_of_the_other_side_is_the_measured_wait(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    paused: list[tuple[int, int, int]] = []

    def feed(process: subprocess.Popen[str]) -> None:
        assert process.stdin and process.stdout
        for _ in range(7):
            process.stdout.readline()  # it is about to read again
            while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
                pass
            asleep = time.monotonic_ns()
            time.sleep(0.05)
            before = time.monotonic_ns()
            process.stdin.write("x")
            process.stdin.flush()
            paused.append((asleep, before, time.monotonic_ns()))

    run = follow(compiled("asks"), "7", beside=feed)
    reads = [call for call in run.result.named("read") if call.bytes == 1]
    assert len(reads) == 7
    for read, (asleep, before, after) in zip(reads, paused, strict=True):
        (sleep,) = read.sleeps
        assert sleep.queue == "pipe"
        assert before - asleep >= 50_000_000
        # its state says asleep a moment before it leaves the CPU, which a slow or a stolen CPU can make a long one
        assert sleep.off < before and sleep.wait > (before - asleep) / 2
        assert before <= sleep.woken <= after, "woken while the other side wrote, not before and not later"


def test_half_a_million_polls_a_second_lose_nothing(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    run = follow(compiled("polls"), "1000000")
    assert run.result.events.sound, run.result.events
    (row,) = [row for row in run.result.rows if row.name == "recvfrom"]
    assert (row.count, row.errors) == (1_000_000, {"EAGAIN": 999_990})
    per_second = 1e9 * row.count / run.result.threads[0].wall
    assert per_second * PATIENCE > 100_000, f"{per_second:,.0f} calls a second are too few to show anything"
    runs = [call for call in run.result.calls if call.name == "recvfrom" and call.histogram]
    assert 2 * 6 <= len(runs) <= 2 * 12, "a run ends where a read brought something, on each of two descriptors"
    assert row.p_quality is Quality.BOUNDED


def test_half_a_million_records_lose_nothing(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    """Calls that can't be folded into runs go through the ring one by one, twice its size in all (less in a slow machine)."""
    calls = round(500_000 / PATIENCE)
    for _ in range(3):  # on a busy machine the reader may come too late, and the run reports the loss
        run = follow(compiled("counts"), str(calls))
        if run.result.events.sound:
            break
    assert run.result.events.sound, run.result.events
    assert sum(row.count for row in run.result.named("getppid")) == calls


def test_a_full_ring_is_counted_and_makes_the_run_unsound(kernel: None, compiled: Callable[..., Path]) -> None:
    from probes.capture.instrument import Instrument
    from probes.measure.measure import measure

    with Instrument(Sizes(ring_bytes=4096)) as instrument:  # some 20 calls fill it; it is read on a timer
        subprocess.run([compiled("counts"), "20000", str(instrument.invite())], check=True)
        recording = instrument.stop()
    events = measure(recording).events
    assert events.lost > 0 and not events.sound and events.reasons["ring_full"] > 0


def test_the_stand_ins_alone_see_every_call(kernel: None, compiled: Callable[..., Path]) -> None:
    """As if the kernel had skipped the first program each time, because another thread was preempted inside it."""
    from probes.capture.attach import PROBES, Candidate
    from probes.capture.instrument import Instrument
    from probes.measure.measure import measure

    def second(spec: ProbeSpec) -> ProbeSpec:
        hooks = [hook for candidate in spec.candidates for hook in candidate.hooks if hook.stands_in]
        alone = tuple(replace(hook, only_with=None, if_preempted=False) for hook in hooks[:1])
        return replace(spec, candidates=(Candidate(alone),)) if alone else spec

    wanted = tuple(map(second, PROBES))
    assert sum(map(operator.ne, wanted, PROBES)) == 4

    def followed(*line: str | Path) -> Result:
        with Instrument(wanted=wanted) as instrument:
            subprocess.run([*line, str(instrument.invite())], check=True, stdout=subprocess.DEVNULL)
            result = measure(instrument.stop())
        assert result.events.sound, result.events
        return result

    result = followed(compiled("sleeps"), "31")
    assert sum(len(call.sleeps) for call in result.calls) >= 31
    assert result.calls[-1].name == "exit_group"
    result = followed(compiled("closes"))
    (row,) = [row for row in result.rows if row.name == "recvfrom"]
    assert row.copy > 0 and row.copy_quality is Quality.BOUNDED, "no probe reported an end"
    assert result.events.reasons["copy_end"] == 6 and len(result.messages) == 3
    assert all(call.copied for call in result.named("recvfrom") if call.result)


def test_data_with_the_end_of_its_connection_is_a_message_and_looking_at_it_is_none(
    follow: Callable[..., Followed], compiled: Callable[..., Path]
) -> None:
    result = follow(compiled("closes")).result
    assert result.events.sound, result.events
    assert [(message.bytes, message.reads, message.notified_by) for message in result.messages] == [(64, 1, "poll")] * 3
    calls = result.named("recvfrom")
    assert [(call.result, call.bytes, call.drained) for call in calls] == [(64, 0, False), (64, 64, True), (0, 0, False)] * 3
    assert [message.read for message in result.messages] == [call.enter for call in calls[1::3]]


def test_calls_of_the_32_bit_abi_are_not_taken_for_others(
    follow: Callable[..., Followed], compiled: Callable[..., Path]
) -> None:
    if platform.machine() != "x86_64":
        cannot("only x86_64 lets one program make calls of both kinds", "run it there")
    if subprocess.run([compiled("compat"), "0"]).returncode:
        kernel_lacks("the 32-bit system calls are off (CONFIG_IA32_EMULATION, ia32_emulation)")
    run = follow(compiled("compat"))
    assert run.result.events.sound, run.result.events
    (row,) = [row for row in run.result.rows if row.name.startswith("compat")]
    assert (row.name, row.count) == ("compat_20", 7) and not run.result.named("writev")
    assert len(run.result.named("getpid")) == 7


def test_nothing_of_other_processes_enters(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    with subprocess.Popen([compiled("sleeps"), "2000", "1"], stdout=subprocess.DEVNULL) as stranger:
        run = follow(compiled("calls_in_thread"))
        stranger.kill()
    assert {thread.name for thread in run.result.threads} == {"calls_in_thread"}
    assert run.result.events.sound


def test_an_invitation_is_good_for_one_process_and_once(kernel: None, compiled: Callable[..., Path]) -> None:
    """A process with a guessed cookie, with 0, or with a used cookie is not followed, and the recording counts the attempts."""
    from probes.capture.instrument import Instrument
    from probes.measure.measure import measure

    with Instrument() as instrument:
        cookie = instrument.invite()
        for said in (0, cookie, cookie, cookie + 1):
            subprocess.run([compiled("counts"), "10", str(said)], check=True)
        result = measure(instrument.stop())
    assert len(result.threads) == 1
    # each try counts once; another iolab on this machine, whose processes say their own cookies, may add some
    assert 3 <= result.events.reasons["uninvited"] < 6 and result.events.sound


@pytest.mark.parametrize("seen", ["cmdline", "environ"])
def test_what_others_can_read_of_a_server_is_no_invitation(kernel: None, seen: str) -> None:
    """All numbers in the command line and the environment of a followed server, said by another process while it runs."""
    from probes.capture.instrument import Instrument
    from probes.measure.measure import measure
    from runs.processes import Child

    with Instrument() as instrument:
        with Child("servers", "epoll", invitation=instrument.invite()) as server:
            server.line(60)
            words = Path(f"/proc/{server.pid}/{seen}").read_bytes().replace(b"=", b"\0").split(b"\0")
            say = "from probes.capture.prctl import follow_me; import sys; [follow_me(int(word)) for word in sys.argv[1:]]"
            numbers = [word.decode() for word in words if word.isdigit()]
            subprocess.run([sys.executable, "-c", say, *numbers], cwd=ROOT, check=True, user=65534)
            server.end()
        result = measure(instrument.stop())
    assert {thread.pid for thread in result.threads} == {server.pid}
    assert result.events.reasons.get("uninvited", 0) >= len(numbers) and result.events.sound


def test_a_call_that_a_tracer_emulates_is_no_loss(kernel: None, compiled: Callable[..., Path]) -> None:
    """PTRACE_SYSEMU, as user-mode Linux and gVisor use it; and a thread killed where a call of its would have begun."""
    from probes.measure.measure import measure
    from runs import trace

    traced = trace.run([str(compiled("emulated"))], lambda _words: None)
    recording, status = traced.recording, traced.status
    result = measure(recording)
    events = result.events
    assert (status, events.sound) == (0, True), events
    assert events.reasons["emulated"] == 50 and events.reasons.get("killed", 0) <= 1
    answered = [call for call in result.named("getppid") if call.answered_by is AnsweredBy.TRACER]
    assert len(answered) == 50 and {(call.result, call.total, call.refused) for call in answered} == {(42, 0, True)}
    assert sum(call.answered_by is AnsweredBy.SIGNAL for call in result.calls) == events.reasons.get("killed", 0)


def test_children_threads_and_exec_are_followed_from_their_first_call(kernel: None, compiled: Callable[..., Path]) -> None:
    from probes.measure.measure import measure
    from runs import trace

    recording = trace.run([str(compiled("calls"))], lambda _words: None).recording
    result = measure(recording)
    main, thread, child = sorted(result.threads, key=lambda thread: thread.start)
    assert thread.pid == main.pid and thread.tid != main.tid
    assert child.pid == child.tid != main.pid
    assert thread.parent == child.parent == main.serial
    assert (main.ended, thread.ended, child.ended) == (True, True, True)
    assert sum(call.count for call in result.named("getpid") if call.thread == thread.serial) == 101
    for thread in result.threads:
        assert thread.wall == thread.user + thread.wait + thread.sched_delay + thread.preempted + thread.copy + thread.kernel


def test_an_exec_from_a_thread_keeps_its_identity(kernel: None, compiled: Callable[..., Path]) -> None:
    from probes.measure.measure import measure
    from runs import trace

    traced = trace.run([str(compiled("exec_in_thread"))], lambda _words: None)
    recording, status = traced.recording, traced.status
    result = measure(recording)
    assert (status, result.events.sound) == (0, True), result.events
    (executed,) = [thread for thread in result.threads if thread.name == "true"]
    assert executed.tid == executed.pid, "the thread that executed became the leader"
    assert any(call.name == "exit_group" for call in result.calls)


def test_a_process_still_alive_is_accounted_up_to_the_end(kernel: None, compiled: Callable[..., Path]) -> None:
    from probes.capture.instrument import Instrument
    from probes.measure.measure import measure

    with (
        Instrument() as instrument,
        subprocess.Popen(
            [compiled("asks"), "1", str(instrument.invite())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout and process.stdin
        process.stdout.readline()
        while Path(f"/proc/{process.pid}/wchan").read_text() == "0" and _state(process.pid) != "S":
            pass
        recording = instrument.stop()
        process.stdin.write("x")
    result = measure(recording)
    assert result.events.sound, result.events
    (thread,) = result.threads
    assert not thread.ended
    (unfinished,) = [call for call in result.calls if call.open]
    assert unfinished.name == "read" and unfinished.sleeps[0].queue == "pipe" and unfinished.sleeps[0].waker is None
    assert thread.wall == thread.user + thread.wait + thread.sched_delay + thread.preempted + thread.copy + thread.kernel


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_a_container_needs_no_pid_host(kernel: None, compiled: Callable[..., Path]) -> None:
    """The runner and what it follows live in a pid namespace of their own, as in a container."""
    script = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from probes.measure.measure import measure\nfrom runs import trace\n"
        "traced = trace.run([sys.argv[2]], lambda words: None)\n"
        "recording, status = traced.recording, traced.status\n"
        "result = measure(recording)\n"
        "print(json.dumps([status, result.events.sound, [[t.tid, t.host_tid] for t in result.threads]]))\n"
    )
    unshare = [tool("unshare", "util-linux"), "--pid", "--fork"]
    done = subprocess.run(
        [*unshare, sys.executable, "-c", script, str(ROOT), str(compiled("calls"))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    status, sound, ids = json.loads(done.stdout.splitlines()[-1])
    assert (status, sound, len(ids)) == (0, True, 3)
    assert all(inner < 100 and inner != outer for inner, outer in ids), "the ids are the namespace's own"


def test_no_probe_is_left_behind(kernel: None) -> None:
    from probes.capture.instrument import Instrument

    before = len(os.listdir("/proc/self/fd"))
    with Instrument(Sizes(ring_bytes=4096)):
        assert len(os.listdir("/proc/self/fd")) > before
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_what_seccomp_refuses_is_no_lost_event(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    """The kernel reports the end of such a call, but not its beginning. Its row counts the call with its error."""
    run = follow(compiled("refused"), "23")
    assert run.result.events.sound, run.result.events
    assert run.result.events.reasons["refused"] == 23
    calls = run.result.named("getppid")
    assert [(call.errno, call.total) for call in calls] == [("EPERM", 0)] * 23
    assert len(run.result.named("prctl")) == 2
    for thread in run.result.threads:
        assert thread.wall == thread.user + thread.wait + thread.sched_delay + thread.preempted + thread.copy + thread.kernel
