"""The options that several commands have: their help, the word for a value, and values as numbers and times."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from probes.errors import WrongUsage

REPORT_HELP = {"json": "write the report as one JSON document", "out": "write the report to this file"}
HTML_HELP = {"html": "write the report also as a page for a browser: one file with the figure, every message and every check"}
STACKS_HELP = {"stacks": "show the kernel stack behind each kind of sleep and wake-up"}
VIEW_HELP = {
    "brief": "write only the first screen of a trace: what the program is, where its threads wait, what is wrong",
    "thread": "show only the threads with this id or name; a name may be a pattern (worker*); several, separated by commas",
    "calls": "show only these system calls (recv*,epoll_wait), their sleeps and their threads",
    "slowest": "how many of the slowest messages and calls to show, each with what its thread waited for,"
    " from thread to thread",
    "fd": "show only the calls on these descriptors, and the messages that these calls returned",
    "port": "show only the calls and messages of sockets with this port, at either end; several, separated by commas",
}
SAVE_HELP = {"save": "save the recording in this file; invoke show prints it again"}
LINK_HELP = {
    "link": "put the clients and the server into two network namespaces, joined by a link; LINK lists its values for each"
    " direction: delay=20ms,jitter=5ms (also loss=1% and rate=10mbit)"
}
TRAFFIC_HELP = {
    "clients": "number of clients",
    "messages": "messages of each client",
    "size": "bytes of each message",
}
# The word for the value of an option, as --help shows it.
VALUES = {
    "add": "FILES",
    "answers": "FILE",
    "arch": "ARCH",
    "at-once": "N",
    "calls": "NAMES",
    "clients": "N",
    "csv": "PATH",
    "dir": "DIR",
    "details": "N",
    "fd": "NUMBERS",
    "folded": "FILE",
    "folder": "FOLDER",
    "from": "TIME",
    "gap-ms": "MS",
    "gradescope": "FILE",
    "html": "FILE",
    "jobs": "N",
    "junit": "FILE",
    "lab": "NAME",
    "lang": "LANGUAGE",
    "labs": "NAMES",
    "link": "LINK",
    "messages": "N",
    "name": "NAME",
    "only": "NAMES",
    "perfetto": "FILE",
    "pid": "N",
    "port": "NUMBERS",
    "out": "FILE",
    "protocol": "NAME",
    "recording": "FILE",
    "results": "FOLDER",
    "rounds": "N",
    "rubric": "FILE",
    "save": "FILE",
    "seconds": "S",
    "seed": "N",
    "seeds": "FILE",
    "size": "SIZE",
    "slower-than": "TIME",
    "slowest": "N",
    "speedscope": "FILE",
    "sqlite": "FILE",
    "student": "NAME",
    "tests": "EXPRESSION",
    "thread": "NAMES",
    "to": "TIME",
    "tools": "NAMES",
    "write": "FILE",
}


def numbers(**options: str) -> dict[str, Any]:
    """The options that the user typed, as numbers. Raises WrongUsage for a text that is not a number."""
    return {name: number(name, text) for name, text in options.items() if text}


def number(option: str, text: str) -> Any:
    """One option's value as an int, a pause as a float. Raises WrongUsage."""
    try:
        return float(text) if option in ("gap_ms", "seconds") else int(text)
    except ValueError:
        raise WrongUsage(
            f"--{option.replace('_', '-')} {text} is not a number", "for example --clients 3 --gap-ms 20, --slowest 5"
        ) from None


_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def nanoseconds(option: str, text: str) -> int:
    """One option's value as a time: 1ms, 200us, 1.5s. Raises WrongUsage."""
    for unit, size in _UNITS.items():
        with contextlib.suppress(ValueError):
            if text.endswith(unit) and (value := float(text.removesuffix(unit))) >= 0:
                return round(value * size)
    raise WrongUsage(f"--{option} {text} has no unit of time", "a number and its unit: 1ms, 200us, 1.5s")


Function = Callable[..., int]


def group(parameter: str, defaults: Mapping[str, Any], make: Callable[..., Any]) -> Callable[[Function], Function]:
    """Replaces one parameter of a command by options. `make` makes the parameter's value from the options that the user typed.

    `defaults`: the default of each option, by its name as a parameter of `make`. If the user typed none of these options, the
    parameter keeps its own default.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    own = [
        inspect.Parameter(name, kind, default=default, annotation=type(default).__name__) for name, default in defaults.items()
    ]

    def decorate(command: Function) -> Function:
        @functools.wraps(command)
        def with_group(*values: Any, **options: Any) -> int:
            typed = {name: options.pop(name) for name in defaults if name in options}
            return command(*values, **({parameter: make(**typed)} if typed else {}), **options)

        parameters = inspect.signature(command).parameters.items()
        listed = [other for name, each in parameters for other in (own if name == parameter else [each])]
        vars(with_group)["__signature__"] = inspect.Signature(listed)
        return with_group

    return decorate
