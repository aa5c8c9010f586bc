"""Records the programs of tests/programs/faults anew into tests/data/faults.

`python -m tests.findings.record_faults [NAME ...]` needs root and gcc. Each
program has a wrong way and a right one, which its first argument chooses.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from runs import trace
from tests.conftest import DATA, PROGRAMS

# Each program with its ways. The recordings are FAULTS / f"{program}-{way}.iolab".
WAYS = {
    "blocking_loop": ("mutex", "pause", "child", "one", "pipe", "right"),
    "chain": ("threads", "child"),
    "convoy": ("wrong", "semaphore", "pool", "right"),
    "cpu": ("wrong", "right"),
    "deaths": ("sigpipe", "abort", "fault", "term", "right"),
    "delayed_ack": ("wrong", "nodelay", "joined"),
    "epoll_set": ("oneshot", "forgotten", "right"),
    "leaks": ("files", "threads", "children", "pool", "right"),
    "pages": ("wrong", "right"),
    "short_send": ("wrong", "copied", "right"),
    "sockets": ("addresses", "unread", "read", "edge", "drained", "queued", "accepted"),
    "spins": ("eof", "hup", "zero", "eagain", "emfile", "right"),
}
FAULTS = DATA / "faults"


def record(program: str, ways: tuple[str, ...]) -> None:
    """Compiles the program and records each way."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        source = PROGRAMS / "faults" / f"{program}.c"
        subprocess.run(["gcc", "-O1", "-Wall", "-Wno-unused-result", "-pthread", str(source), "-o", program], check=True)
        for way in ways:
            traced = trace.run([f"./{program}", way], lambda _words: None)
            recording, status = traced.recording, traced.status
            if recording.losses.get("RING_FULL"):
                raise SystemExit(f"{program} {way} lost events: run it again")
            FAULTS.mkdir(exist_ok=True)
            recording.save(str(FAULTS / f"{program}-{way}.iolab"))
            size = Path(FAULTS / f"{program}-{way}.iolab").stat().st_size
            print(f"{program} {way}: status {status}, {size:,} B", file=sys.stderr)


if __name__ == "__main__":
    for _name in sys.argv[1:] or sorted(WAYS):
        record(_name, WAYS[_name])
