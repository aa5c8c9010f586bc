"""Each kind of edit, copy and mistake in what a class hands in gets its flag; an honest recording gets none."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from probes.context import Answers, Origin
from probes.errors import WrongUsage
from probes.kernel import records
from probes.kernel.records import Kind
from probes.recording import Recording, load
from probes.seal import State
from reports import marks as report
from runs import marks, predict
from runs.lab import measure_and_check
from runs.marks import Flag, HandedIn, Wanted
from tests.conftest import DATA, iolab, lab_run, recording_of
from tests.damage import frame, pack_zip
from tests.probes.test_seal import parts, with_answers

SEED = 7
REAL = DATA / "marks" / "ada.iolab"  # ./iolab lab blocking --seed 7 --answers FILE --student "Ada Lovelace" --save ...


def answered(lab: str, student: str = "Ada", right: bool = True, answered_at: int = 1, seed: int = SEED) -> Recording:
    """A recording of tests/data as a student hands it in, with right answers or without any."""
    recording = recording_of(lab)
    found = predict.against(measure_and_check(recording), predict.questions(lab, seed), {}, seed)
    chosen = {mark.question.id: mark.truth for mark in found.marks} if right else {}
    origin = Origin(student, "login", "host", "0" * 16, "2026-11-30T10:00:00+00:00", answered_at)
    changed = recording.with_context(prediction=Answers(seed, chosen), origin=origin)
    context = changed.context
    if hasattr(context, "traffic"):
        changed = changed.with_context(traffic=dataclasses.replace(context.traffic, seed=seed))
    return changed


def hand_in(folder: Path, name: str, recording: Recording) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    recording.save(str(path))
    return path


def collected(folder: Path, lab: str | None = None, seed: int | None = None) -> dict[str, HandedIn]:
    paths, _ = marks.files_of(folder)
    found = marks.collect(folder, paths, Wanted(lab, seed), lambda _number: None)
    for each in found:
        assert each.sentence.endswith(".") and each.sentence.count(". ") == 0, each.sentence
    return {each.file: each for each in found}


def test_an_honest_recording_has_points_and_no_flag(tmp_path: Path) -> None:
    hand_in(tmp_path, "a.iolab", answered("blocking"))
    hand_in(tmp_path, "bob/run.bin", answered("epoll", "Bob", right=False))
    found = collected(tmp_path, seed=SEED)
    ada, bob = found["a.iolab"], found["bob/run.bin"]
    assert (ada.student, ada.points, ada.of, ada.lab, ada.seed, ada.flags) == ("Ada", 5, 5, "blocking", SEED, ())
    assert (bob.student, bob.points, bob.of, bob.flags) == ("Bob", 0, 5, ())
    assert ada.sentence == "5 of 5 answers are right."
    assert ada.seal == load(tmp_path / "a.iolab").seal.digest


def test_another_lab_and_another_seed_are_flagged(tmp_path: Path) -> None:
    hand_in(tmp_path, "a.iolab", answered("blocking"))
    assert collected(tmp_path, "epoll", 8)["a.iolab"].flags == (Flag.OTHER_LAB, Flag.WRONG_SEED)
    assert not collected(tmp_path, "blocking", SEED)["a.iolab"].flags
    hand_in(tmp_path, "a.iolab", answered("blocking", seed=8).with_context(prediction=Answers(9, {})))
    assert collected(tmp_path)["a.iolab"].flags == (Flag.WRONG_SEED,), "questions of another seed than the traffic"


def test_students_may_have_seeds_of_their_own(tmp_path: Path) -> None:
    hand_in(tmp_path, "a.iolab", answered("blocking"))
    hand_in(tmp_path, "b.iolab", answered("epoll", "Bob", seed=8))
    paths, _ = marks.files_of(tmp_path)
    (tmp_path / "seeds.csv").write_text("name,seed\nADA, 7\n\nBob,9\n")
    wanted = Wanted(seeds=marks.seeds_of(tmp_path / "seeds.csv"))
    ada, bob = marks.collect(tmp_path, paths, wanted, lambda _number: None)
    assert (ada.flags, bob.flags) == ((), (Flag.WRONG_SEED,))
    ada, bob = marks.collect(tmp_path, paths, Wanted(seeds={"bob": 8}), lambda _number: None)
    assert (ada.flags, bob.flags) == ((Flag.WRONG_SEED,), ()), "a name that the file does not have"


@pytest.mark.parametrize("text", ["Ada,1\nBob,x", "Ada,1\nada,2", "Ada,1\nBob", "Ada,1\nBob,2,3"])
def test_a_line_that_is_no_seed_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "seeds.csv").write_text(text)
    with pytest.raises(WrongUsage, match="line 2"):
        marks.seeds_of(tmp_path / "seeds.csv")
    (tmp_path / "seeds.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(WrongUsage, match="can't read"):
        marks.seeds_of(tmp_path / "seeds.csv")


def test_a_file_that_would_hold_up_the_class_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(tmp_path, "a.iolab", answered("blocking"))
    monkeypatch.setattr(marks, "_LARGEST", 1000)
    assert "the file is larger than a lab makes it" in collected(tmp_path)["a.iolab"].sentence


def test_the_same_run_under_another_name_with_other_answers_is_a_duplicate(tmp_path: Path) -> None:
    hand_in(tmp_path, "a.iolab", answered("blocking"))
    hand_in(tmp_path, "b.iolab", answered("blocking", "Bob", right=False))
    hand_in(tmp_path, "c.iolab", answered("epoll"))
    found = collected(tmp_path)
    assert [found[name].flags for name in ("a.iolab", "b.iolab", "c.iolab")] == [(Flag.DUPLICATE,), (Flag.DUPLICATE,), ()]
    assert "b.iolab has the same run" in found["a.iolab"].sentence
    hand_in(tmp_path, "d.iolab", answered("blocking", "Eve"))
    assert "b.iolab and 1 other file have the same run" in collected(tmp_path)["a.iolab"].sentence


def test_the_recording_of_a_real_run_with_answers_is_sound(tmp_path: Path) -> None:
    (tmp_path / "a.iolab").write_bytes(REAL.read_bytes())
    (found,) = collected(tmp_path, "blocking", SEED).values()
    assert (found.student, found.points, found.of, found.flags, found.sealed) == ("Ada Lovelace", 4, 5, (), State.WHOLE)


@pytest.mark.parametrize("changes", [1, 30])
def test_changed_records_do_not_add_up_and_are_still_a_duplicate(changes: int, tmp_path: Path) -> None:
    """The calls are held against the sums that the kernel side kept of the same thread."""
    made = load(REAL)
    packed, left = [], changes
    for found in records.decode(made.data, made.layouts):
        if found.kind == Kind.CALL and left:
            left -= 1
            found = found._replace(exit=found.exit + 1)
        packed.append(records.encode(found, made.layouts))
    hand_in(tmp_path, "a.iolab", made)
    hand_in(tmp_path, "b.iolab", dataclasses.replace(made, data=b"".join(packed)))
    same = collected(tmp_path)
    assert same["a.iolab"].run != same["b.iolab"].run
    assert same["a.iolab"].flags == (Flag.DUPLICATE,)
    assert same["b.iolab"].flags == (Flag.INCONCLUSIVE, Flag.DUPLICATE) and same["b.iolab"].points is None


def test_edited_answers_are_found(tmp_path: Path) -> None:
    path = hand_in(tmp_path, "a.iolab", answered("blocking", right=False))
    right = lab_run(answered("blocking")).prediction
    assert right
    head, *rest = parts(path)
    path.write_bytes(frame([(head[0], with_answers(head[1], dict(right.answers))), *rest]))
    found = collected(tmp_path)["a.iolab"]
    assert found.points == 5 and found.flags == (Flag.EDITED,) and "the seal is broken" in found.sentence
    end = json.loads(rest[-1][1])
    del end["seal"]
    edited = [(head[0], with_answers(head[1], dict(right.answers))), *rest[:-1], (b"DONE", json.dumps(end).encode())]
    path.write_bytes(frame(edited))
    assert "the seal was removed" in collected(tmp_path)["a.iolab"].sentence


def test_a_sealed_file_that_was_packed_as_format_1_is_edited(tmp_path: Path) -> None:
    path = hand_in(tmp_path, "a.iolab", answered("blocking"))
    everything = parts(path)
    meta: dict[str, Any] = {"format": 1, "stacks": {}}
    for kind, payload in everything:
        if kind == b"STAK":
            meta["stacks"] |= json.loads(payload)
        elif kind != b"RECS":
            meta |= json.loads(payload)
    pack_zip(path, meta, b"".join(payload for kind, payload in everything if kind == b"RECS"))
    found = collected(tmp_path)["a.iolab"]
    assert found.flags == (Flag.EDITED, Flag.OLD) and "the seal was removed" in found.sentence


def test_a_stored_mark_or_verdict_is_not_read(tmp_path: Path) -> None:
    path = hand_in(tmp_path, "a.iolab", answered("blocking", right=False))
    head, *rest = parts(path)
    content = json.loads(head[1])
    content |= {"verdict": "pass", "points": 5}
    content["context"] |= {"points": 5, "of": 5}
    path.write_bytes(frame([(head[0], json.dumps(content).encode()), *rest]))
    found = collected(tmp_path)["a.iolab"]
    assert found.points == 0 and found.flags == (Flag.EDITED,)


@pytest.mark.parametrize("answers", [{"calls": "as many as you like"}, {"no such question": "1"}])
def test_answers_that_were_not_offered_are_edited(answers: dict[str, str], tmp_path: Path) -> None:
    made = answered("blocking").with_context(prediction=Answers(SEED, answers))
    hand_in(tmp_path, "a.iolab", made)
    assert collected(tmp_path)["a.iolab"].flags == (Flag.EDITED,)


def test_answers_after_the_start_of_the_run_are_edited(tmp_path: Path) -> None:
    first = min(thread.start for thread in measure_and_check(recording_of("blocking")).threads)
    hand_in(tmp_path, "a.iolab", answered("blocking", answered_at=first + 1))
    hand_in(tmp_path, "b.iolab", answered("epoll"))
    found = collected(tmp_path)
    assert (found["a.iolab"].flags, found["b.iolab"].flags) == ((Flag.EDITED,), ())


def test_a_file_sealed_again_by_the_code_of_iolab_is_not_found_and_the_words_say_so(tmp_path: Path) -> None:
    path = hand_in(tmp_path, "a.iolab", answered("blocking", right=False))
    right = lab_run(answered("blocking")).prediction
    load(path).with_context(prediction=right).save(str(path))
    assert collected(tmp_path)["a.iolab"].flags == ()
    assert any("can seal it again" in line for line in report.FORGEABLE)


def test_damaged_old_and_unfinished_files_are_flagged_and_take_no_mark_from_others(tmp_path: Path) -> None:
    path = hand_in(tmp_path, "whole.iolab", answered("blocking"))
    (tmp_path / "cut.iolab").write_bytes(frame(parts(path)[:-1]))
    (tmp_path / "junk.iolab").write_bytes(b"junk")
    (tmp_path / "empty.iolab").touch()
    (tmp_path / "odd\x1b[2J.iolab").write_bytes(b"iolab recording 9\n")
    (tmp_path / "notes.txt").write_text("my notes")
    os.mkfifo(tmp_path / "pipe.iolab")
    (tmp_path / "link.iolab").symlink_to(path)
    hand_in(tmp_path, "trace.iolab", recording_of("trace"))
    hand_in(tmp_path, "none.iolab", recording_of("select"))
    hand_in(tmp_path, "old.iolab", answered("poll").with_context(iolab="0.0.1"))
    found = {name: each.flags for name, each in collected(tmp_path).items()}
    assert found == {
        "whole.iolab": (Flag.DUPLICATE,),
        "cut.iolab": (Flag.CUT, Flag.DUPLICATE),
        "junk.iolab": (Flag.BROKEN,),
        "empty.iolab": (Flag.BROKEN,),
        "odd\x1b[2J.iolab": (Flag.BROKEN,),
        "trace.iolab": (Flag.NO_LAB,),
        "none.iolab": (Flag.NO_ANSWERS,),
        "old.iolab": (Flag.OLD,),
    }
    assert [path.name for path in marks.files_of(tmp_path)[1]] == ["notes.txt"]


def test_a_failing_file_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(tmp_path, "a.iolab", answered("blocking"))
    monkeypatch.setattr("runs.marks.measure_and_check", lambda _recording: 1 / 0)
    assert "iolab itself failed on the file: ZeroDivisionError" in collected(tmp_path)["a.iolab"].sentence


def test_a_class_of_200_takes_seconds(tmp_path: Path) -> None:
    path = hand_in(tmp_path, "0.iolab", answered("blocking"))
    for number in range(1, 200):
        (tmp_path / f"{number}.iolab").hardlink_to(path)
    begin = time.process_time()
    found = collected(tmp_path)
    assert time.process_time() - begin < 20 and len(found) == 200
    assert "199" not in found["0.iolab"].sentence and "198 other files have the same run" in found["0.iolab"].sentence


# The command


def test_the_status_and_the_outputs(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    path = hand_in(folder, "ada.iolab", answered("blocking"))
    done = iolab("marks", str(folder), "--seed", "7", "--lab", "blocking", "--csv", str(tmp_path / "marks.csv"))
    assert done.returncode == 0 and " 5/5 " in done.stdout, done.stderr
    assert "5 of 5 answers are right." in (tmp_path / "marks.csv").read_text()
    (folder / "cut.iolab").write_bytes(frame(parts(path)[:-1]))
    assert iolab("marks", str(folder)).returncode == 3
    done = iolab("marks", str(path), "--verify", "--seed", "8")
    assert done.returncode == 1 and "what a student with root could still forge" in done.stdout


def test_marks_needs_recordings(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="there is no folder"):
        marks.files_of(tmp_path / "missing")
    done = iolab("marks", str(tmp_path))
    assert done.returncode == 2 and "there is no recording in" in done.stderr
