"""What the commands share: the outputs, the options and their help, and the check that tracing is possible."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from probes import files
from probes.errors import CannotTrace, IolabError, WrongUsage
from probes.garbage import uncollected
from probes.words import visible_lines

if TYPE_CHECKING:
    from commands.exports import Exports
    from findings.zoom import Zoom
    from probes.context import Answers
    from runs.report import Report

ROOT = Path(__file__).resolve().parents[1]
VERDICT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
CANNOT_WRITE = 2  # the exit status where an output failed

PREDICT_HELP = {
    "predict": "first ask what the lab will show, then mark the answers; the answers do not change the exit status",
    "answers": 'mark the answers in this file (- is stdin), a JSON object such as {"calls": "b"};'
    " --questions of invoke lab prints the questions",
}
REPORT_HELP = {"json": "write the report as one JSON document", "out": "write the report to this file"}
HTML_HELP = {"html": "write the report also as a page for a browser: one file with the figure, every message and every check"}
STACKS_HELP = {"stacks": "show the kernel stack behind each kind of sleep and wake-up"}
VIEW_HELP = {
    "brief": "write only the first screen of a trace: what the program is, where its threads wait, what is wrong",
    "thread": "show only the threads with this id or name; a name may be a pattern (worker*); several, separated by commas",
    "calls": "show only these system calls (recv*,epoll_wait), their sleeps and their threads",
    "slowest": "how many of the slowest messages and calls to show, each with what its thread waited for,"
    " from thread to thread",
    "fd": "show only the calls on these descriptors, and the messages that these calls returned",
    "port": "show only the calls and messages of sockets with this port, at either end; several, separated by commas",
}
SAVE_HELP = {"save": "save the recording in this file; invoke show prints it again"}
LINK_HELP = {
    "link": "put the clients and the server into two network namespaces, joined by a link; LINK lists its values for each"
    " direction, for example delay=20ms,jitter=5ms,loss=1%,rate=10mbit"
}
TRAFFIC_HELP = {
    "clients": "number of clients",
    "messages": "messages of each client",
    "size": "bytes of each message",
}
# The word for the value of an option, as --help shows it.
VALUES = {
    "add": "FILES",
    "answers": "FILE",
    "arch": "ARCH",
    "at-once": "N",
    "calls": "NAMES",
    "clients": "N",
    "csv": "PATH",
    "dir": "DIR",
    "details": "N",
    "fd": "NUMBERS",
    "file": "FILE",
    "folded": "FILE",
    "folder": "FOLDER",
    "from": "TIME",
    "gap-ms": "MS",
    "gradescope": "FILE",
    "html": "FILE",
    "jobs": "N",
    "junit": "FILE",
    "lab": "NAME",
    "lang": "LANGUAGE",
    "labs": "NAMES",
    "link": "LINK",
    "messages": "N",
    "name": "NAME",
    "only": "NAMES",
    "perfetto": "FILE",
    "pid": "N",
    "port": "NUMBERS",
    "out": "FILE",
    "protocol": "NAME",
    "recording": "FILE",
    "results": "FOLDER",
    "rounds": "N",
    "rubric": "FILE",
    "save": "FILE",
    "seconds": "S",
    "seed": "N",
    "seeds": "FILE",
    "size": "SIZE",
    "slower-than": "TIME",
    "slowest": "N",
    "speedscope": "FILE",
    "sqlite": "FILE",
    "student": "NAME",
    "tests": "EXPRESSION",
    "thread": "NAMES",
    "to": "TIME",
    "tools": "NAMES",
    "write": "FILE",
}

_closed_at_start: tuple[int, ...] = ()


class NeedsPreparing(CannotTrace):
    """BCC or the privilege to trace is missing. ./iolab may be able to provide it, by a package or by Docker."""


# -- the process ------------------------------------------------------------------------------------------------------


def prepare_process() -> None:
    """Opens /dev/null on each of the descriptors 0 to 2 that is closed: no file of iolab gets their numbers."""
    global _closed_at_start
    closed = []
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # open(2) returns the lowest free number: this descriptor
            closed.append(descriptor)
    _closed_at_start = tuple(closed)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8")  # noqa: SIM115 (print would write to stdout where this is None)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # arguments and names may hold any bytes


def closed_at_start() -> tuple[int, ...]:
    """Which of the descriptors 0, 1 and 2 the user had closed: a traced program must find them closed, too."""
    return _closed_at_start


def need_tracing() -> None:
    """Raises NeedsPreparing where this process may not load probes, or has no BCC to make them."""
    from probes.capture.privileges import need_bcc, need_privileges

    try:
        need_privileges()
        need_bcc()
    except CannotTrace as error:
        raise NeedsPreparing(error.problem, error.remedy) from error


def prepare() -> None:
    """Goes back to ./iolab, which installs BCC or starts the container image, then runs the same command again.

    Returns where ./iolab has tried this already, or where the user did not start ./iolab. The environment says only that
    ./iolab was started; which file is executed is not the environment's to say.
    """
    if not os.environ.get("IOLAB_STARTED") or os.environ.get("IOLAB_PREPARED"):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    script = str(ROOT / "iolab")
    os.execv(script, [script, "--prepare", *sys.argv[1:]])


# -- output -----------------------------------------------------------------------------------------------------------


def progress(words: str) -> None:
    """Prints a line on stderr. If stderr can't be written, the work goes on."""
    with contextlib.suppress(OSError, ValueError):
        print(f"iolab: {visible_lines(words)}", file=sys.stderr, flush=True)


