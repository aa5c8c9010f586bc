"""Runs a submission: first the traffic of the model's lab on one server, then the trials on another.

The probes follow the server that gets the lab's traffic. A server that a trial ended or left without service is started again
for the next trial. Trials that failed are run once more, now under the probes, which show what the server did meanwhile. The
process ids of the servers in their own namespaces tell them apart in the recording.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import labs
from labs.kit.traffic import Traffic
from probes import VERSION, shapes
from probes.capture.instrument import Instrument
from probes.context import TraceRun
from probes.errors import LabBroken
from probes.measure.result import Result
from probes.patience import PATIENCE
from probes.words import count
from runs.driving.task import Outcome, Task, encoded
from runs.grading import criteria
from runs.grading.rubric import Rubric
from runs.lab import measure_and_check
from runs.processes import python
from runs.submission.ending import Ending, how_ended
from runs.submission.launch import Launch
from runs.submission.listening import Address, NotListening
from runs.submission.server import Submission

TRAFFIC = Traffic(clients=3, messages=11, gap_ms=20, give_up_after=1.5)
# While one client is served, the others are not ready, and a right loop does not read from them.
_FOR_ONE_THREAD = dataclasses.replace(TRAFFIC, clients=6, gap_ms=40)
_MORE_THAN_A_POOL = Traffic(clients=40, messages=3, gap_ms=20, give_up_after=5.0)  # ThreadPoolExecutor has 32 at most
LONGEST = 30.0  # seconds for the trials of one submission; those that are left then are lost
_LONGEST_SHOWN = 15.0  # seconds for the failed trials that are run once more
_BUSY = 10.0  # seconds of CPU time in a trial: a server that sleeps in its calls needs about 0.1 s
_DIES_WITHIN = 0.3  # seconds after a fault
_SHOWN = 3  # failed trials that are run once more
_DETAILS = 200_000  # calls and sleeps; the traffic of a right server makes some thousands
NUMBERS = 80  # process ids for the servers of one submission
_FIRST_NUMBER = 100
_ANSWERS_WITHIN = 60.0  # seconds
_PORTS = (20_000, 32_000)  # below the ephemeral ports (ip_local_port_range)


@dataclass(frozen=True)
class Entry:
    """One submission to run. `seed` and `name` decide every byte of its traffic."""

    name: str
    launch: Launch
    seed: str


@dataclass(frozen=True)
class Tried:
    """One trial: what its clients saw, on which server, and how this server had ended by then ("" if it still ran)."""

    outcome: Outcome
    number: int
    ended: str = ""
    cpu: float = 0.0  # seconds of the server in the trial, if it still ran

    @property
    def failed(self) -> bool:
        """Did the server not do all that the trial asks for?"""
        return bool(self.outcome.fault or self.ended)


@dataclass(frozen=True)
class Examined:
    """Everything that a run of a submission showed, apart from what the probes recorded."""

    entry: Entry
    number: int  # the process id of the server that had the lab's traffic
    not_listening: str = ""  # why no server could be tried
    address: Address | None = None
    traffic: Tried | None = None
    ending: Ending | None = None
    ending_with_client: Ending | None = None  # of the server of the trials, while a client was connected; None: not tried
    memory: int = 0  # bytes of the server and what it started, after the traffic
    trials: tuple[Tried, ...] = ()
    shown: tuple[Tried, ...] = ()  # trials that failed again under the probes
    seconds: float = 0.0
    output: str = ""
    notes: tuple[str, ...] = ()


class Driver:
    """The process that plays the clients, one for each submission that runs."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [*python("runs.driving"), str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            start_new_session=True,
        )  # fmt: skip

    def drive(self, task: Task) -> Outcome:
        """Runs one trial. Raises LabBroken if the clients fail."""
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(encoded(task))
            self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _ANSWERS_WITHIN * PATIENCE)[0]:
            raise LabBroken(f"the clients of trial {task.trial} did not end", "is the machine overloaded? run it again")
        line = self._process.stdout.readline()
        if not line:
            raise LabBroken(f"the clients of trial {task.trial} failed", "run it again")
        outcome: Outcome = shapes.read(Outcome, json.loads(line), "outcome")
        return outcome

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def traffic_of(model: str) -> Traffic:
    """As many clients as the model's lab has; for a pool, whose size the server chooses, more than it may have threads."""
    if model.partition(":")[0] in criteria.POOLS:
        return _MORE_THAN_A_POOL
    clients = labs.find(model.partition(":")[0]).traffic.clients
    least = _FOR_ONE_THREAD if model in criteria.ONE_THREAD else TRAFFIC
    return dataclasses.replace(least, clients=max(least.clients, clients))


