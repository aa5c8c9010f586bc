"""Starts one server: `python -m servers epoll --port 7007`, then `nc 127.0.0.1 7007` (or `--udp`, then `nc -u ...`).

The server listens on loopback and then prints `ready HOST PORT`. It ends with status 0 on SIGTERM or Ctrl-C. A colon selects
a variant: `io_uring:sqpoll` is the function sqpoll of servers/io_uring.py. If this machine lacks something that the server
needs, the command prints what is missing and ends with status 2, before it listens. A runner adds --follow: the probes then
follow the server from this point on, without the start of the interpreter.
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
    """Raised by SIGTERM. `except Exception` does not catch a SystemExit, and asyncio passes it on out of a task."""


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise _Ended


def models() -> list[str]:
    """The names of all servers, sorted."""
    modules = pkgutil.iter_modules(servers.__path__)
    return sorted(module.name for module in modules if not module.ispkg and not module.name.startswith("_"))


def find(name: str, udp: bool = False) -> Callable[[socket.socket], None] | None:
    """The function `serve` (over UDP `serve_udp`) of servers/NAME.py, or the function named after the colon; else None.

    Servers with a classic mistake are in servers/mistakes; their names look like `mistakes.slow_handler:broken`.
    A server that stands outside servers/ is named by its whole module: `package.module:function`.
    """
    module, _, variant = name.partition(":")
    function = getattr(_load(module), variant or ("serve_udp" if udp else "serve"), None)
    if not (inspect.isfunction(function) or isinstance(function, functools.partial)):
        return None
    return function if _serves(function, "sock" if udp else "listener") else None


def missing(name: str, udp: bool = False) -> str | None:
    """A sentence about what this machine lacks for the server, or None. `find` must know the `name`."""
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
                raise  # the server exists, but a module that it imports does not
    return None


def _serves(function: Callable[..., object], parameter: str) -> bool:
    """Whether the function is a server. Its only parameter without a default names the kind of socket that it serves."""
    signature = inspect.signature(function)
    needed = [name for name, parameter in signature.parameters.items() if parameter.default is parameter.empty]
    return needed == [parameter] and signature.return_annotation in (None, "None") and not inspect.iscoroutinefunction(function)


def variants(model: str, udp: bool = False) -> list[str]:
    """The variants of this model: the names that may follow the colon."""
    names = sorted(vars(_load(model)).keys() - {"serve", "serve_udp"})
    return [name for name in names if find(f"{model}:{name}", udp)]


def speaks_udp(model: str) -> bool:
    """Whether this model also has a server for datagrams."""
    return find(model, udp=True) is not None


def _options() -> argparse.Namespace:
    """The command line, and in `serve` the server that it names. Ends the process with status 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m servers", description="An echo server of one I/O model.")
    parser.add_argument("model", metavar="MODEL", nargs="?", help=f"one of {', '.join(models())}, or MODEL:VARIANT")
    parser.add_argument("--host", default="127.0.0.1", help="loopback, unless in a network namespace of its own")
    parser.add_argument("--port", type=int, default=0, help="0: any free port; the ready line prints it")
    parser.add_argument("--udp", action="store_true", help="datagrams instead of connections")
    parser.add_argument("--backlog", type=int, default=128)
    parser.add_argument("--reuse-port", action="store_true", help="let other listeners share the port (SO_REUSEPORT)")
    parser.add_argument("--follow", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when the parent process with this id ends")
    options = parser.parse_args()
    if not 0 <= options.port <= 65535:
        parser.error(f"--port {options.port} is out of range; give 0 (any free port) to 65535")
    if not options.model:
        parser.error(f"name the server to start: {', '.join(models())}")
    options.serve = find(options.model, options.udp)
    if options.serve is None:
        parser.error(_no_server(options.model, options.udp))
    return options


def _no_server(name: str, udp: bool) -> str:
    """The error message for a name without a server: what exists with a similar name."""
    if udp and find(name):
        return f"{name} has no server for UDP; servers for UDP: {', '.join(filter(speaks_udp, models()))}"
    module, other = name.partition(":")[0], not udp
    if module in models() and (names := variants(module, udp)):
        return f"there is no server {name!r}; the servers of {module}: {module}, {module}:{f', {module}:'.join(names)}"
    if find(name, other):
        return f"{name} serves {'datagrams: add --udp' if other else 'connections: leave out --udp'}"
    if _load(module) and (names := variants(module) or variants(module, udp=True)):
        return f"there is no server {name!r}; the servers: {module}:{f', {module}:'.join(names)}"
    near = difflib.get_close_matches(name, models(), 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no server {name!r}; {hint}the servers: {', '.join(models())}"


def main() -> int:
    """Runs the server that the command line names. Returns the exit status."""
    options = _options()
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
        print(f"servers: can't listen on {place}: {error.strerror}; --port 0 takes any free port", file=sys.stderr)
        return 2
    with listener:
        host, port = listener.getsockname()
        if invitation:
            follow_me(invitation)
        print(f"ready {host} {port}", flush=True)
        try:
            options.serve(listener)
        except SystemExit:  # _Ended, or raised by a server that waits for signals itself
            pass
    return 0


def _datagrams(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    return sock


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # without the interpreter's shutdown, whose system calls do not belong to the model
