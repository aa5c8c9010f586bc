"""Names for kernel stacks: on which wait queue a thread slept, and by which chain of wake-ups it was woken.

A stack is a tuple of function names, innermost first. The first rule that matches applies; a rule names functions of the
kernel. A stack without a rule gets the name of its first function that is not the scheduler's own.
"""

from __future__ import annotations

import enum
import itertools


class Queue(enum.StrEnum):
    """The things that a thread sleeps on, with their names in reports, checks and JSON."""

    IO_URING = "io_uring"
    NATIVE_AIO = "native aio"
    EPOLL = "epoll"
    SELECT = "select"
    POLL = "poll"
    ACCEPT = "accept"
    CONNECT = "connect"
    SEND_BUFFER = "send buffer"
    SOCKET = "socket"
    SOCKET_LOCK = "socket lock"
    FUTEX = "futex"
    PIPE = "pipe"
    TERMINAL = "terminal"
    EVENTFD = "eventfd"
    TIMERFD = "timerfd"
    SIGNALFD = "signalfd"
    INOTIFY = "inotify"
    SIGNAL = "signal"
    TIMER = "timer"
    CHILD = "child"
    VFORK = "vfork"
    EXIT = "exit"
    EXEC = "exec"
    PAGE = "page"
    DISK = "disk"
    LOCK = "lock"
    FLOCK = "flock"
    RCU = "rcu"
    KERNEL_WORKER = "kernel worker"
    COMPLETION = "completion"
    IO_URING_WORKER = "io_uring worker"
    IO_URING_SUBMISSION_THREAD = "io_uring submission thread"


class Link(enum.StrEnum):
    """The steps of a wake-up from the cause to the thread, with their names in reports, checks and JSON."""

    TIMER = "timer"
    PACKET = "packet"
    TCP = "TCP"
    UDP = "UDP"
    UNIX_SOCKET = "unix socket"
    PIPE = "pipe"
    EVENTFD = "eventfd"
    SIGNAL = "signal"
    END_OF_THE_PROCESS = "end of the process"
    DISK = "disk"
    PAGE = "page"
    CHILD_END = "child's end"
    AIO_REQUEST = "AIO's request (aio_poll_wake)"
    AIO_COMPLETION = "AIO's completion (aio_complete)"
    IO_URING = "io_uring"
    IO_URING_WORK_QUEUE = "io_uring's work queue"
    IO_URING_COMPLETION = "io_uring's completion"
    SOCKET = "socket"
    EPOLL_CALLBACK = "epoll's callback (ep_poll_callback)"
    EPOLL_QUEUE = "epoll's queue"
    POLL_CALLBACK = "poll's callback (pollwake)"
    FUTEX = "futex"
    LOCK = "lock"
    VFORK_END = "vfork's end"
    KERNEL_WORKER = "kernel worker"
    COMPLETION = "completion"


