"""The command line: gathers the commands of commands/, and alone knows invoke.

`./iolab COMMAND` starts this file (by runs/start.py: nothing of the current folder is imported).

Exit codes: 0 every check held; 1 a check failed; 2 wrong usage, or an output that can't be
written; 3 inconclusive; 4 this machine can't run it; 130 interrupted. trace: the status of the program itself.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import itertools
import os
import pkgutil
import sys
from collections.abc import Callable
from typing import Any

from invoke.collection import Collection
from invoke.config import Config
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.program import Program
from invoke.tasks import Task, task

import commands
from commands import shared
from probes.errors import IolabError
from probes.words import visible_lines, with_command_name

_DASHES = "--"
_TAKE_A_PROGRAM = {"trace", "watch", "check", "grade", "grade-all"}
_TAKE_NAMES = {"compare": "[MODEL ...]", "exercise": "[NAME]"}  # invoke has no optional words
_OWN_OPTIONS = {"help", "list", "version"}  # of those that invoke parses before the command


class _NoFiles(Config):
    """No configuration: other users can write the files and set the variables that invoke would read."""

    def load_base_conf_files(self) -> None:
        """Reads neither /etc/invoke.* nor ~/.invoke.*."""

    def load_project(self, merge: bool = True) -> None:
        """Reads no invoke.* beside the tasks."""

    def load_runtime(self, merge: bool = True) -> None:
        """Reads no file that INVOKE_RUNTIME_CONFIG names."""

    def load_shell_env(self) -> None:
        """Reads no INVOKE_* variable."""


class Iolab(Program):
    """Invoke's program with the commands of iolab, its own help, and status 2 for a command line that it can't parse."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Raises Exit with status 2 where invoke would end with 1, which here means that a check failed."""
        no_bytecode = sys.dont_write_bytecode
        try:
            super().parse_core(argv)
        except ParseError as error:
            raise _wrong_usage(str(error)) from error
        finally:
            sys.dont_write_bytecode = no_bytecode  # invoke forbids bytecode: each start would compile the modules again

    def parse_tasks(self) -> None:
        """The same for a command and its options. Invoke's own options for build scripts are refused."""
        try:
            super().parse_tasks()
        except ParseError as error:
            raise _wrong_usage(str(error)) from error
        for option in self.args.values():
            if option.got_value and option.name not in _OWN_OPTIONS:
                raise _wrong_usage(f"there is no option --{option.name}")

    def print_help(self) -> None:
        """The help of the whole program."""
        called = os.environ.get("IOLAB_CALLED", "invoke")
        print(f"Usage: {called} COMMAND [options]\n")
        self.list_tasks()
        print(f"{called} COMMAND --help explains a command and its options.")

    def list_tasks(self) -> None:
        """The commands, each with the first line of its docstring."""
        print("Commands:\n")
        self.print_columns([(name, _summary(self.collection[name])) for name in sorted(self.collection.task_names)])

    def print_task_help(self, name: str) -> None:
        """One command's help, as the user starts it."""
        context = self.parser.contexts[name]
        words = [name, *(argument.name.upper() for argument in context.positional_args), "[options]"]
        if name in _TAKE_NAMES:
            words.insert(1, _TAKE_NAMES[name])
        rest = ["-- CMD ARGS..."] if name in _TAKE_A_PROGRAM else []
        print(with_command_name(f"Usage: invoke {' '.join(words + rest)}\n"))
        print(with_command_name(inspect.getdoc(self.collection[name]) or ""))
        print()
        options = [(_flags(flags), with_command_name(help_text)) for flags, help_text in context.help_tuples()]
        if options:
            print("Options:")
            self.print_columns(options)


def _flags(flags: str) -> str:
    """The flags of an option with the word for its value: invoke prints STRING for every value.

    invoke takes the dash of --at-once as a short option, which argparse and getopt(3) forbid: it is left out.

    >>> _flags("-c STRING, --clients=STRING"), _flags("--=STRING, --at-once=STRING")
    ('-c N, --clients=N', '--at-once=N')
    """
    shown = [flag for flag in flags.split(", ") if not flag.startswith("--=")]
    option = shown[-1].removeprefix("--").partition("=")[0]
    return ", ".join(shown).replace("STRING", shared.VALUES.get(option, "TEXT"))


