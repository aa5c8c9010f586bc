"""The format of the exercises: what the parser makes of a file, what it refuses, and which gaps a student has begun."""

from __future__ import annotations

import pytest

from runs.exercise.source import Language, Malformed, parse, written

TEXT = """\
import os

def serve():
    # GAP 1: Wait for the data,
    # however long.
    # CHECKS: protocol, never-spins
    data = wait()  # it sleeps

    use(data)
    # HINT: The idea
    #       goes on.
    # HINT: wait()
    # STUB: if False:
    # STUB:     pass
    # END
    return 0
"""


def read(text: str, language: Language = Language.PYTHON) -> object:
    return parse(text, "epoll", language, "labs/exercises/epoll.py")


def test_a_gap_has_its_task_checks_solution_hints_and_stub() -> None:
    exercise = parse(TEXT, "epoll", Language.PYTHON, "epoll.py")
    (gap,) = exercise.gaps
    assert (gap.number, gap.task, gap.checks) == (1, "Wait for the data, however long.", ("protocol", "never-spins"))
    assert gap.solution == ("    data = wait()  # it sleeps", "", "    use(data)")
    assert gap.hints == ("The idea goes on.", "wait()")
    assert gap.stub == ("    if False:", "        pass")


def test_the_skeleton_has_the_task_and_the_stub_and_neither_hints_nor_solution() -> None:
    lines = parse(TEXT, "epoll", Language.PYTHON, "epoll.py").skeleton().splitlines()
    assert lines[2:] == [
        "def serve():",
        "    # GAP 1: Wait for the data, however long.",
        "    if False:",
        "        pass",
        "    # END 1",
        "    return 0",
    ]


def test_the_solution_has_no_markers_but_the_task() -> None:
    exercise = parse(TEXT, "epoll", Language.PYTHON, "epoll.py")
    solution = exercise.solution()
    assert "data = wait()" in solution and "GAP 1: Wait" in solution
    assert not any(word in solution for word in ("HINT", "STUB", "END", "CHECKS", "if False"))
    assert "if False" in exercise.solution(stubs=[1])


def test_c_has_its_own_comments() -> None:
    text = TEXT.replace("# ", "// ").replace("//       goes", "//  goes")
    assert parse(text, "epoll", Language.C, "epoll.c").gaps[0].hints == ("The idea goes on.", "wait()")


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("GAP 1:", "GAP 2:"), "epoll.py:16: the numbers of the gaps are [2]"),
        (changed("GAP 1:", "GAP one:"), 'epoll.py:4: expected "GAP N: ..."'),
        (TEXT + TEXT, "epoll.py:20: expected"),
        (changed("    # END\n", ""), "epoll.py:15: expected STUB or END"),
        (changed("    # CHECKS: protocol, never-spins\n", ""), "epoll.py:6: expected a comment that goes on with GAP"),
        (changed("protocol, never-spins", ","), "gap 1 names no check"),
        (changed("    # HINT: wait()\n", ""), "gap 1 has 1 hint, not 2 to 4"),
        (changed("# HINT: wait()", "# HINT:"), "an empty task or an empty hint"),
        (changed("# HINT: wait()", "# HINT wait()"), "epoll.py:12: a colon must follow HINT"),
        (changed("# STUB: if False:", "# CHECKS: protocol"), "CHECKS can't follow HINT"),
        (changed("import os", "# HINT: early"), "epoll.py:1: HINT stands outside a gap"),
        (changed("    # END\n    return 0\n", ""), "epoll.py:14: gap 1 has no END"),
        ("import os\n", "there is no gap"),
        (
            changed("if False:", "data = wait()  # it sleeps").replace("STUB:     pass", "STUB: use(data)"),
            "the stub of gap 1 is its solution",
        ),
    ],
)  # fmt: skip
def test_a_broken_format_is_named_with_file_and_line(text: str, words: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(text)
    assert words in str(refused.value)


def test_a_gap_is_begun_when_it_holds_other_code_than_the_stub() -> None:
    exercise = parse(TEXT, "epoll", Language.PYTHON, "epoll.py")
    skeleton = exercise.skeleton()
    (state,) = written(exercise, skeleton)
    assert (state.line, state.begun) == (4, False)
    assert not written(exercise, skeleton.replace("    if False:", "    # a thought\n\n    if False:"))[0].begun
    assert written(exercise, skeleton.replace("pass", "wait()"))[0].begun


def test_a_gap_without_its_markers_counts_as_begun() -> None:
    exercise = parse(TEXT, "epoll", Language.PYTHON, "epoll.py")
    assert [(state.line, state.begun) for state in written(exercise, "nothing of it\n")] == [(0, True)]
