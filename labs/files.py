"""Sockets, terminals, pipes and files are all descriptors. Can a thread wait for all of them?"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import tempfile
from typing import Any

from labs.kit.experiment import PAUSE, Sections
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.questions.sections import what_it_does
from probes.kernel import syscalls
from probes.words import count

LAB = Lab(
    model="multiplexing",
    chapter="Terms and calls",
    question="Which descriptors can be watched, and what do the multiplexers report about a regular file?",
    watch="epoll_ctl refuses the regular file with EPERM; select and poll report it ready, even when it is empty.",
    try_next=(
        "invoke lab epoll  a server that watches sockets",
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
FILE_PIPE = ("file", "pipe")


def experiment() -> dict[str, Any]:
    """Registers a descriptor of each kind with epoll. Waits with select and poll for an empty file and for an empty pipe."""
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
        for kind, fd in (("file", file.fileno()), ("pipe", reader)):
            section(f"select, {kind}")
            found = select.select([fd], [], [], PAUSE)[0]
            section(f"poll, {kind}")
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            if kind == "file":
                ready |= {"select": len(found), "poll": len(poll.poll(1000 * PAUSE))}
            else:
                poll.poll(1000 * PAUSE)
            section("between")
    return section.outcome(**ready)


@LAB.check("epoll takes sockets, terminals and pipes, and refuses a regular file", claims=("C11",))
def refused(run: Run) -> Finding:
    """All four are descriptors. epoll_ctl accepted three of them, and returned EPERM for the file."""
    errors = {
        kind: [call.errno for call in run.sections.get(f"epoll, {kind}", []) if call.name == "epoll_ctl"] for kind in KINDS
    }
    accepted = [kind for kind in KINDS if kind != "file" and errors[kind] == [None]]
    words = (
        f"epoll_ctl accepted {count(len(accepted), 'kind')} of descriptor ({', '.join(accepted)}); for the file it returned"
        f" {', '.join(str(errno or 'success') for errno in errors['file']) or 'nothing'}"
    )
    return confirmed(words) if len(accepted) == 3 and errors["file"] == ["EPERM"] else failed(words)


@LAB.check("select and poll report a regular file ready at once, and wait for an empty pipe", claims=("C11",))
def always_ready(run: Run) -> Finding:
    """The file is empty, and the calls returned 1 without a sleep. For the pipe the same calls slept until their time-out."""
    calls = {
        (name, kind): [call for call in run.sections.get(f"{name}, {kind}", []) if call.name in syscalls.MULTIPLEXERS]
        for name in ("select", "poll")
        for kind in ("file", "pipe")
    }
    of_file, of_pipe = (
        [call for (_name, what), found in calls.items() if what == kind for call in found] for kind in FILE_PIPE
    )
    ready = [call for call in of_file if call.result == 1 and not call.sleeps]
    waited = [call for call in of_pipe if call.result == 0 and call.sleeps]
    words = (
        f"{len(ready)} of {count(len(of_file), 'call')} of select and poll reported the empty file ready without a sleep;"
        f" {len(waited)} of {len(of_pipe)} slept for the empty pipe until the time-out"
    )
    good = all(calls.values()) and len(ready) == len(of_file) and len(waited) == len(of_pipe)
    return confirmed(words) if good else failed(words)


LAB.ask(
    *(what_it_does(f"epoll, {kind}", {"epoll_ctl"}, f"epoll_ctl, to watch a {kind}") for kind in KINDS if kind != "file"),
    what_it_does("epoll, file", {"epoll_ctl"}, "epoll_ctl, to watch a regular file"),
    what_it_does("select, pipe", syscalls.MULTIPLEXERS, "select, to wait up to 20 ms until an empty pipe is readable"),
    what_it_does("select, file", syscalls.MULTIPLEXERS, "select, to wait until an empty regular file is readable"),
    what_it_does("poll, file", syscalls.MULTIPLEXERS, "poll, to wait until an empty regular file is readable"),
)
