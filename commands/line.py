"""The command line: finds a command, reads its options, and explains it. Only the standard library is needed.

A command is a file of commands/ with a function of its own name. The function's parameters are the command's arguments (those
without a default) and options; `rest` gets the words after -- or, of some commands, names.

An option may be shortened to a beginning that no other option of the command has, as strace, perf and git allow; getopt finds
the option. argparse was tried instead (Python 3.11). It takes "--from -5ms" for two options, and its errors use its own
terms ("argument --json: ignored explicit argument 'yes'"). argparse reads a line in 0.5 to 0.9 ms, getopt in 0.05 ms; argparse
loads in 2 ms, getopt in 0.8 ms. The code would not be shorter: it would still have to list the options of each
function and to lay out the help.
click is a package, and help must work before any package is installed.
"""

from __future__ import annotations

import getopt
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from commands import layout, options
from probes.errors import WrongUsage
from probes.words import did_you_mean, with_command_name

_TAKE_A_PROGRAM = {"trace", "watch", "check", "grade", "grade-all"}
TAKE_NAMES = {"compare": "[MODEL ...]", "exercise": "[NAME]"}


@dataclass(frozen=True)
class Command:
    """One command."""

    name: str
    function: Callable[..., int | None]
    help: dict[str, str]  # of its options
    elsewhere: Mapping[str, str] = field(default_factory=dict)  # of other commands' options: what does the same here

    @cached_property
    def _parameters(self) -> dict[str, inspect.Parameter]:
        signature = inspect.signature(self.function).parameters
        return {name: parameter for name, parameter in signature.items() if name != "rest"}

    @property
    def arguments(self) -> list[str]:
        """The names of the arguments that must be given."""
        return [name for name, parameter in self._parameters.items() if parameter.default is inspect.Parameter.empty]

    @cached_property
    def options(self) -> dict[str, str]:
        """The options, without dashes, with the names of their parameters."""
        optional = (name for name in self._parameters if name not in self.arguments)
        return {name.rstrip("_").replace("_", "-"): name for name in optional}

    def takes_value(self, option: str) -> bool:
        """Whether a value belongs to the option."""
        return not isinstance(self._parameters[self.options[option]].default, bool)

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """The values of the parameters that the words give. Raises WrongUsage."""
        try:
            known = [option + ("=" if self.takes_value(option) else "") for option in self.options]
            found, arguments = getopt.gnu_getopt(list(words), "", known)
        except getopt.GetoptError as error:
            raise self._refused(error.opt, words) from error
        if len(arguments) < len(self.arguments):
            raise self._wrong(f"{self.name} needs {' and '.join(map(str.upper, self.arguments[len(arguments) :]))}")
        if len(arguments) > len(self.arguments):
            raise self._wrong(f"{self.name} takes no argument {arguments[len(self.arguments)]}")
        values: dict[str, Any] = dict(zip(self.arguments, arguments, strict=True))
        for flag, value in found:
            option = flag.removeprefix("--")
            values[self.options[option]] = value if self.takes_value(option) else True
        return values

    def _refused(self, name: str, words: Sequence[str]) -> WrongUsage:
        """What is wrong with the option of that name, which getopt refused."""
        if name in self.options:
            return self._wrong(f"--{name} needs a value" if self.takes_value(name) else f"--{name} takes no value")
        starting = [f"--{option}" for option in sorted(self.options) if option.startswith(name)]
        or_list = " or ".join(filter(None, (", ".join(starting[:-1]), *starting[-1:])))
        if f"--{name}" not in {word.partition("=")[0] for word in words}:
            return self._wrong(f"{self.name} has no option -{name}", f"did you mean {or_list}? " if starting else "")
        if starting:
            return self._wrong(f"--{name} can mean {or_list}")
        if name in self.elsewhere:
            return WrongUsage(f"{self.name} has no option --{name}", self.elsewhere[name])
        return self._wrong(
            f"{self.name} has no option --{name}", did_you_mean(f"--{name}", [f"--{option}" for option in self.options])
        )

    def _wrong(self, problem: str, hint: str = "") -> WrongUsage:
        return WrongUsage(problem, f"{hint}invoke {self.name} --help explains the options")

    def call(self, values: dict[str, Any], rest: list[str]) -> int | None:
        """Runs the command; its exit status, None for 0."""
        takes_rest = "rest" in inspect.signature(self.function).parameters
        return self.function(**values, **({"rest": rest} if takes_rest else {}))

    @property
    def description(self) -> str:
        """All that its docstring says."""
        return with_command_name(inspect.getdoc(self.function) or "")

    def explain(self) -> None:
        """Prints how the command is used."""
        words = [self.name, *(argument.upper() for argument in self.arguments), "[options]"]
        if self.name in TAKE_NAMES:
            words.insert(1, TAKE_NAMES[self.name])
        rest = ["-- CMD ARGS..."] if self.name in _TAKE_A_PROGRAM else []
        print(with_command_name(f"Usage: invoke {' '.join(words + rest)}\n"))
        width = layout.help_width()
        print(*layout.paragraphs(self.description, width), sep="\n")
        print()
        if explained := [argument for argument in self.arguments if argument in self.help]:
            print("Arguments:")
            arguments = ((argument.upper(), with_command_name(self.help[argument])) for argument in explained)
            print(*layout.columns(arguments, width), "", sep="\n")
        if self.options:
            print("Options:")
            flags = ((self._flag(option), with_command_name(self.help.get(option, ""))) for option in sorted(self.options))
            print(*layout.columns(flags, width), "", sep="\n")

    def _flag(self, option: str) -> str:
        return f"--{option}={options.VALUES.get(option, 'TEXT')}" if self.takes_value(option) else f"--{option}"


def find(name: str) -> Command:
    """The command of that name. Raises WrongUsage."""
    file = name.replace("-", "_")
    if (not name.isidentifier() and not file.isidentifier()) or not (Path(__file__).parent / f"{file}.py").exists():
        raise _no_command(name)
    module = importlib.import_module(f"commands.{file}")
    function = getattr(module, file, None)
    if not inspect.isfunction(function):
        raise _no_command(name)
    return Command(name, function, module.HELP, getattr(module, "ELSEWHERE", {}))


def commands() -> Iterator[Command]:
    """All commands."""
    for file in sorted(file.name for file in pkgutil.iter_modules([str(Path(__file__).parent)])):
        module = importlib.import_module(f"commands.{file}")
        function = getattr(module, file, None)
        if function is not None:
            yield Command(file.replace("_", "-"), function, module.HELP)


def wrong_usage(problem: str, hint: str = "") -> WrongUsage:
    """An error about the command line as a whole."""
    return WrongUsage(problem, f"{hint}invoke --list names the commands; a command with --help explains its options")


def _no_command(name: str) -> WrongUsage:
    return wrong_usage(f"there is no command {name}", did_you_mean(name, [command.name for command in commands()]))
