"""Predict first: the questions are the lab's and the seed's, the truth is the run's, and marking counts right answers."""

from __future__ import annotations

import codecs
import dataclasses
import errno
import fcntl
import json
import os
import pty
import random
import select
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labs
from labs.kit.questions import asked as rules
from labs.kit.questions import server
from labs.kit.questions.question import Question
from probes.context import Answers, LabRun, Seen, ServedCase, ServerRun
from probes.errors import WrongUsage
from probes.measure.measure import measure
from probes.measure.result import Result
from probes.patience import PATIENCE
from probes.recording import Recording, load
from probes.seal import State
from runs import predict
from tests.conftest import COMMAND, DATA, cases_of, iolab, lab_run, measured, measured_with, renamed, started_anew

ENOUGH = 3
SERVED = [name for name in labs.names() if labs.find(name).server]


def every(lab: str) -> list[Question]:
    """All questions of a lab, for any seed."""
    always, some = rules.of(lab)
    return always + some


def truths(result: Result, asked: list[Question]) -> dict[str, str]:
    """The right options by question; what the run can't decide is missing."""
    return {mark.question.id: mark.truth for mark in predict.against(result, asked, {}, 1).marks}


@pytest.mark.parametrize("lab", labs.names())
def test_every_lab_has_questions_that_its_own_run_decides(lab: str) -> None:
    assert len(every(lab)) >= ENOUGH, (
        f"lab {lab} has {len(every(lab))} questions, {ENOUGH} are needed: LAB.ask in labs/{lab}.py"
    )
    file = DATA / f"{lab}.iolab"
    assert file.exists(), f"record it: ./iolab lab {lab} --save tests/data/{lab}.iolab"
    result = measured(lab)
    for seed in range(1, 8):
        found = predict.against(result, predict.questions(lab, seed), {}, seed)
        assert len(found.marks) >= ENOUGH, f"lab {lab}, seed {seed}: only {len(found.marks)} decided; {found.left_out}"
        assert len(found.marks) <= predict.MOST
        for mark in found.marks:
            assert mark.truth in mark.question.options
            assert any(letter.isdigit() for letter in mark.evidence), "evidence quotes figures"


@pytest.mark.parametrize("lab", labs.names())
def test_questions_can_be_answered_in_one_line(lab: str) -> None:
    names = [question.id for question in every(lab)]
    assert len(names) == len(set(names)), "two questions of one name"
    for question in every(lab):
        assert len({text.casefold() for text in question.options}) == len(question.options) >= 2
        assert question.text.endswith("?") and question.id == question.id.replace(" ", "-")
        for text in question.options:
            assert len(text) <= 72, text  # beside its letter, in 80 columns
            assert len(text) > 1 or text.isdigit(), "an option must not look like a letter"


@pytest.mark.parametrize("lab", labs.names())
def test_the_same_seed_asks_the_same_everywhere(lab: str) -> None:
    def asked(seed: int) -> list[tuple[str, tuple[str, ...]]]:
        return [(question.id, question.options) for question in predict.questions(lab, seed)]

    assert asked(3) == asked(3)
    assert any(asked(3) != asked(seed) for seed in range(4, 12)), "the seed changes nothing"


def test_another_process_asks_the_same() -> None:
    for salt in ("1", "2"):  # of Python's hashes
        done = started_anew("lab", "epoll", "--seed", "5", "--questions", PYTHONHASHSEED=salt)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["lab"], found["seed"], found["read_first"]) == ("epoll", 5, ["servers/epoll.py"])
        assert [(question["id"], question["question"], question["options"]) for question in found["questions"]] == [
            (question.id, question.text, predict.lettered(question)) for question in predict.questions("epoll", 5)
        ]


# The truth comes from the run: the right answer of each question, for each server.
ON_ITSELF = "recvfrom or read, on the connection itself"
FIRST, OTHER_THREAD, OTHER_PROCESS = (
    "the server's first thread, in a call that reads (recvfrom, read)",
    "another thread of its process, in a call that reads",
    "another process, in a call that reads",
)
EXPECTED = {
    "blocking": (ON_ITSELF, "2", FIRST),
    "threads": (ON_ITSELF, "2", OTHER_THREAD),
    "processes": (ON_ITSELF, "2", OTHER_PROCESS),
    "nonblocking": ("none: it never sleeps, it calls again and again (EAGAIN)", "more than 100", FIRST),
    "select": ("select", "3", FIRST),
    "poll": ("poll", "3", FIRST),
    "epoll": ("epoll_wait", "3", FIRST),
    "epoll_edge": ("epoll_wait", "4 or 5", FIRST),
    "signal_driven": ("a call that waits for signals", "4 or 5", FIRST),
    "posix_aio": (ON_ITSELF, "13 to 100", OTHER_THREAD),
    "native_aio": ("io_getevents", "4 or 5", FIRST),
}


