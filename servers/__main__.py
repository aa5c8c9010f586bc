"""Starts one server: `python -m servers epoll --port 7007`, then `nc 127.0.0.1 7007`.

It listens on loopback only, prints `ready HOST PORT` when it does, and ends with status 0 on SIGTERM or Ctrl-C. A runner
adds --follow, so that the instrument follows the server from here on and not the start of the interpreter before it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import signal
import socket
import sys
from types import FrameType

import servers
from probes.prctl import end_with_parent, follow_me, name_me


class _Ended(SystemExit):
    """SIGTERM: no `except Exception` of a server swallows it, and asyncio lets this kind alone out of a task."""


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise _Ended


def models() -> list[str]:
    """The names of the servers there are."""
    return sorted(
        one.name for one in pkgutil.iter_modules(servers.__path__) if one.name != "kit" and not one.name.startswith("_")
    )


def main() -> int:
    """Runs the server that the command line names. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m servers", description="An echo server of one I/O model.")
    parser.add_argument("model", choices=models())
    parser.add_argument("--port", type=int, default=0, help="0: any free one, which the ready line tells")
    parser.add_argument("--backlog", type=int, default=128)
    parser.add_argument("--follow", type=int, metavar="COOKIE", help=argparse.SUPPRESS)
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when this process, which started it, ends")
    options = parser.parse_args()
    serve = importlib.import_module(f"servers.{options.model}").serve
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    name_me(options.model)
    if options.with_parent:
        end_with_parent(options.with_parent)
    try:
        listener = socket.create_server(("127.0.0.1", options.port), backlog=options.backlog)
    except OSError as error:
        print(f"servers: can't listen on port {options.port}: {error.strerror}; --port 0 takes any free one", file=sys.stderr)
        return 2
    with listener:
        host, port = listener.getsockname()
        if options.follow:
            follow_me(options.follow)
        print(f"ready {host} {port}", flush=True)
        try:
            serve(listener)
        except SystemExit:  # _Ended, or a server that waits for signals by itself
            pass
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # no interpreter teardown: its system calls have nothing to do with the model