class Session:
    """Examines submissions under one instrument. `shown`: so many of the trials that failed are run again under the probes.

    `quick`: for an answer within seconds, no trial follows after traffic that did not get all its replies.
    """

    def __init__(
        self,
        rubric: Rubric,
        instrument: Instrument,
        protocol: str,
        progress: Callable[[str], None],
        shown: int = _SHOWN,
        quick: bool = False,
    ) -> None:
        self.rubric, self.instrument, self.protocol, self.progress, self.shown = rubric, instrument, protocol, progress, shown
        self.quick = quick

    def examine(self, entry: Entry, index: int = 0) -> Examined:
        """Runs one submission. `index` is its place among those of the instrument. Raises LabBroken, CannotTrace."""
        driver = Driver()
        try:
            return _Examination(self, entry, _FIRST_NUMBER + index * NUMBERS, driver).run()
        finally:
            driver.close()


def to_show(trials: Sequence[Tried]) -> tuple[list[str], list[str]]:
    """The failed trials to run again under the probes, and those that took so much CPU time that their calls are too many.

    A server that reads 8 MB byte by byte makes millions of calls, which take minutes to read.
    """
    failed = [tried for tried in trials if tried.failed]
    few = [tried.outcome.trial for tried in failed if tried.cpu <= _BUSY]
    return few, [tried.outcome.trial for tried in failed if tried.cpu > _BUSY]


