"""Names for what a thread sleeps on, from the kernel stack of its switch-out.

The innermost function that is not a helper decides. A function of LOCKS or SHARED is called for many reasons: there the next
function outward may say more. What no table has keeps the name of the kernel's function: an unknown wait gets no wrong word.
"""

from __future__ import annotations

import enum

from probes.measure.frames import of_fault, telling


class Queue(enum.StrEnum):
    """The things that a thread sleeps on, with their names in reports, checks and JSON."""

    # descriptors
    IO_URING = "io_uring"
    NATIVE_AIO = "native aio"
    EPOLL = "epoll"
    SELECT = "select"
    POLL = "poll"
    ACCEPT = "accept"
    CONNECT = "connect"
    SEND_BUFFER = "send buffer"
    PEER_BUFFER = "peer's receive queue"
    SOCKET = "socket"
    SOCKET_LOCK = "socket lock"
    LINGER = "unsent data (SO_LINGER)"
    PIPE = "pipe"
    FIFO_END = "other end of a FIFO"
    TERMINAL = "terminal"
    EVENTFD = "eventfd"
    TIMERFD = "timerfd"
    SIGNALFD = "signalfd"
    INOTIFY = "inotify"
    FANOTIFY = "fanotify"
    FANOTIFY_ANSWER = "fanotify permission"
    USERFAULTFD = "userfaultfd"
    SECCOMP_LISTENER = "seccomp notifications"
    # locks and messages between processes
    FUTEX = "futex"
    SEMAPHORE = "System V semaphore"
    MESSAGES = "System V message queue"
    POSIX_MESSAGES = "POSIX message queue"
    FLOCK = "flock"
    RECORD_LOCK = "record lock"
    LEASE = "lease"
    # signals, times, tasks
    SIGNAL = "signal"
    STOP = "stop by a signal"
    PTRACE_STOP = "ptrace stop"
    FREEZER = "freezer"
    SUPERVISOR = "seccomp supervisor"
    TIMER = "timer"
    CHILD = "child"
    VFORK = "vfork"
    EXIT = "exit"
    EXEC = "exec"
    CORE_DUMP = "core dump"
    # memory, disks, the kernel's own
    PAGE = "page"
    USERFAULT = "userfaultfd's page"
    MMAP_LOCK = "mmap_lock"
    VMA_LOCK = "VMA lock"
    DISK = "disk"
    WRITEBACK = "writeback"
    JOURNAL = "journal"
    DIRECTORY = "directory lookup"
    FUSE = "FUSE server"
    NFS = "NFS server"
    SMB = "SMB server"
    NINE_P = "9P server"
    LOCK = "lock"
    RCU = "rcu"
    RANDOM = "entropy"
    USER_MODE_HELPER = "usermode helper"
    KERNEL_WORKER = "kernel worker"
    COMPLETION = "completion"
    IO_URING_WORKER = "io_uring worker"
    IO_URING_SUBMISSION_THREAD = "io_uring submission thread"


