"""The instrument: loads the probes, follows whoever says the cookie, and hands back a recording.

    with Instrument() as instrument:
        ...start a process that calls follow_me(instrument.cookie), let it work, wait for its end...
        recording = instrument.stop({"what": "..."})

This is the only module that touches BCC.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from probes import ring, syscalls
from probes.attach import PROBES, Hook, Wanted, attach
from probes.btf import Btf
from probes.capabilities import need_privileges
from probes.errors import CannotTrace
from probes.prctl import MARKER, new_cookie
from probes.queues import readable
from probes.recording import Recording, without_addresses
from probes.records import LAYOUTS, CallFlag, Hit, Kind, Loss, SleepFlag, c_source, encode

_HERE = Path(__file__).parent
_PARTS = ("instrument", "threads", "sched", "calls", "data", "poll")  # one text: BCC finds programs in its main file only
RING_BYTES = 64 << 20
_FUNCTION_ENDS = {"fentry": "kfunc", "fexit": "kretfunc"}  # BCC's words for them
MAX_THREADS, MAX_RUNS = 16384, 8192
MAX_WAITING = 16  # datagrams in one socket whose arrival is remembered; a power of two
DRAIN_EVERY = 0.02  # seconds; the ring holds 0.8 s of the busiest server seen, so a late reader loses nothing


@contextlib.contextmanager
def quiet() -> Iterator[list[str]]:
    """BCC and clang print their complaints to stdout and stderr by themselves: kept for the error message instead."""
    said: list[str] = []
    with os.fdopen(os.memfd_create("iolab-bcc"), "w+b", buffering=0) as catch:
        saved = os.dup(1), os.dup(2)
        os.dup2(catch.fileno(), 1)
        os.dup2(catch.fileno(), 2)
        try:
            yield said
        finally:
            for copy, target in zip(saved, (1, 2), strict=True):
                os.dup2(copy, target)
                os.close(copy)
            catch.seek(0)
            said.append(catch.read().decode(errors="replace"))


def import_bcc() -> Any:
    """The bcc module. Raises CannotTrace if there is none, or another package of that name."""
    try:
        import bcc
    except ImportError as error:
        raise CannotTrace(
            f"BCC is missing ({error})", "apt-get install python3-bpfcc, or start by ./iolab, which does"
        ) from error
    if not hasattr(bcc, "BPF"):
        raise CannotTrace(
            f"{bcc.__file__} is not the BPF compiler collection but another package of that name",
            "pip uninstall bcc; apt-get install python3-bpfcc",
        )
    return bcc


def compile_bpf(text: bytes, **options: Any) -> Any:
    """A bcc.BPF of this program, compiled against our stub headers (BCC takes their place from the environment).

    Nothing is attached yet, whatever the programs' names: BCC would attach all those that are named like a hook of theirs.
    """

    class Bpf(import_bcc().BPF):  # type: ignore[misc]
        def _trace_autoload(self) -> None:
            pass

    before = os.environ.get("BCC_KERNEL_SOURCE")
    os.environ["BCC_KERNEL_SOURCE"] = str(_HERE / "headers")
    try:
        return Bpf(text=text, **options)
    finally:
        del os.environ["BCC_KERNEL_SOURCE"]
        if before is not None:
            os.environ["BCC_KERNEL_SOURCE"] = before


def program_on(bpf: Any, prefix: str, function: str) -> bytes:
    """The name that KFUNC_PROBE(function) gave to its program: newer BCCs put "vmlinux__" before the function's."""
    names = [f"{prefix}__{module}{function}".encode() for module in ("vmlinux__", "")]
    return next(name for name in names if import_bcc().lib.bpf_function_start(bpf.module, name))


