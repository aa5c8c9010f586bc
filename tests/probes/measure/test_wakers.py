"""Names for wake-ups: the way from the cause to the thread, and what no rule knows."""

from __future__ import annotations

import pytest

from probes.measure.wakers import DIRECT, LINKS, Link, sent_by_waker, wake_chain

LOOPBACK = "tcp_data_queue tcp_rcv_established tcp_v4_rcv ip_local_deliver net_rx_action tcp_sendmsg_locked tcp_sendmsg"


@pytest.mark.parametrize(
    ("chain", "stack"),
    [
        (("packet", "TCP", "socket"), f"try_to_wake_up __wake_up_sync_key sock_def_readable {LOOPBACK}"),
        (
            ("packet", "TCP", "socket", "epoll's callback (ep_poll_callback)", "epoll's queue"),
            f"try_to_wake_up ep_autoremove_wake_function ep_poll_callback sock_def_readable {LOOPBACK}",
        ),
        (("packet", "TCP", "socket", "poll's callback (pollwake)"), f"try_to_wake_up pollwake sock_def_readable {LOOPBACK}"),
        (("packet", "TCP", "MPTCP", "socket"), f"sock_def_readable mptcp_data_ready subflow_data_ready {LOOPBACK}"),
        (("timer",), "try_to_wake_up hrtimer_wakeup __hrtimer_run_queues"),
        (("timer",), "try_to_wake_up call_timer_fn __run_timers run_timer_softirq handle_softirqs"),
        (("timer", "io_uring"), "try_to_wake_up io_req_normal_work_add io_timeout_fn __hrtimer_run_queues"),
        (
            ("timer",),
            f"try_to_wake_up hrtimer_wakeup hrtimer_interrupt asm_sysvec_apic_timer_interrupt sock_def_readable {LOOPBACK}",
        ),
        (
            ("packet", "TCP", "socket"),
            f"try_to_wake_up sock_def_readable {LOOPBACK} handle_softirqs asm_common_interrupt pipe_read",
        ),
        (("signal",), "try_to_wake_up signal_wake_up_state complete_signal __send_signal_locked"),
        (
            ("packet", "TCP", "socket", "signal"),
            f"complete_signal __send_signal_locked send_sigio kill_fasync sock_wake_async sock_def_readable {LOOPBACK}",
        ),
        (
            ("packet", "TCP", "socket", "AIO's request (aio_poll_wake)", "AIO's completion (aio_complete)"),
            f"autoremove_wake_function aio_complete aio_poll_wake __wake_up_sync_key sock_def_readable {LOOPBACK}",
        ),
        (
            ("packet", "TCP", "socket", "io_uring"),
            f"__io_req_task_work_add io_poll_wake __wake_up sock_def_readable {LOOPBACK}",
        ),
        (("child's end", "signal"), "signal_wake_up_state complete_signal __send_signal_locked do_notify_parent exit_notify"),
        (("child's stop",), "try_to_wake_up __wake_up_sync_key __wake_up_parent do_notify_parent_cldstop do_signal_stop"),
        (("vfork's end", "completion"), "try_to_wake_up swake_up_locked complete mm_release begin_new_exec"),
        # wake_up_q wakes for futexes, semaphores, message queues and locks
        (("futex",), "try_to_wake_up wake_up_q futex_wake do_futex mm_release do_exit"),
        (("futex",), "try_to_wake_up wake_up_q rt_mutex_postunlock futex_unlock_pi do_futex"),
        (("System V semaphore",), "try_to_wake_up wake_up_q __do_semtimedop do_semtimedop"),
        (("System V message queue",), "try_to_wake_up wake_up_q do_msgsnd"),
        (("POSIX message queue",), "try_to_wake_up wake_up_q do_mq_timedsend __x64_sys_mq_timedsend"),
        (("lock",), "try_to_wake_up wake_up_q __mutex_unlock_slowpath anon_pipe_write vfs_write"),
        (("lock",), "try_to_wake_up wake_up_q rwsem_wake up_write ext4_buffered_write_iter"),
        (("a_new_user_of_wake_up_q",), "try_to_wake_up wake_up_q a_new_user_of_wake_up_q"),
        # release_sock gives the socket's lock back, and delivers packets that came meanwhile
        (("socket lock",), "try_to_wake_up autoremove_wake_function __wake_up_common __wake_up release_sock tcp_sendmsg"),
        (
            ("packet", "TCP", "socket"),
            "try_to_wake_up __wake_up sk_stream_write_space tcp_check_space tcp_rcv_established tcp_v4_rcv release_sock",
        ),
        (("disk",), "try_to_wake_up wake_bit_function wake_up_bit end_buffer_write_sync blk_update_request"),
        (("disk",), "try_to_wake_up rq_qos_wake_function __wake_up_common rq_qos_done blk_mq_free_request"),
        (("journal",), "try_to_wake_up __wake_up jbd2_journal_commit_transaction kjournald2 kthread"),
        (("RCU grace period",), "try_to_wake_up rcu_exp_wait_wake rcu_exp_sel_wait_wake"),
        (("directory lookup",), "try_to_wake_up __wake_up d_add ext4_lookup"),
        (("lock",), "try_to_wake_up rcuwait_wake_up lock_vma_under_rcu do_user_addr_fault"),
        # the lock of a page fault is not the doing of the call that touched the page
        (("lock",), "try_to_wake_up wake_up_q rwsem_wake up_read do_user_addr_fault asm_exc_page_fault anon_pipe_write"),
        (("something_new",), "try_to_wake_up something_new asm_exc_page_fault anon_pipe_write"),
        (("completion",), "try_to_wake_up complete free_ioctx_reqs percpu_ref_switch_to_atomic_rcu rcu_do_batch"),
        (("kernel worker", "completion"), "try_to_wake_up complete process_one_work worker_thread"),
        (("something_new",), "try_to_wake_up __wake_up_common something_new"),
        (("unknown",), ""),
    ],
)
def test_a_stack_tells_the_chain_of_the_wake_up(chain: tuple[str, ...], stack: str) -> None:
    assert wake_chain(tuple(stack.split())) == chain


def test_the_running_task_is_the_cause_only_with_its_own_send() -> None:
    assert sent_by_waker(("sock_def_readable", "tcp_v4_rcv", "tcp_sendmsg"))
    assert not sent_by_waker(("sock_def_readable", "tcp_v4_rcv", "net_rx_action", "asm_common_interrupt"))
    assert not sent_by_waker(("sock_def_readable", "tcp_v4_rcv", "net_rx_action", "asm_common_interrupt", "tcp_sendmsg"))


def test_no_function_shows_two_links() -> None:
    seen: dict[str, str] = {}
    for name, functions in (*LINKS, *DIRECT):
        for function in functions:
            assert seen.setdefault(function, name) == name


def test_every_link_is_the_name_of_some_function() -> None:
    assert {name for name, _ in (*LINKS, *DIRECT)} == set(Link)