def check(*paths: str, tell: Callable[[str], None] = progress) -> None:
    """Checks before the work that these files can be written, and tells what iolab can't promise. Raises WrongUsage."""
    for path in paths:
        caution = files.check(path) if path else ""
        if caution:
            tell(caution)


@contextlib.contextmanager
def output(out: str, default: IO[str] | None = None) -> Iterator[IO[str]]:
    """Where the report goes: the file that --out names, whole or not at all, or `default` (stdout).

    Raises WrongUsage if it can't be written. If the reader of stdout has gone, SIGPIPE ends the process.
    """
    if out:
        with files.whole(out) as file:
            yield file
        return
    stream = sys.stdout if default is None else default
    try:
        yield stream
        stream.flush()
    except BrokenPipeError:
        _end_by_sigpipe()
    except OSError as error:
        _forget(stream)
        if error.errno != errno.EBADF:  # EBADF: the user has closed stdout, and wants no report
            raise WrongUsage(f"can't write the report: {error.strerror or error}", "name a file for it: --out FILE") from error


@contextlib.contextmanager
def growing_output(out: str, default: IO[str]) -> Iterator[IO[str]]:
    """Where lines go that are written one by one: the file that --out names, which has each of them at once, or `default`."""
    if not out:
        with output("", default) as stream:
            yield stream
        return
    with files.growing(out) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        yield text
        text.detach()


