"""The programs and maps of one recording: made from the compiled image, loaded, attached, and given back."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from probes.capture import constants, system
from probes.capture.attach import PROBES, Hook
from probes.capture.bpf import KERNEL, complaint, quiet
from probes.capture.btf import Btf
from probes.capture.image import MapDefinition, image
from probes.capture.settings import Settings
from probes.capture.sums import facts_by_number, open_bursts, rows, rows_now
from probes.capture.symbols import Symbols
from probes.errors import CannotTrace
from probes.kernel.limits import SIZES, Sizes
from probes.kernel.records import c_source

_PARTS = (
    "instrument",
    "arguments",
    "descriptors",
    "sums",
    "threads",
    "sched",
    "sockets",
    "queues",
    "calls",
    "data",
    "poll",
    "end",
    "adopt",
    "state",
)  # one text: BCC finds programs in its main file only
RING, AT_THE_END, ADOPT, STATE = "records", "on_end", "on_adopt", "on_reading"
SOCKET_FOUND, SOCKET_OPEN = "on_socket_found", "on_socket_open"
_ATTACH_TYPES = {"fentry": system.FENTRY, "fexit": system.FEXIT}
_PROBE_ENTRY = {"kprobe": 0, "kretprobe": 1}  # enum bpf_probe_attach_type of libbcc


def program_name(hook: Hook) -> str:
    """The name in the image of the program that serves a hook."""
    return hook.program or f"{hook.kind}_on_{hook.place}"


def _hooks() -> list[Hook]:
    return [hook for probe in PROBES for hook in sorted(probe.hooks, key=str)]


class Programs:
    """All programs of the instrument and their maps, empty. Raises CannotTrace if they can't be compiled, or not loaded.

    `typed`: they read the members of the current task through pointers with a type, if the kernel gives such pointers.
    """

    def __init__(self, btf: Btf, sizes: Sizes = SIZES, *, typed: bool = True) -> None:
        self.sizes, self.typed = sizes, typed
        self._btf = btf
        self._symbols: Symbols | None = None
        self._ahead: dict[str, Future[int]] = {}
        self._on_demand: dict[str, int] = {}  # loaded at their first use
        self._loaded: dict[Hook, int] = {}
        self._attached: dict[Hook, int] = {}
        source = (
            constants.defines(btf, sizes, typed=typed)
            + c_source()
            + "".join((KERNEL / f"{part}.c").read_text() for part in _PARTS)
        )
        names = {program_name(hook) for hook in _hooks() if hook.kind not in _ATTACH_TYPES} | {
            AT_THE_END,
            ADOPT,
            STATE,
            SOCKET_FOUND,
            SOCKET_OPEN,
        }
        functions = {kind: sorted({hook.place for hook in _hooks() if hook.kind == kind}) for kind in _ATTACH_TYPES}
        self.image = image(source, sorted(names), functions)
        self._maps: dict[str, system.Map] = {}
        try:
            self._make_maps()
            self._descriptors = {name: table.fd for name, table in self._maps.items()}
            self._at_the_end = self._load(system.RAW_TRACEPOINT, AT_THE_END)
        except OSError as error:
            self._close_maps()
            raise _no_room(error) from error

    def _make_maps(self) -> None:
        """All maps, several at a time: the kernel fills the large ones with zeros."""

        def make(table: MapDefinition) -> None:
            made = system.Map(table.name, table.kind, table.key_size, table.value_size, table.entries, table.flags)
            self._maps[table.name] = made  # one step, so no thread sees half of it

        with _threads() as pool:
            for done in [pool.submit(make, table) for table in sorted(self.image.maps, key=_bytes, reverse=True)]:
                done.result()

    def _load(self, kind: int, name: str, *, attach: int = 0, function: int = 0) -> int:
        code = self.image.programs[name].with_maps(self._descriptors)
        return system.load_program(kind, name, code, attach=attach, function=function)

    def load_ahead(self, hooks: Iterable[Hook]) -> None:
        """Begins to load the programs of these tracepoints, several at a time, in their order.

        The kernel's verifier takes most of the time of a start. Meanwhile the caller finds out which hooks come next.

        `load` then waits for them, attaches them, and reports what the kernel refused. `end_of_start` gives back what is not
        attached.
        """
        with _threads(wait=False) as pool:
            for name in map(program_name, hooks):
                if name not in self._ahead:
                    self._ahead[name] = pool.submit(self._load, system.RAW_TRACEPOINT, name)

    def end_of_start(self) -> None:
        """Gives back the programs that were loaded ahead and not attached."""
        for ahead in self._ahead.values():
            if ahead.exception() is None:
                os.close(ahead.result())
        self._ahead = {}

    def load(self, hook: Hook) -> None:
        """Loads a hook's program and attaches it; OSError if the kernel refuses."""
        if hook.kind == "tracepoint":
            name = program_name(hook)
            ahead = self._ahead.pop(name, None)
            program = ahead.result() if ahead else self._load(system.RAW_TRACEPOINT, name)
            tracepoint = hook.place.split(":")[1]
        elif hook.kind in _ATTACH_TYPES:
            function = self._btf.function_id(hook.place)
            program = self._load(system.TRACING, program_name(hook), attach=_ATTACH_TYPES[hook.kind], function=function)
            tracepoint = ""
        else:
            program = self._load(system.KPROBE, program_name(hook))
        try:
            if hook.kind in _PROBE_ENTRY:
                self._attached[hook] = _attach_kprobe(program, hook)
            else:
                self._attached[hook] = system.attach_raw(program, tracepoint)
        except BaseException:
            os.close(program)
            raise
        self._loaded[hook] = program

    def unload(self, hook: Hook) -> None:
        """Takes back what `load` did."""
        os.close(self._attached.pop(hook))
        if hook.kind in _PROBE_ENTRY:
            _detach_kprobe(hook)
        os.close(self._loaded.pop(hook))

    def leave_the_kernel(self) -> None:
        """Unloads whatever is loaded; what the programs left in the maps can still be read."""
        for hook in list(self._loaded):
            self.unload(hook)

    def report_open(self, thread: bytes, end: int) -> None:
        """Has the kernel side write the records of a thread that lives on at `end` (ns): what it is in, and its totals."""
        system.run_program(self._at_the_end, int.from_bytes(thread, "little"), end)

    def set_up(self, *, details: bool, walk_every: int, most_bytes: int) -> None:
        """What the programs are to report, and what they must know of system calls."""
        facts = self._maps["call_facts"]
        for number, fact in facts_by_number().items():
            facts.update(struct.pack("=I", number), struct.pack("=I", fact))
        self.settings = Settings(self._maps["settings"].fd, walk_every, self.callbacks)
        self.settings.set(details=details, most_bytes=most_bytes)

    @property
    def callbacks(self) -> bool:
        """Whether the probe of epoll's callback is attached."""
        return any(hook.place == "ep_poll_callback" for hook in self._attached)

    def rows(self) -> bytes:
        """What is in the tables at the end: the open bursts and the sums, as packed records."""
        return rows(self._maps)

    def open_bursts(self) -> bytes:
        """The bursts that are open at this moment, as packed records."""
        return open_bursts(self._maps)

    def rows_now(self) -> bytes:
        """The sums and the states of all threads at this moment, as packed records."""
        return rows_now(self._maps) + self.states()

    def adopt(self, *known: int) -> None:
        """Follows a thread that runs already: the words of struct known (adopt.c)."""
        self._run(ADOPT, *known)

    def socket_found(self, tid: int, fd: int, own: int) -> None:
        """Reports a socket of a process that is joined; `own` is this process's descriptor of it."""
        self._run(SOCKET_FOUND, tid, fd, own)

    def socket_open(self, socket: bytes, end: int) -> None:
        """Has the kernel side report what is unread in a socket at `end` (ns), if it is open still."""
        self._run(SOCKET_OPEN, int.from_bytes(socket, "little"), end)

    def states(self) -> bytes:
        """What each followed thread is in at this moment, as packed records."""
        found = []
        for thread in self._maps["threads"].keys():  # noqa: SIM118 (a map of the kernel is no dictionary)
            self._run(STATE, int.from_bytes(thread, "little"))
            state = self._maps["states"].lookup(struct.pack("=I", 0)) or b""
            if int.from_bytes(state[:4], "little"):  # 0: the thread has just ended
                found.append(state)
        return b"".join(found)

    def _run(self, name: str, *words: int) -> None:
        if name not in self._on_demand:
            self._on_demand[name] = self._load(system.RAW_TRACEPOINT, name)
        system.run_program(self._on_demand[name], *words)

    def misses(self) -> dict[Hook, int]:
        """Per hook: how often the kernel skipped its program because it was already at work on that CPU."""
        return {hook: system.misses(program) for hook, program in self._loaded.items()}

    def table(self, name: str) -> system.Map:
        """A map by its name."""
        return self._maps[name]

    def address(self, name: str) -> int:
        """The address of a function of the kernel; 0 if the kernel gives none."""
        return self.symbols.address(name)

    def symbol(self, address: int) -> str:
        """The kernel's name at an address."""
        return self.symbols.name(address)

    @property
    def symbols(self) -> Symbols:
        """The kernel's symbols, read once."""
        if self._symbols is None:
            self._symbols = Symbols()
        return self._symbols

    def close(self) -> None:
        """Frees the programs and the maps."""
        self.end_of_start()
        self.leave_the_kernel()
        os.close(self._at_the_end)
        for program in self._on_demand.values():
            os.close(program)
        self._close_maps()

    def _close_maps(self) -> None:
        for table in self._maps.values():
            table.close()
        self._maps = {}


