"""The command line: arguments, options and their values; help with the standard library alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from commands.line import Command, commands, find
from probes.errors import WrongUsage
from tests.conftest import ROOT


def example(file: str, other: str, at_once: str = "1", json: bool = False, from_: str = "", *, rest: list[str]) -> int:
    """An example.

    More of it.
    """
    return len([file, other, at_once, json, from_, *rest])


EXAMPLE = Command("an-example", example, {"json": "as JSON", "at-once": "how many"})


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["a", "b"], {"file": "a", "other": "b"}),
        (["--json", "a", "--at-once=3", "b"], {"file": "a", "other": "b", "json": True, "at_once": "3"}),
        (["a", "b", "--from", "-5ms"], {"file": "a", "other": "b", "from_": "-5ms"}),
        (["a", "", "--at-once", ""], {"file": "a", "other": "", "at_once": ""}),
        (["a", "b", "--at", "3", "--js"], {"file": "a", "other": "b", "at_once": "3", "json": True}),  # beginnings
    ],
)
def test_words_become_values(words: list[str], values: dict[str, object]) -> None:
    assert EXAMPLE.read(words) == values
    assert EXAMPLE.call(EXAMPLE.read(words), ["x"]) == 6


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "an-example needs FILE and OTHER"),
        (["a"], "an-example needs OTHER"),
        (["a", "b", "c"], "an-example takes no argument c"),
        (["a", "b", "--nothing"], "an-example has no option --nothing\n  invoke an-example --help"),
        (["a", "b", "--jsno"], "an-example has no option --jsno\n  did you mean --json?"),
        (["a", "b", "--jsonx"], "an-example has no option --jsonx\n  did you mean --json?"),
        (["a", "b", "-j"], "an-example has no option -j\n  did you mean --json?"),
        (["a", "b", "-x"], "an-example has no option -x\n  invoke"),
        (["a", "b", "--at"], "--at-once needs a value"),
        (["a", "b", "--js=yes"], "--json takes no value"),
        (["a", "b", "--at-once"], "--at-once needs a value"),
        (["a", "b", "--json=yes"], "--json takes no value"),
    ],
)
def test_wrong_words_are_refused(words: list[str], complaint: str) -> None:
    with pytest.raises(WrongUsage, match=complaint):
        EXAMPLE.read(words)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--s", "3"], "--s can mean --save, --seconds, --slower-than, --slowest, --speedscope, --sqlite or --stacks"),
        (["--slow=3"], "--slow can mean --slower-than or --slowest"),
        (["-p", "3"], "trace has no option -p\n  did you mean --perfetto, --pid or --port?"),
    ],
)
def test_a_beginning_of_several_options_names_them(words: list[str], complaint: str) -> None:
    with pytest.raises(WrongUsage) as error:
        find("trace").read(words)
    assert str(error.value).startswith(complaint)


@pytest.mark.parametrize("name", ["compare", "check", "grade"])
@pytest.mark.parametrize(("option", "remedy"), [("--timeline", "--html FILE"), ("--perfetto", "--perfetto FILE")])
def test_an_option_of_other_commands_is_refused_with_what_does_the_same(name: str, option: str, remedy: str) -> None:
    with pytest.raises(WrongUsage, match=f"{name} has no option {option}\n  .*{remedy}"):
        find(name).read([option])


def test_a_whole_name_wins_over_a_longer_one() -> None:
    def example(no: str = "", notes: str = "") -> int:
        return 0

    assert Command("example", example, {}).read(["--no", "1"]) == {"no": "1"}


def test_a_command_that_is_not_there_has_a_neighbour() -> None:
    with pytest.raises(WrongUsage, match=r"there is no command trac\n  did you mean trace\?"):
        find("trac")


@pytest.mark.parametrize("name", ["nothing", "outputs", "line", "../tasks", "lab.py", "", "__init__"])
def test_what_is_no_command_is_refused(name: str) -> None:
    with pytest.raises(WrongUsage, match="there is no command"):
        find(name)


def test_every_option_has_a_help_text_and_every_help_text_an_option() -> None:
    for command in commands():
        assert set(command.options) <= set(command.help) <= {*command.options, *command.arguments}, command.name
        assert command.description, command.name


@pytest.mark.parametrize(("words", "said", "status"), [
    (["--help"], "Commands:", 0), (["trace", "--help"], "Usage: invoke trace [options] -- CMD ARGS...", 0),
    (["grade-all", "-h"], "Usage: invoke grade-all MODEL DIR [options]", 0), (["--version"], "iolab ", 0),
    (["nonsense"], "there is no command nonsense", 2), (["lab", "epoll", "--bogus"], "lab has no option --bogus", 2),
])  # fmt: skip
def test_help_and_wrong_usage_need_no_package(words: list[str], said: str, status: int) -> None:
    """-S: without site-packages."""
    line = [sys.executable, "-I", "-S", str(ROOT / "runs" / "start.py"), "tasks", *words]
    done = subprocess.run(line, capture_output=True, text=True)
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stderr