# Where a thread slept: (the queue's name, functions that show it). Order matters: an io_uring wait may poll a socket.
QUEUES: tuple[tuple[Queue, tuple[str, ...]], ...] = (
    (Queue.IO_URING, ("io_cqring_wait",)),
    (Queue.NATIVE_AIO, ("read_events", "aio_read_events_ring", "do_io_getevents")),
    (Queue.EPOLL, ("ep_poll", "do_epoll_wait", "ep_send_events")),
    (Queue.SELECT, ("do_select", "core_sys_select")),
    (Queue.POLL, ("do_poll", "do_sys_poll")),
    (Queue.ACCEPT, ("inet_csk_accept", "inet_csk_wait_for_connect", "unix_accept")),
    (Queue.CONNECT, ("inet_stream_connect", "__inet_stream_connect", "inet_wait_for_connect", "unix_wait_for_peer")),
    (Queue.SEND_BUFFER, ("sk_stream_wait_memory", "sock_alloc_send_pskb", "sock_wait_for_wmem")),
    (Queue.SOCKET, ("sk_wait_data", "__skb_wait_for_more_packets", "unix_stream_read_generic", "unix_stream_data_wait")),
    (Queue.SOCKET_LOCK, ("lock_sock_nested", "__lock_sock")),
    (Queue.FUTEX, ("futex_wait_queue", "futex_wait_queue_me", "futex_wait", "do_futex", "futex_wait_multiple")),
    (Queue.PIPE, ("pipe_read", "anon_pipe_read", "pipe_write", "anon_pipe_write", "pipe_wait_readable", "wait_for_partner")),
    (Queue.TERMINAL, ("n_tty_read", "n_tty_write", "tty_read", "tty_write")),
    (Queue.EVENTFD, ("eventfd_read",)),
    (Queue.TIMERFD, ("timerfd_read_iter", "timerfd_read")),
    (Queue.SIGNALFD, ("signalfd_read_iter", "signalfd_read")),
    (Queue.INOTIFY, ("inotify_read",)),
    (Queue.SIGNAL, ("do_sigtimedwait", "sigsuspend", "do_sigsuspend", "__do_sys_pause", "__x64_sys_pause",
                    "__ia32_sys_pause", "do_signal_stop")),
    (Queue.TIMER, ("hrtimer_nanosleep", "do_nanosleep", "common_nsleep", "common_nsleep_timens")),
    (Queue.CHILD, ("do_wait", "kernel_wait4", "kernel_waitid")),
    (Queue.VFORK, ("wait_for_vfork_done", "kernel_clone")),
    (Queue.EXIT, ("exit_mm", "do_exit", "coredump_task_exit", "zap_pid_ns_processes")),
    (Queue.EXEC, ("de_thread", "begin_new_exec")),
    (Queue.PAGE, ("folio_wait_bit_common", "folio_wait_bit", "filemap_fault", "__lock_page", "wait_on_page_bit")),
    (Queue.DISK, ("io_schedule", "io_schedule_timeout", "blk_mq_get_tag", "submit_bio_wait", "jbd2_log_wait_commit")),
    (Queue.LOCK, ("__mutex_lock", "mutex_lock", "rwsem_down_read_slowpath", "rwsem_down_write_slowpath", "down_read",
                  "down_write", "rt_mutex_slowlock")),
    (Queue.FLOCK, ("locks_lock_inode_wait", "flock_lock_inode_wait")),
    (Queue.RCU, ("synchronize_rcu", "wait_rcu_gp", "__wait_rcu_gp", "rcu_barrier", "synchronize_rcu_expedited")),
    (Queue.KERNEL_WORKER, ("__flush_work", "flush_workqueue")),
    (Queue.COMPLETION, ("wait_for_completion", "wait_for_completion_interruptible", "wait_for_completion_killable")),
    # last, as they are in each stack of a worker (io_wqe_worker: until 6.6)
    (Queue.IO_URING_WORKER, ("io_wq_worker", "io_wqe_worker")),
    (Queue.IO_URING_SUBMISSION_THREAD, ("io_sq_thread",)),
    # and what waits inside the call by a function that the compiler merged into it (io_cqring_wait on 5.10)
    (Queue.IO_URING, ("__do_sys_io_uring_enter", "__se_sys_io_uring_enter", "__x64_sys_io_uring_enter",
                      "__arm64_sys_io_uring_enter")),
)  # fmt: skip

# Queues that belong to the file behind the call's descriptor: each socket, eventpoll and pipe has a queue. (The readers of a
# signalfd wait on a queue of their process; a lock and a page do not belong to a descriptor.)
OF_THE_OBJECT: set[str] = {
    Queue.IO_URING,
    Queue.EPOLL,
    Queue.ACCEPT,
    Queue.SEND_BUFFER,
    Queue.SOCKET,
    Queue.PIPE,
    Queue.EVENTFD,
    Queue.TIMERFD,
    Queue.INOTIFY,
}

# Sleeps whose name is not the name of the queue.
_PLACES: dict[str, str] = {
    Queue.EPOLL: "on epoll's own queue",
    Queue.SOCKET: "on the socket's queue",
    Queue.PIPE: "on the pipe's queue",
    Queue.SELECT: "in select, on the queues of all its descriptors",  # __pollwait
    Queue.POLL: "in poll, on the queues of all its descriptors",
    Queue.SIGNAL: "for a signal, on no wait queue",
    Queue.TIMER: "for a time, on no wait queue",
}

