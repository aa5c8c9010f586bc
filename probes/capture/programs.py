"""The probes' programs: compiled for this kernel once, and lent to one recording after the other.

Compiling takes a second, and half a minute in an emulated machine; loading and attaching takes a tenth of that. So what was
compiled is kept by the process, with its maps: nothing of it is loaded or attached meanwhile, and the next recording finds the
maps empty.
"""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Any

from probes.capture.attach import Hook
from probes.capture.bpf import ENDS, KERNEL, compile_bpf, complaint, import_bcc, misses, program_on, quiet
from probes.capture.btf import Btf
from probes.capture.prctl import MARKER
from probes.errors import CannotTrace
from probes.kernel import syscalls
from probes.kernel.limits import SIZES, Sizes
from probes.kernel.records import c_source

_PARTS = ("instrument", "threads", "sched", "calls", "data", "poll")  # one text: BCC finds programs in its main file only

RING = b"records"

_kept: list[Programs] = []


def borrow(btf: Btf, sizes: Sizes = SIZES) -> Programs:
    """Programs that no one else is using now, with empty maps. Raises CannotTrace if they can't be compiled."""
    kept = next((one for one in _kept if one.sizes == sizes), None)
    if kept:
        _kept.remove(kept)
        return kept
    return Programs(btf, sizes)


def give_back(programs: Programs) -> None:
    """Unloads all programs; what was compiled and the maps, emptied, are kept for the next recording."""
    programs.leave_the_kernel()
    if programs.sizes == SIZES and not _kept:
        programs.clear()
        _kept.append(programs)
    else:
        programs.close()


