"""Sockets, terminals, pipes and files are all descriptors. Can a thread wait for all of them?"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import tempfile
from typing import Any

from labs.kit.experiment import Sections
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.questions.sections import what_it_does
from probes.kernel import syscalls
from probes.words import count

LAB = Lab(
    model="multiplexing",
    chapter="Terms and calls",
    question="Which descriptors can be watched, and what do the multiplexers report of a regular file?",
    watch="epoll_ctl refuses the regular file with EPERM; select and poll report it ready, even when it is empty.",
    try_next=(
        "invoke lab epoll  sockets that are watched",
        "invoke lab poll   the call that reports a file ready",
    ),
    reading=(
        "UNP 6.3 on select and regular files",
        "man 2 epoll_ctl (EPERM), man 2 select, man 2 poll",
        "fs/eventpoll.c: do_epoll_ctl asks file_can_poll; include/linux/poll.h: DEFAULT_POLLMASK",
    ),
    experiment="labs.files:experiment",
)
KINDS = ("socket", "terminal", "pipe", "file")


def experiment() -> dict[str, Any]:
    """Registers a descriptor of each kind with epoll, and waits with select and poll for an empty regular file."""
    section = Sections()
    ready: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        reader, writer = os.pipe()
        master, slave = os.openpty()
        for fd in (reader, writer, master, slave):
            stack.callback(os.close, fd)
        sock = stack.enter_context(socket.socket())
        file = stack.enter_context(tempfile.TemporaryFile())
        epoll = stack.enter_context(select.epoll())
        for kind, fd in zip(KINDS, (sock.fileno(), slave, reader, file.fileno()), strict=True):
            section(f"epoll, {kind}")
            with contextlib.suppress(PermissionError):
                epoll.register(fd, select.EPOLLIN)
            section("between")
        section("select, file")
        ready["select"] = len(select.select([file], [], [], 1)[0])
        section("poll, file")
        poll = select.poll()
        poll.register(file, select.POLLIN)
        ready["poll"] = len(poll.poll(1000))
        section("between")
    return section.outcome(**ready)


@LAB.check("epoll refuses a regular file, and select and poll report it ready", claims=("C11",))
def refused(run: Run) -> Finding:
    """epoll_ctl accepts a socket, a terminal and a pipe, and refuses the file; select and poll return at once."""
    errors = {
        kind: [call.errno for call in run.sections.get(f"epoll, {kind}", []) if call.name == "epoll_ctl"] for kind in KINDS
    }
    waits = [call for name in ("select, file", "poll, file") for call in run.sections.get(name, []) if call.name != "lseek"]
    ready = [call for call in waits if call.result == 1 and not call.sleeps]
    accepted = [kind for kind in KINDS if kind != "file" and errors[kind] == [None]]
    evidence = (
        f"epoll_ctl accepted {count(len(accepted), 'kind')} of descriptor ({', '.join(accepted)}); for the file it returned"
        f" {', '.join(str(errno or 'success') for errno in errors['file']) or 'nothing'};"
        f" {len(ready)} of {count(len(waits), 'call')} of select and poll reported the empty file ready without a sleep"
    )
    return confirmed(evidence) if len(accepted) == 3 and errors["file"] == ["EPERM"] and len(ready) == 2 else failed(evidence)


LAB.ask(
    *(what_it_does(f"epoll, {kind}", {"epoll_ctl"}, f"epoll_ctl, to watch a {kind}") for kind in KINDS if kind != "file"),
    what_it_does("epoll, file", {"epoll_ctl"}, "epoll_ctl, to watch a regular file"),
    what_it_does("select, file", syscalls.MULTIPLEXERS, "select, to wait until an empty regular file is readable"),
    what_it_does("poll, file", syscalls.MULTIPLEXERS, "poll, to wait until an empty regular file is readable"),
)