@pytest.mark.parametrize("model", EXPECTED)
def test_the_truth_is_that_of_the_server_not_of_the_lab(model: str, recorded: Callable[[str], Recording]) -> None:
    asked = [question for question in predict.questions("blocking", 1) if question.id in ("waits-in", "calls", "copies")]
    found = truths(measured(model), asked)
    assert (found["waits-in"], found["calls"], found["copies"]) == EXPECTED[model]


def test_who_copies_is_found_for_each_way_to_use_io_uring(recorded: Callable[[str], Recording]) -> None:
    found = truths(measured("io_uring"), every("io_uring"))
    assert (
        found["copies@single"]
        == found["copies@multishot"]
        == "the server's first thread, in the call that waits for completions"
    )
    assert found["copies@worker"] == found["copies@SQPOLL"] == "a thread of the kernel, which is not a thread of the program"


def test_every_rule_about_a_server_has_more_than_one_truth(recorded: Callable[[str], Recording]) -> None:
    found = [truths(measured(name), every("blocking")) for name in SERVED]
    for question in every("blocking"):
        assert len({each[question.id] for each in found if question.id in each}) > 1, (
            f"{question.id} has one answer for every server"
        )


@pytest.mark.parametrize("lab", [name for name in labs.names() if labs.find(name).cases and name != "thundering_herd"])
def test_servers_exchanged_change_the_truth(lab: str, recorded: Callable[[str], Recording]) -> None:
    cases = cases_of(recorded(lab))
    names = [case.name for case in cases]
    turned = renamed(cases, [names[-1], *names[1:-1], names[0]])
    own = truths(measured(lab), every(lab))
    other = truths(measured_with(lab, cases=turned), every(lab))
    assert sum(other.get(name) != truth for name, truth in own.items()) >= 2, (own, other)


@pytest.mark.parametrize("lab", [name for name in labs.names() if labs.find(name).experiment])
def test_sections_shifted_change_the_truth(lab: str, recorded: Callable[[str], Recording]) -> None:
    aside = lab_run(recorded(lab)).aside
    names = aside["sections"]
    shifted = measured_with(lab, aside={**aside, "sections": names[1:] + names[:1]})
    own, other = (truths(result, every(lab)) for result in (measured(lab), shifted))
    assert own != other


def test_what_one_client_cannot_show_is_left_out(recorded: Callable[[str], Recording]) -> None:
    result = measured("epoll")
    assert isinstance(result.context, ServerRun)
    socket = result.messages[0].socket
    alone = dataclasses.replace(
        result,
        messages=tuple(message for message in result.messages if message.socket == socket),
        context=dataclasses.replace(result.context, traffic_seen=Seen(result.context.traffic_seen.clients[:1])),
    )
    found = predict.against(alone, every("epoll"), {}, 1)
    assert {question.id for question, _ in found.left_out} == {"readers", "order"}
    assert all(any(letter.isdigit() for letter in reason) for _, reason in found.left_out)


def test_a_server_that_this_machine_lacks_is_left_out(recorded: Callable[[str], Recording]) -> None:
    cases = cases_of(recorded("silent_client"))
    without = (*cases[:-1], ServedCase("one thread", "epoll", skipped="no epoll here"))
    found = predict.against(measured_with("silent_client", cases=without), every("silent_client"), {}, 1)
    assert found.marks and all("no epoll here" in reason for _, reason in found.left_out)


def test_where_events_were_lost_nothing_is_marked(recorded: Callable[[str], Recording]) -> None:
    recording = recorded("epoll").with_context(prediction=Answers(1, {"calls": "3"}))
    recording.losses["RING_FULL"] = 7
    found = predict.mark(measure(recording))
    assert found and (found.points, found.marks) == (0, ())
    assert {reason for _, reason in found.left_out} == {"7 events were lost, 0 are unmatched"}


