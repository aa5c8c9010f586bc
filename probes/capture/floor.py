"""The lowest cost of a tool that attaches to every system call. `python -m probes.capture.floor` runs until SIGINT or SIGTERM.

Without an argument, it attaches two programs that do nothing to the entry and the exit of each call. The kernel then takes its
slower path through every call (SYSCALL_WORK_SYSCALL_TRACEPOINT). With a process id, the two programs look up the process in a
map and read the clock. A tool must do at least this to know how long calls take. At the end, it prints the number of calls.
"""

from __future__ import annotations

import signal
import sys

from probes.capture.bpf import compile_bpf, quiet

_EMPTY = """
int at_enter(void *ctx) { return 0; }
int at_exit(void *ctx) { return 0; }
"""
_CLOCKS = """
struct process { u64 entered, calls, total; };
BPF_HASH(processes, u32, struct process, 1024);
static inline struct process *this_process(void) {
  u32 id = bpf_get_current_pid_tgid() >> 32;
  return processes.lookup(&id);
}
int at_enter(void *ctx) {
  struct process *p = this_process();
  if (p)
    p->entered = bpf_ktime_get_ns();
  return 0;
}
int at_exit(void *ctx) {
  struct process *p = this_process();
  if (p) {
    p->total += bpf_ktime_get_ns() - p->entered;
    p->calls++;
  }
  return 0;
}
"""
_ENDING = {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    """Attaches the programs, prints "attached", and waits for a signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    process = int(sys.argv[1]) if len(sys.argv) > 1 else None
    with quiet():
        bpf = compile_bpf((_EMPTY if process is None else _CLOCKS).encode())
        if process is not None:
            table = bpf["processes"]
            table[table.Key(process)] = table.Leaf()
        for tracepoint, program in ((b"sys_enter", b"at_enter"), (b"sys_exit", b"at_exit")):
            bpf.attach_raw_tracepoint(tracepoint, program)
    print("attached", flush=True)
    signal.sigwait(_ENDING)
    if process is not None:
        print(f"{table[table.Key(process)].calls} calls", flush=True)
    bpf.cleanup()


if __name__ == "__main__":
    main()
