"""The commands. `./iolab` or `invoke --list` names them, `invoke --help COMMAND` explains one.

Exit codes: 0 every check held; 1 a check failed; 2 wrong usage; 3 inconclusive; 4 this machine can't run it. trace: the
status of the program itself.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.program import Program
from invoke.tasks import task

from probes import files
from probes.errors import IolabError, WrongUsage
from reports.words import with_command_name

_VERDICT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}


def _wrong_usage_is_2(parse: Callable[[Program], None]) -> Callable[[Program], None]:
    """Invoke ends with status 1 on a command line that it can't parse; here 1 means that a check failed."""

    @functools.wraps(parse)
    def parse_tasks(program: Program) -> None:
        try:
            parse(program)
        except ParseError as error:
            hint = "invoke --list names the commands, invoke --help COMMAND its options"
            if "trace" in sys.argv and "--" not in sys.argv:
                hint = "trace takes the program after two dashes: invoke trace -- CMD ARGS"
            raise Exit(with_command_name(f"{error}\n  {hint}"), 2) from error

    return parse_tasks


# As every Unix tool: whoever reads the answer may go away, and nobody is told. Children get the default back in any case.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
for _stream in (sys.stdout, sys.stderr):
    if isinstance(_stream, io.TextIOWrapper):
        _stream.reconfigure(errors="backslashreplace")  # arguments and names may hold any bytes
Program.parse_tasks = _wrong_usage_is_2(Program.parse_tasks)  # type: ignore[method-assign, assignment]


def command(function: Callable[..., int | None]) -> Callable[..., None]:
    """A task whose errors are sentences and whose return value is the exit status."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            status = function(*arguments, **options)
        except IolabError as error:
            raise Exit(f"iolab: {with_command_name(str(error))}", error.code) from error
        except KeyboardInterrupt:
            left = "what the program started may still run" if function.__name__ == "trace" else "nothing is left running"
            raise Exit(f"iolab: interrupted; {left}", 130) from None
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer goes nowhere, silently, at the end
            raise Exit(f"iolab: can't write the answer: {error.strerror or error}", 2) from error
        if status:
            raise Exit("", status)

    return run


@contextlib.contextmanager
def _answer(out: str | None, default: IO[str] | None) -> Iterator[IO[str]]:
    """Where the answer goes: the file that --out names, whole or not at all, or `default`."""
    if out:
        with files.whole(out) as file:
            yield file
    elif default is not None:  # None: closed by the caller, who wants no answer
        yield default
        default.flush()
    else:
        yield io.StringIO()


def _present(recording: Any, json: bool, save: str | None, out: str | None, stacks: bool, default: IO[str] | None) -> Any:
    """Saves and shows a recording in the form asked for; returns its result."""
    from runs.lab import show as judge

    result = judge(recording)
    with _answer(out, default) as file:
        if json:
            from reports.document import write
        else:
            from reports.terminal import write
        write(result, file, stacks)
    if save:  # last: if it fails, the answer has been given
        recording.save(save)
    return result


def _check(*paths: str) -> None:
    """Refuses a place that can't be written before the work is done, not after."""
    for path in paths:
        if path:
            files.check(path)


def _number(option: str, text: str) -> Any:
    try:
        return float(text) if option == "gap_ms" else int(text)
    except ValueError:
        raise WrongUsage(
            f"--{option.replace('_', '-')} {text} is not a number", "for example --clients 3 --gap-ms 20"
        ) from None


def _progress(words: str) -> None:
    print(f"iolab: {words}", file=sys.stderr, flush=True)


def _predicted(lab: str | None, about: str, seed: int, predict: bool, answers: str) -> dict[str, Any]:
    """What is said of a lab before it shows anything: from a file, or asked on the terminal. {} if nobody is to be asked.

    `about` is its traffic in words. It goes into the recording's context.
    """
    from runs import predict as predicting

    if not predict and not answers:
        return {}
    if lab is None:
        raise WrongUsage("there are questions about labs only, and this is a trace", "show it without --predict and --answers")
    asked = predicting.questions(lab, seed)
    if answers:
        said = predicting.answers(asked, predicting.read(answers))
    elif sys.stdin.isatty() and sys.stderr.isatty():
        from reports import prediction
        from reports.terminal import console

        out = console(sys.stderr)
        prediction.introduce(lab, about, out)
        said = prediction.ask(asked, sys.stdin.readline, out)
    else:
        raise WrongUsage(
            "--predict asks on a terminal, and there is none",
            f"invoke lab {lab} --questions prints the questions, --answers FILE takes the answers",
        )
    return {"prediction": {"seed": seed, "answers": said}}


