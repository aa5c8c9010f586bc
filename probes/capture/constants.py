"""The numbers that the kernel side is compiled with, as C defines: offsets from this kernel's BTF, system calls, sizes.

This file has numbers only; probes/kernel/kernel.h has the accessors that use them.
"""

from __future__ import annotations

import socket

from probes.capture.btf import Btf
from probes.capture.prctl import MARKER
from probes.errors import CannotTrace
from probes.kernel import syscalls
from probes.kernel.limits import Sizes

# Members that every kernel from 5.10 on has: the name of the constant, the struct, the member.
REQUIRED = (
    ("TASK_PID", "task_struct", "pid"),
    ("TASK_ON_RQ", "task_struct", "on_rq"),
    ("TASK_COMM", "task_struct", "comm"),
    ("TASK_FILES", "task_struct", "files"),
    ("TASK_THREAD_PID", "task_struct", "thread_pid"),
    ("TASK_GROUP_LEADER", "task_struct", "group_leader"),
    ("TASK_PTRACE", "task_struct", "ptrace"),
    ("TASK_SIGNAL", "task_struct", "signal"),
    ("SIGNAL_FLAGS", "signal_struct", "flags"),
    ("FILES_TABLE", "files_struct", "fdt"),
    ("TABLE_LENGTH", "fdtable", "max_fds"),
    ("TABLE_FILES", "fdtable", "fd"),
    ("FILE_OBJECT", "file", "private_data"),
    ("FILE_INODE", "file", "f_inode"),
    ("FILE_OPERATIONS", "file", "f_op"),
    ("RELEASE", "file_operations", "release"),
    ("INODE_MODE", "inode", "i_mode"),
    ("SOCKET_SK", "socket", "sk"),
    ("SOCK_FAMILY", "sock_common", "skc_family"),
    ("TASK_EXIT_CODE", "task_struct", "exit_code"),
    ("INODE_NUMBER", "inode", "i_ino"),
    ("PID_LEVEL", "pid", "level"),
    ("PID_NUMBERS", "pid", "numbers"),
    ("UPID_NR", "upid", "nr"),
    ("SOCK_PROTOCOL", "sock", "sk_protocol"),
    ("SOCK_TYPE", "sock", "sk_type"),
    ("SOCK_WQ", "sock", "sk_wq"),
    ("WQ_WAIT", "socket_wq", "wait"),
    ("SOCK_FLAGS", "sock_common", "skc_flags"),  # a sock begins with its sock_common
    ("SKB_CB", "sk_buff", "cb"),
    ("TCP_RCV_NXT", "tcp_sock", "rcv_nxt"),
    ("TCP_COPIED_SEQ", "tcp_sock", "copied_seq"),
    ("SOCK_STATE", "sock_common", "skc_state"),
    ("SOCK_LOCAL4", "sock_common", "skc_rcv_saddr"),
    ("SOCK_PEER4", "sock_common", "skc_daddr"),
    ("SOCK_LOCAL_PORT", "sock_common", "skc_num"),
    ("SOCK_PEER_PORT", "sock_common", "skc_dport"),
    ("SOCK_SHUTDOWN", "sock", "sk_shutdown"),
    ("SOCK_BACKLOG", "sock", "sk_ack_backlog"),
    ("SOCK_QUEUE", "sock", "sk_receive_queue"),
    ("SKB_LENGTH", "sk_buff", "len"),
    ("SIGNAL_LIVE", "signal_struct", "live"),
)
# Members that some kernels lack: the second name is 1 if the kernel has the member, otherwise 0.
OPTIONAL = (
    ("SOCK_LOCAL6", "IPV6", "sock_common", "skc_v6_rcv_saddr"),  # CONFIG_IPV6
    ("SOCK_PEER6", "IPV6", "sock_common", "skc_v6_daddr"),
    ("UNIX_ADDRESS", "UNIX", "unix_sock", "addr"),  # CONFIG_UNIX
    ("UNIX_PEER", "UNIX", "unix_sock", "peer"),
    ("UNIX_NAME", "UNIX_NAME", "unix_address", "name"),
    ("UNIX_LENGTH", "UNIX_NAME", "unix_address", "len"),
    ("UNIX_CONSUMED", "UNIX_CONSUMED", "unix_skb_parms", "consumed"),
    ("FILE_REFERENCES", "FILE_REFERENCES", "file", "f_ref"),  # since 6.13; 0 is one reference (include/linux/file_ref.h)
    ("FILE_COUNT", "FILE_COUNT", "file", "f_count"),  # before
)
# Members inside members: the sum of two offsets. The second name, if any, is 1 if the kernel has both members, otherwise 0.
NESTED = (
    ("SOCK_QUEUE_LENGTH", "", ("sock", "sk_receive_queue"), ("sk_buff_head", "qlen")),
    ("UDP_READER_LENGTH", "", ("udp_sock", "reader_queue"), ("sk_buff_head", "qlen")),
    ("SECCOMP_MODE", "SECCOMP", ("task_struct", "seccomp"), ("seccomp", "mode")),
    ("THREAD_STATUS", "THREAD_STATUS", ("task_struct", "thread_info"), ("thread_info", "status")),
    ("SYSCALL_WORK", "SYSCALL_WORK", ("task_struct", "thread_info"), ("thread_info", "syscall_work")),
    ("THREAD_FLAGS", "THREAD_FLAGS", ("task_struct", "thread_info"), ("thread_info", "flags")),
)

