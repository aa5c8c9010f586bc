"""Wrong servers in C: each is a right exercise of labs/exercises with one fault, and says what must refuse it.

`python -m tests.runs.grading.wrong_in_c NAME ...` runs these (or all), and prints what was found.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from findings.serving import Servers
from probes.capture.instrument import Instrument
from probes.context import TraceRun
from probes.patience import PATIENCE
from runs.exercise import desk, source
from runs.exercise.source import Language
from runs.grading import marking, rubric
from runs.grading.mark import Mark
from runs.grading.session import Entry, Examined, Session
from runs.lab import measure_and_check
from runs.submission import Launch
from tests.conftest import tool

AT_ONCE = 8  # servers; most of their time they wait for their clients


@dataclass(frozen=True)
class WrongServer:
    """A fault: the lines of the right server that it replaces, the criteria that refuse it, and words of the report."""

    name: str
    model: str
    changes: tuple[tuple[str, str], ...]
    refused_by: str  # a criterion, or a property in the place of one
    words: str  # in what was seen, or in what the probes saw of it

    @property
    def text(self) -> str:
        """The server; each change must be of lines that the right server has once."""
        text = source.load(self.model, Language.C).solution()
        for old, new in self.changes:
            assert text.count(old) == 1, f"{self.name}: {old!r} stands {text.count(old)} times in {self.model}.c"
            text = text.replace(old, new)
        return text


_IGNORES_READINESS_OF_POLL = ("            if (polled[i].revents == 0)\n                continue;\n", "")
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
_BLOCKS = """    while (c->begin < c->end) {
        struct pollfd room = {.fd = c->fd, .events = POLLOUT};
        poll(&room, 1, -1);
        ssize_t sent = send(c->fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        c->begin += sent > 0 ? (size_t)sent : 0;
    }
    return true;
"""
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

SERVERS = (
    WrongServer(
        "select_tries_all", "select",
        (("            if (c == NULL || !(FD_ISSET(fd, &readable) || FD_ISSET(fd, &writable)))\n",
          "            if (c == NULL)\n"),),
        "no_other_mistake", "that had got EAGAIN before",
    ),
    WrongServer("poll_tries_all", "poll", (_IGNORES_READINESS_OF_POLL,), "no_other_mistake", "that had got EAGAIN before"),
    WrongServer("epoll_spins_for_room", "epoll", ((_SENDS, _SPINS),), "slow_reader", "send"),
    WrongServer("poll_spins_for_room", "poll", ((_SENDS, _SPINS),), "slow_reader", "send"),
    WrongServer("epoll_blocks_for_room", "epoll", ((_SENDS, _BLOCKS), _POLL_H), "slow_reader", "for room in the send buffer"),
    WrongServer("epoll_drops_the_rest", "epoll", ((_SENDS, _DROPS),), "slow_reader", "the rest was never sent"),
    WrongServer(
        "epoll_never_waits_for_room", "epoll",
        ((".events = now ? EPOLLOUT : EPOLLIN, .data.ptr = c};", ".events = EPOLLIN, .data.ptr = c};"),),
        "slow_reader", "EPOLLOUT",
    ),
    WrongServer(
        "poll_never_waits_for_room", "poll",
        (("c->begin < c->end ? POLLOUT : POLLIN", "POLLIN"),), "slow_reader", "POLLOUT",
    ),
    WrongServer(
        "pool_leaves_its_workers", "process_pool",
        (("            kill(workers[i], SIGTERM);\n    while (wait(NULL) > 0)\n        ;\n", "            (void)0;\n"),),
        "ends_on_sigterm", "still ran",
    ),
    WrongServer(
        "processes_leave_children", "processes",
        (("    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent)\n        talk", "    (void)parent;\n    talk"),), "ends_on_sigterm", "still ran"),
    WrongServer("epoll_thread_spins", "epoll", (_SPINNER,), "no_other_mistake", "in user code"),
    WrongServer("epoll_dies_of_sigpipe", "epoll", (_WITHOUT_NOSIGNAL,), "reset", "SIGPIPE"),
    WrongServer("threads_die_of_sigpipe", "threads", (_WITHOUT_NOSIGNAL,), "reset", "SIGPIPE"),
    WrongServer(
        "signal_driven_ignores_overflow", "signal_driven",
        (("            accept_clients(listener);\n            for (int fd = 0; fd < MOST; fd++)\n                serve(fd);\n",
          ""),),
        "many_clients", "SIGIO",
    ),
    WrongServer("signal_driven_dies_of_overflow", "signal_driven", (("    sigaddset(&signals, SIGIO);\n", ""),),
        "many_clients", "SIGIO"),
    WrongServer(
        "thread_pool_wakes_by_if", "thread_pool",
        (("    while (queue.number == 0)\n        pthread_cond_wait(&queue.not_empty", "    if (queue.number == 0)\n        pthread_cond_wait(&queue.not_empty"),
         ("    pthread_cond_signal(&queue.not_empty);", "    pthread_cond_broadcast(&queue.not_empty);")),
        "many_clients", "",
    ),
    WrongServer(
        "thread_pool_wakes_one_by_if", "thread_pool",
        (("    while (queue.number == 0)\n        pthread_cond_wait(&queue.not_empty", "    if (queue.number == 0)\n        pthread_cond_wait(&queue.not_empty"),),
        "many_clients", "",
    ),
    WrongServer("epoll_shares_a_buffer", "epoll", _SHARED, "slow_reader", "another client"),
    WrongServer("threads_share_a_buffer", "threads", (("    char data[65536];\n", "    static char data[65536];\n"),),
        "slow_reader", "another client"),
)  # fmt: skip


def launch(text: str, folder: Path) -> Launch:
    """Writes the server, compiles it, and says how to start it."""
    folder.mkdir()
    (folder / "server.c").write_text(text)
    line = [tool("cc", "gcc libc6-dev"), *desk.C_OPTIONS, "-o", str(folder / "server"), str(folder / "server.c")]
    subprocess.run(line, check=True)
    return Launch((str(folder / "server"), "{port}"), str(folder))


def marks(servers: Sequence[tuple[str, str]], shown: int = 2) -> list[Mark]:
    """The mark of each server, given by its model and its text, as check and grade judge it."""
    with TemporaryDirectory() as folder, Instrument() as instrument, ThreadPoolExecutor(AT_ONCE) as pool:
        Path(folder).chmod(0o755)

        def run(index: int) -> Examined:
            model, text = servers[index]
            entry = Entry(str(index), launch(text, Path(folder) / str(index)), "wrong")
            return Session(rubric.default(model), instrument, "echo", lambda _words: None, shown).examine(entry, index)

        seen = list(pool.map(run, range(len(servers))))
        instrument.wait_until_gone(2 * PATIENCE)
        found = Servers(measure_and_check(instrument.stop(TraceRun("wrong", ()))))
    pairs = zip(seen, servers, strict=True)
    return [marking.mark(examined, found, rubric.default(model), "echo") for examined, (model, _text) in pairs]


def main() -> None:
    """Prints what was found of each server."""
    wanted = [server for server in SERVERS if not sys.argv[1:] or server.name in sys.argv[1:]]
    for server, mark in zip(wanted, marks([(each.model, each.text) for each in wanted]), strict=True):
        print(f"== {server.name}: {mark.status} {mark.points}/{mark.of}, {mark.seconds:.1f} s")
        for item in mark.lost:
            print(f"   {item.criterion.id}: {item.seen}\n      {item.diagnosed}\n      remedy: {item.remedy}")
        for mistake in mark.mistakes:
            print(f"   mistake {mistake.id}: {mistake.seen}")


if __name__ == "__main__":
    main()
