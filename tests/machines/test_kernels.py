"""The kernel matrix: choosing packages, reading what came out of a guest, the tables; and one kernel booted for real."""

from __future__ import annotations

import io
import json
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import labs
from machines import arm, debian, guest, kernels
from machines.kernels import Trial, Tried
from probes.errors import CannotTrace, LabBroken, WrongUsage
from reports import kernels as report
from tests.conftest import ROOT, cannot, iolab

PAGE = ROOT / "docs" / "kernels.md"

OF_6_1 = """\
linux-image-amd64
  Depends: linux-image-6.1.0-50-amd64
linux-image-6.1.0-50-amd64
  Depends: kmod
 |Depends: initramfs-tools
kmod
linux-base
<linux-initramfs-tool>
"""
OF_7_2 = """\
linux-image-amd64
linux-base-amd64
linux-base-7.2.13+deb14-amd64
linux-image-7.2.13+deb14-amd64
linux-binary-7.2.13+deb14-amd64
linux-modules-7.2.13+deb14-amd64
linux-base
kmod
"""


def test_a_kernel_is_the_packages_that_its_suite_names() -> None:
    assert debian.parts(OF_6_1) == ["linux-image-6.1.0-50-amd64"]
    parts = debian.parts(OF_7_2)
    assert [part.split("-7")[0] for part in parts] == ["linux-base", "linux-image", "linux-binary", "linux-modules"]


def test_the_mirror_is_debians_own_as_this_machine_has_it() -> None:
    targets = (
        "http://one/other/|Node|Node|nodistro\n"
        "http://mirror/security/|Debian|Debian-Security|trixie-security\n"
        "http://mirror/debian/|Debian|Debian|trixie\n"
        "http://mirror/debian/|Debian|Debian|trixie-updates\n"
    )
    assert debian.mirrors(targets) == ["http://mirror/debian/"]
    assert debian.mirrors("") == []


def _boot_image(payload: bytes) -> bytes:
    """A bzImage with 2 sectors of setup code, 64 bytes of other code, and then the payload with its size."""
    header = bytearray(3 * 512)
    header[0x1F1] = 2
    struct.pack_into("<II", header, 0x248, 64, len(payload) + 4)
    return bytes(header) + bytes(64) + payload + struct.pack("<I", 9) + b"code after the payload"


def test_a_kernel_compressed_by_xz_is_uncompressed_once(tmp_path: Path) -> None:
    kernel = debian.Kernel("6.1", "6.1.0-50-amd64", "amd64", "linux-image 1", tmp_path)
    kernel.compressed.parent.mkdir(parents=True)
    kernel.compressed.write_bytes(_boot_image(b"\x28\xb5\x2f\xfd by zstd"))
    debian._uncompress(kernel)
    assert kernel.image == kernel.compressed
    kernel.compressed.write_bytes(_boot_image(lzma.compress(b"\x7fELF and more")))
    debian._uncompress(kernel)
    assert kernel.image == kernel.uncompressed and kernel.image.read_bytes() == b"\x7fELF and more"


def test_without_root_a_missing_qemu_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        CannotTrace, match=r"qemu-system-x86 must be installed\n  sudo apt-get install .* qemu-system-x86"
    ) as error:
        debian.install({"no-such-program": "qemu-system-x86", "sh": "dash"})
    assert error.value.code == 4


def test_kernels_are_chosen_by_name_or_suite() -> None:
    assert kernels.names("", "amd64") == ["5.10", "6.1", "6.12", "newest"]
    assert kernels.names("trixie,6.1", "amd64") == ["6.12", "6.1"]
    assert kernels.names("", "arm64") == [arm.KERNEL]
    with pytest.raises(WrongUsage, match=r"5\.10, 6\.1, 6\.12, newest"):
        kernels.names("2.6", "amd64")