_PREDICT_HELP = {
    "predict": "first ask what it will show, then mark the answers; the exit status stays the lab's",
    "answers": 'mark the answers in this file (- is stdin): {"calls": "b", ...}, as --questions names them',
}
_SHARED_HELP = {
    "json": "the answer as one JSON document",
    "out": "write the answer to this file",
    "stacks": "show the kernel stack behind each kind of sleep and wake-up",
}
_LINK_HELP = "clients and server in network namespaces, joined by a link: delay=20ms,jitter=5ms,loss=1%,rate=10mbit, each way"


@task(
    help=_SHARED_HELP
    | _PREDICT_HELP
    | {
        "questions": "print the questions of --predict as JSON, and run nothing",
        "name": "the lab: invoke labs lists them",
        "clients": "number of clients",
        "messages": "messages of each client",
        "size": "bytes of each message",
        "gap-ms": "pause before each message, ms",
        "seed": "of payloads and pauses, and of what --predict asks",
        "udp": "datagrams instead of connections, where the model has a server for them",
        "link": _LINK_HELP,
        "save": "keep the recording in this file, for invoke show",
    }
)
@command
def lab(
    _context: Context,
    name: str,
    clients: str = "",
    messages: str = "",
    size: str = "",
    gap_ms: str = "",
    seed: str = "",
    udp: bool = False,
    link: str = "",
    json: bool = False,
    save: str = "",
    out: str = "",
    stacks: bool = False,
    predict: bool = False,
    questions: bool = False,
    answers: str = "",
) -> int:
    """Run one lab: its server and clients under the probes; picture, phase table, checks."""
    _progress(f"lab {name}")
    import dataclasses

    import labs
    from probes.capture.privileges import need_privileges
    from runs import lab as run
    from runs import link as links

    _check(save, out)
    found = labs.find(name)
    given = {"clients": clients, "messages": messages, "size": size, "gap_ms": gap_ms, "seed": seed}
    changed = {key: _number(key, text) for key, text in given.items() if text} | ({"udp": True} if udp else {})
    if found.experiment and (link or set(changed) - {"seed"}):
        raise WrongUsage(
            f"lab {name} is an experiment without clients", "leave out what shapes traffic: clients, messages, link ..."
        )
    traffic = dataclasses.replace(found.traffic, **changed)
    if questions:
        from reports import prediction
        from runs import predict as predicting

        with _answer(out, sys.stdout) as file:
            prediction.write_questions(name, traffic.seed, predicting.questions(name, traffic.seed), file)
        return 0
    if predict:
        need_privileges()  # before somebody thinks about questions in vain
    said = _predicted(name, "" if found.experiment else traffic.words, traffic.seed, predict, answers)
    with links.optional(link, _progress) as between:
        recording = run.record(name, traffic, _progress, between).with_context(**said)
    return _VERDICT_CODES[_present(recording, json, save, out, stacks, sys.stdout).verdict]


@task(
    help={"json": _SHARED_HELP["json"], "out": _SHARED_HELP["out"]}
    | {"clients": "number of clients", "messages": "messages of each client", "size": "bytes of each message"}
    | {"link": _LINK_HELP}
)
@command
def compare(
    _context: Context,
    clients: str = "",
    messages: str = "",
    size: str = "",
    link: str = "",
    json: bool = False,
    out: str = "",
) -> int:
    """Run every model on the same traffic and put them into one table."""
    import dataclasses

    from reports import comparison
    from runs import compare as comparing
    from runs import link as links

    given = {"clients": clients, "messages": messages, "size": size}
    traffic = dataclasses.replace(comparing.TRAFFIC, **{key: _number(key, text) for key, text in given.items() if text})
    with links.optional(link, _progress) as between:
        found = comparing.compare(traffic, _progress, between)
    with _answer(out, sys.stdout) as file:
        comparison.write(found, file, json)
    return _VERDICT_CODES[comparing.verdict(found)]