# How a wake-up travelled: (what the student reads, the functions that show it). "inner < outer" are two frames in a row.
LINKS: tuple[tuple[Link, tuple[str, ...]], ...] = (
    (Link.TIMER, ("hrtimer_wakeup", "process_timeout", "posix_timer_fn", "it_real_fn", "timerfd_tmrproc", "io_timeout_fn")),
    (Link.PACKET, ("ip_rcv", "ip_local_deliver", "ip_local_deliver_finish", "ip_protocol_deliver_rcu", "tcp_v4_rcv",
                   "ip6_input", "ipv6_rcv", "tcp_v6_rcv", "udp_rcv", "__udp4_lib_rcv", "netif_receive_skb")),
    (Link.TCP, ("tcp_data_queue", "tcp_rcv_established", "tcp_data_ready", "tcp_rcv_state_process", "tcp_child_process",
                "tcp_fin", "tcp_reset", "tcp_check_space", "tcp_new_space")),
    (Link.UDP, ("udp_queue_rcv_skb", "udp_queue_rcv_one_skb", "__udp_enqueue_schedule_skb", "udp_unicast_rcv_skb")),
    (Link.UNIX_SOCKET, ("unix_stream_sendmsg", "unix_dgram_sendmsg", "unix_release_sock", "unix_stream_connect",
                        "unix_stream_read_generic", "unix_shutdown")),
    (Link.PIPE, ("pipe_write", "anon_pipe_write", "pipe_read", "anon_pipe_read", "pipe_release")),
    (Link.EVENTFD, ("eventfd_write", "eventfd_signal", "eventfd_signal_mask")),
    (Link.SIGNAL, ("send_signal_locked", "__send_signal_locked", "__send_signal", "send_signal", "do_send_sig_info",
                   "complete_signal", "send_sigqueue", "posixtimer_send_sigqueue")),
    (Link.END_OF_THE_PROCESS, ("zap_other_threads", "zap_process")),
    (Link.DISK, ("bio_endio", "blk_update_request", "blk_mq_end_request", "virtblk_done", "nvme_irq",
                 "end_buffer_async_read_io")),
    (Link.PAGE, ("wake_page_function", "folio_wake_bit", "wake_up_page_bit", "wake_bit_function")),
    (Link.CHILD_END, ("do_notify_parent", "__wake_up_parent", "exit_notify")),
    (Link.AIO_REQUEST, ("aio_poll_wake", "aio_poll_complete_work")),
    (Link.AIO_COMPLETION, ("aio_complete", "aio_complete_rw")),
    (Link.IO_URING, ("io_cqring_wake", "io_req_task_work_add", "__io_req_task_work_add", "io_req_normal_work_add",
                     "io_req_local_work_add", "io_poll_wake")),
    (Link.IO_URING_WORK_QUEUE, ("io_wq_enqueue", "io_wqe_enqueue", "io_wq_activate_free_worker", "io_wqe_activate_free_worker",
                                 "io_queue_iowq", "io_queue_async_work")),
    (Link.IO_URING_COMPLETION, ("io_cq_unlock_post", "__io_cq_unlock_post", "__io_submit_flush_completions",
                                 "io_req_complete_post", "io_cqring_ev_posted", "__io_cqring_ev_posted")),
    (Link.SOCKET, ("sock_def_readable", "sock_def_wakeup", "sk_stream_write_space", "sock_def_write_space",
                   "sock_def_error_report", "sock_wfree", "unix_write_space")),
    (Link.EPOLL_CALLBACK, ("ep_poll_callback",)),
    (Link.EPOLL_QUEUE, ("ep_autoremove_wake_function",)),
    (Link.POLL_CALLBACK, ("pollwake",)),
    (Link.FUTEX, ("futex_wake", "wake_up_q", "do_futex", "futex_requeue", "futex_wake_op")),
    (Link.LOCK, ("mutex_unlock", "__mutex_unlock_slowpath", "rwsem_wake", "up_write", "up_read", "rt_mutex_slowunlock")),
    (Link.VFORK_END, ("complete_vfork_done", "complete < mm_release")),
    (Link.KERNEL_WORKER, ("process_one_work", "worker_thread")),
    (Link.COMPLETION, ("complete", "complete_all")),
)  # fmt: skip

