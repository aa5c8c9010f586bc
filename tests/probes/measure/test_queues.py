"""Names for what a thread sleeps on: stacks of several kernels, stacks that a shared helper made wrong, and unknown stacks."""

from __future__ import annotations

import pytest

from probes.measure.queues import OF_ANY_CALL, OF_THE_OBJECT, QUEUES, SHARED, Queue, place, queue_name

SLEEPS = [
    ("socket", "schedule_timeout wait_woken sk_wait_data tcp_recvmsg_locked tcp_recvmsg"),
    ("socket", "schedule_timeout wait_woken tcp_recvmsg_locked tcp_recvmsg inet_recvmsg"),
    ("accept", "schedule_timeout inet_csk_accept inet_accept do_accept"),
    ("select", "schedule_hrtimeout_range_clock poll_schedule_timeout do_select core_sys_select"),
    ("poll", "schedule_hrtimeout_range_clock do_sys_poll __x64_sys_poll"),
    ("epoll", "schedule_hrtimeout_range_clock do_epoll_wait __x64_sys_epoll_wait"),
    ("send buffer", "schedule_timeout wait_woken sk_stream_wait_memory tcp_sendmsg_locked"),
    ("connect", "schedule_timeout wait_woken inet_wait_for_connect __inet_stream_connect"),
    ("io_uring", "schedule io_cqring_wait __do_sys_io_uring_enter"),
    ("io_uring", "schedule __do_sys_io_uring_enter do_syscall_64"),
    ("socket", "schedule_timeout sk_wait_data tcp_recvmsg io_recv __do_sys_io_uring_enter"),
    ("io_uring worker", "schedule schedule_timeout io_wq_worker ret_from_fork"),
    ("io_uring submission thread", "schedule io_sq_thread ret_from_fork"),
    ("socket", "schedule_timeout sk_wait_data tcp_recvmsg io_recv io_wq_submit_work io_wq_worker ret_from_fork"),
    ("futex", "schedule futex_wait_queue __futex_wait futex_wait do_futex"),
    ("futex", "rt_mutex_schedule rt_mutex_slowlock_block rt_mutex_wait_proxy_lock futex_lock_pi do_futex"),
    ("timer", "schedule do_nanosleep hrtimer_nanosleep"),
    ("completion", "schedule_timeout wait_for_completion __do_sys_io_destroy"),
    ("kernel worker", "schedule_timeout wait_for_completion __flush_work"),
    ("vfork", "schedule schedule_timeout __wait_for_common wait_for_completion_state kernel_clone __x64_sys_vfork"),
    ("seccomp supervisor", "schedule schedule_timeout __wait_for_common wait_for_completion_interruptible __seccomp_filter"),
    # one helper, three callers
    ("peer's receive queue", "schedule_timeout unix_wait_for_peer unix_dgram_sendmsg __sys_sendto"),
    ("connect", "schedule_timeout unix_wait_for_peer unix_stream_connect __sys_connect"),
    ("connect", "schedule_timeout unix_wait_for_peer unix_dgram_connect __sys_connect"),
    ("accept", "schedule_timeout __skb_wait_for_more_packets __skb_recv_datagram skb_recv_datagram unix_accept do_accept"),
    ("socket", "schedule_timeout __skb_wait_for_more_packets __skb_recv_udp udp_recvmsg"),
    ("page", "io_schedule folio_wait_bit_common filemap_get_pages filemap_read vfs_read"),
    ("writeback", "io_schedule folio_wait_bit folio_wait_writeback __filemap_fdatawait_range do_fsync"),
    ("writeback", "wb_wait_for_completion sync_inodes_sb sync_inodes_one_sb iterate_supers"),
    ("disk", "io_schedule bit_wait_io __wait_on_bit out_of_line_wait_on_bit __sync_dirty_buffer ext4_write_inode"),
    ("disk", "schedule_timeout io_schedule_timeout wait_for_completion_io_timeout submit_bio_wait"),
    ("disk", "io_schedule a_new_function do_fsync"),
    ("journal", "schedule jbd2_log_wait_commit ext4_sync_file"),
    # locks of the kernel, inside calls whose own queues have other names
    ("lock", "schedule schedule_preempt_disabled __mutex_lock anon_pipe_read vfs_read"),
    ("lock", "schedule schedule_preempt_disabled __mutex_lock ep_send_events do_epoll_wait"),
    ("lock", "schedule rwsem_down_write_slowpath down_write ext4_buffered_write_iter vfs_write"),
    ("lock", "schedule __mutex_lock"),
    (
        "mmap_lock",
        "schedule rwsem_down_read_slowpath down_read_killable lock_mm_and_find_vma do_user_addr_fault",
    ),
    ("mmap_lock", "schedule rwsem_down_write_slowpath down_write_killable vm_mmap_pgoff ksys_mmap_pgoff"),
    ("mmap_lock", "schedule rwsem_down_write_slowpath down_write_killable __vm_munmap __x64_sys_munmap"),
    ("VMA lock", "schedule __vma_start_write mprotect_fixup do_mprotect_pkey"),
    ("directory lookup", "schedule d_alloc_parallel __lookup_slow walk_component"),
    ("FUSE server", "schedule request_wait_answer __fuse_simple_request fuse_do_getattr"),
    ("entropy", "schedule schedule_timeout wait_for_random_bytes __do_sys_getrandom"),
    ("stop by a signal", "schedule do_signal_stop get_signal arch_do_signal_or_restart"),
    ("ptrace stop", "schedule ptrace_stop ptrace_do_notify ptrace_notify"),
    ("freezer", "schedule do_freezer_trap get_signal"),
    # a page fault inside a call is not the call's own sleep
    ("userfaultfd's page", "schedule handle_userfault handle_mm_fault asm_exc_page_fault _copy_from_iter anon_pipe_write"),
    ("page", "io_schedule folio_wait_bit_common filemap_fault asm_exc_page_fault copyout tcp_recvmsg"),
    ("a_new_fault", "schedule a_new_fault asm_exc_page_fault _copy_from_iter anon_pipe_write vfs_write"),
    # what no rule knows keeps its name, whatever stands around it
    ("a_new_function", "schedule a_new_function do_syscall_64"),
    ("a_new_function", "schedule a_new_function do_epoll_wait"),
    ("unknown", "do_syscall_64 entry_SYSCALL_64_after_hwframe"),
]


@pytest.mark.parametrize(("name", "stack"), SLEEPS)
def test_a_stack_names_its_queue(name: str, stack: str) -> None:
    assert queue_name(("__schedule", *stack.split())) == name


def test_not_every_sleep_is_on_a_queue_of_its_name() -> None:
    assert {place(name) for name in ("signal", "timer")} == {"for a signal, on no wait queue", "for a time, on no wait queue"}
    assert "all its descriptors" in place("select") and place("accept") == "on the queue of accept"
    assert "peer" in place(Queue.PEER_BUFFER)


def test_no_function_shows_two_queues() -> None:
    seen: dict[str, str] = {}
    for name, functions in (*QUEUES, *SHARED):
        for function in functions:
            assert seen.setdefault(function, name) == name


def test_every_queue_is_the_name_of_some_function() -> None:
    shown = {name for name, _ in (*QUEUES, *SHARED)} | {Queue.LOCK, Queue.MMAP_LOCK}
    assert shown == set(Queue) and shown > OF_THE_OBJECT | OF_ANY_CALL
