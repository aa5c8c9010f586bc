"""Wrong servers in C: each is a right exercise of labs/exercises with one fault, and names the criterion that must refuse it.

`python -m tests.runs.grading.wrong_in_c NAME ...` runs these servers (or all), and prints what was found.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from findings.threads.serving import Servers
from probes.capture.instrument import Instrument
from probes.context import TraceRun
from probes.patience import PATIENCE
from runs.exercise import desk, source
from runs.exercise.source import Language
from runs.grading import marking, rubric
from runs.grading.mark import Mark, Verdict
from runs.grading.rubric import Rubric
from runs.grading.session import Entry, Examined, Session
from runs.lab import measure_and_check
from runs.submission.launch import Launch
from tests.conftest import tool

AT_ONCE = 8  # servers; most of their time they wait for their clients


@dataclass(frozen=True)
class WrongServer:
    """A fault: the lines of the right server that it replaces, the criteria that refuse it, and words of the report."""

    name: str
    model: str
    changes: tuple[tuple[str, str], ...]
    refused_by: str  # a criterion, or a property instead of a criterion
    words: str | tuple[str, ...]  # in what was seen, or in what the probes saw of it; any of several

    @property
    def text(self) -> str:
        """The server; each change must be of lines that the right server has once."""
        text = source.load(self.model, Language.C).solution()
        for old, new in self.changes:
            assert text.count(old) == 1, f"{self.name}: {old!r} stands {text.count(old)} times in {self.model}.c"
            text = text.replace(old, new)
        return text

    def is_named(self, mark: Mark) -> bool:
        """Whether the criterion refuses the server, and says why."""
        item = next(item for item in mark.items if item.criterion.id == self.refused_by)
        said = f"{item.seen} {' '.join(item.diagnosed)}"
        words = (self.words,) if isinstance(self.words, str) else self.words
        return item.verdict is Verdict.LOST and any(each in said for each in words)


_SENDS = """    ssize_t sent = send(c->fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN; // else the client has reset the connection
    c->begin += (size_t)sent;
    return true;
"""
_SPINS = """    while (c->begin < c->end) {
        ssize_t sent = send(c->fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        c->begin += sent > 0 ? (size_t)sent : 0;
    }
    return true;
"""
_BLOCKS = _SPINS.replace(
    "        ssize_t sent",
    "        struct pollfd room = {.fd = c->fd, .events = POLLOUT};\n        poll(&room, 1, -1);\n        ssize_t sent",
)
_DROPS = """    ssize_t sent = send(c->fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return false;
    c->begin = c->end = 0;
    return true;
"""
_SHARED = (
    ("    char data[16384];\n};\n", "};\n\nstatic char shared[16384];\n"),
    ("recv(c->fd, c->data, sizeof c->data, 0)", "recv(c->fd, shared, sizeof shared, 0)"),
    ("send(c->fd, c->data + c->begin", "send(c->fd, shared + c->begin"),
)
_POLL_H = ("#include <signal.h>\n", "#include <poll.h>\n#include <signal.h>\n")
_WITHOUT_NOSIGNAL = ("MSG_NOSIGNAL", "0")
_SPINNER = (
    "int main(int count, char **arguments)\n{\n",
    """#include <pthread.h>
static volatile bool work_is_there;
static void *housekeeping(void *argument)
{
    while (!work_is_there)
        ;
    return argument;
}

int main(int count, char **arguments)
{
    pthread_t thread;
    pthread_create(&thread, NULL, housekeeping, NULL);
""",
)
_BY_IF = (
    "    while (queue.number == 0)\n        pthread_cond_wait(&queue.not_empty",
    "    if (queue.number == 0)\n        pthread_cond_wait(&queue.not_empty",
)
_LIVES = "    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent)\n        talk(connection);\n"
_KILLS = """        if (workers[i] > 0)
            kill(workers[i], SIGTERM);
    while (wait(NULL) > 0)
        ;
"""
_SERVES_ALL = """            accept_clients(listener);
            for (int fd = 0; fd < MOST; fd++)
                serve(fd);
"""
_TRIES_ALL = "of connections that were not ready"
_NEVER_SLEPT = "server never slept: it ran, or waited for a CPU"
_ANOTHERS = "bytes of another client's reply came: the connections share a buffer"

SERVERS = (
    WrongServer(
        "select_tries_all", "select",
        (("            if (c == NULL || !(FD_ISSET(fd, &readable) || FD_ISSET(fd, &writable)))\n",
          "            if (c == NULL)\n"),),
        "no_other_mistake", _TRIES_ALL,
    ),
    WrongServer(
        "poll_tries_all", "poll", (("            if (polled[i].revents == 0)\n                continue;\n", ""),),
        "no_other_mistake", _TRIES_ALL,
    ),
    WrongServer("epoll_spins_for_room", "epoll", ((_SENDS, _SPINS),), "slow_reader", _NEVER_SLEPT),
    WrongServer("epoll_blocks_for_room", "epoll", ((_SENDS, _BLOCKS), _POLL_H), "slow_reader", "another client was not served"),
    WrongServer(
        "epoll_drops_the_rest", "epoll", ((_SENDS, _DROPS),),
        "slow_reader", ("had got the whole request", "the rest of a short send was dropped"),
    ),
    WrongServer(
        "epoll_never_waits_for_room", "epoll",
        ((".events = now ? EPOLLOUT : EPOLLIN, .data.ptr = c};", ".events = EPOLLIN, .data.ptr = c};"),),
        "slow_reader", _NEVER_SLEPT,
    ),
    WrongServer(
        "poll_never_waits_for_room", "poll", (("c->begin < c->end ? POLLOUT : POLLIN", "POLLIN"),), "slow_reader", _NEVER_SLEPT,
    ),
    WrongServer(
        "pool_leaves_its_workers", "process_pool", ((_KILLS, "            (void)0;\n"),),
        "ends_on_sigterm", "4 processes that it had started still ran",
    ),
    WrongServer(
        "processes_leave_children", "processes", ((_LIVES, "    (void)parent;\n    talk(connection);\n"),),
        "ends_on_sigterm", "while a client was connected: after the server's end 1 process",
    ),
    WrongServer("epoll_thread_spins", "epoll", (_SPINNER,), "silent_client", _NEVER_SLEPT),
    WrongServer("epoll_thread_waits_in_user_code", "epoll", (_SPINNER,), "no_other_mistake", "was in user code for"),
    WrongServer("epoll_dies_of_sigpipe", "epoll", (_WITHOUT_NOSIGNAL,), "reset", "killed by SIGPIPE"),
    WrongServer("threads_die_of_sigpipe", "threads", (_WITHOUT_NOSIGNAL,), "reset", "killed by SIGPIPE"),
    WrongServer(
        "signal_driven_ignores_overflow", "signal_driven", ((_SERVES_ALL, ""),), "many_clients", "with a full queue of signals",
    ),
    WrongServer(
        "signal_driven_dies_of_overflow", "signal_driven", (("    sigaddset(&signals, SIGIO);\n", ""),),
        "many_clients", "killed by SIGIO",
    ),
    WrongServer("epoll_shares_a_buffer", "epoll", _SHARED, "slow_reader", _ANOTHERS),
    WrongServer(
        "threads_share_a_buffer", "threads", (("    char data[65536];\n", "    static char data[65536];\n"),),
        "slow_reader", _ANOTHERS,
    ),
    WrongServer(
        "thread_pool_wakes_all_by_if", "thread_pool",
        (_BY_IF, ("    pthread_cond_signal(&queue.not_empty);", "    pthread_cond_broadcast(&queue.not_empty);")),
        "no_other_mistake", "calls used descriptors that were closed",
    ),
)  # fmt: skip
# A race: another worker may take a connection before the worker that was woken for it.
RACY = (WrongServer("thread_pool_wakes_one_by_if", "thread_pool", (_BY_IF,), "no_other_mistake", "descriptors"),)


def launch(text: str, folder: Path) -> Launch:
    """Writes the server, compiles it, and says how to start it."""
    folder.mkdir()
    (folder / "server.c").write_text(text)
    line = [tool("cc", "gcc libc6-dev"), *desk.C_OPTIONS, "-o", str(folder / "server"), str(folder / "server.c")]
    subprocess.run(line, check=True)
    return Launch((str(folder / "server"), "{port}"), str(folder))


def rubric_of(server: WrongServer, whole: bool) -> Rubric:
    """The rubric of the model, or the part of it that must refuse the server."""
    default = rubric.default(server.model)
    wanted = {"starts", "protocol", server.refused_by}
    if server.refused_by == "ends_on_sigterm":
        wanted.add("half_close")  # without a trial there is no second server to end
    points = {name: points for name, points in default.points.items() if name in wanted}
    return default if whole else dataclasses.replace(default, points=points, evidence={})


def marks(servers: Sequence[WrongServer], whole: bool = False) -> list[Mark]:
    """The mark of each server. `whole`: as check and grade judge it, with failed trials run again under the probes."""
    rubrics = [rubric_of(server, whole) for server in servers]
    with TemporaryDirectory() as folder, Instrument() as instrument, ThreadPoolExecutor(AT_ONCE) as pool:
        Path(folder).chmod(0o755)

        def run(index: int) -> Examined:
            entry = Entry(str(index), launch(servers[index].text, Path(folder) / str(index)), "wrong")
            session = Session(rubrics[index], instrument, "echo", lambda _words: None, shown=2 if whole else 0)
            return session.examine(entry, index)

        seen = list(pool.map(run, range(len(servers))))
        instrument.wait_until_gone(2 * PATIENCE)
        found = Servers(measure_and_check(instrument.stop(TraceRun("wrong", ()))))
    return [marking.mark(examined, found, points, "echo") for examined, points in zip(seen, rubrics, strict=True)]


def main() -> None:
    """Prints what the whole rubric found in each server."""
    wanted = [server for server in (*SERVERS, *RACY) if not sys.argv[1:] or server.name in sys.argv[1:]]
    for server, mark in zip(wanted, marks(wanted, whole=True), strict=True):
        print(f"== {server.name}: {mark.status} {mark.points}/{mark.of}, {mark.seconds:.1f} s")
        for item in mark.lost:
            print(f"   {item.criterion.id}: {item.seen}\n      {item.diagnosed}\n      remedy: {item.remedy}")
        for mistake in mark.mistakes:
            print(f"   mistake {mistake.id}: {mistake.seen}")


if __name__ == "__main__":
    main()