def _forget(stream: IO[str]) -> None:
    """Lets the interpreter write the rest of the stream's buffer to /dev/null when the process ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(null, stream.fileno())
    os.close(null)


def _end_by_sigpipe() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)


def outlive_the_terminal(save: str) -> None:
    """With a recording to keep, SIGHUP (the terminal has gone) does not end the run. Started programs have the default."""
    if save and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


class View(NamedTuple):
    """What the user wants to see of a result.

    `stacks`: the kernel stacks; `brief`: the first screen alone; `part`: a part of the run (findings.narrow.Part); `stories`:
    so many of the slowest messages and calls; `zoom`: the timeline, and which part of it.
    """

    stacks: bool = False
    brief: bool = False
    part: Any = None
    stories: int = 0
    zoom: Zoom | None = None


def present(
    recording: Any,
    *,
    json: bool,
    save: str,
    out: str,
    view: View,
    html: str = "",
    exports: Exports | None = None,
    default: IO[str] | None = None,
    unsaved: IolabError | None = None,
    again: bool = False,
    silent: bool = False,
) -> tuple[Any, int]:
    """Saves the recording, then shows it. The result, and CANNOT_WRITE if an output failed, else 0.

    Each output fails by itself: the recording comes first, then the report. `unsaved`: why an earlier saving failed.
    `again`: the recording is in a file already. `silent`: without the report itself.
    """
    from runs.lab import measure_and_check
    from runs.report import report

    failed: list[IolabError] = [unsaved] if unsaved else []
    if save:
        _keep(failed, lambda: _save(recording, save))
    with uncollected():  # a report makes few cycles, and looks through all calls many times
        result = measure_and_check(recording)
        made = functools.cache(lambda: report(result, view.part, view.stories))
        if not silent:
            view = _with_window(failed, made, view, again)
            _keep(failed, lambda: _write(made, json, out, view, default))
        if html:
            _keep(failed, lambda: _write_html(made, html, view.zoom))
        for step in exports.steps(made) if exports else ():
            _keep(failed, step)
    for error in failed:
        progress(str(error))
    return result, CANNOT_WRITE if failed else 0


def _save(recording: Any, path: str) -> None:
    digest = recording.save(path)
    if getattr(recording.context, "origin", None):
        progress(f"the seal of {path} is {digest}")


def _write(made: Callable[[], Report], json: bool, out: str, view: View, default: IO[str] | None) -> None:
    with output(out, default) as file:
        if json:
            from reports import document

            document.write(made(), file)
        else:
            from reports.terminal import page

            page.write(made(), file, view.stacks, brief=view.brief, zoom=view.zoom)


def _with_window(failed: list[IolabError], made: Callable[[], Report], view: View, again: bool) -> View:
    """The view without a timeline whose window has nothing of the run: the report of a run that took place is worth having.

    Raises WrongUsage where the user can ask `again` for another window.
    """
    if view.zoom and view.zoom.named:
        try:
            made().timeline.window(view.zoom)
        except WrongUsage as error:
            if again:
                raise
            failed.append(error)
            return view._replace(zoom=None)
    return view


def _write_html(made: Callable[[], Report], html: str, zoom: Zoom | None) -> None:
    from reports.html import page

    with files.whole(html) as file:
        page.write(made(), file, zoom)


def _keep(failed: list[IolabError], step: Callable[[], object]) -> None:
    try:
        step()
    except IolabError as error:
        failed.append(error)


# -- options ----------------------------------------------------------------------------------------------------------


def numbers(**options: str) -> dict[str, Any]:
    """The options that the user typed, as numbers. Raises WrongUsage for a text that is no number."""
    return {name: number(name, text) for name, text in options.items() if text}


def number(option: str, text: str) -> Any:
    """One option's value as an int, a pause as a float. Raises WrongUsage."""
    try:
        return float(text) if option in ("gap_ms", "seconds") else int(text)
    except ValueError:
        raise WrongUsage(
            f"--{option.replace('_', '-')} {text} is not a number", "for example --clients 3 --gap-ms 20, --slowest 5"
        ) from None


_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def nanoseconds(option: str, text: str) -> int:
    """One option's value as a time: 1ms, 200us, 1.5s. Raises WrongUsage."""
    for unit, size in _UNITS.items():
        with contextlib.suppress(ValueError):
            if text.endswith(unit) and (value := float(text.removesuffix(unit))) >= 0:
                return round(value * size)
    raise WrongUsage(f"--{option} {text} has no unit of time", "a number and its unit: 1ms, 200us, 1.5s")


def view(
    stacks: bool = False,
    brief: bool = False,
    thread: str = "",
    calls: str = "",
    fd: str = "",
    slowest: str = "",
    port: str = "",
) -> View:
    """What these options ask for. Raises WrongUsage for a text that is no number."""
    from findings.part import Part

    def each(text: str) -> tuple[str, ...]:
        return tuple(filter(None, map(str.strip, text.split(","))))

    fds, ports = (tuple(number(name, text) for text in each(texts)) for name, texts in (("fd", fd), ("port", port)))
    part = Part(threads=each(thread), calls=each(calls), fds=fds, ports=ports)
    return View(stacks, brief, part, number("slowest", slowest) if slowest else 0)


def predicted(lab: str | None, about: str, seed: int, predict: bool, answers: str) -> Answers | None:
    """The user's answers before a lab shows anything: from a file, or from the terminal. None without --predict and --answers.

    `about` is the lab's traffic in words.
    """
    from probes.context import Answers
    from runs import predict as predicting

    if not predict and not answers:
        return None
    if lab is None:
        raise WrongUsage("there are questions about labs only, and this is a trace", "show it without --predict and --answers")
    asked = predicting.questions(lab, seed)
    if answers:
        predicted_answers = predicting.answers(asked, predicting.read(answers))
    elif sys.stdin.isatty() and sys.stderr.isatty():
        import labs
        from reports.terminal import prediction
        from reports.terminal.screen import screen

        out = screen(sys.stderr)
        prediction.introduce(lab, labs.find(lab).question, about, out)
        predicted_answers = prediction.ask(asked, sys.stdin.readline, out)
    else:
        raise WrongUsage(
            "--predict asks on a terminal, and there is none",
            f"invoke lab {lab} --questions prints the questions, --answers FILE takes the answers",
        )
    return Answers(seed, predicted_answers)
