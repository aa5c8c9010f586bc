"""The command line: starts the commands of commands/, and alone knows invoke, which takes 0.1 s to start.

`./iolab COMMAND` starts this file (by runs/start.py: nothing of the current folder is imported).

Exit codes: 0 every check held; 1 a check failed; 2 wrong usage, or an output that can't be
written; 3 inconclusive; 4 this machine can't run it; 130 interrupted. trace: the status of the program itself.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import itertools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import commands
from commands import layout, line, process
from probes.errors import IolabError
from probes.words import visible_lines, with_command_name

if TYPE_CHECKING:
    from invoke.collection import Collection
    from invoke.tasks import Task

_DASHES = "--"
_HELP = {"-h", "--help"}


def print_help() -> None:
    """The help of the whole program."""
    called = os.environ.get("IOLAB_CALLED", "invoke")
    print(f"Usage: {called} COMMAND [options]\n")
    print_list()
    words = f"{called} COMMAND --help explains a command and its options. An option may be shortened: --clie means --clients."
    print(*layout.paragraphs(words, layout.help_width()), sep="\n")


def print_list() -> None:
    """The commands, each with the first line of its docstring."""
    print("Commands:\n")
    rows = ((command.name, command.description.splitlines()[0]) for command in line.commands())
    print(*layout.columns(rows, layout.help_width()), "", sep="\n")


def main(arguments: list[str]) -> int:
    """Runs one command line, without the program's name; its exit status."""
    arguments, rest = _split(arguments)
    if arguments == ["lab"]:
        arguments = ["labs"]  # without a name, the user needs the names
    if arguments and arguments[0] in {"help", *_HELP}:
        arguments = [*arguments[1:2], "--help"]
    return _run(lambda: _start(arguments, rest), arguments[0] if arguments else "")


def _start(arguments: list[str], rest: list[str]) -> int | None:
    """Runs the command, or prints what is asked about it."""
    match arguments:
        case [] | ["--list"] | ["-l"]:
            print_list()
            return 0
        case ["--help"] | ["-h"]:
            print_help()
            return 0
        case ["--version"] | ["-V"]:
            print(f"iolab {commands.version()}")
            return 0
        case [option, *_] if option.startswith("-"):
            raise line.wrong_usage(f"there is no option {option.partition('=')[0]}")
    command = line.find(arguments[0])
    if _HELP & set(arguments):
        command.explain()
        return 0
    values = command.read(arguments[1:])
    if os.environ.get("IOLAB_STARTED") == "to check the line":  # ./iolab has something to install first
        return 0
    return command.call(values, rest)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The command with its own options; and the command line of the traced program, pytest's options, or names."""
    if arguments[:1] == ["test"] and not {"-h", "--help"} & set(arguments):
        return ["test"], arguments[1:]
    if arguments and arguments[0] in line.TAKE_NAMES:
        named = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments[1:]))
        return [arguments[0], *arguments[1 + len(named) :]], named
    if _DASHES in arguments:
        at = arguments.index(_DASHES)
        return arguments[:at], arguments[at + 1 :]
    return arguments, []


def _run(command: Callable[[], int | None], name: str) -> int:
    """Prints an error as sentences. The command's exit status."""
    try:
        return command() or 0
    except process.NeedsPreparing as error:
        process.prepare()  # returns only if ./iolab can prepare nothing
        return _say(str(error), error.code)
    except IolabError as error:
        return _say(str(error), error.code)
    except KeyboardInterrupt:
        left = "the traced program may still run" if name in ("trace", "watch") else "nothing is left running"
        return _say(f"interrupted; {left}", 130)
    except MemoryError:
        words = "the machine, or the cgroup of this shell, has too little memory for it (memory.max, ulimit -v)"
        return _say(f"out of memory\n  {words}", 4)


def _say(words: str, status: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        print(layout.for_stream(f"iolab: {visible_lines(with_command_name(words))}", sys.stderr), file=sys.stderr)
    return status


def _collection(rest: list[str]) -> Collection:
    """The commands for invoke, which passes its context first, and does not know `rest`."""
    from invoke.collection import Collection

    collection = Collection()
    for command in line.commands():
        collection.add_task(_task(command, rest), name=command.name)
    return collection


def _task(command: line.Command, rest: list[str]) -> Task[Any]:
    from invoke.exceptions import Exit
    from invoke.tasks import task

    parameters = inspect.signature(command.function).parameters
    parsed = [parameter for name, parameter in parameters.items() if name != "rest"]

    @functools.wraps(command.function)
    def body(_context: Any, *values: Any, **options: Any) -> None:
        named = dict(zip(parameters, values, strict=False)) | options
        if status := _run(lambda: command.call(named, rest), command.name):
            raise Exit("", status)

    context = inspect.Parameter("_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    vars(body)["__signature__"] = inspect.Signature([context, *parsed])
    made: Task[Any] = task(help=command.help, auto_shortflags=False)(body)  # one letter would mean another option elsewhere
    return made


if __name__ == "__main__":
    process.prepare_process()
    status = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if isinstance(stream, io.TextIOBase):
                stream.flush()
    os._exit(status)  # an output that failed was reported; the interpreter's end would report it a second time
else:
    ns = _collection(_split(sys.argv[1:])[1])  # for an `invoke` of the user's own, started in this folder