def _summary(command: Task[Any]) -> str:
    return with_command_name((inspect.getdoc(command) or "").splitlines()[0])


def _wrong_usage(words: str) -> Exit:
    hint = "invoke --list names the commands; a command with --help explains its options"
    return Exit(visible_lines(with_command_name(f"iolab: {words}\n  {hint}")), 2)


def main(arguments: list[str]) -> int:
    """Runs one command line, without the program's name; its exit status."""
    arguments, rest = _split(arguments)
    if arguments == ["lab"]:
        arguments = ["labs"]  # without a name, the user needs the names
    if len(arguments) == 2 and arguments[1] in ("-h", "--help"):
        arguments = ["--help", arguments[0]]
    program = Iolab(
        name="iolab", binary="./iolab", version=commands.version(), config_class=_NoFiles, namespace=_collection(rest)
    )
    try:
        program.run(["iolab", *(arguments or ["--list"])])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The command with its own options; and the command line of the traced program, pytest's options, or names."""
    if arguments[:1] == ["test"] and not {"-h", "--help"} & set(arguments):
        return ["test"], arguments[1:]
    if arguments and arguments[0] in _TAKE_NAMES:
        named = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments[1:]))
        return [arguments[0], *arguments[1 + len(named) :]], named
    if _DASHES in arguments:
        at = arguments.index(_DASHES)
        return arguments[:at], arguments[at + 1 :]
    return arguments, []


def _collection(rest: list[str]) -> Collection:
    """Every file of commands/ that has a function of its own name."""
    collection = Collection()
    for file in pkgutil.iter_modules(commands.__path__):
        module = importlib.import_module(f"commands.{file.name}")
        function = getattr(module, file.name, None)
        if function is not None:
            collection.add_task(_task(function, module.HELP, rest), name=file.name)
    return collection


def _task(function: Callable[..., int | None], option_help: dict[str, str], rest: list[str]) -> Task[Any]:
    """The command as invoke wants it: with a context in front, and without `rest`, which invoke does not parse."""
    signature = inspect.signature(function)
    parsed = [parameter for name, parameter in signature.parameters.items() if name != "rest"]
    takes_rest = len(parsed) < len(signature.parameters)

    @functools.wraps(function)
    def body(_context: Context, *values: Any, **options: Any) -> None:
        if takes_rest:
            options["rest"] = rest
        _run(lambda: function(*values, **options), function.__name__)

    context = inspect.Parameter("_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    vars(body)["__signature__"] = inspect.Signature([context, *parsed])
    command: Task[Any] = task(help=option_help, auto_shortflags=False)(body)  # one letter would mean another option elsewhere
    return command


def _run(command: Callable[[], int | None], name: str) -> None:
    """Prints an error as sentences, and makes the command's return value the exit status."""
    try:
        status = command()
    except shared.NeedsPreparing as error:
        shared.prepare()  # returns only if ./iolab can prepare nothing
        raise Exit(f"iolab: {visible_lines(with_command_name(str(error)))}", error.code) from error
    except IolabError as error:
        raise Exit(f"iolab: {visible_lines(with_command_name(str(error)))}", error.code) from error
    except KeyboardInterrupt:
        left = "the traced program may still run" if name in ("trace", "watch") else "nothing is left running"
        raise Exit(f"iolab: interrupted; {left}", 130) from None
    except MemoryError as error:
        words = "the machine, or the cgroup of this shell, has too little memory for it (memory.max, ulimit -v)"
        raise Exit(f"iolab: out of memory\n  {words}", 4) from error
    if status:
        raise Exit("", status)


if __name__ == "__main__":
    shared.prepare_process()
    status = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if isinstance(stream, io.TextIOBase):
                stream.flush()
    os._exit(status)  # an output that failed was reported; the interpreter's end would report it a second time
else:
    ns = _collection(_split(sys.argv[1:])[1])  # for an `invoke` of the user's own, started in this folder