@task(help={"json": _SHARED_HELP["json"], "out": _SHARED_HELP["out"]})
@command
def labs(_context: Context, json: bool = False, out: str = "") -> None:
    """List the labs with the question that each answers."""
    import labs as rooms
    from reports import catalogue

    with _answer(out, sys.stdout) as file:
        catalogue.write_labs([(name, rooms.find(name)) for name in rooms.names()], file, json)


@task(
    help={
        "name": "of which lab; all: every lab's page, into the folder that --out names",
        "recording": "show this run of it; without one, a run that comes with iolab",
        "out": "the file, or the folder",
    },
)
@command
def handout(_context: Context, name: str, recording: str = "", out: str = "") -> None:
    """Write a page about a lab to hand out: what to predict, run and see, in Markdown."""
    import labs as rooms
    from probes.recording import load
    from reports import handout as pages
    from runs import lab as run

    def example(lab: str) -> Any:
        return run.show(load(Path(recording) if recording else Path(__file__).parent / "tests" / "data" / f"{lab}.iolab"))

    if name != "all":
        rooms.find(name)
        with _answer(out, sys.stdout) as file:
            file.write(pages.page(name, example(name)))
        return
    if not out or recording:
        raise WrongUsage("all pages need a folder", "invoke handout all --out docs/labs")
    Path(out).mkdir(parents=True, exist_ok=True)
    texts = {"README": pages.index()} | {lab: pages.page(lab, example(lab)) for lab in rooms.names()}
    for lab, text in texts.items():
        with files.whole(str(Path(out) / f"{lab}.md")) as file:
            file.write(text)


@task(help={"json": _SHARED_HELP["json"], "out": _SHARED_HELP["out"], "run": "run every lab first, and show the verdicts"})
@command
def claims(_context: Context, run: bool = False, json: bool = False, out: str = "") -> int:
    """List every claim about the I/O models with the checks that stand for it."""
    import labs as rooms
    from reports import catalogue
    from runs import compare as comparing
    from runs import every

    _check(out)
    judged, verdict = every.judge([*rooms.names(), every.COMPARE], _progress) if run else (None, "pass")
    with _answer(out, sys.stdout) as file:
        catalogue.write_claims([(name, rooms.find(name)) for name in rooms.names()], comparing.CHECKS, file, json, judged)
    return _VERDICT_CODES[verdict]


@task(
    help=_SHARED_HELP
    | _PREDICT_HELP
    | {"file": "a recording made by --save", "seed": "of what --predict asks; else that of the recording"}
)
@command
def show(
    _context: Context,
    file: str,
    json: bool = False,
    out: str = "",
    stacks: bool = False,
    predict: bool = False,
    answers: str = "",
    seed: str = "",
) -> int:
    """Show a saved recording again; needs neither root nor BCC."""
    from probes.recording import load

    recording = load(Path(file))
    context = recording.context
    number = _number("seed", seed) if seed else (context.get("prediction") or context.get("traffic") or {}).get("seed", 1)
    said = _predicted(context.get("lab"), context.get("traffic_words", ""), number, predict, answers)
    return _VERDICT_CODES[_present(recording.with_context(**said), json, "", out, stacks, sys.stdout).verdict]


@task(help=_SHARED_HELP | {"save": "keep the recording in this file, for invoke show"})
@command
def trace(_context: Context, json: bool = False, save: str = "", out: str = "", stacks: bool = False) -> int:
    """Run any program under the probes: invoke trace -- CMD ARGS. The answer goes to stderr, stdout is the program's."""
    from runs import trace as tracing

    line = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    _check(save, out)
    if not line:
        raise WrongUsage("trace needs a program to run", "invoke trace -- CMD ARGS, for example: invoke trace -- ls -l")
    recording, status = tracing.run(line, _progress)
    result = _present(recording, json, save, out, stacks, sys.stderr)
    return status if result.events.sound else 3


