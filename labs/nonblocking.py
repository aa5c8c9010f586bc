"""Non-blocking I/O: what does it cost never to sleep?"""

from collections import Counter

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, waited
from probes.kernel import syscalls

LAB = Lab(
    model="nonblocking",
    chapter="Non-blocking",
    server="nonblocking",
    question="What does a thread do that never sleeps, and what does it cost?",
    watch="thousands of calls for each message, nearly all EAGAIN, and a core that is never idle.",
    try_next=(
        "invoke lab nonblocking --clients 20  a round costs twenty calls more",
        "invoke lab select  asked once, told when it is so",
        "invoke lab blocking  asleep instead",
    ),
    reading=(
        "UNP 6.2, Nonblocking I/O Model; 16.1 and 16.2",
        "man 2 fcntl (O_NONBLOCK)",
        "net/ipv4/tcp.c: tcp_recvmsg_locked, where a time-out of 0 becomes EAGAIN",
    ),
)


@LAB.check("EAGAIN at once, never asleep", claims=("C05", "C17"))
def never_asleep(run: Run) -> Finding:
    """Calls without data came back with EAGAIN, and none slept."""
    refused = sum(one.count for one in run.result.calls if one.errno == "EAGAIN")
    slept = [one for one in run.result.calls if waited(one) or (one.sleeps and one.name in syscalls.MULTIPLEXERS)]
    found = f"{refused:,} calls came back with EAGAIN, {len(slept)} calls slept"
    return confirmed(found) if refused > 10 * len(run.result.messages) and not slept else failed(found)


@LAB.check("phase 2 is in the call that succeeds", claims=("C18",))
def copies(run: Run) -> Finding:
    """The copy is made inside the recvfrom that brings the data, without a sleep before."""
    return evidence.read_without_waiting(run)


@LAB.check("it takes a whole core", claims=("C19",))
def whole_core(run: Run) -> Finding:
    """The thread wanted a CPU all its life: on it, or waiting for it; never asleep."""
    server = run.server
    wanted = server.wall - server.wait
    busy = wanted - server.sched_delay - server.preempted
    found = f"it wanted a CPU for {wanted / server.wall:.1%} of its life and had one for {busy / server.wall:.1%}"
    return confirmed(found) if wanted > 0.95 * server.wall else failed(found)


@LAB.check("a round costs a call for each connection", claims=("C21",))
def call_each(run: Run) -> Finding:
    """A round begins with accept and asks each connection, also one that has just said that it has nothing."""
    asked: Counter[int] = Counter()
    vain: Counter[int] = Counter()
    again: Counter[int] = Counter()  # in vain, after a question in vain
    answered = 0
    last: dict[int, str | None] = {}
    for one in run.result.named("recvfrom"):
        if one.fd is not None:
            asked[one.fd] += one.count
            answered += one.bytes > 0
            if one.errno == "EAGAIN":
                vain[one.fd] += one.count
                again[one.fd] += one.count - (last.get(one.fd) != "EAGAIN")
            last[one.fd] = one.errno
    rounds = sum(one.count for one in run.result.named("accept4"))
    each = ", ".join(f"{number:,}" for number in asked.values())
    found = f"{rounds:,} rounds; the {len(asked)} connections were asked {each} times, for {answered} answers with data"
    return confirmed(found) if asked and all(again[fd] for fd in asked) and vain.total() > answered else failed(found)