_SCHEDULER = {
    "schedule", "__schedule", "schedule_timeout", "schedule_hrtimeout_range", "schedule_hrtimeout_range_clock",
    "schedule_hrtimeout", "wait_woken", "preempt_schedule_common", "schedule_idle", "schedule_preempt_disabled",
    "__traceiter_sched_switch", "__traceiter_sched_waking", "try_to_wake_up", "default_wake_function", "wake_up_process",
    "__wake_up_common", "__wake_up_common_lock", "__wake_up", "__wake_up_sync_key", "autoremove_wake_function",
    "woken_wake_function", "wake_up_state", "poll_schedule_timeout", "futex_do_wait", "__wake_up_sync",
    "perf_trace_sched_switch", "__bpf_trace_sched_switch", "__bpf_trace_sched_waking", "wake_up_q", "__futex_wait",
}  # fmt: skip
_OURS = ("bpf_prog_", "bpf_trace_run", "bpf_get_stack")
# Where an interrupt enters: x86_64's stubs for device, timer and inter-processor interrupts; arm64's handlers, from kernel
# (el1h) and from user mode (el0t). System calls enter elsewhere (entry_SYSCALL_64, el0t_64_sync).
_INTERRUPTS = (
    "asm_sysvec_",
    "asm_common_interrupt",
    "el1h_64_irq",
    "el0t_64_irq",
    "el1_irq",
    "el0_irq",
    "asm_fred_entrypoint_",
)
_SEND = {"tcp_sendmsg", "udp_sendmsg", "tcp_close", "__tcp_close", "tcp_shutdown", "inet_stream_connect", "tcp_v4_connect"}


def own(stack: tuple[str, ...]) -> tuple[str, ...]:
    """The stack without the frames of the probe itself."""
    return tuple(name for name in stack if not name.startswith(_OURS) and not name.startswith("__traceiter"))


def queue_name(stack: tuple[str, ...]) -> str:
    """The wait queue that a thread went to sleep on.

    >>> print(queue_name(("__schedule", "schedule", "schedule_hrtimeout_range_clock", "do_epoll_wait", "do_syscall_64")))
    epoll
    """
    present = set(stack)
    for name, functions in QUEUES:
        if not present.isdisjoint(functions):
            return name
    return next((name for name in own(stack) if name not in _SCHEDULER), "unknown")


def place(queue: str) -> str:
    """The place where a thread sleeps, in words; `queue` is a name by queue_name.

    >>> place("accept"), place("poll")
    ('on the queue of accept', 'in poll, on the queues of all its descriptors')
    """
    return _PLACES.get(queue, f"on the queue of {queue}")


def of_interrupt(stack: tuple[str, ...]) -> tuple[str, ...]:
    """The stack up to the entry of its interrupt. The other frames belong to the interrupted task, which is not the cause.

    A packet's softirq that runs at the end of an interrupt is part of the interrupt.
    """
    at = next((index for index, name in enumerate(stack) if name.startswith(_INTERRUPTS)), len(stack))
    return stack[:at]


def wake_chain(stack: tuple[str, ...]) -> tuple[str, ...]:
    """The way of a wake-up in words, from the cause on.

    On loopback the sender's own task runs the whole way from its call to the receiver's queue. So the running task is the cause
    only if the stack contains its send; otherwise an interrupt interrupted a task that is not the cause.

    >>> print(*wake_chain(("try_to_wake_up", "sock_def_readable", "tcp_data_queue", "tcp_v4_rcv", "tcp_sendmsg")))
    packet TCP socket
    """
    stack = of_interrupt(stack)
    at = {f"{inner} < {outer}": index for index, (inner, outer) in enumerate(itertools.pairwise(stack), 1)}
    at |= {name: index for index, name in reversed(list(enumerate(stack)))}  # the innermost of its name
    shown = [(words, [at[function] for function in functions if function in at]) for words, functions in LINKS]
    chain = tuple(words for words, places in sorted(shown, key=lambda link: -min(link[1], default=0)) if places)
    return chain or (next((name for name in own(stack) if name not in _SCHEDULER), "unknown"),)


def sent_by_waker(stack: tuple[str, ...]) -> bool:
    """Did the task that was running send the packet itself (loopback), or was it only interrupted?"""
    return not _SEND.isdisjoint(of_interrupt(stack))