CALL_NUMBERS = 512  # system calls have smaller numbers on both architectures


def defines(btf: Btf, sizes: Sizes, *, typed: bool = True) -> str:
    """All constants, one #define a line. `typed`: with pointers that have a type, where the kernel gives them.

    Raises CannotTrace if this kernel lacks a required structure.
    """
    numbers = _offsets(btf) | _typed(btf, typed) | _switch(btf) | _calls() | _sizes(sizes)
    return "".join(f"#define {name} {value}\n" for name, value in numbers.items())


def _required(offset: int | None, name: str) -> int:
    if offset is None:
        raise CannotTrace(f"the kernel's BTF has no {name}", "please report this kernel")
    return offset


def _offsets(btf: Btf) -> dict[str, int | str]:
    found: dict[str, int | str] = {
        f"OFF_{name}": _required(btf.offset(struct, member), f"{struct}.{member}") for name, struct, member in REQUIRED
    }
    for name, has, outer, inner in NESTED:
        at, within = btf.offset(*outer), btf.offset(*inner)
        known = at is not None and within is not None
        if has:
            found[f"HAS_{has}"] = int(known)
        elif not known:
            _required(None, ".".join(outer))
        found[f"OFF_{name}"] = (at or 0) + (within or 0) if known else 0
    for name, has, struct, member in OPTIONAL:
        at = btf.offset(struct, member)
        found[f"HAS_{has}"], found[f"OFF_{name}"] = int(at is not None), at or 0
    state = btf.offset("task_struct", "__state")
    found["OFF_TASK_STATE"] = _required(btf.offset("task_struct", "state") if state is None else state, "task_struct.__state")
    socket_of, inode = btf.offset("sock", "sk_socket"), btf.offset("socket_alloc", "vfs_inode")
    found["HAS_SOCKET_INODE"] = int(socket_of is not None and inode is not None)
    found["OFF_SOCK_SOCKET"], found["OFF_SOCKET_ALLOC_INODE"] = socket_of or 0, inode or 0
    found["SIZE_UPID"] = btf.size("upid") or 16
    return found


def _typed(btf: Btf, wanted: bool) -> dict[str, int | str]:
    """Which helpers the kernel has that give pointers with a type. The second needs the first."""
    task = wanted and btf.has_function("bpf_get_current_task_btf")
    return {"HAS_TYPED_TASK": int(task), "HAS_TASK_REGS": int(task and btf.has_function("bpf_task_pt_regs"))}