# Where a thread slept: (the queue's name, functions that show it if they are the innermost that is not a helper).
QUEUES: tuple[tuple[Queue, tuple[str, ...]], ...] = (
    # by the call's own function where the compiler merged io_cqring_wait into it (5.10)
    (Queue.IO_URING, ("io_cqring_wait", "__do_sys_io_uring_enter", "__se_sys_io_uring_enter", "__x64_sys_io_uring_enter",
                      "__arm64_sys_io_uring_enter")),
    (Queue.NATIVE_AIO, ("read_events", "aio_read_events_ring", "do_io_getevents")),
    (Queue.EPOLL, ("ep_poll", "do_epoll_wait")),
    (Queue.SELECT, ("do_select", "core_sys_select")),
    (Queue.POLL, ("do_poll", "do_sys_poll")),
    (Queue.ACCEPT, ("inet_csk_accept", "inet_csk_wait_for_connect", "inet_accept", "unix_accept", "vsock_accept")),
    (Queue.CONNECT, ("inet_stream_connect", "__inet_stream_connect", "inet_wait_for_connect", "sk_stream_wait_connect",
                     "unix_stream_connect", "unix_dgram_connect", "vsock_connect")),
    (Queue.SEND_BUFFER, ("sk_stream_wait_memory", "sock_wait_for_wmem", "vsock_connectible_sendmsg", "vsock_stream_sendmsg")),
    (Queue.SOCKET, ("sk_wait_data", "tcp_recvmsg_locked", "tcp_recvmsg", "mptcp_recvmsg", "mptcp_wait_data",
                    "unix_stream_read_generic", "unix_stream_data_wait", "vsock_connectible_wait_data", "vsock_wait_data")),
    (Queue.SOCKET_LOCK, ("lock_sock_nested", "__lock_sock")),
    (Queue.LINGER, ("sk_stream_wait_close",)),
    (Queue.PIPE, ("pipe_read", "anon_pipe_read", "fifo_pipe_read", "pipe_write", "anon_pipe_write", "fifo_pipe_write",
                  "pipe_wait_readable", "pipe_wait_writable", "wait_for_space", "splice_from_pipe_next", "ipipe_prep",
                  "opipe_prep")),
    (Queue.FIFO_END, ("wait_for_partner", "fifo_open")),
    (Queue.TERMINAL, ("n_tty_read", "n_tty_write", "tty_read", "tty_write", "tty_wait_until_sent", "tty_port_block_til_ready",
                      "tty_ldisc_ref_wait")),
    (Queue.EVENTFD, ("eventfd_read", "eventfd_write")),
    (Queue.TIMERFD, ("timerfd_read_iter", "timerfd_read")),
    (Queue.SIGNALFD, ("signalfd_read_iter", "signalfd_read", "signalfd_dequeue")),
    (Queue.INOTIFY, ("inotify_read",)),
    (Queue.FANOTIFY, ("fanotify_read",)),
    (Queue.FANOTIFY_ANSWER, ("fanotify_handle_event", "fanotify_get_response")),
    (Queue.USERFAULTFD, ("userfaultfd_read_iter", "userfaultfd_read", "userfaultfd_ctx_read")),
    (Queue.SECCOMP_LISTENER, ("seccomp_notify_ioctl", "seccomp_notify_recv", "recv_wait_event")),
    (Queue.FUTEX, ("futex_do_wait", "futex_wait_queue", "futex_wait_queue_me", "__futex_wait", "futex_wait", "do_futex",
                   "futex_wait_multiple", "rt_mutex_wait_proxy_lock", "futex_lock_pi", "futex_wait_requeue_pi")),
    (Queue.SEMAPHORE, ("__do_semtimedop", "do_semtimedop")),
    (Queue.MESSAGES, ("do_msgrcv", "do_msgsnd")),
    (Queue.POSIX_MESSAGES, ("wq_sleep", "do_mq_timedreceive", "do_mq_timedsend")),
    (Queue.FLOCK, ("locks_lock_inode_wait", "flock_lock_inode_wait", "__do_sys_flock")),
    (Queue.RECORD_LOCK, ("fcntl_setlk", "fcntl_setlk64", "do_lock_file_wait", "posix_lock_inode_wait")),
    (Queue.LEASE, ("__break_lease",)),
    (Queue.SIGNAL, ("do_sigtimedwait", "sigsuspend", "do_sigsuspend", "__do_sys_pause", "__se_sys_pause", "__x64_sys_pause",
                    "__ia32_sys_pause")),
    (Queue.STOP, ("do_signal_stop",)),
    (Queue.PTRACE_STOP, ("ptrace_stop",)),
    (Queue.FREEZER, ("do_freezer_trap", "__refrigerator")),
    (Queue.SUPERVISOR, ("seccomp_do_user_notification", "__seccomp_filter")),
    (Queue.TIMER, ("hrtimer_nanosleep", "do_nanosleep", "common_nsleep", "common_nsleep_timens", "alarmtimer_do_nsleep")),
    (Queue.CHILD, ("do_wait", "kernel_wait4", "kernel_waitid")),
    (Queue.VFORK, ("wait_for_vfork_done", "kernel_clone")),
    (Queue.EXIT, ("exit_mm", "do_exit", "zap_pid_ns_processes")),
    (Queue.EXEC, ("de_thread", "begin_new_exec")),
    (Queue.CORE_DUMP, ("coredump_task_exit", "coredump_wait", "do_coredump")),
    (Queue.PAGE, ("filemap_fault", "__lock_page", "wait_on_page_bit", "migration_entry_wait_on_locked")),
    (Queue.USERFAULT, ("handle_userfault",)),
    (Queue.VMA_LOCK, ("__vma_start_write", "__vma_enter_locked")),
    (Queue.DISK, ("blk_mq_get_tag", "submit_bio_wait", "rq_qos_wait", "wbt_wait", "__sync_dirty_buffer", "__wait_on_buffer",
                  "blkdev_issue_flush", "blk_execute_rq")),
    (Queue.WRITEBACK, ("folio_wait_writeback", "wait_on_page_writeback", "wb_wait_for_completion", "balance_dirty_pages",
                       "folio_wait_stable")),
    (Queue.JOURNAL, ("jbd2_log_wait_commit", "jbd2_complete_transaction", "wait_transaction_locked",
                     "wait_transaction_switching", "add_transaction_credits", "__jbd2_log_wait_for_space")),
    (Queue.DIRECTORY, ("d_alloc_parallel", "d_wait_lookup")),
    (Queue.FUSE, ("request_wait_answer", "__fuse_request_send", "fuse_simple_request")),
    (Queue.NFS, ("rpc_wait_bit_killable", "__rpc_execute", "nfs_wait_bit_killable", "nfs_wait_on_request")),
    (Queue.SMB, ("wait_for_response", "compound_send_recv", "wait_for_free_credits")),
    (Queue.NINE_P, ("p9_client_rpc", "p9_virtio_request", "p9_client_zc_rpc")),
    (Queue.RCU, ("synchronize_rcu", "wait_rcu_gp", "__wait_rcu_gp", "rcu_barrier", "synchronize_rcu_expedited",
                 "synchronize_rcu_normal", "exp_funnel_lock", "__synchronize_srcu", "synchronize_srcu")),
    (Queue.RANDOM, ("wait_for_random_bytes",)),
    (Queue.USER_MODE_HELPER, ("call_usermodehelper_exec",)),
    (Queue.KERNEL_WORKER, ("__flush_work", "flush_workqueue", "__flush_workqueue", "flush_work")),
    (Queue.IO_URING_WORKER, ("io_wq_worker", "io_wqe_worker")),  # io_wqe_worker: until 6.6
    (Queue.IO_URING_SUBMISSION_THREAD, ("io_sq_thread",)),
)  # fmt: skip

