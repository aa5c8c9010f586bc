"""The options of `trace --follow`, which prints each call as it ends."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from commands import shared
from probes.errors import WrongUsage

HELP = {
    "follow": "print each call as it ends; --thread, --calls, --fd, --errors and --slower-than choose calls",
    "errors": "with --follow: print only calls that failed",
    "slower-than": "with --follow: print only calls that took this long: 1ms, 200us, 1.5s",
    "quiet": "with --follow: print no report after the calls",
}


class Choice(NamedTuple):
    """What the user typed."""

    follow: bool = False
    errors: bool = False
    slower_than: str = ""
    quiet: bool = False

    def check(self, json: bool, out: str) -> None:
        """Raises WrongUsage."""
        named = {"--errors": self.errors, "--slower-than": self.slower_than, "--quiet": self.quiet}
        for option in [option for option, value in named.items() if value and not self.follow]:
            raise WrongUsage(f"{option} needs --follow", "invoke trace --follow -- CMD ARGS")
        if self.slower_than:
            shared.nanoseconds("slower-than", self.slower_than)
        if self.follow and json and not out:
            raise WrongUsage("with --follow, the report of --json needs a file", "invoke trace --follow --json --out FILE")


NOTHING = Choice()


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Gives a command these options for its parameter `choice`."""

    @functools.wraps(command)
    def with_choice(*values: Any, **options: Any) -> int:
        typed = {name: options.pop(name) for name in Choice._fields if name in options}
        return command(*values, **({"choice": Choice(**typed)} if typed else {}), **options)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    own = [
        inspect.Parameter(name, kind, default=default, annotation=type(default).__name__)
        for name, default in Choice._field_defaults.items()
    ]
    parameters = inspect.signature(command).parameters.items()
    listed = [other for name, each in parameters for other in (own if name == "choice" else [each])]
    vars(with_choice)["__signature__"] = inspect.Signature(listed)
    return with_choice


@contextlib.contextmanager
def lines(choice: Choice, view: shared.View, out: str) -> Iterator[tuple[Any, IO[str]]]:
    """The writer of calls, None without --follow; and the stream that the calls share with the report, which comes after them.

    `out`: a file for both; "" is stderr.
    """
    if not choice.follow:
        yield None, sys.stderr
        return
    from findings.following import Wanted
    from reports.terminal.following import Lines
    from runs.following import Lines as Followed

    slower_than = shared.nanoseconds("slower-than", choice.slower_than) if choice.slower_than else 0
    with shared.growing_output(out, sys.stderr) as file:
        yield Followed(Wanted(view.part, choice.errors, slower_than), Lines(file).write), file
