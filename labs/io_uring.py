"""io_uring: the server requests data beforehand, and a completion reports it in the buffer. Which thread waits and copies?

Four ways to request, side by side: a request for each receive; one request for all receives of a connection (multishot); a
request that goes to a worker of the kernel at once (IOSQE_ASYNC); and requests that a kernel thread fetches itself (SQPOLL).
"""

import bisect
from collections import Counter

from findings.properties.blocks_only_in_its_wait import BLOCKS_ONLY_IN_ITS_WAIT
from findings.properties.echoes_every_byte import ECHOES_EVERY_BYTE
from findings.properties.needs_no_short_time_out import NEEDS_NO_SHORT_TIME_OUT
from findings.properties.never_spins import NEVER_SPINS
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, refined, refuted, unavailable
from labs.kit.questions.server import CALLS, COPIES, READERS, WAITS_IN
from probes.measure.result import Sleep, Verdict
from probes.words import count

LAB = Lab(
    model="io_uring",
    chapter="Asynchronous",
    question="Which thread waits and which thread copies when io_uring receives?",
    watch="no recvfrom and no sendto, but completions; and which thread made each copy.",
    try_next=(
        "invoke lab epoll  a thread that is notified, and then reads",
        "invoke lab posix_aio  helper threads that wait and copy",
    ),
    reading=(
        "man 7 io_uring, man 2 io_uring_enter",
        "J. Axboe, Efficient IO with io_uring",
        "io_uring/poll.c: io_arm_poll_handler; io_uring/io-wq.c; io_uring/sqpoll.c",
    ),
    cases=(
        Case("single", "io_uring"),
        Case("multishot", "io_uring:multishot"),
        Case("worker", "io_uring:worker"),
        Case("SQPOLL", "io_uring:sqpoll"),
    ),
)
OWN = "own thread"
MULTISHOT_BUFFER = 4096  # bytes: a larger message arrives in several buffers


def copiers(run: Run) -> Counter[str]:
    """Messages by the thread that copied them: the server's OWN, or the kind of kernel thread."""
    threads = {thread.serial: thread for thread in run.result.threads}
    kinds: Counter[str] = Counter()
    for message in run.result.messages:
        thread = threads[message.thread]
        kinds[thread.name.rstrip("-0123456789") if thread.kernel_worker else OWN] += 1
    return kinds


def words(run: Run) -> str:
    """The copiers and the calls, for evidence."""
    copied = ", ".join(f"{name} {number}" for name, number in copiers(run).most_common()) or "none"
    enters = count(len(run.calls("io_uring_enter")), "call")
    return f"{count(len(run.result.messages), 'message')}, copied by: {copied}; {enters} of io_uring_enter"


def submitted(run: Run) -> int:
    """How many requests the process submitted by io_uring_enter."""
    return sum(max(call.result or 0, 0) for call in run.calls("io_uring_enter"))


def socket_reads(run: Run) -> int:
    """How many calls read a socket."""
    return sum(call.count for call in run.calls("read", "recvfrom", "recvmsg") if call.socket)


@LAB.check("the thread waits for completions, and no call reads a socket", claims=("C42",))
def completion(run: Run) -> Finding:
    """The thread slept on the ring's queue only. One call submits requests and waits: no call submits alone."""
    single = run.case("single")
    enters = single.calls("io_uring_enter")
    slept = [call for call in enters if any(sleep.queue == "io_uring" for sleep in call.sleeps)]
    alone = sum(call.result or 0 for call in enters if len(call.args) > 2 and not call.args[2] & 0xFFFFFFFF)
    others = sorted({call.name for call in single.waits})
    evidence = (
        f"{len(slept)} of {count(sum(call.count for call in enters), 'call')} of io_uring_enter slept on the ring's queue;"
        f" {count(socket_reads(single), 'call')} read a socket"
    )
    if socket_reads(single):
        return failed(f"{evidence}: a completion reports only that the socket is ready; {words(single)}")
    if others or not slept:
        where = f"the thread waits in {' and '.join(others)}" if others else "the thread never slept for a completion"
        return failed(f"{evidence}; {where}; {words(single)}")
    if alone > 0.5 * submitted(single):
        requests = count(submitted(single), "request")
        return failed(f"{evidence}; {alone:,} of {requests} had a call of their own, which waits for nothing")
    if copiers(single)[OWN] < len(single.result.messages) or not single.result.messages:
        return failed(f"{evidence}; {words(single)}")
    return refined(f"{evidence}. The thread had nothing else to do: it slept in io_uring_enter, and copied all data itself")


@LAB.check("the kernel copies the data without the thread that made the request", claims=("C42", "C44"))
def own_copy(run: Run) -> Finding:
    """The kernel wakes the thread that made the request, and this thread copies: phase 2 takes its time, without a recvfrom."""
    single = run.case("single")
    messages = len(single.result.messages)
    own = copiers(single)[OWN]
    woken = len(woken_for_data(single))
    evidence = (
        f"the server's own thread copied {own} of {count(messages, 'message')}, {inside_enter(single)} of them inside"
        f" io_uring_enter; packets woke it {count(woken, 'time')} for data that it then copied itself"
    )
    if socket_reads(single) or own < messages or not messages:
        return failed(f"{evidence}; {count(socket_reads(single), 'call')} read a socket; {words(single)}")
    return refuted(f"{evidence}: no recvfrom, but phase 2 takes this thread's time")