# Functions that many callers share, with the name that holds where no table knows the caller.
SHARED: tuple[tuple[Queue, tuple[str, ...]], ...] = (
    (Queue.COMPLETION, ("wait_for_completion", "wait_for_completion_interruptible", "wait_for_completion_killable",
                        "wait_for_completion_state", "wait_for_completion_timeout", "__wait_for_common", "wait_for_common",
                        "wait_for_completion_interruptible_timeout", "wait_for_completion_killable_timeout",
                        "do_wait_for_common")),
    (Queue.DISK, ("io_schedule", "io_schedule_timeout", "wait_for_completion_io", "wait_for_completion_io_timeout")),
    (Queue.PAGE, ("folio_wait_bit_common", "folio_wait_bit", "folio_wait_bit_killable", "__folio_lock",
                  "__folio_lock_killable", "__folio_lock_or_retry")),
    (Queue.SOCKET, ("__skb_wait_for_more_packets", "__skb_recv_datagram", "skb_recv_datagram")),
    (Queue.SEND_BUFFER, ("sock_alloc_send_pskb", "sock_alloc_send_skb")),
    (Queue.PEER_BUFFER, ("unix_wait_for_peer",)),
)  # fmt: skip

# The kernel's own locks (mutexes, rwsems, semaphores): the caller holds or wants the lock, and sleeps on nothing of its own.
_LOCKS = {
    "__mutex_lock", "mutex_lock", "mutex_lock_interruptible", "mutex_lock_killable", "mutex_lock_io", "mutex_lock_nested",
    "__mutex_lock_slowpath", "__mutex_lock_interruptible_slowpath", "__mutex_lock_killable_slowpath", "__ww_mutex_lock",
    "rwsem_down_read_slowpath", "rwsem_down_write_slowpath", "down_read", "down_read_interruptible", "down_read_killable",
    "__down_read", "__down_write", "down_write", "down_write_killable", "down_write_nested", "rt_mutex_slowlock",
    "__rt_mutex_lock", "rt_mutex_lock", "rt_mutex_lock_nested", "rwbase_read_lock", "rwbase_write_lock", "__down",
    "__down_common", "down", "__down_interruptible", "down_interruptible", "down_killable", "down_timeout", "__down_killable",
    "__down_timeout", "percpu_rwsem_wait", "__percpu_down_read", "percpu_down_write", "rwsem_down_read_slow",
    "ldsem_down_read", "ldsem_down_read_slowpath", "ldsem_down_write",
}  # fmt: skip
# Who takes mm->mmap_lock (include/linux/mmap_lock.h: its functions are inline, so the caller comes next).
_MMAP_LOCKS = {
    "lock_mm_and_find_vma", "do_user_addr_fault", "get_mmap_lock_carefully", "vm_mmap_pgoff", "__vm_munmap", "vm_munmap",
    "do_mprotect_pkey", "__do_sys_brk", "__x64_sys_brk", "do_madvise", "madvise_lock", "madvise_walk_vmas", "do_mlock",
    "__do_sys_mremap", "__x64_sys_mremap", "__do_sys_msync", "do_shmat", "ksys_shmdt", "dup_mm", "dup_mmap", "exit_mmap",
    "exit_mm", "__mm_populate", "mmap_write_lock_killable", "mmap_read_lock_killable", "__access_remote_vm", "m_start",
    "do_mincore", "__do_sys_mincore", "apply_mlockall_flags", "__do_sys_mlockall", "userfaultfd_register",
    "process_vm_rw_single_vec", "get_user_pages_unlocked", "internal_get_user_pages_fast", "acct_collect", "do_page_fault",
    "do_mremap", "lock_vma_under_rcu", "do_munmap", "mmap_region", "mmap_read_lock", "mmap_write_lock",
}  # fmt: skip

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
    Queue.FANOTIFY,
    Queue.USERFAULTFD,
    Queue.TERMINAL,
}

