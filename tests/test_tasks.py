"""The commands as a user types them: what they print on which output, and their exit status after an error."""

from __future__ import annotations

import json
import shlex
import subprocess
import zipfile
from pathlib import Path

import pytest

import tasks
from labs.claims import CLAIMS
from tests.conftest import COMMAND, DATA, iolab


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["lab", "epol"], "did you mean epoll"),
        (["show"], "show needs FILE"),
        (["lab", "epoll", "--clients", "0"], "--clients 0 is out of range"),
        (["lab", "epoll", "--size", "big"], "--size big is not a number"),
        (["lab", "epoll", "--bogus"], "--bogus"),
        (["nonsense"], "nonsense"),
        (["show", "/nowhere"], "can't read /nowhere"),
        (["show", str(DATA / "epoll.iolab"), "--out", "/nowhere/answer"], "can't write /nowhere/answer"),
        (["show", str(DATA / "epoll.iolab"), "--out", "."], "can't write .: Is a directory"),
        (["lab", "epoll", "--save", "/etc/passwd/x"], "can't write /etc/passwd/x"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_do(line: list[str], words: str) -> None:
    done = iolab(*line)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_show_ends_as_the_run_did(tmp_path: Path) -> None:
    done = iolab("show", str(DATA / "blocking.iolab"))
    assert done.returncode == 0 and done.stderr == ""
    assert "statements checked" in done.stdout


def test_out_puts_the_answer_into_a_file(tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    done = iolab("show", str(DATA / "epoll.iolab"), "--json", "--out", str(answer))
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(answer.read_text())["lab"] == "epoll"
    assert [path.name for path in tmp_path.iterdir()] == ["answer.json"]


def test_a_reader_that_goes_away_is_no_error() -> None:
    line = f"{shlex.join(COMMAND)} claims | head -n 1; exit ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"])
def test_an_output_that_fails_is_said_in_words(redirect: str) -> None:
    line = f"{shlex.join(COMMAND)} labs {redirect}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.returncode == (2 if "full" in redirect else 0)


@pytest.mark.parametrize("damage", ["records", "meta"])
def test_a_damaged_recording_is_wrong_usage(damage: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(DATA / "epoll.iolab") as whole, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        meta, records = json.loads(whole.read("meta.json")), whole.read("records.bin")
        meta.pop("bytes", None)
        if damage == "meta":
            del meta["probes"]
        bad.writestr("meta.json", json.dumps(meta))
        bad.writestr("records.bin", records[:-7] if damage == "records" else records)
    done = iolab("show", str(tmp_path / "bad"))
    assert done.returncode == 2 and "Traceback" not in done.stderr and "--save" in done.stderr


def test_labs_and_claims_as_text_and_json() -> None:
    assert "blocking" in iolab("labs").stdout
    labs = json.loads(iolab("labs", "--json").stdout)["labs"]
    assert {"epoll", "blocking"} <= {lab["name"] for lab in labs}
    claims = json.loads(iolab("claims", "--json").stdout)["claims"]
    assert [claim["id"] for claim in claims] == list(CLAIMS)
    text = iolab("claims").stdout
    assert all(f"\n{claim}  " in "\n" + text for claim in CLAIMS)


def test_doctor_says_what_runs_here() -> None:
    done = iolab("doctor", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == (0 if document["can_trace"] else 4)
    assert {"BTF", "BCC", "fentry", "kprobe", "io_uring", "container", "seccomp", "tracefs"} <= {
        capability["name"] for capability in document["capabilities"]
    }
    for capability in document["capabilities"]:
        assert capability["remedy"] or capability["state"] in ("yes", "info"), capability


@pytest.mark.parametrize("command", ["lab", "show", "trace", "doctor", "labs", "claims"])
def test_every_command_explains_itself(command: str) -> None:
    done = iolab("--help", command)
    assert done.returncode == 0 and done.stdout.startswith("Usage: ") and len(done.stdout.split("Options:")[0]) > 40


@pytest.mark.parametrize("line", [["help"], ["-h"], ["--help"]])
def test_help_is_an_option_and_a_word(line: list[str]) -> None:
    assert iolab(*line).stdout == iolab("--help").stdout
    assert iolab(*line, "lab").stdout == iolab("lab", "--help").stdout
    wrong = iolab(*line, "nothing")
    assert (wrong.returncode, wrong.stdout) == (2, "") and "there is no command nothing" in wrong.stderr


def test_the_help_names_the_commands_and_offers_no_options_of_invoke() -> None:
    done = iolab("--help", IOLAB_CALLED="./iolab")
    assert done.returncode == 0 and done.stdout.startswith("Usage: ./iolab COMMAND [options]\n")
    assert "  doctor " in done.stdout and "./iolab trace -- CMD ARGS" in done.stdout
    assert not [word for word in ("core", "sudo", "invoke", "pty") if word in done.stdout.lower()]


@pytest.mark.parametrize("line", [["--echo", "labs"], ["labs", "--echo"], ["--config", "/etc/passwd", "labs"]])
def test_options_of_invoke_for_build_scripts_are_refused(line: list[str]) -> None:
    done = iolab(*line)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no option --" in done.stderr


def test_a_lab_without_a_name_lists_the_labs() -> None:
    assert iolab("lab").stdout == iolab("labs").stdout != ""


def test_compare_takes_models_and_options() -> None:
    assert tasks._split(["compare", "epoll", "select", "--clients", "3"]) == (
        ["compare", "--clients", "3"],
        ["epoll", "select"],
    )
    assert tasks._split(["compare", "--clients", "3"]) == (["compare", "--clients", "3"], [])
    assert "compare [MODEL ...] [options]" in iolab("compare", "--help").stdout


def test_html_is_written_beside_the_report(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = iolab("show", str(DATA / "epoll.iolab"), "--html", str(page))
    assert done.returncode == 0 and "statements checked" in done.stdout
    text = page.read_text()
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>") and 'id="messages"' in text


def test_a_page_that_cannot_be_written_is_said_before_the_work() -> None:
    done = iolab("show", str(DATA / "epoll.iolab"), "--html", "/nowhere/page.html")
    assert done.returncode == 2 and "can't write /nowhere/page.html" in done.stderr and not done.stdout


@pytest.mark.live
def test_a_traced_program_has_a_page(kernel: None, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = iolab("trace", "--html", str(page), "--", "sleep", "0.01")
    assert done.returncode == 0 and not done.stdout
    assert 'id="waits"' in page.read_text() and "clock_nanosleep" in page.read_text()
