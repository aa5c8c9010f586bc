"""Executes another program, which is followed from its first system call.

`launch.py PARENT FD CLOSED BLOCKED PATH ARGV0 ARGS...`

The runner starts this script as a process of its own, without site-packages: the runner has threads, and Python code must not
run in a fork of a process with threads. The script restores what the interpreter and the runner changed (dispositions, the
signal mask, closed descriptors), reads the cookie from the pipe FD, and asks to be followed. CLOSED are the descriptors that
the user had closed, BLOCKED the signals that the user had blocked, both with commas.
"""

from __future__ import annotations

import os
import signal
import sys


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120 (pathlib is slow)
    from probes.capture.prctl import end_with_parent, follow_me, read_invitation

    parent, cookie = int(sys.argv[1]), read_invitation(int(sys.argv[2]))
    closed, blocked, path, arguments = _numbers(sys.argv[3]), _numbers(sys.argv[4]), sys.argv[5], sys.argv[6:]
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # from here on SIGINT ends it without a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    end_with_parent(parent)
    follow_me(cookie)
    for descriptor in closed:
        os.close(descriptor)
    try:
        os.execv(path, arguments)
    except OSError as error:
        from probes.words import visible  # the path may hold control characters, which a terminal would obey

        print(f"iolab: can't execute {visible(path)}: {error.strerror}", file=sys.stderr)
        sys.exit(126)