# Queues that any call may sleep on, whatever it was made for: memory, disks, and locks of the kernel's own.
OF_ANY_CALL: frozenset[str] = frozenset(
    {
        Queue.PAGE, Queue.USERFAULT, Queue.MMAP_LOCK, Queue.VMA_LOCK, Queue.DISK, Queue.WRITEBACK, Queue.JOURNAL,
        Queue.DIRECTORY, Queue.FUSE, Queue.NFS, Queue.SMB, Queue.NINE_P, Queue.LOCK, Queue.SOCKET_LOCK, Queue.RCU, Queue.STOP,
        Queue.PTRACE_STOP, Queue.FREEZER, Queue.SUPERVISOR,
    }
)  # fmt: skip

# Sleeps whose name is not the name of the queue.
_PLACES: dict[str, str] = {
    Queue.EPOLL: "on epoll's own queue",
    Queue.SOCKET: "on the socket's queue",
    Queue.PIPE: "on the pipe's queue",
    Queue.PEER_BUFFER: "on the queue of the peer, whose receive queue is full",
    Queue.LINGER: "on the socket's queue, until the peer has the unsent data (SO_LINGER)",
    Queue.FIFO_END: "on the FIFO's queue, until the other end is open",
    Queue.SELECT: "in select, on the queues of all its descriptors",  # __pollwait
    Queue.POLL: "in poll, on the queues of all its descriptors",
    Queue.SIGNAL: "for a signal, on no wait queue",
    Queue.STOP: "stopped by a signal, on no wait queue",
    Queue.PTRACE_STOP: "stopped for its tracer, on no wait queue",
    Queue.FREEZER: "frozen with its cgroup, on no wait queue",
    Queue.SUPERVISOR: "for its seccomp supervisor's answer",
    Queue.TIMER: "for a time, on no wait queue",
    Queue.LOCK: "on the queue of a lock of the kernel",
    Queue.MMAP_LOCK: "on the queue of mmap_lock, the lock of the process's memory map",
}

_NAMES = {function: name for name, functions in QUEUES for function in functions}
_SHARED = {function: name for name, functions in SHARED for function in functions}


def queue_name(stack: tuple[str, ...]) -> str:
    """The wait queue that a thread went to sleep on.

    >>> print(queue_name(("__schedule", "schedule", "schedule_hrtimeout_range_clock", "do_epoll_wait", "do_syscall_64")))
    epoll
    """
    shared: Queue | None = None
    locks = False
    for name in telling(of_fault(stack)):
        if name in _LOCKS:
            locks = True
        elif locks:
            return Queue.MMAP_LOCK if name in _MMAP_LOCKS else Queue.LOCK
        elif name in _SHARED:
            shared = _SHARED[name]
        else:
            return _NAMES.get(name) or shared or name
    return Queue.LOCK if locks else shared or "unknown"


def place(queue: str) -> str:
    """The place where a thread sleeps, in words; `queue` is a name by queue_name.

    >>> place("accept"), place("poll")
    ('on the queue of accept', 'in poll, on the queues of all its descriptors')
    """
    return _PLACES.get(queue, f"on the queue of {queue}")