@task(help={"json": _SHARED_HELP["json"], "out": _SHARED_HELP["out"]})
@command
def doctor(_context: Context, json: bool = False, out: str = "") -> int:
    """What this machine can trace, what it can't, and the remedy for each gap."""
    import labs as rooms
    from probes.capture import capabilities
    from reports import catalogue
    from runs import lab as running
    from runs import link

    _progress("loading a real program for each kind of probe, and making a link")
    findings = [*capabilities.examine(), link.examine()]
    with _answer(out, sys.stdout) as file:
        catalogue.write_doctor(findings, {name: running.lacks(rooms.find(name)) for name in rooms.names()}, file, json)
    return 0 if capabilities.can_trace(findings) else 4


@task(
    help={"json": _SHARED_HELP["json"], "out": _SHARED_HELP["out"], "only": "the trials with this in their name"}
    | {"whole": "all tests in the container, not only the live ones of the instrument"}
)
@command
def image(_context: Context, only: str = "", whole: bool = False, json: bool = False, out: str = "") -> int:
    """Build the container image and try it: every command, with and without privileges; the host must stay as it was."""
    from machines import image as trying

    _check(out)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as by Ctrl-C: what was made goes away
    rows = list(trying.tried(_progress, only, whole))
    with _answer(out, sys.stdout) as file:
        trying.write(rows, file, json)
    return 0 if all(row.verdict == "pass" for row in rows) else 1


@task(
    help={"json": _SHARED_HELP["json"], "out": _SHARED_HELP["out"]}
    | {
        "only": "these kernels: 5.10, 6.1, 6.12, newest, with commas between",
        "arch": "amd64 or arm64 (where doctor and a few labs run, by default); without it this machine's",
        "labs": "these labs, with commas between; none for none",
        "tests": "only the live tests that this expression chooses, as pytest's -k; none for none (arm64 has none)",
        "at-once": "how many kernels run at the same time",
        "refresh": "fetch the kernels anew, even if they are in the cache",
        "add": "earlier answers (--json --out FILE) to show beside, with commas between; what was tried again is replaced",
        "write": "write the page for docs/ to this file, too",
    }
)
@command
def kernels(
    _context: Context,
    only: str = "",
    arch: str = "",
    labs: str = "",
    tests: str = "",
    at_once: str = "1",
    refresh: bool = False,
    add: str = "",
    write: str = "",
    json: bool = False,
    out: str = "",
) -> int:
    """Boot Debian's kernels under QEMU, run every lab and the live tests in each; kernel x probe, kernel x lab."""
    import labs as rooms
    from machines import kernels as machines
    from reports import kernels as report

    _check(out, write)
    architecture, machines_at_once = machines.architecture(arch), _number("at_once", at_once)
    if machines_at_once < 1:
        raise WrongUsage(f"--at-once {at_once} is out of range", "it takes 1 or more")
    chosen, chosen_tests = machines.to_run(labs, rooms.names(), architecture), machines.to_test(tests, architecture)
    for one in chosen:
        rooms.find(one)
    trials = [trial for path in add.split(",") if path for trial in machines.load(path)]
    names = [] if only == "none" else machines.names(only, architecture)
    try:
        if names:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # hours may be in it: it ends as by Ctrl-C
            machines.matrix(
                trials, names, architecture, chosen, chosen_tests,
                at_once=machines_at_once, refresh=refresh, progress=_progress,
            )  # fmt: skip
    finally:  # interrupted, too: what was tried until then can be added to later (--add)
        trials = machines.merged(trials)
        if trials:
            with _answer(out, sys.stdout) as file:
                report.write(trials, file, json)
    if write:
        with files.whole(write) as file:
            report.write_page(trials, rooms.names(), file)
    return _VERDICT_CODES[machines.verdict(trials)]


@task(help={"live": "only the tests that need the kernel", "pure": "only those that don't", "only": "as pytest's -k"})
@command
def test(context: Context, live: bool = False, pure: bool = False, only: str = "") -> int:
    """Run the linters and the tests."""
    import subprocess

    root = Path(__file__).parent
    for checker in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", "."]):
        if subprocess.run([sys.executable, "-m", *checker], cwd=root).returncode:
            return 1
    chosen = ["-m", "live"] if live else ["-m", "not live"] if pure else []
    chosen += ["-k", only] if only else []
    status: int = subprocess.run([sys.executable, "-m", "pytest", *chosen], cwd=root, env=os.environ).returncode
    return status
