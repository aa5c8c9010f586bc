"""Text from programs reaches no terminal as it is: names of threads, arguments, paths, through each command and report."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import COMMAND, PROGRAMS, iolab

RED, TITLE, BIDI = "\x1b[31m", "\x1b]0;title\x07", "\u202eevil\x9b2J"
MARKUP = "[bold red]x[/bold red]"
ARGUMENTS = [f"arg{RED}\nNEXT", f"{BIDI}\x7f\r", MARKUP]
_OWN_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def harmless(text: str, colours: bool = False) -> bool:
    """Is there nothing but printable lines? With `colours`: beside the report's own, which are never those of the program."""
    if colours:
        text = _OWN_COLOURS.sub("", text.replace("\r\n", "\n"))
    return all(line.isprintable() for line in text.split("\n")) and "\nNEXT" not in text


@pytest.fixture(scope="module")
def program(compiled: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile program, under a hostile name."""
    path = tmp_path_factory.mktemp("hostile") / f"ho{RED}st{MARKUP.replace('/', '')}"
    shutil.copy(compiled("hostile"), path)
    return path


@pytest.fixture(scope="module")
def traced(program: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What trace says of it on stderr, and the recording, under a hostile name, too."""
    saved = tmp_path_factory.mktemp("saved") / f"r{RED}.iolab"
    done = iolab("trace", "--save", str(saved), "--stacks", "--", str(program), *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    return done.stderr, saved


@pytest.mark.live
@pytest.mark.usefixtures("kernel")
def test_trace_escapes_names_and_arguments(traced: tuple[str, Path]) -> None:
    text, saved = traced
    assert harmless(text)
    joined = "".join(text.split())
    assert r"arg\x1b[31m\nNEXT" in joined and r"\u202eevil\x9b2J\x7f\r" in joined, "the arguments are shown as escapes"
    assert r"\x1b[31mRED\nNEXT" in joined, "the names of threads are shown"
    alone = iolab("show", str(saved), "--thread", "a*b*")  # the page of all threads may name other threads only
    assert alone.returncode == 0 and "a[bold]b[/x]" in alone.stdout, "markup is shown as it is"


@pytest.mark.live
@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("form", [[], ["--slowest", "3"], ["--brief"], ["--thread", f"*{RED}*"], ["--calls", f"{RED}"]])
def test_show_escapes_them_in_each_form(form: list[str], traced: tuple[str, Path]) -> None:
    done = iolab("show", str(traced[1]), *form)
    assert harmless(done.stdout) and harmless(done.stderr) and (done.stdout or done.stderr)


@pytest.mark.live
@pytest.mark.usefixtures("kernel")
def test_a_page_for_a_browser_has_no_control_characters(traced: tuple[str, Path], tmp_path: Path) -> None:
    page = tmp_path / f"page{RED}.html"
    done = iolab("show", str(traced[1]), "--html", str(page))
    assert harmless(done.stdout) and harmless(done.stderr)
    text = page.read_text().replace("\nNEXT", " NEXT")  # a new line is a blank there
    assert harmless(text) and r"\x1b[31m" in text and MARKUP in text


@pytest.mark.live
@pytest.mark.usefixtures("kernel")
def test_on_a_terminal_only_our_own_colours_are_control_characters(program: Path) -> None:
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(
        [*COMMAND, "trace", "--", str(program), *ARGUMENTS], stdin=slave, stderr=slave, env=environment
    ) as it:
        os.close(slave)
        text = _all(master)
        assert it.wait(60) == 0
    assert "\x1b[" in text and harmless(text, colours=True)
    assert f"{RED}RED" not in text and "\x1b]0;" not in text


def _all(descriptor: int) -> str:
    """What is written to a terminal, until nobody has the other end any more."""
    found = b""
    try:
        while piece := os.read(descriptor, 65536):
            found += piece
    except OSError:  # EIO: the last writer has closed its end
        pass
    os.close(descriptor)
    return found.decode(errors="replace")


@pytest.mark.parametrize(
    "line",
    [
        ["lab", f"epo{RED}"],
        ["lab", "epoll", "--clients", RED],
        ["lab", "epoll", f"--{RED}"],
        ["show", f"no{RED}.iolab"],
        ["show", str(PROGRAMS / "hostile.c"), "--out", f"/no{RED}/answer"],
        [f"com{RED}"],
        ["trace", "--", f"nothing{TITLE}"],
        ["trace", "--out", f"/no{BIDI}/answer", "--", "true"],
    ],
)
def test_errors_name_what_was_wrong_without_obeying_it(line: list[str]) -> None:
    done = iolab(*line)
    assert done.returncode != 0
    assert harmless(done.stdout) and harmless(done.stderr) and (done.stdout or done.stderr)


@pytest.mark.live
@pytest.mark.usefixtures("kernel")
def test_a_program_that_can_not_start_is_named_without_obeying_it(tmp_path: Path) -> None:
    script = tmp_path / f"bad{RED}"
    script.write_text(f"#!/no/such{TITLE}\n")
    script.chmod(0o755)
    done = iolab("trace", "--", str(script))
    assert harmless(done.stderr) and r"bad\x1b[31m" in "".join(done.stderr.split())


@pytest.mark.live
@pytest.mark.usefixtures("kernel")
def test_a_lab_escapes_its_paths_and_shows_a_recording_the_same(tmp_path: Path) -> None:
    saved = tmp_path / f"lab{RED}.iolab"
    live = iolab("lab", "blocking", "--save", str(saved), "--clients", "1", "--messages", "2")
    shown = iolab("show", str(saved))
    for done in (live, shown):
        assert harmless(done.stdout) and harmless(done.stderr) and "blocking" in done.stdout
