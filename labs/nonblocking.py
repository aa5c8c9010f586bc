"""Non-blocking I/O: what does it cost never to sleep?"""

from collections import Counter

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, waited
from probes.kernel import syscalls
from probes.words import count

LAB = Lab(
    model="nonblocking",
    chapter="Non-blocking",
    server="nonblocking",
    question="What does a thread do if it never sleeps, and how much CPU time does it take?",
    watch="thousands of calls per message, nearly all of them without result (EAGAIN), and a core that is never idle.",
    try_next=(
        "invoke lab nonblocking --clients 20  twenty calls in each round",
        "invoke lab select  a sleep until data is ready",
        "invoke lab blocking  a sleep in recvfrom",
    ),
    reading=(
        "UNP 6.2, Nonblocking I/O Model; 16.1 and 16.2",
        "man 2 fcntl (O_NONBLOCK)",
        "net/ipv4/tcp.c: tcp_recvmsg_locked, which returns EAGAIN for a time-out of 0",
    ),
)


@LAB.check("a call without data gets EAGAIN at once, and no call sleeps", claims=("C05", "C17"))
def never_asleep(run: Run) -> Finding:
    """Calls without data got EAGAIN, and no call slept for its peer or in a multiplexer."""
    refused = sum(call.count for call in run.result.calls if call.errno == "EAGAIN")
    slept = [call for call in run.result.calls if waited(call) or (call.sleeps and call.name in syscalls.MULTIPLEXERS)]
    messages = len(run.result.messages)
    words = (
        f"{count(messages, 'message')}: {count(refused, 'call')} got EAGAIN,"
        f" {count(len(slept), 'call')} slept until the peer did something"
    )
    return confirmed(words) if refused > 10 * messages and not slept else failed(words)


@LAB.check("the call that succeeds copies the data itself", claims=("C18",))
def copies(run: Run) -> Finding:
    """The recvfrom that returns the data makes the copy, without a sleep."""
    return evidence.read_without_waiting(run)


@LAB.check("the polling thread takes a whole core", claims=("C19",))
def whole_core(run: Run) -> Finding:
    """The thread was runnable all its life: on a CPU, or waiting for a CPU; never asleep."""
    server = run.server
    runnable = server.wall - server.wait
    on_cpu = runnable - server.sched_delay - server.preempted
    words = f"the thread was runnable for {runnable / server.wall:.1%} of its life, and on a CPU for {on_cpu / server.wall:.1%}"
    return confirmed(words) if runnable > 0.95 * server.wall else failed(words)


@LAB.check("each round makes one call for every connection, ready or not", claims=("C21",))
def call_each(run: Run) -> Finding:
    """A round begins with accept and then reads every connection, even a connection whose last read got EAGAIN."""
    reads: Counter[int] = Counter()
    without_data: Counter[int] = Counter()
    repeated: Counter[int] = Counter()  # EAGAIN, right after EAGAIN from the same connection
    with_data = 0
    last: dict[int, str | None] = {}
    for call in run.result.named("recvfrom"):
        if call.fd is not None:
            reads[call.fd] += call.count
            with_data += call.bytes > 0
            if call.errno == "EAGAIN":
                without_data[call.fd] += call.count
                repeated[call.fd] += call.count - (last.get(call.fd) != "EAGAIN")
            last[call.fd] = call.errno
    rounds = sum(call.count for call in run.result.named("accept4"))
    each = ", ".join(f"{number:,}" for number in reads.values())
    words = (
        f"{count(rounds, 'round')}; {count(len(reads), 'connection')}, each read in its turn ({each} reads);"
        f" {count(with_data, 'read')} returned data"
    )
    good = reads and all(repeated[fd] for fd in reads) and without_data.total() > with_data
    return confirmed(words) if good else failed(words)
