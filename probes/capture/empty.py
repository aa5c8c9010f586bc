"""Empty probes at the entry and the exit of every system call, until SIGINT or SIGTERM: `python -m probes.capture.empty`.

They are the floor of what any tool costs that attaches programs there: the kernel takes its slower path through each call
(SYSCALL_WORK_SYSCALL_TRACEPOINT), and runs two programs that do nothing.
"""

from __future__ import annotations

import signal

from probes.capture.bpf import compile_bpf, quiet

_TEXT = b"int empty(void *ctx) { return 0; }"
_ENDING = {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    """Attaches the programs, says so, and waits for a signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    with quiet():
        bpf = compile_bpf(_TEXT)
        for tracepoint in (b"sys_enter", b"sys_exit"):
            bpf.attach_raw_tracepoint(tracepoint, b"empty")
    print("attached", flush=True)
    signal.sigwait(_ENDING)
    bpf.cleanup()


if __name__ == "__main__":
    main()