def test_an_arm64_machine_gets_doctor_and_a_few_labs() -> None:
    every = list(labs.names())
    assert kernels.to_run("", every, "amd64") == every and kernels.to_test("", "amd64") == ""
    assert kernels.to_run("", every, "arm64") == list(arm.LABS) and set(arm.LABS) < set(every)
    assert kernels.to_run("select,poll", every, "arm64") == ["select", "poll"]
    assert kernels.to_run("none", every, "arm64") == [] and kernels.to_test("", "arm64") is None
    assert kernels.to_test("none", "amd64") is None and kernels.to_test("ring", "amd64") == "ring"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--only", "2.6"], "there is no kernel '2.6'"),
        (["--arch", "vax"], "--arch takes amd64 or arm64"),
        (["--arch", "arm64", "--tests", "ring"], "neither pytest nor a compiler"),
        (["--labs", "epol"], "did you mean epoll"),
        (["--at-once", "0"], "--at-once 0 is out of range"),
        (["--at-once", "two"], "--at-once two is not a number"),
        (["--only", "none", "--add", "/nowhere"], "is not a result of this command"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_fetched(line: list[str], words: str) -> None:
    done = iolab("kernels", *line)
    assert done.returncode == 2 and words in done.stderr and not done.stdout


def _trial(**labs: str) -> Trial:
    trial = Trial("6.1", "6.1.0-50-amd64", "linux-image-6.1.0-50-amd64 6.1.176-1", "amd64")
    trial.take({"kind": "doctor", "seconds": 5.0, "can_trace": True, "findings": [{"name": "fentry", "state": "yes"}]})
    costs = [("the call itself", 300.0), ("raw tracepoint", 90.0), ("fentry", 99.0), ("kprobe", None)]
    trial.take({"kind": "costs", "seconds": 1, "why": "", "costs": [{"kind": kind, "ns": ns} for kind, ns in costs]})
    for name, verdict in labs.items():
        check = {"name": "asleep", "evidence": "0 of 3", "verdict": "failed" if verdict == "fail" else "confirmed"}
        probe = {"name": "copy", "attached": "tracepoint:skb:x", "quality": "bounded", "reason": "", "hits": 1}
        trial.take(
            {"kind": "lab", "name": name, "verdict": verdict, "seconds": 9.0, "why": "", "checks": [check], "probes": [probe]}
        )
    return trial


def test_a_kernel_that_can_not_be_had_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name: str, *_: object) -> debian.Kernel:
        if name == "5.10":
            raise CannotTrace("bullseye has no kernel package for amd64", "take another")
        return debian.Kernel(name, f"{name}.0-1-amd64", "amd64", "linux-image 1", Path("/"))

    def matrix(*names: str) -> list[Trial]:
        trials: list[Trial] = []
        kernels.matrix(trials, names, "amd64", [], None, at_once=1, refresh=False, progress=lambda _words: None)
        return trials

    booted = []
    monkeypatch.setattr(guest, "need_qemu", lambda _arch: None)
    monkeypatch.setattr(debian, "fetch", fetch)
    monkeypatch.setattr(kernels, "_try", lambda kernel, *_: booted.append(kernel.name))
    missing, there = matrix("5.10", "6.1")
    assert (missing.kernel, missing.verdict, booted) == ("5.10", "inconclusive", ["6.1"]) and there.kernel == "6.1"
    assert "no kernel package" in missing.unfinished and missing.unfinished in report.remarks([missing])[0]
    had = replace(_trial(epoll="pass"), kernel="5.10", release="5.10.0-32-amd64")
    assert kernels.merged([missing, had]) == [had], "a later trial makes up for it"
    with pytest.raises(CannotTrace, match="no kernel package"):
        matrix("5.10")


@pytest.mark.parametrize(
    ("trial", "verdict"),
    [
        (_trial(epoll="pass", io_uring="cannot"), "pass"),
        (_trial(epoll="pass", poll="inconclusive"), "inconclusive"),
        (_trial(epoll="pass", poll="broken"), "inconclusive"),
        (_trial(epoll="fail", poll="inconclusive"), "fail"),
    ],
)
def test_a_kernel_is_as_good_as_its_worst_lab(trial: Trial, verdict: str) -> None:
    assert trial.verdict == verdict
    assert kernels.verdict([_trial(epoll="pass"), trial]) == verdict


def test_a_kernel_that_broke_or_cant_be_traced_is_no_pass() -> None:
    trial = _trial(epoll="pass")
    trial.broken = "it did not boot"
    assert trial.verdict == "inconclusive"
    trial = _trial(epoll="pass")
    trial.can_trace = False
    assert trial.verdict == "fail"


