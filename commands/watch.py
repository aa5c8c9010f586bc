"""`invoke watch -- CMD ARGS` and `invoke watch --pid N`: what a program does, every second, while it runs."""

from __future__ import annotations

import sys

from commands import options, outputs, process
from probes.errors import WrongUsage

HELP = {
    "pid": "watch this running process, with its threads and its descendants; the process goes on afterwards",
    "seconds": "end the watch after this many seconds (with --pid)",
}


def watch(pid: str = "", seconds: str = "", *, rest: list[str]) -> int:
    """Watch a program while it runs: invoke watch -- CMD ARGS, or invoke watch --pid N.

    Every second the view shows the roles of the threads, where they sleep and what woke them, their calls, bytes and CPU time.
    Ctrl-C ends the watch, and a summary of the whole time follows.

    A program that watch starts keeps its stdout: the view goes to stderr.
    """
    limit = _checked(rest, pid, seconds)
    process.need_tracing()
    from reports.terminal.watching import view
    from runs import watch as watching
    from runs.signals import HeldSignals

    signals = HeldSignals()
    stream = sys.stdout if pid else sys.stderr
    title = f"process {pid}" if pid else " ".join(rest)
    with outputs.output("", stream) as file:
        with view(file, title) as shown:
            if pid:
                watched = watching.join(options.number("pid", pid), limit, shown.show, signals)
            else:
                watched = watching.run(rest, shown.show, process.closed_at_start(), signals)
        shown.summary(watched.whole)
    signals.release()
    return watched.status


def _checked(command: list[str], pid: str, seconds: str) -> float | None:
    """The value of --seconds. Raises WrongUsage unless either a command or a process is named."""
    if not command and not pid:
        raise WrongUsage("watch needs a program or a process", "invoke watch -- CMD ARGS, or invoke watch --pid N")
    if command and pid:
        raise WrongUsage("watch takes a program or --pid, not both", "invoke watch -- CMD ARGS, or invoke watch --pid N")
    if seconds and not pid:
        raise WrongUsage("--seconds goes with --pid", "a program that watch starts is watched until it ends")
    limit = float(options.number("seconds", seconds)) if seconds else None
    if limit is not None and not limit > 0:
        raise WrongUsage(f"--seconds {seconds} is not above 0", "invoke watch --pid N --seconds 10")
    return limit
