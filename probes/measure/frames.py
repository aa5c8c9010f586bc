"""The frames of kernel stacks that say nothing of a queue or of a waker: the scheduler's functions, helpers that many callers
share, and the probes' own programs.

A stack is a tuple of function names, innermost first.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

_OURS = ("bpf_prog_", "bpf_trampoline_", "bpf_dispatcher_", "bpf_trace_run", "bpf_get_stack", "ftrace_trampoline")
_HOOKS = ("__traceiter_", "__bpf_trace_", "perf_trace_", "trace_event_raw_event_")
# What the kernel's symbols give for the frame of a program that is gone: the nearest symbol below, or none.
_NAMELESS = {"_einittext", "_sinittext", "_etext", "?"}

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
# Where a fault enters that the kernel takes while it copies to or from the process: x86_64 and arm64.
_FAULTS = ("asm_exc_", "el1h_64_sync", "el1_sync")

# Functions through which a task goes to sleep, or wakes another, whatever the reason is.
_SCHEDULER = frozenset(
    {
        "schedule", "__schedule", "preempt_schedule_common", "schedule_idle", "schedule_preempt_disabled", "schedule_timeout",
        "schedule_timeout_interruptible", "schedule_timeout_killable", "schedule_timeout_uninterruptible",
        "schedule_timeout_idle", "schedule_hrtimeout", "schedule_hrtimeout_range", "schedule_hrtimeout_range_clock",
        "wait_woken", "poll_schedule_timeout", "rt_mutex_schedule", "rt_mutex_slowlock_block", "bit_wait", "bit_wait_io",
        "bit_wait_timeout", "__wait_on_bit", "__wait_on_bit_lock", "out_of_line_wait_on_bit", "out_of_line_wait_on_bit_lock",
        "out_of_line_wait_on_bit_timeout", "do_wait_intr", "do_wait_intr_irq", "freezable_schedule",
        "try_to_wake_up", "default_wake_function", "wake_up_process", "wake_up_state", "signal_wake_up_state", "wake_up_q",
        "__wake_up", "__wake_up_common", "__wake_up_common_lock", "__wake_up_sync", "__wake_up_sync_key", "__wake_up_locked",
        "__wake_up_locked_key", "__wake_up_locked_sync_key", "__wake_up_locked_key_bookmark", "__wake_up_bit", "wake_up_bit",
        "wake_up_var", "wake_bit_function", "var_wake_function", "woken_wake_function", "autoremove_wake_function",
        "__wake_up_pollfree", "swake_up_locked", "swake_up_one", "swake_up_all", "ttwu_do_activate", "task_work_add",
        "__wake_up_parent", "rt_mutex_postunlock", "kick_process", "preempt_schedule", "__cond_resched",
    }
)  # fmt: skip

# How each system call and each thread of the kernel begins.
_ENTRIES = frozenset(
    {
        "do_syscall_64", "x64_sys_call", "entry_SYSCALL_64_after_hwframe", "do_fast_syscall_32", "do_int80_syscall_32",
        "entry_SYSENTER_compat_after_hwframe", "el0t_64_sync", "el0t_64_sync_handler", "el0_svc", "do_el0_svc",
        "invoke_syscall", "el0_svc_common", "ret_from_fork", "ret_from_fork_asm", "kthread",
    }
)  # fmt: skip


# A run has some hundred stacks, and a sleep and a wake-up of a million calls has one of them.
_once = functools.lru_cache(maxsize=4096)


@_once
def own(stack: tuple[str, ...]) -> tuple[str, ...]:
    """The stack without the frames of the probe itself, and without frames that have no name."""
    return tuple(name for name in stack if not name.startswith(_OURS) and not name.startswith(_HOOKS) and name not in _NAMELESS)


def telling(stack: tuple[str, ...]) -> Iterator[str]:
    """The functions of a stack that may say what the task sleeps on, or wakes through: innermost first."""
    return (name for name in own(stack) if name not in _SCHEDULER and name not in _ENTRIES)


@_once
def of_interrupt(stack: tuple[str, ...]) -> tuple[str, ...]:
    """The stack up to the entry of its interrupt. The other frames belong to the interrupted task, which is not the cause.

    A packet's softirq that runs at the end of an interrupt is part of the interrupt.
    """
    return tuple(itertools.takewhile(lambda name: not name.startswith(_INTERRUPTS), stack))


INTERRUPTED = "(the interrupted task)"


@_once
def of_waker(stack: tuple[str, ...]) -> tuple[str, ...]:
    """The waker's own frames. One label stands for the frames of a task that an interrupt met: they are different each time.

    >>> of_waker(("try_to_wake_up", "hrtimer_wakeup", "asm_sysvec_apic_timer_interrupt", "vfs_write", "do_syscall_64"))
    ('try_to_wake_up', 'hrtimer_wakeup', 'asm_sysvec_apic_timer_interrupt', '(the interrupted task)')
    """
    stack = own(stack)
    inside = len(of_interrupt(stack))
    return (*stack[: inside + 1], INTERRUPTED) if inside + 1 < len(stack) else stack


@_once
def of_fault(stack: tuple[str, ...]) -> tuple[str, ...]:
    """The stack up to the entry of its page fault. The other frames belong to the call that touched the page."""
    return tuple(itertools.takewhile(lambda name: not name.startswith(_FAULTS), stack))