def inside_enter(run: Run) -> int:
    """How many messages were copied inside a call of io_uring_enter. Others: on the thread's way back to user space."""
    enters = [call for call in run.result.named("io_uring_enter") if call.count == 1]
    begins = [call.enter for call in enters]
    places = [(bisect.bisect_right(begins, message.copied) - 1, message.copied) for message in run.result.messages]
    return sum(1 for at, copied in places if at >= 0 and copied <= enters[at].exit)


@LAB.check("one multishot request brings many messages", claims=("C42",))
def multishot(run: Run) -> Finding:
    """One receive request for a whole connection, with buffers from a ring; the server's own thread still copies."""
    multi = run.case("multishot")
    if run.traffic.size > MULTISHOT_BUFFER:
        return unavailable(f"a message of more than {MULTISHOT_BUFFER:,} B arrives in several buffers: leave out --size")
    messages = max(len(multi.result.messages), 1)
    beyond = submitted(multi) - 1 - len(multi.clients)  # one request for all connections, and one for each connection
    evidence = (
        f"beyond 1 request for all connections and 1 for each connection, {beyond / messages:.2f} requests per message,"
        f" to send it back; {words(multi)}"
    )
    good = 0 < beyond < 1.5 * messages and copiers(multi)[OWN] == len(multi.result.messages)
    return refined(f"{evidence}: the process's own thread copies") if good else failed(evidence)


@LAB.check("with IOSQE_ASYNC a worker of the kernel takes the request", claims=("C42", "C44"))
def worker(run: Run) -> Finding:
    """The worker finds no data and polls the socket instead of sleeping on it. The packet wakes the server's own thread, and
    this thread queues the request to the worker again, so that a kernel thread copies; on older kernels it copies itself
    (io_uring/poll.c; io_uring/io_uring.c: io_req_task_submit).
    """
    case = run.case("worker")
    copied = copiers(case)
    by_workers, own = sum(number for name, number in copied.items() if name.startswith("iou-wrk")), copied[OWN]
    workers = [thread for thread in case.result.threads if thread.kernel_worker and thread.name.startswith("iou-wrk")]
    slept = Counter({"socket": 0, "io_uring worker": 0})
    for thread in workers:
        for row in thread.slept_on:
            slept[row.queue] += row.count
    evidence = (
        f"{words(case)}; {count(len(workers), 'worker')} made {count(slept['socket'], 'sleep')} on a socket and"
        f" {count(slept['io_uring worker'], 'sleep')} on the work queue"
    )
    if woken := woken_for_data(case):
        evidence += f"; {count(len(woken), 'packet')} woke the server's own thread first, which "
        evidence += "queued the request to a worker" if by_workers else "copied the data itself"
    good = workers and slept["io_uring worker"] >= len(workers) and 0 < len(case.result.messages) in (by_workers, own)
    return refined(evidence) if good else failed(evidence)


def woken_for_data(run: Run) -> list[Sleep]:
    """The sleeps in io_uring_enter that a packet ended while a message was ready and not yet copied."""
    spans = [(message.ready, message.copied) for message in run.result.messages]
    return [
        sleep
        for call in run.calls("io_uring_enter")
        for sleep in call.sleeps
        if sleep.waker and sleep.waker.by_packet and any(ready <= sleep.woken <= copied for ready, copied in spans)
    ]


@LAB.check("with SQPOLL a thread of the kernel takes the requests and copies the data", claims=("C42", "C43", "C44"))
def sqpoll(run: Run) -> Finding:
    """The kernel's thread takes requests from the ring without a system call, and copies when it runs the request."""
    case = run.case("SQPOLL")
    by_kernel = sum(number for name, number in copiers(case).items() if name.startswith("iou-sqp"))
    polling = [thread for thread in case.result.threads if thread.kernel_worker and thread.name.startswith("iou-sqp")]
    awake = sum(thread.awake for thread in polling) / max(sum(thread.wall for thread in polling), 1)
    asleep = [call for call in case.calls("io_uring_enter") if call.sleeps]
    evidence = (
        f"the kernel's thread was awake for {awake:.0%} of the time; {count(len(asleep), 'call')} of io_uring_enter slept;"
        f" {words(case)}"
    )
    return confirmed(evidence) if by_kernel and by_kernel == len(case.result.messages) else failed(evidence)


@LAB.check(ECHOES_EVERY_BYTE.statement, claims=("C42",))
def echoes(run: Run) -> Finding:
    """Each of the servers sends all data back."""
    if not run.cases:
        run.case("single")  # raises NotOffered, with the reason
    seen = {name: ECHOES_EVERY_BYTE.check(case) for name, case in run.cases.items()}
    broken = [f"{name}: {found.evidence}" for name, found in seen.items() if found.verdict is Verdict.FAILED]
    if broken:
        return failed("; ".join(broken))
    held = [f"{name}: {found.evidence}" for name, found in seen.items()]
    return confirmed("; ".join(held))


LAB.holds(NEVER_SPINS, claims=("C44",))
LAB.holds(NEEDS_NO_SHORT_TIME_OUT, claims=("C44",))
LAB.holds(BLOCKS_ONLY_IN_ITS_WAIT, claims=("C42",))


LAB.ask(
    WAITS_IN.at("single"),
    CALLS.at("single"),
    COPIES.at("single"),
    COPIES.at("multishot"),
    COPIES.at("worker"),
    COPIES.at("SQPOLL"),
    READERS.at("single"),
)
