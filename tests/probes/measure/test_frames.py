"""Which frames of a stack count: not the probes', not the scheduler's, not those of an interrupted task or of the call that
touched a page.
"""

from __future__ import annotations

from probes.measure.frames import of_fault, of_interrupt, own, telling


def test_our_own_frames_go() -> None:
    assert own(("bpf_prog_1234_on_switch", "bpf_trace_run4", "__traceiter_sched_switch", "schedule")) == ("schedule",)
    assert own(("bpf_trampoline_6442533049", "perf_trace_sched_switch", "schedule")) == ("schedule",)


def test_a_frame_whose_program_has_gone_is_no_name() -> None:
    assert own(("_einittext", "?", "schedule")) == ("schedule",)


def test_helpers_and_entries_say_nothing() -> None:
    stack = ("bpf_prog_1", "__schedule", "schedule", "bit_wait_io", "__wait_on_bit", "its_function", "do_syscall_64")
    assert list(telling(stack)) == ["its_function"]


def test_an_interrupt_and_a_fault_end_the_stack() -> None:
    assert of_interrupt(("hrtimer_wakeup", "asm_sysvec_apic_timer_interrupt", "pipe_write")) == ("hrtimer_wakeup",)
    assert of_fault(("handle_userfault", "asm_exc_page_fault", "pipe_write")) == ("handle_userfault",)
    assert of_fault(("handle_userfault", "el1h_64_sync_handler", "pipe_write")) == ("handle_userfault",)
    assert of_fault(("pipe_write", "el0t_64_sync")) == ("pipe_write", "el0t_64_sync"), "a system call enters there, too"
