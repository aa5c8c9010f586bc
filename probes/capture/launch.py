"""Becomes another program, followed from its first system call: `launch.py PARENT FD CLOSED PATH ARGV0 ARGS...`

A process of its own, run as a script and without site-packages: the runner has threads, and a fork of threads is no place to
run Python in. It undoes what the interpreter did to signals, reads the cookie from FD, says it, and
executes the program.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120 (pathlib is slow)
    from probes.capture.prctl import end_with_parent, follow_me, read_invitation

    parent, cookie, path, arguments = int(sys.argv[1]), read_invitation(int(sys.argv[2])), sys.argv[4], sys.argv[5:]
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    end_with_parent(parent)
    follow_me(cookie)
    for descriptor in filter(None, sys.argv[3].split(",")):  # the user had closed them
        os.close(int(descriptor))
    try:
        os.execv(path, arguments)
    except OSError as error:
        print(f"iolab: can't execute {path}: {error.strerror}", file=sys.stderr)
        sys.exit(126)