TESTED = """
import pytest
@pytest.fixture
def missing(): pytest.skip("gcc is missing; apt-get install gcc")
@pytest.fixture
def broken(): raise OSError("no such device")
def test_good(): print("words of its own")
def test_bad(): assert 1 == 2, "the reason"
def test_skipped(missing): pass
def test_not_begun(broken): pass
"""


def test_each_live_test_is_reported_when_it_has_ended(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTED)
    script = f"import sys, pytest; sys.path.insert(0, {str(ROOT)!r}); from machines import inside\n"
    script += "pytest.main(['-q', '-p', 'no:cacheprovider', 'test_some.py'], plugins=[inside._Reporter()])"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    trial = _trial(epoll="pass")
    said = [trial.take(json.loads(line[line.index("{") :])) for line in done.stdout.splitlines() if '{"kind"' in line]
    assert [line.split(": ", 1)[1].split(" (")[0] for line in said] == ["passed", "failed", "skipped", "failed"]
    assert trial.tests_words == "1 passed, 2 failed, 1 skipped (not to the end)"
    assert trial.tests["test_some.py::test_skipped"].why == "gcc is missing; apt-get install gcc"
    assert report.skip_rows([_trial(), trial]) == [["gcc is missing; apt-get install gcc", "-", "1"]]
    page = io.StringIO()
    report.write_page([trial], [], page)
    assert "| gcc is missing; apt-get install gcc | 1 |" in page.getvalue() and "the reason" in page.getvalue()
    assert "the reason" in trial.tests["test_some.py::test_bad"].why
    assert "no such device" in trial.tests["test_some.py::test_not_begun"].why
    assert trial.verdict == "fail"
    trial.take({"kind": "tests", "seconds": 70.5, "status": 1})
    assert trial.tests_words == "1 passed, 2 failed, 1 skipped"
    again = replace(_trial(), chosen="bad or begun")
    for name in ("test_bad", "test_not_begun"):
        again.take({"kind": "test", "seconds": 2.0, "name": f"test_some.py::{name}", "outcome": "passed", "why": ""})
    again.take({"kind": "tests", "seconds": 4.0, "status": 0})
    (whole,) = kernels.merged([trial, again])
    assert (whole.tests_words, whole.verdict) == ("3 passed, 0 failed, 1 skipped", "pass")
    (other,) = kernels.merged([_trial(), again])
    assert other.tests_words == "2 passed, 0 failed, 0 skipped (of bad or begun)"
    again.status = None
    assert kernels.merged([trial, again])[0].tests_words.endswith("(not to the end)")


def test_tests_that_a_guest_did_not_get_through_are_inconclusive() -> None:
    trial = _trial(epoll="pass")
    trial.take({"kind": "test", "seconds": 2.0, "name": "tests/test_a.py::test_b", "outcome": "passed", "why": ""})
    assert trial.verdict == "inconclusive" and "not to the end" in trial.tests_words
    assert report.remarks([trial]) == ["6.1.0-50-amd64: the live tests did not finish"]
    assert kernels.merged([trial, _trial(poll="pass")])[0].verdict == "inconclusive", "another answer does not end them"
    trial.take({"kind": "tests", "seconds": 9.0, "status": 2})
    assert trial.verdict == "fail", "pytest itself was interrupted"


def test_the_tables_hold_every_kernel_and_say_what_failed(tmp_path: Path) -> None:
    trials = [_trial(epoll="pass", poll="fail"), _trial(epoll="pass")]
    assert report.lab_rows(trials) == [["epoll", "pass", "pass"], ["poll", "fail", "-"]]
    assert report.probe_rows(trials)[0] == ["copy", "bounded (tracepoint)", "bounded (tracepoint)"]
    assert report.cost_rows(trials)[:2] == [["raw tracepoint", "x1.0", "x1.0"], ["fentry", "x1.1", "x1.1"]]
    assert report.cost_rows(trials)[-1] == ["kretprobe", "-", "-"]
    assert report.remarks(trials) == ["6.1.0-50-amd64, lab poll: asleep: 0 of 3"]
    page = io.StringIO()
    report.write_page(trials, ["select"], page)
    assert report.documented_labs(page.getvalue()) == ["epoll", "poll", "select"]
    text = io.StringIO()
    report.write(trials, text)
    assert "6.1.0-50" in text.getvalue() and "asleep: 0 of 3" in text.getvalue()