class Programs:
    """All programs of the instrument and their maps. Raises CannotTrace if BCC can't make them."""

    def __init__(self, btf: Btf, sizes: Sizes = SIZES) -> None:
        self.sizes = sizes
        self._bcc = import_bcc()
        self._loaded: dict[Hook, Any] = {}
        self._attached: dict[Hook, int] = {}  # raw tracepoints only: BCC keeps the others
        defines = "".join(f"#define {name} {value}\n" for name, value in self._constants(btf).items())
        source = defines + c_source() + "".join((KERNEL / f"{part}.c").read_text() for part in _PARTS)
        with quiet() as said:
            try:
                self._bpf: Any = compile_bpf(source.encode(), cflags=[f"-I{KERNEL}", "-Wno-unused-function"])
                return
            except Exception as error:
                failure = str(error)  # the exception itself would hold this frame, and us, until the garbage is collected
        raise CannotTrace(f"BCC could not make the probes: {failure}\n{said[-1][-2000:]}", "invoke doctor says what is missing")

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
            "OFF_TASK_FILES": ("task_struct", "files"),
            "OFF_FILES_TABLE": ("files_struct", "fdt"),
            "OFF_TABLE_LENGTH": ("fdtable", "max_fds"),
            "OFF_TABLE_FILES": ("fdtable", "fd"),
            "OFF_FILE_OBJECT": ("file", "private_data"),
            "OFF_FILE_INODE": ("file", "f_inode"),
            "OFF_INODE_NUMBER": ("inode", "i_ino"),
            "OFF_TASK_THREAD_PID": ("task_struct", "thread_pid"),
            "OFF_TASK_GROUP_LEADER": ("task_struct", "group_leader"),
            "OFF_TASK_PTRACE": ("task_struct", "ptrace"),
            "OFF_TASK_SIGNAL": ("task_struct", "signal"),
            "OFF_SIGNAL_FLAGS": ("signal_struct", "flags"),
            "OFF_PID_LEVEL": ("pid", "level"),
            "OFF_PID_NUMBERS": ("pid", "numbers"),
            "OFF_UPID_NR": ("upid", "nr"),
            "OFF_SOCK_PROTOCOL": ("sock", "sk_protocol"),
            "OFF_SOCK_WQ": ("sock", "sk_wq"),
            "OFF_WQ_WAIT": ("socket_wq", "wait"),
            "OFF_SOCK_FLAGS": ("sock_common", "skc_flags"),  # with which a sock begins
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
        socket_of, inode = btf.offset("sock", "sk_socket"), btf.offset("socket_alloc", "vfs_inode")
        number = "0" if socket_of is None or inode is None else f"peek(peek(sk, {socket_of}), {inode} + OFF_INODE_NUMBER)"
        upid = btf.size("upid")
        multiplexers = " || ".join(f"(nr) == {numbers[one]}" for one in sorted(syscalls.MULTIPLEXERS) if one in numbers)
        handing = " || ".join(f"(nr) == {numbers[one]}" for one in sorted(syscalls.EPOLL_WAITS) if one in numbers)
        reads = " || ".join(f"(nr) == {numbers[one]}" for one in sorted(syscalls.READS - {"recvmmsg"}) if one in numbers)
        return constants | {
            "SIZE_UPID": upid or 16,
            "FILTERED_BY_SECCOMP": filtered,
            "IS_COMPAT(task)": _compat(btf),
            "COMPAT": syscalls.COMPAT,
            "SOCKET_INODE(sk)": number,
            "SWITCH_PREV": tasks[0],
            "SWITCH_NEXT": tasks[1],
            "SWITCH_PREV_STATE(ctx)": prev_state,
            "IS_MULTIPLEXER(nr)": f"({multiplexers})",
            "IS_EPOLL_WAIT(nr)": f"({handing})",
            "IS_READ(nr)": f"({reads})",
            "REGS_ARGS": machine.start,
            **{f"REG_ARG{index}": place for index, place in enumerate(machine.order)},
            **{f"REGISTER{index}": offset for index, offset in enumerate(machine.function)},
            "NR_PRCTL": numbers["prctl"],
            "NR_EPOLL_CTL": numbers["epoll_ctl"],
            "NR_CLOSE": numbers["close"],
            "POLLED_CALLS": ", ".join(str(numbers[one]) for one in syscalls.POLLED),
            "MARKER": f"{MARKER}U",
            "IPPROTO_TCP": socket.IPPROTO_TCP,
            "IPPROTO_UDP": socket.IPPROTO_UDP,
            "WAITING": self.sizes.waiting,
            "MAX_THREADS": self.sizes.threads,
            "MAX_BURSTS": self.sizes.bursts,
            "MAX_GENERATIONS": self.sizes.generations,
            "MAX_WATCHERS": self.sizes.watchers,
            "INVITATIONS": self.sizes.invitations,
            "RING_PAGES": self.sizes.ring_bytes // 4096,  # BCC takes PAGE_SIZE from our headers
            "BPF_RB_NO_WAKEUP": 1,
        }

    def load(self, hook: Hook) -> None:
        """Loads a hook's program and attaches it; OSError if the kernel refuses."""
        name, bpf = self._name(hook), self._bpf
        kinds = {"tracepoint": self._bcc.BPF.RAW_TRACEPOINT} | dict.fromkeys(ENDS, self._bcc.BPF.TRACING)
        with quiet() as said:
            try:
                program = bpf.load_func(name, kinds.get(hook.kind, self._bcc.BPF.KPROBE))
                try:
                    if hook.kind == "tracepoint":  # not by BCC's method, which allows one program at each
                        self._attached[hook] = _succeeded(self._bcc.lib.bpf_attach_raw_tracepoint(program.fd, _point(hook)))
                    elif hook.kind in ENDS:
                        getattr(bpf, f"attach_{ENDS[hook.kind]}")(fn_name=name)
                    else:
                        getattr(bpf, f"attach_{hook.kind}")(event=hook.place.encode(), fn_name=name)
                except Exception:
                    self._forget(name)
                    raise
            except Exception as error:
                failure = str(error)
            else:
                self._loaded[hook] = program
                return
        raise OSError(complaint(said[-1]) or failure)

    def unload(self, hook: Hook) -> None:
        """Takes back what `load` did."""
        name = self._name(hook)
        if hook.kind == "tracepoint":
            os.close(self._attached.pop(hook))
        elif hook.kind in ENDS:
            getattr(self._bpf, f"detach_{ENDS[hook.kind]}")(fn_name=name)
        else:
            getattr(self._bpf, f"detach_{hook.kind}")(event=hook.place.encode())
        del self._loaded[hook]
        self._forget(name)

    def leave_the_kernel(self) -> None:
        """Unloads whatever is loaded; what the programs left in the maps can still be read."""
        with quiet():
            for hook in list(self._loaded):
                self.unload(hook)

    def _name(self, hook: Hook) -> bytes:
        if hook.kind in ENDS:
            return program_on(self._bpf, ENDS[hook.kind], hook.place)
        return (hook.program or f"{hook.kind}_on_{hook.place}").encode()

    def _forget(self, name: bytes) -> None:
        """Frees a program; it is loaded anew the next time (before 5.15 the kernel attaches a loaded fentry only once)."""
        os.close(self._bpf.funcs.pop(name).fd)

    def misses(self) -> dict[Hook, int]:
        """Per hook: how often the kernel skipped its program because it was already at work on that CPU."""
        return {hook: misses(program.fd) for hook, program in self._loaded.items()}

    def table(self, name: bytes) -> Any:
        """A map, as BCC gives it."""
        return self._bpf[name]

    def symbol(self, address: int) -> str:
        """The kernel's name at an address, with an offset."""
        return str(self._bpf.ksym(address).decode(errors="replace"))

    def clear(self) -> None:
        """Empties every map but the ring, whose next reader begins where this one ended."""
        library, module = self._bcc.lib, ctypes.c_void_p(self._bpf.module)
        library.bpf_table_name.restype = ctypes.c_char_p
        names = [library.bpf_table_name(module, number) for number in range(library.bpf_num_tables(module))]
        for name in names:
            if name != RING:
                self._bpf[name].clear()

    def close(self) -> None:
        """Frees the programs and the maps."""
        with quiet():
            self._bpf.cleanup()


def _succeeded(descriptor: int) -> int:
    if descriptor < 0:
        raise OSError("the tracepoint can't be attached")
    return descriptor


def _compat(btf: Btf) -> str:
    """C: is the task in a system call of the architecture's 32-bit ABI?"""
    info, status, flags = (
        btf.offset(*one) for one in (("task_struct", "thread_info"), ("thread_info", "status"), ("thread_info", "flags"))
    )
    if info is None:
        return "0"
    if status is not None:  # x86: TS_COMPAT
        return f"(peek32(task, {info + status}) & 2)"
    return "0" if flags is None else f"(peek(task, {info + flags}) >> 22 & 1)"  # arm64: TIF_32BIT


def _point(hook: Hook) -> bytes:
    return hook.place.split(":")[1].encode()
