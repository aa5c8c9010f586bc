"""The statements about the I/O models that the labs hold against the kernel, by id: what courses teach, a sentence each.

They follow UNP vol. 1, 3rd ed., section 6.2, and what courses on Linux and Python add to it. They are the teachers' statements,
and the kernel decides whether they are true: a check may confirm, refine or refute them. A check names the ids that it stands
for; `invoke claims` lists every claim with its checks.
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
C01 A synchronous call returns only when its result is there, for a computation as well as for I/O.
C02 An asynchronous call returns a handle at once; the caller gets the result later by polling, notification or callback.
C50 A caller can read the state of its asynchronous call again and again, which is inefficient; a notification or a callback \
costs next to nothing.
C03 A blocking call lets its thread sleep on a wait queue until the result is there.
C04 A synchronous call need not block: a long computation keeps its thread runnable, even while it is preempted.
C05 A non-blocking call returns at once, and its thread does not sleep.
C06 A read from the network has two phases: phase 1 waits for data, phase 2 copies it to the process. The I/O models differ \
only in what happens in each phase.
C07 The input calls read, readv, recv, recvfrom and recvmsg sleep in phase 1 when blocking, and get EAGAIN in phase 1 when \
non-blocking.
C08 The output calls write, writev, send, sendto and sendmsg sleep while the send buffer is full when blocking, and get EAGAIN \
when non-blocking.
C09 accept waits like an input call.
C10 connect waits like an output call.
C11 Sockets, terminals and files are descriptors, but multiplexers cannot wait for a regular file: epoll refuses it (EPERM), \
select and poll always report it ready.

Blocking I/O
C12 Sockets block by default, and a blocking recvfrom holds its thread in both phases.
C13 In a server with one thread, one silent connection delays all other connections.
C14 With a thread or a process for each connection, connections do not delay each other.
C15 Hundreds of threads or processes cost memory, context switches and creation time.
C16 A pool saves the creation time but has a ceiling: connections beyond its size wait as if there were no pool.
C49 A connection pool keeps connections open and uses them again, which saves their set-up; like every pool it has a ceiling.
C66 A process that has ended stays a zombie until its parent waits for it, unless the parent ignores SIGCHLD.

Non-blocking I/O
C17 A non-blocking recvfrom without data gets EAGAIN at once; the process does other work and polls again later.
C18 Phase 2 holds the process in non-blocking I/O as well: the call that succeeds makes the copy.
C19 A loop that polls without a pause takes a whole core.
C20 A pause between two polls saves CPU and delays the answer: data waits for the next poll, half a pause on average.
C21 Each round of polling makes one system call for every connection, ready or not.
C58 The connections of a non-blocking listener are non-blocking as well.
C59 In a loop over many sockets the polling server does other work between two rounds, and its answers wait for this work.

Multiplexing
C22 With select, poll or epoll the thread sleeps in the multiplexer, and not in the call on the socket.
C23 Multiplexing makes two system calls where blocking I/O makes one, so that with few connections it is not faster than \
blocking I/O with threads.
C24 One thread serves many connections, with little memory and CPU.
C25 Each call of select copies the descriptor sets into the kernel and back, and the program sets them up again each time.
C26 Each call of select or poll walks all descriptors and calls the poll method of each.
C27 Each call of select or poll that waits puts its thread on the wait queue of every descriptor, and takes it off again.
C28 When no descriptor is ready, select and poll sleep with a time-out until a wait queue wakes them, and then walk all \
descriptors again.
C29 select takes only descriptors below FD_SETSIZE, which is 1,024.
C30 poll has no such limit and keeps the requested events apart from the returned events, but copies and walks like select.
C31 The cost of a call grows with the number of descriptors for select and poll, and not for epoll_wait.
C32 epoll_ctl registers a descriptor once: one copy into the kernel, and one entry with a callback in its wait queue.
C33 The callback, ep_poll_callback, puts the ready descriptor on a ready list and wakes the waiter; epoll_wait checks only \
this list, and sleeps on epoll's own wait queue.
C54 epoll_ctl puts the task that calls it on the wait queue of the device, once.
C55 epoll_wait sleeps for a moment, checks the ready list, and sleeps again, until an event is there.
C56 epoll_wait returns only a number; the program has to fetch the ready descriptors afterwards.
C34 The number of open files limits epoll: about 100,000 for each GB of memory.
C35 Level-triggered epoll reports a descriptor until it is drained; edge-triggered epoll reports each arrival once, and a \
server that does not drain stalls.
C36 Edge-triggered epoll can take fewer wake-ups or waits than level-triggered epoll, and is harder to program.
C60 Edge-triggered epoll is faster than level-triggered epoll.
C37 epoll shares memory with the process by mmap, which saves the copy of the events.
C38 One loop detects the events and handles them, so that one slow handler stalls all other connections.
C39 The module selectors chooses the best multiplexer of the platform: epoll on Linux.
C40 Callbacks on top of a selector are the Reactor pattern.
C51 select overwrites its sets and, as a system call on Linux, its time-out, so that the program sets up both before each \
call; it sets up poll's array once.
C52 poll is more efficient than select.
C53 When data comes for a descriptor that select waits for, the kernel sends the process a signal.
C57 After a time-out, select and poll walk all descriptors once more.
C61 With few descriptors the advantage of a multiplexer over threads disappears; a handler that takes long delays both the \
detection and the handling of all other events.
C62 Other systems have other multiplexers, and selectors chooses them there: kqueue on BSD and macOS, /dev/poll on Solaris, \
and on Windows select, for sockets only.

Signal-driven I/O
C41 With signal-driven I/O (SIGIO) the process does not block in phase 1; a signal notifies it, and phase 2 holds it like the \
other models.

Asynchronous I/O
C42 An asynchronous read returns at once; the kernel waits for the data, copies it and then notifies the process, which \
neither phase blocks.
C43 By the definition of POSIX, all models but asynchronous I/O are synchronous, since phase 2 holds the process.
C44 With asynchronous I/O the process neither checks for data nor copies it: the Proactor pattern.
C45 asyncio's default loop uses epoll below an asynchronous interface.

Delivery
C46 A read takes the data out of the kernel's receive buffer; the sender's copy is released when TCP acknowledges it.
C47 What happens in phase 1 and in phase 2 can be measured for every model, and compared in one table.
C63 One call of recv returns one message, as one call of send sent it.

Many processes that wait
C48 An event wakes all processes that wait for it; of processes that wait exclusively it wakes one.
"""


def parse(text: str) -> dict[str, Claim]:
    """The claims by id: a line without an id begins a chapter. Raises ValueError where two claims have the same id."""
    claims: dict[str, Claim] = {}
    chapter = ""
    for line in text.strip().splitlines():
        if line[:1] == "C" and line[1:3].isdigit():
            if line[:3] in claims:
                raise ValueError(f"two claims have the id {line[:3]}")
            claims[line[:3]] = Claim(line[:3], chapter, line[4:])
        elif line:
            chapter = line
    return claims


CLAIMS = parse(_TEXT)