def test_an_answer_can_be_shown_again_beside_others(tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    with file.open("w") as out:
        report.write([_trial(epoll="fail")], out, json=True)
    done = iolab("kernels", "--only", "none", "--add", str(file), "--json", "--write", str(tmp_path / "page.md"))
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout) == json.loads(file.read_text())
    assert kernels.load(str(file))[0].labs == {"epoll": _trial(epoll="fail").labs["epoll"]}
    assert isinstance(kernels.load(str(file))[0].labs["epoll"], Tried)
    assert "| `epoll` | fail |" in (tmp_path / "page.md").read_text()


def test_a_later_answer_replaces_what_it_tried_again(tmp_path: Path) -> None:
    again = _trial(poll="pass")
    again.doctor = []
    other = replace(_trial(epoll="pass"), arch="arm64")
    (whole, apart) = kernels.merged([_trial(epoll="pass", poll="fail"), other, again])
    assert {name: lab.verdict for name, lab in whole.labs.items()} == {"epoll": "pass", "poll": "pass"}
    assert whole.doctor and whole.verdict == "pass" and apart == other
    again.doctor, again.can_trace = [{"name": "BTF", "state": "no"}], False
    broken = _trial(epoll="pass")
    broken.broken = "it hung in lab poll"
    (whole,) = kernels.merged([broken, again])
    assert not whole.can_trace and whole.broken == "it hung in lab poll" and set(whole.labs) == {"epoll", "poll"}
    stopped = replace(_trial(epoll="pass"), unfinished="it was interrupted")
    assert stopped.verdict == "inconclusive" and report.remarks([stopped]) == ["6.1.0-50-amd64: it was interrupted"]
    assert kernels.merged([stopped, _trial(poll="pass")])[0].verdict == "pass"


def test_the_documented_table_has_no_lab_that_is_gone() -> None:
    """A new lab gets its row at the next run of the kernels, which takes hours: adding a lab does not require it."""
    gone = set(report.documented_labs(PAGE.read_text())) - set(labs.names())
    assert not gone, f"docs/kernels.md has {gone}: {report.AGAIN}"


# -- a real kernel; doctor and labs in all of them: invoke kernels, as CI does -----------------------------------------


def test_a_crashed_kernels_console_is_read_from_the_reason_on() -> None:
    trace = [f"[    5.5{number:05}]  ? do_something+0x{number:x}/0x160" for number in range(60)]
    panic = "[    5.497907] Kernel panic - not syncing: sysrq triggered crash"
    console = "\n".join(["\x1b[2J[    0.1] first words", *trace, panic, "", *trace])
    assert guest.telling(console) == [panic, *trace[:39]]
    lockup = "[   90.000000] watchdog: BUG: soft lockup - CPU#1 stuck for 26s!"
    assert guest.telling("\n".join([lockup, *trace])) == trace[20:], "it went on after that"
    assert guest.telling("\x1b[2J\x1b[HOne\r\n  \r\ntwo\r\n") == ["One", "two"]
    assert guest.telling("") == []


@pytest.fixture(scope="module")
def booted() -> debian.Kernel:
    """Debian's 6.1, fetched once."""
    try:
        kernel = debian.fetch("6.1")
        guest.need_qemu(kernel.arch)
    except CannotTrace as error:
        cannot(error.problem, error.remedy)
    return kernel


@pytest.mark.live
def test_what_a_guest_writes_stays_in_it_and_its_words_come_out_apart(booted: debian.Kernel, tmp_path: Path) -> None:
    ended = guest.run(
        booted, ["sh", "-c", "pwd; echo $SAID; echo problem >&2; echo x > left; rm kept; echo y > /dev/stdout; exit 7"],
        seconds=60, directory=str(_kept(tmp_path)), environment={"SAID": "a 'word'"},
    )  # fmt: skip
    assert (ended.status, ended.err) == (7, "problem\n")
    assert ended.out == f"{tmp_path}\na 'word'\ny\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def _kept(folder: Path) -> Path:
    (folder / "kept").touch()
    return folder


