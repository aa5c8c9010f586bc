"""The options of `trace --follow`, which prints each call as it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from commands import outputs, presenting
from commands.options import group, nanoseconds
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
            nanoseconds("slower-than", self.slower_than)
        if self.follow and json and not out:
            raise WrongUsage("with --follow, the report of --json needs a file", "invoke trace --follow --json --out FILE")


NOTHING = Choice()


options = group("choice", Choice._field_defaults, Choice)


@contextlib.contextmanager
def lines(choice: Choice, view: presenting.View, out: str) -> Iterator[tuple[Any, IO[str]]]:
    """The writer of calls, None without --follow; and the stream that the calls share with the report, which comes after them.

    `out`: a file for both; "" is stderr.
    """
    if not choice.follow:
        yield None, sys.stderr
        return
    from findings.following import Wanted
    from findings.part import Part
    from reports.terminal.following import Lines
    from runs.following import Lines as Followed

    slower_than = nanoseconds("slower-than", choice.slower_than) if choice.slower_than else 0
    with outputs.growing_output(out, sys.stderr) as file:
        yield Followed(Wanted(view.part or Part(), choice.errors, slower_than), Lines(file).write), file