def _bytes(table: MapDefinition) -> int:
    return table.entries * (table.key_size + table.value_size)


@contextlib.contextmanager
def _threads(wait: bool = True) -> Iterator[ThreadPoolExecutor]:
    """A thread for each CPU. They block all signals: each signal is for the main thread. At the end, waits for their work."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        yield pool
    finally:
        pool.shutdown(wait=wait)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _no_room(error: OSError) -> CannotTrace:
    """The kernel refuses a map or the first program: in words."""
    if error.errno == errno.ENOMEM:
        return CannotTrace(
            "the kernel has no memory for the maps of the probes, which take 110 MB",
            "raise memory.max of this cgroup (docker run --memory 512m), or free memory",
        )
    return CannotTrace(f"the kernel refuses the maps of the probes: {error.strerror or error}", "invoke doctor says why")


def _event(hook: Hook) -> bytes:
    return f"iolab_{hook.kind}_{hook.place}_{os.getpid()}".encode()


def _attach_kprobe(program: int, hook: Hook) -> int:
    """By libbcc, which knows both ways: perf_event_open, and kprobe_events before it."""
    library = ctypes.CDLL("libbcc.so.0")
    with quiet() as printed:
        descriptor = int(
            library.bpf_attach_kprobe(
                program, _PROBE_ENTRY[hook.kind], _event(hook), hook.place.encode(), ctypes.c_uint64(0), 0
            )
        )
    if descriptor < 0:
        raise OSError(complaint(printed[-1]) or "the kernel refuses it")
    return descriptor


def _detach_kprobe(hook: Hook) -> None:
    with quiet():
        ctypes.CDLL("libbcc.so.0").bpf_detach_kprobe(_event(hook))