@pytest.mark.live
def test_a_command_that_hangs_ends_in_a_sentence(booted: debian.Kernel) -> None:
    with pytest.raises(LabBroken, match=r"did not end within 2 s(.|\n)*console"):
        guest.run(booted, ["sleep", "600"], seconds=2, directory="/")


@pytest.mark.live
def test_nothing_is_left_after_kill_9(booted: debian.Kernel) -> None:
    line = [sys.executable, "-m", "machines.guest", "6.1", "--", "sh", "-c", "echo up; sleep 600"]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ) as runner:
        try:
            assert runner.stdout and runner.stdout.readline() == b"up\n"
            machines = psutil.Process(runner.pid).children(recursive=True)
            assert [machine.name()[:4] for machine in machines] == ["qemu"]
        finally:
            runner.kill()
    end = time.monotonic() + 20
    while any(machine.is_running() and machine.status() != psutil.STATUS_ZOMBIE for machine in machines):
        assert time.monotonic() < end, "QEMU outlived its starter"
        time.sleep(0.05)


PANICS = """
import os, pytest, signal, time
pytestmark = pytest.mark.live
def test_before(): os.environ["BEFORE"] = "it ran in this boot"
def test_that_panics_once():
    if "BEFORE" in os.environ:
        time.sleep(1)  # what the machine printed has to leave it first
        open("/proc/sysrq-trigger", "w").write("c")
        signal.pause()
def test_after(): assert "BEFORE" not in os.environ
"""
TRY = """
import dataclasses, json, sys, threading
from machines import debian, kernels
trial = kernels.Trial("6.1", "", "", "amd64", doctor=[{"name": "reported before"}], can_trace=True)
kernels._try(debian.fetch("6.1"), trial, [], "", threading.Event(), lambda words: print(words, file=sys.stderr))
json.dump(kernels.as_data([trial]), sys.stdout)
"""


@pytest.mark.live
def test_a_machine_that_crashed_is_booted_again_for_what_is_left(booted: debian.Kernel, tmp_path: Path) -> None:
    """In a checkout whose live tests bring the kernel down once."""
    for room in ("machines", "probes"):
        shutil.copytree(ROOT / room, tmp_path / room)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_panics.py").write_text(PANICS)
    done = subprocess.run([sys.executable, "-c", TRY], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.count("booting") == 2, done.stderr
    assert re.search(r"ended in the middle of its command(.|\n)*panic - not syncing: sysrq triggered crash", done.stderr)
    (tmp_path / "answer.json").write_text(done.stdout)
    (trial,) = kernels.load(str(tmp_path / "answer.json"))
    assert [name.split("::test_")[1] for name in trial.tests] == ["before", "that_panics_once", "after"]
    assert trial.tests_words == "3 passed, 0 failed, 0 skipped"
    assert trial.broken.count("sysrq triggered crash") == 1 and trial.verdict == "inconclusive"


@pytest.mark.live
def test_an_interrupted_matrix_gives_what_it_has(booted: debian.Kernel, tmp_path: Path) -> None:
    """By SIGTERM, as `kill` and `timeout` send it; one kernel is being tried then and one waits for its turn."""
    answer = tmp_path / "answer.json"
    debian.fetch("newest")
    line = ["./iolab", "kernels", "--only", "6.1,newest", "--labs", "none", "--tests", "none", "--json", "--out", str(answer)]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, env=os.environ, text=True) as command:
        assert command.stderr
        for words in command.stderr:
            if words.endswith("booting\n"):
                break
        command.terminate()
        errors = command.stderr.read()
    assert (command.returncode, errors.splitlines()[-1]) == (130, "iolab: interrupted; nothing is left running")
    first, second = kernels.load(str(answer))
    assert first.release == booted.release and "in QEMU: it was interrupted" in first.unfinished
    assert second.unfinished == "it was interrupted before this kernel was booted" and second.verdict == "inconclusive"