class Instrument:
    """Follows processes from construction to `stop`. Raises CannotTrace where the machine can't."""

    def __init__(self, ring_bytes: int = RING_BYTES, wanted: tuple[Wanted, ...] = PROBES) -> None:
        need_privileges()
        self._wanted = wanted
        self.cookie = new_cookie()
        self._ring_bytes = ring_bytes
        self._bcc = import_bcc()
        self._spans: list[bytes] = []
        self._stopped = threading.Event()
        self._programs: dict[str, Any] = {}
        btf = Btf()
        self._bpf: Any = self._compile(btf)
        try:
            self.probes = attach(btf, self._load, self._unload, wanted)
            self._ring = ring.Ring(self._bpf[b"records"].map_fd, ring_bytes)
        except BaseException:
            self._detach()
            raise
        self._drainer = threading.Thread(target=self._drain, name="iolab-drain", daemon=True)
        self._drainer.start()

    def __enter__(self) -> Instrument:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    # -- loading ------------------------------------------------------------------------------------------------------

    def _constants(self, btf: Btf) -> dict[str, int | str]:
        machine = syscalls.architecture()
        numbers = syscalls.numbers(machine.name)
        switch = btf.tracepoint("sched_switch")
        if switch is None:
            raise CannotTrace("the kernel has no tracepoint sched:sched_switch", "a kernel with CONFIG_TRACEPOINTS is needed")
        # sched_switch(preempt, prev, next), with prev_state since 5.18, for a while in second place
        tasks = [index for index, pointer in enumerate(switch) if pointer]
        states = [index for index, pointer in enumerate(switch) if not pointer and index > 0]
        state = "__state" if btf.offset("task_struct", "__state") is not None else "state"
        prev_state = f"((u32)(ctx)->args[{states[0]}])" if states else f"peek32((ctx)->args[{tasks[0]}], OFF_TASK_STATE)"
        offsets = {
            "OFF_TASK_PID": ("task_struct", "pid"),
            "OFF_TASK_STATE": ("task_struct", state),
            "OFF_TASK_ON_RQ": ("task_struct", "on_rq"),
            "OFF_TASK_COMM": ("task_struct", "comm"),
            "OFF_TASK_THREAD_PID": ("task_struct", "thread_pid"),
            "OFF_TASK_GROUP_LEADER": ("task_struct", "group_leader"),
            "OFF_PID_LEVEL": ("pid", "level"),
            "OFF_PID_NUMBERS": ("pid", "numbers"),
            "OFF_UPID_NR": ("upid", "nr"),
            "OFF_SOCK_PROTOCOL": ("sock", "sk_protocol"),
            "OFF_SOCK_WQ": ("sock", "sk_wq"),
            "OFF_WQ_WAIT": ("socket_wq", "wait"),
            "OFF_SKB_CB": ("sk_buff", "cb"),
            "OFF_TCP_RCV_NXT": ("tcp_sock", "rcv_nxt"),
            "OFF_TCP_COPIED_SEQ": ("tcp_sock", "copied_seq"),
        }
        constants: dict[str, int | str] = {}
        for name, (struct_name, member) in offsets.items():
            offset = btf.offset(struct_name, member)
            if offset is None:
                raise CannotTrace(f"the kernel's BTF has no {struct_name}.{member}", "please report this kernel")
            constants[name] = offset
        for name, struct_name, queue in (
            ("OFF_SOCK_QUEUE_LENGTH", "sock", "sk_receive_queue"),
            ("OFF_UDP_READER_LENGTH", "udp_sock", "reader_queue"),
        ):
            at, length = btf.offset(struct_name, queue), btf.offset("sk_buff_head", "qlen")
            if at is None or length is None:
                raise CannotTrace(f"the kernel's BTF has no {struct_name}.{queue}", "please report this kernel")
            constants[name] = at + length
        seccomp, mode = btf.offset("task_struct", "seccomp"), btf.offset("seccomp", "mode")
        filtered = "0" if seccomp is None or mode is None else f"peek32(bpf_get_current_task(), {seccomp + mode})"
        upid = btf.size("upid")
        multiplexers = " || ".join(f"(nr) == {numbers[one]}" for one in sorted(syscalls.MULTIPLEXERS) if one in numbers)
        reads = " || ".join(f"(nr) == {numbers[one]}" for one in sorted(syscalls.READS - {"recvmmsg"}) if one in numbers)
        return constants | {
            "SIZE_UPID": upid or 16,
            "FILTERED_BY_SECCOMP": filtered,
            "SWITCH_PREV": tasks[0],
            "SWITCH_NEXT": tasks[1],
            "SWITCH_PREV_STATE(ctx)": prev_state,
            "IS_MULTIPLEXER(nr)": f"({multiplexers})",
            "IS_READ(nr)": f"({reads})",
            "REGS_ARGS": machine.start,
            **{f"REG_ARG{index}": place for index, place in enumerate(machine.order)},
            **{f"REGISTER{index}": offset for index, offset in enumerate(machine.function)},
            "NR_PRCTL": numbers["prctl"],
            "NR_EPOLL_CTL": numbers["epoll_ctl"],
            "NR_CLOSE": numbers["close"],
            "POLLED_CALLS": ", ".join(str(numbers[one]) for one in syscalls.POLLED),
            "MARKER": f"{MARKER}U",
            "COOKIE": f"{self.cookie}ULL",
            "IPPROTO_TCP": socket.IPPROTO_TCP,
            "IPPROTO_UDP": socket.IPPROTO_UDP,
            "WAITING": MAX_WAITING,
            "MAX_THREADS": MAX_THREADS,
            "MAX_RUNS": MAX_RUNS,
            "RING_PAGES": self._ring_bytes // os.sysconf("SC_PAGE_SIZE"),
            "BPF_RB_NO_WAKEUP": 1,
        }

    def _compile(self, btf: Btf) -> Any:
        defines = "".join(f"#define {name} {value}\n" for name, value in self._constants(btf).items())
        source = defines + c_source() + "".join((_HERE / f"{part}.c").read_text() for part in _PARTS)
        with quiet() as said:
            try:
                return compile_bpf(source.encode(), cflags=[f"-I{_HERE}", "-Wno-unused-function"])
            except Exception as error:
                failure = error
        raise CannotTrace(f"BCC could not make the probes: {failure}\n{said[-1][-2000:]}", "invoke doctor says what is missing")

    def _load(self, hook: Hook) -> None:
        """Loads a hook's program and attaches it; OSError if the kernel refuses."""
        if hook.kind == "tracepoint":
            name, kind = hook.program.encode(), self._bcc.BPF.RAW_TRACEPOINT
        elif hook.kind in _FUNCTION_ENDS:
            name, kind = self._program_on(hook), self._bcc.BPF.TRACING
        else:
            name, kind = f"{hook.kind}_on_{hook.place}".encode(), self._bcc.BPF.KPROBE
        with quiet() as said:
            try:
                program = self._bpf.load_func(name, kind)
                if hook.kind == "tracepoint":
                    self._bpf.attach_raw_tracepoint(hook.place.split(":")[1].encode(), name)
                elif hook.kind in _FUNCTION_ENDS:
                    getattr(self._bpf, f"attach_{_FUNCTION_ENDS[hook.kind]}")(fn_name=name)
                else:
                    getattr(self._bpf, f"attach_{hook.kind}")(event=hook.place.encode(), fn_name=name)
            except Exception as error:
                failure = str(error)  # the exception itself would hold this frame, and us, until the garbage is collected
            else:
                self._programs[str(hook)] = program
                return
        raise OSError(complaint(said[-1]) or failure)

    def _unload(self, hook: Hook) -> None:
        """Takes back what `_load` did for a hook at a function."""
        if hook.kind in _FUNCTION_ENDS:
            getattr(self._bpf, f"detach_{_FUNCTION_ENDS[hook.kind]}")(fn_name=self._program_on(hook))
        else:
            getattr(self._bpf, f"detach_{hook.kind}")(event=hook.place.encode())
        del self._programs[str(hook)]

    def _program_on(self, hook: Hook) -> bytes:
        return program_on(self._bpf, _FUNCTION_ENDS[hook.kind], hook.place)

    # -- running ------------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        with contextlib.suppress(OSError):  # a container may lack CAP_SYS_NICE
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -10)  # on a busy machine a late reader loses records
        while not self._stopped.wait(DRAIN_EVERY):
            self._spans.append(self._ring.drain())

    def _close(self) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            self._drainer.join()
            self._ring.close()
        self._detach()

    def _detach(self) -> None:
        if self._bpf is not None:
            with quiet():
                self._bpf.cleanup()
            self._bpf = None

    def followed(self) -> int:
        """How many threads are followed right now."""
        return sum(1 for _ in self._bpf[b"threads"].keys())  # noqa: SIM118 (a BCC table iterates over entries)

    def wait_until_gone(self, seconds: float) -> bool:
        """Waits until every followed thread has ended, at most that long; did they?"""
        end = time.monotonic() + seconds
        while self.followed():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def stop(self, context: dict[str, Any]) -> Recording:
        """Ends the recording and makes it self-contained: kernel addresses become names and ordinals.

        `context` is kept with it (the lab, its parameters, what the clients and the witnesses saw).
        """
        self._stopped.set()
        self._drainer.join()
        end = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self._bpf[b"stopped"][ctypes.c_int(0)] = ctypes.c_uint32(1)
        for program in ("on_enter", "on_exit", "on_switch", "on_waking"):
            self._bpf.detach_raw_tracepoint(self._tracepoint_of(program))
        self._spans.append(self._ring.drain())
        self._ring.close()
        live = list(self._live(end))
        runs = b"".join(bytes(run) for run in self._bpf[b"runs"].values())
        data, frames = without_addresses(ring.strip(self._spans) + runs + b"".join(encode(one) for one in live))
        losses = {loss: self._total(b"losses", loss) for loss in Loss}
        hits = {hit: self._total(b"hits", hit) for hit in Hit}
        misses = {place: _misses(program.fd) for place, program in self._programs.items()}
        # Where the two may be preempted the kernel skips one while it is half done for another thread on that CPU. If that was
        # a followed thread's, the other of the two tells: an end without a begin, or a begin inside a call (Loss.UNMATCHED).
        skipped = sum(number for place, number in misses.items() if "raw_syscalls:" in place)
        recording = Recording.new(
            data,
            machine=machine(),
            probes=[
                replace(p, hits=hits[w.hit] if p.attached and w.hit is not None else None)
                for p, w in zip(self.probes, self._wanted, strict=True)
            ],
            losses={loss.name: losses[loss] for loss in Loss} | {"MISSED": sum(misses.values()) - skipped, "SKIPPED": skipped},
            seen=sum(hits.values()),
            stacks={number: [self._symbol(one) for one in addresses] for number, addresses in frames.items()},
            end=end,
            context=context,
        )
        self._close()
        return recording

    def _tracepoint_of(self, program: str) -> bytes:
        hooks = (hook for wanted in PROBES for candidate in wanted.candidates for hook in candidate.hooks)
        return next(hook.place for hook in hooks if hook.program == program).split(":")[1].encode()

    def _total(self, table: bytes, index: int) -> int:
        counts = self._bpf[table]
        return int(sum(counts[ctypes.c_int(int(index))]))

    def _symbol(self, address: int) -> str:
        return readable(self._bpf.ksym(address).decode(errors="replace"))

    def _live(self, end: int) -> Iterator[Any]:
        """The records that threads still alive have not had occasion to write: what they are in, and their totals."""
        for t in self._bpf[b"threads"].values():
            off = max(end - t.off_at, 0) if t.off else 0
            waiting, late, newborn = (off if t.off == one else 0 for one in (1, 2, 3))
            inside = getattr(t, "in")
            if t.off == 1:
                yield LAYOUTS[Kind.SLEEP].record(
                    Kind.SLEEP, t.serial, SleepFlag.OPEN | (0 if t.where == 1 else SleepFlag.OUTSIDE),
                    0, t.off_at, max(end, t.off_at), max(end, t.off_at), t.stack, 0, 0, "",
                )  # fmt: skip
            if t.where == 1:
                yield LAYOUTS[Kind.CALL].record(
                    Kind.CALL, t.serial, t.nr, CallFlag.OPEN, t.enter, end, 0, tuple(t.args),
                    inside.wait + waiting, inside.delay, inside.preempted + late, t.copy,
                    inside.sleeps + (t.off == 1), inside.preemptions, t.socket, t.ready, t.copied, t.arrivals, t.unread,
                    t.polled, t.queued, t.unqueued, t.copies,
                )  # fmt: skip
            outside = [t.out.wait, t.out.delay, t.out.preempted, t.birth, t.birth_copy, t.out.sleeps, t.out.preemptions]
            if t.where != 1:
                outside = [a + b for a, b in zip(outside, (waiting, newborn, late, 0, 0, t.off == 1, 0), strict=True)]
            if t.where == 2:  # not yet in user code, or never (a worker of the kernel): what fold_exit would do
                spent = inside.wait + inside.delay + inside.preempted + t.copy
                birth = max(end - t.enter, 0) - off - spent
                born = (inside.wait, inside.delay, inside.preempted, birth, t.copy, inside.sleeps, inside.preemptions)
                outside = [a + b for a, b in zip(outside, born, strict=True)]
            yield LAYOUTS[Kind.EXIT].record(Kind.EXIT, t.serial, end, t.calls + (t.where == 1), t.runs, *outside, "")


def complaint(said: str) -> str:
    """Why the kernel refused, in what BCC and libbpf printed: the last line that says something."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        return ""
    if "kprobe_events" in lines[-1] and not Path("/sys/bus/event_source/devices/kprobe").exists():
        return "this kernel is built without kprobes"
    return lines[-1].removeprefix("libbpf: ").removeprefix("bpf: Failed to load program: ")[:160]


def _misses(program: int) -> int:
    """How often the kernel skipped a program because it was already at work on that CPU (since 5.12; 0 before).

    struct bpf_prog_info.recursion_misses, at byte 208, by BPF_OBJ_GET_INFO_BY_FD.
    """
    info, length = ctypes.create_string_buffer(256), ctypes.c_uint32(256)
    library = ctypes.CDLL("libbcc.so.0")
    if library.bpf_obj_get_info(program, info, ctypes.byref(length)) or length.value < 216:
        return 0
    return int(struct.unpack_from("<Q", info.raw, 208)[0])


def machine() -> dict[str, Any]:
    """The machine a recording was made on."""
    return {
        "kernel": platform.release(),
        "arch": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }
