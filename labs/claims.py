"""The claims about the I/O models that the labs hold against the kernel, by id. What teachers say, in one sentence each.

They follow UNP vol. 1, 3rd ed., section 6.2, and what courses add to it on Linux and Python. A check names the ids that it
stands for; `invoke claims` lists both. Whether a claim is true is the kernel's to say: a check may confirm, refine or refute.
"""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """One statement, under the chapter that makes it."""

    id: str
    chapter: str
    text: str


_TEXT = """
Terms
C01 A synchronous call gives control back only together with its result, be it a computation's or an I/O's.
C02 An asynchronous call gives a handle back at once; the result is learned by asking, by a notice or by a callback.
C03 A blocking call puts the calling thread to sleep on a wait queue until there is a result.
C04 Synchronous does not mean blocking: a long computation keeps its thread runnable to the end, preempted or not.
C05 A non-blocking call returns at once and never puts the thread to sleep.
C06 Reading from a network has two phases: waiting for data, and copying it to the process; models differ only in these.
C07 read, readv, recv, recvfrom and recvmsg sleep through phase 1 when blocking and return EAGAIN in it when not.
C08 write, writev, send, sendto and sendmsg sleep while the send buffer is full, or return EAGAIN when non-blocking.
C09 accept waits the way an input call does.
C10 connect waits the way an output call does.
C11 Sockets, terminals and files are all descriptors, but a regular file can't be waited for: epoll refuses it (EPERM), \
select and poll call it ready.

Blocking I/O
C12 A socket blocks unless told otherwise, and recvfrom holds the thread in both phases.
C13 With one thread, one silent connection holds up all the others.
C14 A thread or a process for each connection keeps connections out of each other's way.
C15 Hundreds of threads or processes cost memory, context switches and the time to create them.
C16 A pool saves the creation, but whoever comes when it is full waits as if there were none.

Non-blocking I/O
C17 A non-blocking recvfrom without data returns EAGAIN at once, and the process asks again later.
C18 Phase 2 holds the process all the same: the copy is made inside the call that succeeds.
C19 Asking in a loop takes a whole core.
C20 Pausing between two polls saves CPU and costs response time: on average half the pause.
C21 Every round of polling costs a system call for every connection, ready or not.

Multiplexing
C22 With select, poll or epoll the thread sleeps in the multiplexer, not in the call on the socket.
C23 It takes two calls instead of one, so for few connections it is no faster than blocking I/O with threads.
C24 One thread serves many connections, with little memory and CPU.
C25 select's sets are copied in and out at every call, and have to be set up again.
C26 select and poll look at every descriptor at every call, through its poll method.
C27 select and poll join and leave the wait queue of every descriptor at every call that has to wait.
C28 When nothing is ready they sleep in a timed schedule until a wait queue or the time-out wakes them, then look again.
C29 select takes only descriptors below FD_SETSIZE, 1024.
C30 poll has no such limit and keeps the wish apart from the answer, but copies and looks like select.
C31 The cost of a select or a poll grows with the number of descriptors, that of epoll_wait does not.
C32 epoll_ctl registers a descriptor once: one copy in, one place on its wait queue, with a callback.
C33 The callback, ep_poll_callback, puts a ready descriptor on a list and wakes the waiter; epoll_wait looks at that list \
only, and sleeps on a queue of epoll's own.
C34 What limits epoll is the number of open files, some 100,000 for each GB of memory.
C35 Level-triggered tells of a descriptor until it is drained, edge-triggered once for each arrival: who does not drain stalls.
C36 Edge-triggered can take fewer wake-ups or waits, and is harder to get right.
C37 epoll shares memory with the process by mmap, and so saves the copying of events.
C38 Finding and handling events share one loop, so one slow handler stalls all connections.
C39 The module selectors takes the best mechanism of the system: epoll on Linux.
C40 Callbacks on top of a selector are the Reactor pattern.

Signal-driven I/O
C41 With SIGIO the process is free in phase 1, is told by a signal, and is held in phase 2 like the rest.

Asynchronous I/O
C42 An asynchronous read returns at once; the kernel waits, copies and then tells: neither phase holds the process.
C43 By POSIX's definition all models but asynchronous I/O are synchronous, since phase 2 holds the process.
C44 The process neither looks for data nor copies it: the Proactor pattern.
C45 asyncio's loop is epoll under an asynchronous interface.

Delivery
C46 Reading takes the data out of the kernel's receive buffer; the sender's copy goes when TCP acknowledges it.
C47 The comparison of all models: what happens in phase 1 and in phase 2, measured, in one table.

Many who wait
C48 An event wakes all who wait for it, but of those who wait exclusively only one.
"""


def _parse(text: str) -> dict[str, Claim]:
    claims, chapter = {}, ""
    for line in text.strip().splitlines():
        if line[:1] == "C" and line[1:3].isdigit():
            claims[line[:3]] = Claim(line[:3], chapter, line[4:])
        elif line:
            chapter = line
    return claims


CLAIMS = _parse(_TEXT)
