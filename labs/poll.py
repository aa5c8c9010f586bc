"""poll: select without its limit. What did it mend, and what did it leave?"""

from __future__ import annotations

import select as python_select

from findings import evidence
from labs.kit import asides, efficiency, growth, loop, walks
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, unavailable
from probes.measure.result import Call
from probes.words import count

LAB = Lab(
    model="poll",
    chapter="Multiplexing",
    server="poll",
    question="How does one thread wait for many connections with poll?",
    watch="poll works like select, without its limit: the thread sleeps in poll, pollwake wakes it, every call names every"
    " descriptor.",
    try_next=(
        "invoke lab select  the older call",
        "invoke lab epoll  descriptors registered once",
    ),
    reading=(
        "UNP 6.10 and 6.11",
        "man 2 poll",
        "fs/select.c: do_sys_poll, do_poll, do_pollfd",
    ),
    asides=(
        "labs.kit.arguments:of_poll",
        "labs.kit.walks:of_poll",
        "labs.kit.efficiency:measure",
        "labs.kit.growth:measure",
    ),
)


@LAB.check("the thread sleeps in poll while it has nothing to do, and nowhere else", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in poll only. It did not spin, did not poll after short time-outs, and no handler blocked."""
    return loop.sleeps_only_in(run, "poll")


@LAB.check("a socket's wait queue wakes the thread, through pollwake", claims=("C28",))
def woken(run: Run) -> Finding:
    """The wake-ups by a packet went through pollwake, the callback that poll had put on the sockets' own queues."""
    return evidence.woken_through(run, "poll", "pollwake")


@LAB.check("poll keeps events and revents apart, and every call copies the whole array", claims=("C30", "C51"))
def apart(run: Run) -> Finding:
    """Every call brings the whole array. After the call `events` still has its value, so that the array serves again."""
    calls = [call for call in calls_of(run) if len(call.args) > 1]  # of a burst the arguments are not known
    if not calls:
        return failed("this server made 0 calls of poll with known arguments")
    if (kept := asides.of(run).kept) is None:
        return unavailable(asides.NOT_RUN)
    with_array = [call for call in calls if call.args[1] > 0]
    names = {python_select.POLLIN: "POLLIN"}
    words = (
        f"{len(with_array)} of {count(len(calls), 'call')} brought an array (up to {max(c.args[1] for c in calls)} entries);"
        f" after a poll of 2 descriptors with events=POLLIN (returned {kept.first}):"
        f" events={names.get(kept.events, kept.events)}, revents={names.get(kept.revents, kept.revents)};"
        f" a second call with this array returned {kept.again} when data had come for the other descriptor"
        f"{evidence.multiplexer_copies(calls)}"
    )
    good = len(with_array) == len(calls) and (kept.events, kept.revents, kept.first, kept.again) == (1, 1, 1, 1)
    return confirmed(words) if good else failed(words)


@LAB.check("poll takes any descriptor, and any number of them", claims=("C30",))
def unlimited(run: Run) -> Finding:
    """A descriptor above 1023, an array of more than 1,024 entries, and an array of more entries than RLIMIT_NOFILE."""
    if not calls_of(run):
        return failed("this server made 0 calls of poll")
    if (kept := asides.of(run).kept) is None:
        return unavailable(asides.NOT_RUN)
    if not kept.high:
        return unavailable("RLIMIT_NOFILE allows too few descriptors: ulimit -Hn 4096 allows enough")
    words = (
        f"a readable pipe as descriptor {kept.high}: poll returned {kept.high_ready}; an array of {kept.many:,} readable"
        f" entries: poll returned {kept.many_ready:,}; with RLIMIT_NOFILE {kept.too_many - 1:,}, an array of"
        f" {kept.too_many:,} entries: {kept.refused or 'accepted'}"
    )
    if kept.high_ready != 1 or kept.many_ready != kept.many:
        return failed(words)
    if kept.refused:
        return refined(f"{words}. The limit of the process's open files limits the array, too")
    return confirmed(words)


@LAB.check("every call polls every descriptor, and again after a wake-up or a time-out", claims=("C26", "C28", "C57"))
def polled(run: Run) -> Finding:
    """A probe on the poll methods counts them; on a kernel that takes no such probe, results and costs of calls show it."""
    return walks.polls_all(run, "poll", calls_of(run))


@LAB.check("every call that waits enters every descriptor's wait queue, and leaves it", claims=("C27",))
def queued(run: Run) -> Finding:
    """Probes count the entries; on a kernel that takes no such probes, wake-ups and references to the files show them."""
    return walks.queues_on_all(run, "poll", calls_of(run))


@LAB.check("the cost of a call grows in proportion to the descriptors", claims=("C31",))
def grows(run: Run) -> Finding:
    """The same call with one ready descriptor among 10, 100 and 900."""
    return growth.cost_grows(run, "poll", calls_of(run))


@LAB.check("poll costs less than select", claims=("C52",))
def cheaper(run: Run) -> Finding:
    """Both calls on the same descriptors: a few or many, with low or high numbers."""
    return efficiency.poll_is_cheaper(run, calls_of(run))


@LAB.check("one thread serves all connections, and keeps none of them waiting", claims=("C24",))
def serves(run: Run) -> Finding:
    """The thread accepts, reads and closes all connections; it neither sleeps nor computes while one of them has data."""
    return loop.serves_all(run)


def calls_of(run: Run) -> list[Call]:
    """The calls of poll, under both of its names."""
    return run.calls("poll", "ppoll")
