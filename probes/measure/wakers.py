"""Names for wake-ups: the way from the cause to the thread, from the kernel stack of the task that wakes.

A link is a function of LINKS anywhere in the stack, or of DIRECT as the innermost function that is not a helper. A stack
without a link keeps the name of the kernel's function: an unknown way gets no wrong word.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass

from probes.measure.frames import of_fault, of_interrupt, telling


class Link(enum.StrEnum):
    """The steps of a wake-up from the cause to the thread, with their names in reports, checks and JSON."""

    TIMER = "timer"
    PACKET = "packet"
    TCP = "TCP"
    UDP = "UDP"
    MPTCP = "MPTCP"
    UNIX_SOCKET = "unix socket"
    VSOCK = "vsock"
    PIPE = "pipe"
    FIFO_END = "other end of the FIFO"
    TERMINAL = "terminal"
    EVENTFD = "eventfd"
    INOTIFY = "inotify"
    FANOTIFY = "fanotify"
    USERFAULTFD = "userfaultfd"
    SIGNAL = "signal"
    TRACER = "tracer (ptrace)"
    SUPERVISOR = "seccomp supervisor"
    FREEZER = "freezer"
    SEMAPHORE = "System V semaphore"
    MESSAGES = "System V message queue"
    POSIX_MESSAGES = "POSIX message queue"
    FLOCK = "flock"
    RECORD_LOCK = "record lock"
    LEASE = "lease"
    END_OF_THE_PROCESS = "end of the process"
    END_OF_A_THREAD = "end of a thread"
    DISK = "disk"
    JOURNAL = "journal"
    WRITEBACK = "writeback"
    PAGE = "page"
    DIRECTORY = "directory lookup"
    FUSE = "FUSE server"
    NFS = "NFS server"
    CHILD_END = "child's end"
    CHILD_STOP = "child's stop"
    AIO_REQUEST = "AIO's request (aio_poll_wake)"
    AIO_COMPLETION = "AIO's completion (aio_complete)"
    IO_URING = "io_uring"
    IO_URING_WORK_QUEUE = "io_uring's work queue"
    IO_URING_COMPLETION = "io_uring's completion"
    SOCKET = "socket"
    SOCKET_LOCK = "socket lock"
    EPOLL_CALLBACK = "epoll's callback (ep_poll_callback)"
    EPOLL_QUEUE = "epoll's queue"
    POLL_CALLBACK = "poll's callback (pollwake)"
    FUTEX = "futex"
    LOCK = "lock"
    RCU = "RCU grace period"
    RANDOM = "entropy"
    VFORK_END = "vfork's end"
    CORE_DUMP = "core dump"
    KERNEL_WORKER = "kernel worker"
    COMPLETION = "completion"


@dataclass(frozen=True, slots=True)
class Waker:
    """The task that ended a sleep. `chain`: the way from the cause to the thread, in words; `stack`: its kernel stack."""

    comm: str
    tid: int
    chain: tuple[str, ...]
    stack: tuple[str, ...]

    @property
    def words(self) -> str:
        """The chain on one line: "packet -> TCP -> socket"."""
        return " -> ".join(self.chain)

    @property
    def by_packet(self) -> bool:
        """Did a packet that arrived end the sleep?"""
        return Link.PACKET in self.chain


# How a wake-up travelled: (what the student reads, the functions that show it). "inner < outer" are two frames in a row.
LINKS: tuple[tuple[Link, tuple[str, ...]], ...] = (
    # schedule_timeout's timer may leave no frame of its own between call_timer_fn and the wake-up
    (Link.TIMER, ("hrtimer_wakeup", "__hrtimer_run_queues", "process_timeout", "call_timer_fn", "posix_timer_fn", "it_real_fn",
                  "timerfd_tmrproc", "io_timeout_fn")),
    (Link.PACKET, ("ip_rcv", "ip_local_deliver", "ip_local_deliver_finish", "ip_protocol_deliver_rcu", "tcp_v4_rcv",
                   "ip6_input", "ipv6_rcv", "tcp_v6_rcv", "udp_rcv", "__udp4_lib_rcv", "netif_receive_skb")),
    (Link.TCP, ("tcp_data_queue", "tcp_rcv_established", "tcp_data_ready", "tcp_rcv_state_process", "tcp_child_process",
                "tcp_fin", "tcp_reset", "tcp_check_space", "tcp_new_space")),
    (Link.UDP, ("udp_queue_rcv_skb", "udp_queue_rcv_one_skb", "__udp_enqueue_schedule_skb", "udp_unicast_rcv_skb")),
    (Link.MPTCP, ("subflow_data_ready", "mptcp_data_ready", "subflow_write_space", "mptcp_write_space", "subflow_state_change",
                  "mptcp_check_data_fin")),
    (Link.UNIX_SOCKET, ("unix_stream_sendmsg", "unix_dgram_sendmsg", "unix_release_sock", "unix_stream_connect",
                        "unix_stream_read_generic", "unix_shutdown", "__unix_dgram_recvmsg", "unix_dgram_recvmsg",
                        "unix_accept")),
    (Link.VSOCK, ("vsock_data_ready", "virtio_transport_recv_pkt", "vsock_connectible_sendmsg", "vsock_release",
                  "vsock_shutdown")),
    (Link.PIPE, ("pipe_write", "anon_pipe_write", "fifo_pipe_write", "pipe_read", "anon_pipe_read", "fifo_pipe_read",
                 "pipe_release", "wakeup_pipe_readers", "wakeup_pipe_writers")),
    (Link.FIFO_END, ("fifo_open",)),
    (Link.TERMINAL, ("n_tty_receive_buf_common", "n_tty_receive_buf", "tty_wakeup", "n_tty_write_wakeup", "n_tty_read",
                     "tty_port_default_wakeup", "pty_unthrottle", "tty_hangup", "__tty_hangup", "pty_close")),
    (Link.EVENTFD, ("eventfd_write", "eventfd_read", "eventfd_signal", "eventfd_signal_mask")),
    (Link.INOTIFY, ("inotify_handle_inode_event", "inotify_handle_event")),
    (Link.FANOTIFY, ("fanotify_handle_event", "fanotify_write", "process_access_response")),
    (Link.USERFAULTFD, ("userfaultfd_wake_function", "__wake_userfault", "userfaultfd_ioctl", "handle_userfault")),
    (Link.SIGNAL, ("send_signal_locked", "__send_signal_locked", "__send_signal", "send_signal", "do_send_sig_info",
                   "complete_signal", "send_sigqueue", "posixtimer_send_sigqueue")),
    (Link.TRACER, ("ptrace_request", "ptrace_resume", "ptrace_attach", "ptrace_detach", "__ptrace_unlink", "exit_ptrace")),
    (Link.SUPERVISOR, ("seccomp_notify_ioctl", "seccomp_notify_send", "seccomp_notify_release")),
    (Link.FREEZER, ("cgroup_freeze_task", "cgroup_do_freeze", "cgroup_freeze", "__thaw_task")),
    (Link.SEMAPHORE, ("__do_semtimedop", "do_semtimedop", "freeary", "semctl_main", "semctl_setval", "do_smart_update",
                      "exit_sem")),
    (Link.MESSAGES, ("do_msgsnd", "do_msgrcv", "freeque", "ss_wakeup", "expunge_all")),
    (Link.POSIX_MESSAGES, ("do_mq_timedsend", "do_mq_timedreceive")),
    (Link.FLOCK, ("flock_lock_inode", "locks_remove_flock")),
    (Link.RECORD_LOCK, ("posix_lock_inode", "locks_remove_posix")),
    (Link.LEASE, ("lease_modify",)),
    (Link.END_OF_THE_PROCESS, ("zap_other_threads", "zap_process")),
    (Link.END_OF_A_THREAD, ("__exit_signal",)),
    (Link.DISK, ("bio_endio", "blk_update_request", "blk_mq_end_request", "virtblk_done", "nvme_irq",
                 "end_buffer_async_read_io", "end_buffer_read_sync", "end_buffer_write_sync", "rq_qos_wake_function",
                 "sbitmap_queue_wake_up", "sbitmap_queue_clear")),
    (Link.JOURNAL, ("jbd2_journal_commit_transaction", "jbd2_journal_stop")),
    (Link.WRITEBACK, ("finish_writeback_work", "wb_writeback", "wb_do_writeback", "folio_end_writeback")),
    (Link.PAGE, ("wake_page_function", "folio_wake_bit", "wake_up_page_bit", "folio_unlock", "unlock_page")),
    (Link.DIRECTORY, ("__d_lookup_unhash_wake", "__d_lookup_done", "d_lookup_done", "d_add", "__d_add")),
    (Link.FUSE, ("fuse_dev_do_write", "fuse_request_end", "virtio_fs_request_complete")),
    (Link.NFS, ("rpc_wake_up_task_queue_locked", "rpc_wake_up_queued_task", "rpc_make_runnable", "rpc_complete_task")),
    (Link.CHILD_END, ("do_notify_parent", "exit_notify")),
    (Link.CHILD_STOP, ("do_notify_parent_cldstop",)),
    (Link.AIO_REQUEST, ("aio_poll_wake", "aio_poll_complete_work")),
    (Link.AIO_COMPLETION, ("aio_complete", "aio_complete_rw")),
    (Link.IO_URING, ("io_cqring_wake", "io_req_task_work_add", "__io_req_task_work_add", "io_req_normal_work_add",
                     "io_req_local_work_add", "io_poll_wake")),
    (Link.IO_URING_WORK_QUEUE, ("io_wq_enqueue", "io_wqe_enqueue", "io_wq_activate_free_worker", "io_wqe_activate_free_worker",
                                 "io_queue_iowq", "io_queue_async_work")),
    (Link.IO_URING_COMPLETION, ("io_cq_unlock_post", "__io_cq_unlock_post", "__io_submit_flush_completions",
                                 "io_req_complete_post", "io_cqring_ev_posted", "__io_cqring_ev_posted")),
    (Link.SOCKET, ("sock_def_readable", "sock_def_wakeup", "sk_stream_write_space", "sock_def_write_space",
                   "sock_def_error_report", "sock_wfree", "unix_write_space", "unix_dgram_peer_wake_relay")),
    (Link.EPOLL_CALLBACK, ("ep_poll_callback",)),
    (Link.EPOLL_QUEUE, ("ep_autoremove_wake_function",)),
    (Link.POLL_CALLBACK, ("pollwake",)),
    (Link.FUTEX, ("futex_wake", "do_futex", "futex_requeue", "futex_wake_op", "futex_unlock_pi", "handle_futex_death",
                  "exit_robust_list", "exit_pi_state_list", "__do_sys_futex_wake")),
    (Link.RCU, ("wakeme_after_rcu", "rcu_exp_wait_wake", "rcu_gp_cleanup", "rcu_gp_kthread", "rcu_barrier_callback")),
    (Link.RANDOM, ("_credit_init_bits", "credit_init_bits", "credit_entropy_bits", "crng_set_ready")),
    (Link.VFORK_END, ("complete_vfork_done", "complete < mm_release")),
    (Link.CORE_DUMP, ("coredump_finish", "coredump_wait")),
    (Link.KERNEL_WORKER, ("process_one_work", "worker_thread")),
    (Link.COMPLETION, ("complete", "complete_all", "complete_with_flags")),
)  # fmt: skip

# The innermost function that is not a helper, where it says all: the waker gives a lock back, or moves data of a pipe. Around
# other wake-ups the same functions say nothing: release_sock delivers packets, for example.
DIRECT: tuple[tuple[Link, tuple[str, ...]], ...] = (
    (Link.LOCK, ("mutex_unlock", "__mutex_unlock_slowpath", "rwsem_wake", "up_write", "up_read", "downgrade_write",
                 "rt_mutex_slowunlock", "rt_mutex_unlock", "up", "__up", "__percpu_up_read", "percpu_up_write",
                 "percpu_rwsem_wake_function", "rcuwait_wake_up", "ldsem_up_read", "ldsem_up_write", "vma_refcount_put",
                 "rwsem_mark_wake", "rwsem_downgrade_wake")),
    (Link.SOCKET_LOCK, ("release_sock", "__release_sock")),
    (Link.PIPE, ("do_splice", "__do_splice", "splice_to_pipe", "splice_from_pipe_next", "iter_file_splice_write",
                 "splice_to_socket", "do_tee", "link_pipe")),
)  # fmt: skip

_SEND = {"tcp_sendmsg", "udp_sendmsg", "tcp_close", "__tcp_close", "tcp_shutdown", "inet_stream_connect", "tcp_v4_connect"}
_DIRECT = {function: link for link, functions in DIRECT for function in functions}
_SHOWN_BY = {function: link for link, functions in LINKS for function in functions}  # each function shows one link
_PAIRED = {function.partition(" < ")[0] for function in _SHOWN_BY if " < " in function}
_ORDER = {link: number for number, (link, _) in enumerate(LINKS)}


@functools.lru_cache(maxsize=4096)
def wake_chain(stack: tuple[str, ...]) -> tuple[str, ...]:
    """The way of a wake-up in words, from the cause on.

    On loopback the sender's own task runs the whole way from its call to the receiver's queue. So the running task is the cause
    only if the stack contains its send; otherwise an interrupt interrupted a task that is not the cause.

    >>> print(*wake_chain(("try_to_wake_up", "sock_def_readable", "tcp_data_queue", "tcp_v4_rcv", "tcp_sendmsg")))
    packet TCP socket
    """
    stack = of_fault(of_interrupt(stack))
    innermost = next(telling(stack), "unknown")
    if innermost in _DIRECT:
        return (_DIRECT[innermost],)
    places: dict[Link, int] = {}  # of the innermost function that shows the link
    for place, name in enumerate(stack):
        if name in _SHOWN_BY:
            places.setdefault(_SHOWN_BY[name], place)
        if name in _PAIRED and (pair := f"{name} < {stack[place + 1] if place + 1 < len(stack) else ''}") in _SHOWN_BY:
            places.setdefault(_SHOWN_BY[pair], place + 1)
    return tuple(sorted(places, key=lambda link: (-places[link], _ORDER[link]))) or (innermost,)


def sent_by_waker(stack: tuple[str, ...]) -> bool:
    """Did the task that was running send the packet itself (loopback), or was it only interrupted?"""
    return not _SEND.isdisjoint(of_interrupt(stack))
