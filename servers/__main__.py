"""Starts one server: `python -m servers epoll --port 7007`, then `nc 127.0.0.1 7007` (or `--udp`, then `nc -u ...`).

It listens on loopback, prints `ready HOST PORT` when it does, and ends with status 0 on SIGTERM or Ctrl-C. A variant of a
server is named after a colon: `io_uring:sqpoll` is the function sqpoll of servers/io_uring.py. What this machine can't do
ends with status 2, before anything listens, and a sentence that says what is missing. A runner adds --follow, so that the
instrument follows the server from here on and not the start of the interpreter before it.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import importlib
import inspect
import os
import pkgutil
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType, ModuleType

import servers
from servers.kit.process import end_with_parent, follow_me, name_me, read_invitation


class _Ended(SystemExit):
    """SIGTERM: no `except Exception` of a server swallows it, and asyncio lets this kind alone out of a task."""


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise _Ended


def models() -> list[str]:
    """The names of the servers there are."""
    return sorted(one.name for one in pkgutil.iter_modules(servers.__path__) if not one.ispkg and not one.name.startswith("_"))


def find(name: str, udp: bool = False) -> Callable[[socket.socket], None] | None:
    """The function that serves: `serve` of servers/NAME.py (`serve_udp` over UDP), or the one after the colon; None if none.

    Servers with a classic mistake live in servers/mistakes and are named `mistakes.slow_handler:broken`.
    A server that stands outside servers/ is named by its whole module: `package.module:function`.
    """
    module, _, variant = name.partition(":")
    function = getattr(_load(module), variant or ("serve_udp" if udp else "serve"), None)
    if not (inspect.isfunction(function) or isinstance(function, functools.partial)):
        return None
    return function if _serves(function, "sock" if udp else "listener") else None


def missing(name: str, udp: bool = False) -> str | None:
    """What this machine lacks for the server, in a sentence; None if nothing. `name` is one that `find` finds."""
    module, _, variant = name.partition(":")
    ask: Callable[[str], str | None] | None = getattr(_load(module), "missing", None)
    return ask(variant or ("serve_udp" if udp else "serve")) if ask else None


def _load(module: str) -> ModuleType | None:
    if not all(part.isidentifier() and not part.startswith("_") for part in module.split(".")):
        return None
    for name in (f"servers.{module}", *([module] if "." in module else [])):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise  # the server is there, and a module that it imports is not
    return None


def _serves(function: Callable[..., object], parameter: str) -> bool:
    """Is it a server, and not one of its helpers? Its first parameter says of which kind of socket; others have defaults."""
    signature = inspect.signature(function)
    needed = [name for name, one in signature.parameters.items() if one.default is one.empty]
    return needed == [parameter] and signature.return_annotation in (None, "None") and not inspect.iscoroutinefunction(function)


def variants(model: str, udp: bool = False) -> list[str]:
    """The names after the colon that there are for this model, beside the plain one."""
    names = sorted(vars(_load(model)).keys() - {"serve", "serve_udp"})
    return [name for name in names if find(f"{model}:{name}", udp)]


def speaks_udp(model: str) -> bool:
    """Has this model a server for datagrams, too?"""
    return find(model, udp=True) is not None


def main() -> int:
    """Runs the server that the command line names. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m servers", description="An echo server of one I/O model.")
    parser.add_argument("model", metavar="MODEL", nargs="?", help=f"one of {', '.join(models())}, or MODEL:VARIANT")
    parser.add_argument("--host", default="127.0.0.1", help="loopback, unless in a network namespace of its own")
    parser.add_argument("--port", type=int, default=0, help="0: any free one, which the ready line tells")
    parser.add_argument("--udp", action="store_true", help="datagrams instead of connections")
    parser.add_argument("--backlog", type=int, default=128)
    parser.add_argument("--reuse-port", action="store_true", help="let more listeners have the port (SO_REUSEPORT)")
    parser.add_argument("--follow", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when this process, which started it, ends")
    options = parser.parse_args()
    if not 0 <= options.port <= 65535:
        parser.error(f"--port {options.port} is out of range; give 0 (any free one) to 65535")
    if not options.model:
        parser.error(f"name the server to start: {', '.join(models())}")
    serve = find(options.model, options.udp)
    if serve is None:
        if options.udp and find(options.model):
            parser.error(f"{options.model} has no server for UDP; those that have: {', '.join(filter(speaks_udp, models()))}")
        if (model := options.model.partition(":")[0]) in models() and (names := variants(model, options.udp)):
            parser.error(
                f"there is no server {options.model!r}; of {model} there are {model}, {model}:{f', {model}:'.join(names)}"
            )
        module, other = options.model.partition(":")[0], not options.udp
        if find(options.model, other):
            parser.error(f"{options.model} serves {'datagrams: add --udp' if other else 'connections: leave out --udp'}")
        if _load(module) and (names := variants(module) or variants(module, udp=True)):
            parser.error(f"there is no server {options.model!r}; there are {module}:{f', {module}:'.join(names)}")
        near = difflib.get_close_matches(options.model, models(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        parser.error(f"there is no server {options.model!r}; {hint}the servers: {', '.join(models())}")
    if lacking := missing(options.model, options.udp):
        print(f"servers: {options.model} can't run here: {lacking}", file=sys.stderr)
        return 2
    invitation = read_invitation(options.follow) if options.follow is not None else 0
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    name_me(options.model)
    if options.with_parent:
        end_with_parent(options.with_parent)
    try:
        listener = (
            _datagrams(options.host, options.port)
            if options.udp
            else socket.create_server((options.host, options.port), backlog=options.backlog, reuse_port=options.reuse_port)
        )
    except OSError as error:
        place = f"{options.host} port {options.port}"
        print(f"servers: can't listen on {place}: {error.strerror}; --port 0 takes any free one", file=sys.stderr)
        return 2
    with listener:
        host, port = listener.getsockname()
        if invitation:
            follow_me(invitation)
        print(f"ready {host} {port}", flush=True)
        try:
            serve(listener)
        except SystemExit:  # _Ended, or a server that waits for signals by itself
            pass
    return 0


def _datagrams(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    return sock


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # no interpreter teardown: its system calls have nothing to do with the model