class _Examination:
    """One submission's run."""

    def __init__(self, session: Session, entry: Entry, number: int, driver: Driver) -> None:
        self._session, self._entry, self._driver = session, entry, driver
        self._first, self._next = number, number
        self._begin = time.monotonic()
        self._seeded = random.Random(f"{entry.seed}/{entry.name}")
        self._output = ""
        self._notes: list[str] = []
        self._ending: Ending | None = None

    def run(self) -> Examined:
        """The traffic, then the trials."""
        examined = Examined(self._entry, self._first)
        try:
            with self._server(followed=True) as (server, address):
                self._note_address(address)
                server.settle()
                self._session.progress(f"the traffic of lab {self._session.rubric.model.partition(':')[0]}")
                traffic = self._try("traffic", server, address)
                memory, ending = server.memory(), server.terminate()
                examined = dataclasses.replace(
                    examined, number=server.number, address=address, traffic=traffic, memory=memory, ending=ending
                )
            if traffic.outcome.traffic.exchanges and not (self._session.quick and traffic.failed):
                left = self._session.rubric.trials
                trials = tuple(self._trials(left, LONGEST, followed=False))
                examined = dataclasses.replace(examined, trials=trials, ending_with_client=self._ending)
                failed, busy = to_show(examined.trials)
                self._notes += [
                    f"{words} was not tried again under the probes: the server used too much CPU time" for words in busy
                ]
                again = tuple(self._trials(failed[: self._session.shown], _LONGEST_SHOWN, followed=True))
                examined = dataclasses.replace(examined, shown=tuple(tried for tried in again if tried.failed))
        except NotListening as error:
            examined = dataclasses.replace(examined, not_listening=examined.not_listening or str(error))
        return dataclasses.replace(
            examined, seconds=time.monotonic() - self._begin, output=self._output, notes=tuple(dict.fromkeys(self._notes))
        )

    @contextlib.contextmanager
    def _server(self, followed: bool) -> Iterator[tuple[Submission, Address]]:
        """A server of its own that listens, followed by the probes or not. Raises NotListening."""
        number, self._next = self._next, self._next + 4
        port = self._seeded.randrange(*_PORTS)
        cookie = self._session.instrument.invite() if followed else None
        with Submission(self._entry.launch, number, port, cookie) as server:
            try:
                yield server, server.listening()
            finally:
                server.alive  # noqa: B018 (takes the news of its end)
                self._output = server.output or self._output
                self._notes += [f"this machine: {words}" for words in server.refused]
                if server.stopped:
                    self._notes.append(server.stopped)
                if server.flooded:
                    self._notes.append("the server printed more than 8 MB: iolab stopped reading its output")

    def _note_address(self, address: Address) -> None:
        if not address.expected:
            self._notes.append(f"the server listened on {address.host} port {address.port}, not on the port that it was given")

    def _try(self, trial: str, server: Submission, address: Address) -> Tried:
        rubric = self._session.rubric
        task = Task(
            trial=trial,
            host=address.host,
            port=address.port,
            process=server.namespace,
            seed=f"{self._entry.seed}/{self._entry.name}",
            protocol=self._session.protocol,
            traffic=traffic_of(rubric.model),
            one_at_a_time=rubric.model in criteria.ONE_AT_A_TIME,
            polls=rubric.model in criteria.NEVER_ASLEEP,
            by_signals=rubric.model in criteria.BY_SIGNALS,
            clients=rubric.clients,
        )
        before = server.cpu_seconds()
        outcome = self._driver.drive(task)
        cpu = server.cpu_seconds() - before
        if not server.ends_within(_DIES_WITHIN if outcome.fault else 0):
            return Tried(outcome, server.number, cpu=cpu)
        last = server.output.splitlines()[-1:]
        return Tried(outcome, server.number, how_ended(server.ended) + (f" (it printed: {last[0][:200]})" if last else ""))

    def _trials(self, trials: Sequence[str], seconds: float, followed: bool) -> Iterator[Tried]:
        """These trials, while time is left; a new server after each that ended it, or left it without service."""
        left, end = list(trials), time.monotonic() + seconds * PATIENCE
        while left:
            with self._server(followed) as (server, address):
                while left:
                    if time.monotonic() > end:
                        return
                    trial = left.pop(0)
                    self._session.progress(f"trial {trial.replace('_', ' ')}")
                    tried = self._try(trial, server, address)
                    yield tried
                    if tried.ended or (left and tried.outcome.fault and self._try("alive", server, address).outcome.fault):
                        break
                    if not left and not tried.failed and not followed:
                        self._end_with_client(server, address)

    def _end_with_client(self, server: Submission, address: Address) -> None:
        """Ends the server of the trials while a client is connected: then its children or threads are at work."""
        if not self._try("stays", server, address).failed:
            self._ending = server.terminate()


def words_of(rubric: Rubric) -> str:
    """What a session does, in a sentence."""
    return f"the traffic of its lab and {count(len(rubric.trials), 'trial')}"


def run_alone(
    entry: Entry,
    rubric: Rubric,
    protocol: str,
    progress: Callable[[str], None],
    tries: int = 2,
    shown: int = _SHOWN,
    quick: bool = False,
) -> tuple[Examined, Result]:
    """Runs one submission under an instrument of its own, and measures it. If events were lost, it is run again.

    A server that polls in a loop makes millions of calls; not all of them are reported one by one. `quick`: see Session.
    """
    while True:
        progress("attaching the probes")
        with Instrument(details=_DETAILS) as instrument:
            examined = Session(rubric, instrument, protocol, progress, 1 if quick else shown, quick).examine(entry)
            instrument.wait_until_gone(2 * PATIENCE)
            progress("reading the recorded events")
            recording = instrument.stop(TraceRun(VERSION, entry.launch.command))
        result = measure_and_check(recording)
        tries -= 1
        if tries <= 0 or (result.events.sound and not result.events.full):
            return examined, result
        progress("events were lost; the submission is run again")