# Marking


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """A result of each kind of lab."""
    return {name: measured(name) for name in ("epoll", "silent_client", "connect")}


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_points_are_the_right_answers(results: dict[str, Result], data: st.DataObject) -> None:
    lab = data.draw(st.sampled_from(sorted(results)))
    seed = data.draw(st.integers(0, 1000))
    asked = predict.questions(lab, seed)
    right = truths(results[lab], list(asked))
    said: dict[str, str] = {}
    points = 0
    for question in asked:
        letters = {text: letter for letter, text in predict.lettered(question).items()}
        how = data.draw(st.sampled_from(["right", "wrong", "none"]))
        if how == "none" or question.id not in right:
            continue
        wrong = [text for text in question.options if text != right[question.id]]
        text = right[question.id] if how == "right" else data.draw(st.sampled_from(wrong))
        said[question.id] = data.draw(st.sampled_from([text, text.upper(), letters[text], f" {letters[text].upper()} "]))
        points += how == "right"
    found = predict.against(results[lab], asked, predict.answers(asked, said), seed)
    assert found.points == points
    assert {mark.question.id for mark in found.marks if mark.answer is None} == set(right) - set(said)
    # in any order of the options
    turned = [
        dataclasses.replace(question, options=tuple(random.Random(seed).sample(question.options, len(question.options))))
        for question in asked
    ]
    assert predict.against(results[lab], turned, predict.answers(asked, said), seed).points == points


@pytest.mark.parametrize("lab", labs.names())
def test_all_right_is_all_points(lab: str, recorded: Callable[[str], Recording]) -> None:
    result = measured(lab)
    right = truths(result, list(predict.questions(lab, 1)))
    assert isinstance(result.context, LabRun)
    answered = dataclasses.replace(result.context, prediction=Answers(1, right))
    found = predict.mark(dataclasses.replace(result, context=answered))
    assert found and found.points == len(found.marks) == len(right)


def test_an_answer_that_is_no_longer_offered_is_wrong(recorded: Callable[[str], Recording]) -> None:
    recording = recorded("epoll").with_context(prediction=Answers(1, {"calls": "as many as it likes", "gone": "x"}))
    found = predict.mark(measure(recording))
    (mark,) = [mark for mark in found.marks if mark.answer] if found else []
    assert (mark.answer, mark.right) == ("as many as it likes", False)


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ({"cals": "b"}, "there are: calls, copies"),
        ({"calls": "z"}, "a  "),
        ({"calls": 3}, "is not a text: 3"),
        (["b"], "not a JSON object"),
    ],
)
def test_answers_that_cannot_be_meant_are_wrong_usage(letters: Any, words: str) -> None:
    with pytest.raises(WrongUsage, match=words.replace("(", r"\(")):
        predict.answers(predict.questions("epoll", 1), letters)


def test_no_answer_may_be_said_as_null_or_nothing() -> None:
    assert predict.answers(predict.questions("epoll", 1), {"calls": None, "copies": " "}) == {}


def test_ranges_stay_in_order() -> None:
    seen = {question.options for seed in range(20) for question in predict.questions("epoll", seed) if question.id == "calls"}
    assert seen == {server.CALLS.options, server.CALLS.options[::-1]}


# As typed


def test_without_a_terminal_it_says_what_to_do() -> None:
    done = iolab("show", str(DATA / "epoll.iolab"), "--predict")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--questions" in done.stderr and "--answers" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"), [("{", "not JSON"), ('{"x": "a"}', "no question 'x'"), ('{"calls": "y"}', "13 to 100")]
)
def test_bad_answers_end_with_2(text: str, words: str) -> None:
    done = iolab("show", str(DATA / "epoll.iolab"), "--answers", "-", stdin=text)
    assert (done.returncode, done.stdout) == (2, "") and words in done.stderr and "Traceback" not in done.stderr
    done = iolab("lab", "epoll", "--answers", "/nowhere")
    assert done.returncode == 2 and "can't read /nowhere" in done.stderr


def test_a_trace_has_no_questions() -> None:
    done = iolab("show", str(DATA / "trace.iolab"), "--answers", "-", stdin="{}")
    assert done.returncode == 2 and "only labs have questions" in done.stderr