def _switch(btf: Btf) -> dict[str, int | str]:
    """The positions of the arguments of sched_switch."""
    switch = btf.tracepoint("sched_switch")
    if switch is None:
        raise CannotTrace("the kernel has no tracepoint sched:sched_switch", "a kernel with CONFIG_TRACEPOINTS is needed")
    tasks = [index for index, pointer in enumerate(switch) if pointer]
    states = [index for index, pointer in enumerate(switch) if not pointer and index > 0]
    return {
        "SWITCH_PREV": tasks[0],
        "SWITCH_NEXT": tasks[1],
        "HAS_SWITCH_STATE": int(bool(states)),
        "SWITCH_STATE": states[0] if states else 0,
    }


def _calls() -> dict[str, int | str]:
    """The numbers of system calls, and the registers of their arguments."""
    machine = syscalls.architecture()
    numbers = syscalls.numbers(machine.name)

    def listed(names: set[str] | tuple[str, ...]) -> str:
        return ", ".join(str(numbers[name]) for name in sorted(names) if name in numbers)

    return {
        "REGS_ARGS": machine.start,
        **{f"REG_ARG{index}": place for index, place in enumerate(machine.order)},
        **{f"REGISTER{index}": offset for index, offset in enumerate(machine.function)},
        "REG_NUMBER": machine.number,
        "REG_FIRST_AT_EXIT": machine.first_at_exit,
        "NR_PRCTL": numbers["prctl"],
        "NR_EPOLL_CTL": numbers["epoll_ctl"],
        "NR_CLOSE": numbers["close"],
        "NR_SHUTDOWN": numbers["shutdown"],
        "NR_SOCKETPAIR": numbers["socketpair"],
        "NR_CONNECT": numbers["connect"],
        "NR_LISTEN": numbers["listen"],
        "NR_BIND": numbers["bind"],
        "ACCEPTS": listed(syscalls.ACCEPTS),
        "MULTIPLEXERS": listed(syscalls.MULTIPLEXERS),
        "AIO_WAITS": listed(syscalls.AIO_WAITS),
        "NR_IO_URING_ENTER": numbers["io_uring_enter"],
        "EPOLL_WAITS": listed(syscalls.EPOLL_WAITS),
        "READS": listed(syscalls.READS - {"recvmmsg"}),
        "COMPAT": syscalls.COMPAT,
        "MARKER": f"{MARKER}U",
        "IPPROTO_TCP": socket.IPPROTO_TCP,
        "IPPROTO_UDP": socket.IPPROTO_UDP,
        "IPPROTO_MPTCP": 262,  # uapi/linux/in.h
        "BPF_RB_NO_WAKEUP": 1,  # uapi/linux/bpf.h
    }


def _sizes(sizes: Sizes) -> dict[str, int | str]:
    return {
        "WAITING": sizes.waiting,
        "MAX_THREADS": sizes.threads,
        "MAX_BURSTS": sizes.bursts,
        "MAX_ACCOUNTS": sizes.accounts,
        "MAX_SUMS": sizes.sums,
        "MAX_SLEEP_SUMS": sizes.sleep_sums,
        "MAX_SHARED_SUMS": sizes.shared_sums,
        "MAX_WALKS": sizes.walks,
        "CALL_NUMBERS": CALL_NUMBERS,
        "MAX_GENERATIONS": sizes.generations,
        "MAX_WATCHERS": sizes.watchers,
        "MAX_ARRIVALS": sizes.arrivals,
        "MAX_DATAGRAM_SOCKETS": sizes.datagram_sockets,
        "MAX_SOCKETS": sizes.sockets,
        "MAX_QUEUE_SOCKETS": sizes.queue_sockets,
        "MAX_SOCKET_RECORDS": sizes.socket_records,
        "MAX_SERIALS": sizes.serials,
        "INVITATIONS": sizes.invitations,
        "RING_PAGES": sizes.ring_bytes // 4096,  # BCC takes PAGE_SIZE from our headers
    }
