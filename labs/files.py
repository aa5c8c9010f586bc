"""Sockets, terminals, pipes and files are all descriptors. Can all of them be waited for?"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import tempfile
from typing import Any

from labs.kit.experiment import Sections
from labs.kit.lab import Finding, Lab, Run, confirmed, failed

LAB = Lab(
    model="multiplexing",
    chapter="Terms and calls",
    question="Which descriptors can be watched, and what is said of a regular file?",
    watch="epoll_ctl refuses the regular file with EPERM; select and poll call it ready whatever it holds.",
    try_next=(
        "invoke lab epoll  where sockets are watched",
        "invoke lab poll   which says ready for a file",
    ),
    reading=(
        "UNP 6.3 on select and regular files",
        "man 2 epoll_ctl (EPERM), man 2 select, man 2 poll",
        "fs/eventpoll.c: do_epoll_ctl asks file_can_poll; include/linux/poll.h: DEFAULT_POLLMASK",
    ),
    experiment="labs.files:experiment",
)


def experiment() -> dict[str, Any]:
    """Registers one of each kind with epoll, and asks select and poll about an empty regular file."""
    section = Sections()
    answers: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        reader, writer = os.pipe()
        master, slave = os.openpty()
        for fd in (reader, writer, master, slave):
            stack.callback(os.close, fd)
        sock = stack.enter_context(socket.socket())
        file = stack.enter_context(tempfile.TemporaryFile())
        epoll = stack.enter_context(select.epoll())
        for kind, fd in (("socket", sock.fileno()), ("terminal", slave), ("pipe", reader), ("file", file.fileno())):
            section(f"epoll, {kind}")
            with contextlib.suppress(PermissionError):
                epoll.register(fd, select.EPOLLIN)
            section("between")
        section("select, file")
        answers["select"] = len(select.select([file], [], [], 1)[0])
        section("poll, file")
        poll = select.poll()
        poll.register(file, select.POLLIN)
        answers["poll"] = len(poll.poll(1000))
        section("between")
    return section.found(**answers)


@LAB.check("a regular file can't be waited for", claims=("C11",))
def refused(run: Run) -> Finding:
    """epoll_ctl takes socket, terminal and pipe, and refuses the file; select and poll return at once."""
    taken = {
        kind: [one.errno for one in run.sections.get(f"epoll, {kind}", []) if one.name == "epoll_ctl"]
        for kind in ("socket", "terminal", "pipe", "file")
    }
    waits = [one for name in ("select, file", "poll, file") for one in run.sections.get(name, []) if one.name != "lseek"]
    ready = [one for one in waits if one.result == 1 and not one.sleeps]
    good = [kind for kind in ("socket", "terminal", "pipe") if taken[kind] == [None]]
    found = (
        f"epoll_ctl took {len(good)} kinds ({', '.join(good)}), and to the file said {', '.join(map(str, taken['file']))};"
        f" {len(ready)} calls of select and poll called the empty file ready without a sleep"
    )
    return confirmed(found) if len(good) == 3 and taken["file"] == ["EPERM"] and len(ready) == 2 else failed(found)
