"""Names for stacks: the ones that FACTS of several kernels gave, and what no rule knows."""

from __future__ import annotations

import pytest

from probes.measure.queues import QUEUES, own, place, queue_name, sent_by_waker, wake_chain

SLEEPS = [
    ("socket", "schedule_timeout wait_woken sk_wait_data tcp_recvmsg_locked tcp_recvmsg"),
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
    ("timer", "schedule do_nanosleep hrtimer_nanosleep"),
    ("completion", "schedule_timeout wait_for_completion __do_sys_io_destroy"),
    ("kernel worker", "schedule_timeout wait_for_completion __flush_work"),
    ("a_new_function", "__schedule schedule a_new_function do_syscall_64"),
]


@pytest.mark.parametrize(("name", "stack"), SLEEPS)
def test_a_stack_names_its_queue(name: str, stack: str) -> None:
    assert queue_name(("__schedule", *stack.split())) == name


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
        (("timer",), "try_to_wake_up hrtimer_wakeup __hrtimer_run_queues"),
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
        (("vfork's end", "completion"), "try_to_wake_up swake_up_locked complete mm_release begin_new_exec"),
        (("futex",), "try_to_wake_up wake_up_q futex_wake do_futex mm_release do_exit"),
        (("completion",), "try_to_wake_up complete free_ioctx_reqs percpu_ref_switch_to_atomic_rcu rcu_do_batch"),
        (("kernel worker", "completion"), "try_to_wake_up complete process_one_work worker_thread"),
        (("something_new",), "try_to_wake_up __wake_up_common something_new"),
        (("unknown",), ""),
    ],
)
def test_a_stack_tells_the_chain_of_the_wake_up(chain: tuple[str, ...], stack: str) -> None:
    assert wake_chain(tuple(stack.split())) == chain


def test_not_every_sleep_is_on_a_queue_of_its_name() -> None:
    assert {place(name) for name in ("signal", "timer")} == {"for a signal, on no wait queue", "for a time, on no wait queue"}
    assert "all its descriptors" in place("select") and place("accept") == "on the queue of accept"


def test_the_running_task_is_the_cause_only_with_its_own_send() -> None:
    assert sent_by_waker(("sock_def_readable", "tcp_v4_rcv", "tcp_sendmsg"))
    assert not sent_by_waker(("sock_def_readable", "tcp_v4_rcv", "net_rx_action", "asm_common_interrupt"))
    assert not sent_by_waker(("sock_def_readable", "tcp_v4_rcv", "net_rx_action", "asm_common_interrupt", "tcp_sendmsg"))


def test_our_own_frames_go() -> None:
    assert own(("bpf_prog_1234_on_switch", "bpf_trace_run4", "__traceiter_sched_switch", "schedule")) == ("schedule",)


def test_no_function_shows_two_queues() -> None:
    seen: dict[str, str] = {}
    for name, functions in QUEUES:
        for function in functions:
            assert seen.setdefault(function, name) == name