def test_answers_of_a_damaged_recording_are_wrong_usage(tmp_path: Path, recorded: Callable[[str], Recording]) -> None:
    damaged = Answers("x", {})  # type: ignore[arg-type]
    recorded("epoll").with_context(prediction=damaged).save(str(tmp_path / "bad"))
    done = iolab("show", str(tmp_path / "bad"))
    assert done.returncode == 2 and "context.prediction.seed is not a whole number" in done.stderr


def typed(lines: list[str], *arguments: str) -> tuple[int, str]:
    """Runs a command on a terminal of its own, types a line at each "answer: "; its status and all that it printed."""
    main, side = pty.openpty()
    command = [*COMMAND, *arguments]
    with subprocess.Popen(
        command, stdin=side, stdout=side, stderr=side, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # whose Ctrl-C is a signal
    ) as process:  # fmt: skip
        os.close(side)
        text, waiting = "", list(lines)
        decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end inside a character
        while select.select([main], [], [], 60 * PATIENCE)[0]:
            try:
                piece = os.read(main, 65536)
            except OSError as error:  # EIO: the other side was closed
                assert error.errno == errno.EIO
                break
            text += decoder.decode(piece)
            while waiting and text.count("answer: ") > len(lines) - len(waiting):
                os.write(main, waiting.pop(0).encode())
        else:
            process.kill()
            pytest.fail(f"silence after: {text[-500:]}")
        os.close(main)
        return process.wait(60 * PATIENCE), text


def test_it_asks_before_it_shows() -> None:
    status, text = typed(["?\n", "a\n", "\n", "a\n", "a\n", "a\n"], "show", str(DATA / "epoll.iolab"), "--predict")
    assert status == 0
    before, end, after = text.rpartition("answer: ")
    assert (before + end).count("answer: ") == 6 and "one of a, b" in before
    for words in ("evidence", "recvfrom on", "confirmed", "phase 1", "packet ->", "1 server thread"):
        assert words not in before, words
    assert "not answered" in after and "of 5 points" in after
    assert after.index("of 5 points") < after.index("phase 1: wait for data") < after.index("statements checked")


@pytest.mark.parametrize("key", ["\x04", "\x03"])
def test_leaving_ends_with_130_and_no_report(key: str) -> None:
    status, text = typed(["a\n", key], "show", str(DATA / "epoll.iolab"), "--predict")
    assert status == 130
    assert "nothing is left running" in text and "Traceback" not in text and "evidence" not in text


@pytest.mark.live
def test_answers_are_marked_and_kept(kernel: None, tmp_path: Path) -> None:
    saved = tmp_path / "run.iolab"
    said = json.dumps({"calls": "2", "waits-in": "epoll_wait"})
    command = ["lab", "blocking", "--messages", "5", "--answers", "-", "--student", "Ada", "--json", "--save", str(saved)]
    done = iolab(*command, stdin=said)
    assert done.returncode == 0, done.stderr  # the lab's own verdict, with any answers
    kept = load(saved)
    origin, first = lab_run(kept).origin, min(thread.start for thread in measure(kept).threads)
    assert origin and origin.student == "Ada" and origin.answered < first
    assert f"the seal of {saved} is {kept.seal.digest}" in done.stderr and kept.seal.state is State.WHOLE
    found = json.loads(done.stdout)["prediction"]
    marks = {question["id"]: question for question in found["questions"]}
    assert (found["seed"], found["points"], found["of"]) == (1, 1, len(marks))
    assert marks["calls"]["right"] and marks["calls"]["answer"] == marks["calls"]["truth"] == "2"
    assert (marks["waits-in"]["answer"], marks["waits-in"]["truth"]) == ("epoll_wait", ON_ITSELF)
    assert not marks["waits-in"]["right"] and marks["copies"]["answer"] is None
    assert json.loads(iolab("show", str(saved), "--json").stdout)["prediction"] == found


@pytest.mark.live
def test_a_lab_asks_first_and_runs_then(kernel: None) -> None:
    status, text = typed(["a\n"] * 5, "lab", "epoll", "--messages", "3", "--predict")
    assert status == 0
    *_, last = text.split("answer: ")
    assert "attaching the probes" in last and "attaching the probes" not in text[: -len(last)]
    assert "of 5 points" in last and "statements checked" in last
