"""A process of iolab: its lines, its end, and what the error says if it fails."""

from __future__ import annotations

import signal
import sys

import pytest

from probes.errors import LabBroken
from runs import processes
from runs.processes import Child, ChildEnded


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child runs its argument as a script, in place of a module of iolab."""
    monkeypatch.setattr(processes, "python", lambda _module: [sys.executable, "-I", "-S", "-c"])


@pytest.mark.usefixtures("script")
class TestChild:
    def test_its_lines_and_the_rest(self) -> None:
        with Child("script", "print('first', flush=True); print('second'); print('third')") as child:
            assert child.line(10) == "first"
            assert child.rest(10) == "second\nthird\n"

    def test_it_ends_before_its_line(self) -> None:
        program = "import sys; print('no such port', file=sys.stderr); sys.exit(3)"
        with Child("script", program) as child, pytest.raises(ChildEnded) as error:
            child.line(10)
        assert (error.value.status, error.value.complaint) == (3, "no such port")
        assert "ended early with status 3" in str(error.value)

    def test_it_is_killed(self) -> None:
        with Child("script", "import os; os.kill(os.getpid(), 9)") as child, pytest.raises(ChildEnded) as error:
            child.rest(10)
        assert "was killed by SIGKILL" in str(error.value) and "out-of-memory killer" in str(error.value)

    def test_it_is_silent(self) -> None:
        with Child("script", "input()", answered=True) as child, pytest.raises(LabBroken, match="said nothing for"):
            child.line(0)

    def test_it_waits_for_an_answer(self) -> None:
        with Child("script", "input(); print('answered')", answered=True) as child:
            child.answer()
            assert child.line(10) == "answered"

    def test_it_ends_on_sigterm(self) -> None:
        with Child("script", "print(1, flush=True); input()", answered=True) as child:
            child.line(10)
            assert child.ended is None and child.end() == -signal.SIGTERM
            assert child.ended == -signal.SIGTERM

    def test_nothing_is_left_of_it(self) -> None:
        with Child("script", "input()", answered=True) as child:
            assert child.ended is None
        assert child.ended == -signal.SIGKILL


def test_no_folder_of_the_user_is_on_the_path_of_a_module() -> None:
    command = processes.python("servers")
    assert command[1] == "-I" and command[-1] == "servers"
