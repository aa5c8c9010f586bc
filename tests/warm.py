"""`invoke ARGUMENTS` in a fork of one process that has imported the whole of iolab: a command starts in milliseconds.

Python's start and the imports take 0.3 s of CPU, in an emulated machine most of a minute. What the command does is the same.
tests/test_start.py, tests/commands/test_trust.py and all callers of conftest.started_anew test the start itself.

`main` is the process that forks. It reads requests from stdin, one a line. For each request it prints the fork's process id,
waits for an empty line (the caller has seen the end of the fork), and prints the exit status.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import gc
import importlib
import json
import os
import pkgutil
import random
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PACKAGES = ("commands", "findings", "labs", "reports", "runs")
_STREAMS = ("stdin", "stdout", "stderr")  # files of these names, for the descriptors 0 to 2


@dataclass(frozen=True)
class Request:
    """One command: its words, its environment, its current folder, and the folder with its streams."""

    arguments: list[str]
    environment: dict[str, str]
    current: str
    streams: str


def run(
    arguments: Sequence[str], stdin: str, timeout: float, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """As subprocess.run(..., capture_output=True, text=True) with that many seconds of time; raises TimeoutExpired."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stdin").write_text(stdin)
        status = _run(Request(list(arguments), dict(environment), str(Path.cwd()), name), timeout)
        out, err = (path.read_text() if (path := folder / stream).exists() else "" for stream in _STREAMS[1:])
    if status is None:
        raise subprocess.TimeoutExpired(list(arguments), timeout, out, err)
    return subprocess.CompletedProcess(list(arguments), status, out, err)


def _run(request: Request, timeout: float) -> int | None:
    """The exit status, negative after a signal; None if the time was over."""
    server = _server()
    assert server.stdin and server.stdout
    print(json.dumps(dataclasses.asdict(request)), file=server.stdin, flush=True)
    process = os.pidfd_open(int(server.stdout.readline()))
    try:
        ended = bool(select.select([process], [], [], timeout)[0])
    finally:
        signal.pidfd_send_signal(process, signal.SIGKILL)  # changes nothing where it has ended
        os.close(process)
        print(file=server.stdin, flush=True)
        status = int(server.stdout.readline())
    return status if ended else None


@functools.cache
def _server() -> subprocess.Popen[str]:
    line = [sys.executable, "-I", str(ROOT / "runs" / "start.py"), "tests.warm"]
    server = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)  # closes its stdin, and waits for its end
    return server


def main() -> None:
    """Imports everything, then forks for each request."""
    import tasks  # noqa: F401

    for name in _PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    gc.freeze()
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            _become(Request(**json.loads(line)))
        print(child, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(request: Request) -> None:
    """Makes this fork what a newly started Python would be, runs the command, and ends."""
    import tasks
    from commands import process

    status = 70
    try:
        for number, stream in enumerate(_STREAMS):
            file = os.open(Path(request.streams, stream), os.O_RDWR | os.O_CREAT, 0o600)
            os.dup2(file, number)
            os.close(file)
        sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(request.environment)
        os.chdir(request.current)
        random.seed()
        sys.argv = ["tasks.py", *request.arguments]
        process.prepare_process()
        status = tasks.main(request.arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
