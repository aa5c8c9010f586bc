"""The command line: finds a command, reads its options, and explains it. Only the standard library is needed.

A command is a file of commands/ with a function of its own name. The function's parameters are the command's arguments (those
without a default) and options; `rest` gets the words after -- or, of some commands, names.
"""

from __future__ import annotations

import getopt
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from commands import options
from probes.errors import WrongUsage
from probes.words import with_command_name

_WIDTH = 80
_TAKE_A_PROGRAM = {"trace", "watch", "check", "grade", "grade-all"}
TAKE_NAMES = {"compare": "[MODEL ...]", "exercise": "[NAME]"}


@dataclass(frozen=True)
class Command:
    """One command."""

    name: str
    function: Callable[..., int | None]
    help: dict[str, str]  # of its options

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
            raise wrong_usage(self._complaint(error)) from error
        if len(arguments) < len(self.arguments):
            raise wrong_usage(f"{self.name} needs {' and '.join(map(str.upper, self.arguments[len(arguments) :]))}")
        if len(arguments) > len(self.arguments):
            raise wrong_usage(f"{self.name} takes no argument {arguments[len(self.arguments)]}")
        values: dict[str, Any] = dict(zip(self.arguments, arguments, strict=True))
        for flag, value in found:
            option = flag.removeprefix("--")
            values[self.options[option]] = value if self.takes_value(option) else True
        return values

    def _complaint(self, error: getopt.GetoptError) -> str:
        option = f"--{error.opt}" if len(error.opt) > 1 else f"-{error.opt}"
        if error.opt not in self.options:
            return f"{self.name} has no option {option}"
        return f"{option} needs a value" if self.takes_value(error.opt) else f"{option} takes no value"

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
        print(self.description)
        print()
        if explained := [argument for argument in self.arguments if argument in self.help]:
            print("Arguments:")
            columns((argument.upper(), with_command_name(self.help[argument])) for argument in explained)
        if self.options:
            print("Options:")
            columns((self._flag(option), with_command_name(self.help.get(option, ""))) for option in [*sorted(self.options)])

    def _flag(self, option: str) -> str:
        return f"--{option}={options.VALUES.get(option, 'TEXT')}" if self.takes_value(option) else f"--{option}"


def find(name: str) -> Command:
    """The command of that name. Raises WrongUsage."""
    file = name.replace("-", "_")
    if (not name.isidentifier() and not file.isidentifier()) or not (Path(__file__).parent / f"{file}.py").exists():
        raise wrong_usage(f"there is no command {name}")
    module = importlib.import_module(f"commands.{file}")
    function = getattr(module, file, None)
    if not inspect.isfunction(function):
        raise wrong_usage(f"there is no command {name}")
    return Command(name, function, module.HELP)


def commands() -> Iterator[Command]:
    """All commands."""
    for file in sorted(file.name for file in pkgutil.iter_modules([str(Path(__file__).parent)])):
        module = importlib.import_module(f"commands.{file}")
        function = getattr(module, file, None)
        if function is not None:
            yield Command(file.replace("_", "-"), function, module.HELP)


def wrong_usage(words: str) -> WrongUsage:
    """An error about the command line."""
    return WrongUsage(words, "invoke --list names the commands; a command with --help explains its options")


def columns(rows: Iterable[tuple[str, str]]) -> None:
    """Prints two columns, the second in lines of words."""
    rows = list(rows)
    left = max(len(name) for name, _ in rows) + 5
    for name, words in rows:
        lines = textwrap.wrap(words, _WIDTH - left) or [""]
        print(f"  {name}".ljust(left) + lines[0])
        for line in lines[1:]:
            print(" " * left + line)
    print()
