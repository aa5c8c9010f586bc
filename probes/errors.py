"""The errors of all rooms: each says what failed, and what to do next. tasks.py alone turns them into exit codes."""

from __future__ import annotations


class IolabError(Exception):
    """An error that the user can act on: `problem` says what failed and on what, `remedy` says what to do next.

    `code` is the exit code: 1 a check failed, 2 wrong usage, 3 inconclusive, 4 this machine can't run the command.
    """

    code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n  {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


class WrongUsage(IolabError):
    """The command does not accept this command line, or a file that it names."""

    code = 2


class CannotTrace(IolabError):
    """This machine, or this user on it, cannot run the instrument."""

    code = 4


class LabBroken(IolabError):
    """A server or a client of iolab failed: no figure is valid."""

    code = 3
