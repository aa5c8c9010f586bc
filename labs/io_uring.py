"""io_uring: asked for before there is data, completed when it is in the buffer. Who waited, and who copied it there?

Four ways to ask, side by side: a request for each receive; one request for all of a connection's (multishot); a request that
goes to a worker of the kernel at once (IOSQE_ASYNC); and requests that a thread of the kernel fetches by itself (SQPOLL).
"""

from collections import Counter

from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, refined, unavailable, waited

LAB = Lab(
    model="io_uring",
    chapter="Asynchronous",
    question="Who waits and who copies when io_uring receives?",
    watch="no recvfrom, no sendto: completions; and in whose context each copy was made.",
    try_next=(
        "invoke lab epoll  told first, then read",
        "invoke lab posix_aio  other threads instead",
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


def copiers(run: Run) -> Counter[str]:
    """Messages by who copied them: "own thread", or the kind of kernel thread."""
    threads = {one.serial: one for one in run.result.threads}
    kinds: Counter[str] = Counter()
    for message in run.result.messages:
        thread = threads[message.thread]
        kinds[thread.name.rstrip("-0123456789") if thread.kernel_worker else "own thread"] += 1
    return kinds


def words(run: Run) -> str:
    """The copiers and the calls, for evidence."""
    copied = ", ".join(f"{who} {count}" for who, count in copiers(run).most_common()) or "nobody"
    enters = len(run.calls("io_uring_enter"))
    return f"{len(run.result.messages)} messages, copied by: {copied}; {enters} io_uring_enter"


@LAB.check("asked for beforehand, told when it is done", claims=("C42",))
def completion(run: Run) -> Finding:
    """No call reads a socket; the data comes with the return of io_uring_enter."""
    single = run.case("single")
    enters = single.calls("io_uring_enter")
    on_sockets = [one for one in single.calls("read", "recvfrom", "recvmsg") if one.socket]
    slept = [one for one in enters if any(sleep.queue == "io_uring" for sleep in one.sleeps)]
    found = f"{len(slept)} of {len(enters)} io_uring_enter slept on the ring's queue; {len(on_sockets)} calls read a socket"
    mine = copiers(single)["own thread"] == len(single.result.messages) > 0
    return confirmed(found) if enters and slept and not on_sockets and mine else failed(f"{found}; {words(single)}")


@LAB.check("the thread itself copies, inside that call", claims=("C43", "C44"))
def own_copy(run: Run) -> Finding:
    """By the text the process is not held in phase 2. The copy was made in its own thread, by work it was woken for."""
    single = run.case("single")
    own = [one for one in single.calls("io_uring_enter") if one.copied and one.thread == single.server.serial]
    woken = [one for one in own if one.sleeps and one.sleeps[-1].on <= (one.copied or 0)]
    found = f"{len(own)} io_uring_enter of the process's own thread copied data, {len(woken)} when woken for it"
    if not own or not woken or copiers(single)["own thread"] < len(single.result.messages):
        return failed(f"{found}; {words(single)}")
    return refined(f"{found}: no thread of the kernel did, so phase 2 still took this thread's time")


@LAB.check("multishot: asked once, told many times", claims=("C42",))
def multishot(run: Run) -> Finding:
    """One receive for a whole connection, into buffers that the kernel takes from a ring; still copied by the thread."""
    single, multi = run.case("single"), run.case("multishot")
    if run.result.context["traffic"]["size"] > 4096:
        return unavailable("messages of more than 4,096 B come in several buffers: leave out --size")
    before, now = (submitted(one) / max(len(one.result.messages), 1) for one in (single, multi))
    found = f"{now:.2f} requests a message instead of {before:.2f}; {words(multi)}"
    good = 0 < now < before - 0.5 and copiers(multi)["own thread"] == len(multi.result.messages)
    return confirmed(found) if good else failed(found)


def submitted(run: Run) -> int:
    """How many requests the process handed over by io_uring_enter."""
    return sum(max(one.result or 0, 0) for one in run.calls("io_uring_enter"))


@LAB.check("IOSQE_ASYNC: a worker of the kernel has it first", claims=("C42", "C44"))
def worker(run: Run) -> Finding:
    """Phase 1 nobody spends asleep on the socket: a worker asks, then it is polled, and the packet wakes the process's own
    thread. That hands the request to the worker again, so that phase 2 is a kernel thread's; on older kernels it copies by
    itself (io_uring/poll.c; io_uring/io_uring.c: io_req_task_submit).
    """
    case = run.case("worker")
    copied = copiers(case)
    theirs, own = sum(count for who, count in copied.items() if who.startswith("iou-wrk")), copied["own thread"]
    workers = [one for one in case.result.threads if one.kernel_worker and one.name.startswith("iou-wrk")]
    slept = Counter(dict.fromkeys(("socket", "io_uring worker"), 0))
    for thread in workers:
        for one in thread.slept_on:
            slept[one.queue] += one.count
    spans = [(one.ready, one.copied) for one in case.result.messages]
    woken = [
        sleep
        for call in case.calls("io_uring_enter")
        for sleep in call.sleeps
        if sleep.waker and sleep.waker.chain[0] == "packet" and any(ready <= sleep.woken <= copied for ready, copied in spans)
    ]
    on_sockets, on_queue = slept["socket"], slept["io_uring worker"]
    found = (
        f"{words(case)}; workers ({len(workers)}) slept {on_sockets} times on sockets, {on_queue} times on their work queue;"
    )
    if woken:
        found += f" {len(woken)} packets woke the process's own thread first, which "
        found += "handed them over" if theirs else "copied by itself"
    good = workers and on_queue >= len(workers) and 0 < len(case.result.messages) in (theirs, own)
    return refined(found) if good else failed(found)


@LAB.check("SQPOLL: a thread of the kernel asks, and copies", claims=("C42", "C44"))
def sqpoll(run: Run) -> Finding:
    """The kernel's thread takes requests from the ring without a system call, and makes the copy when it runs the request."""
    case = run.case("SQPOLL")
    theirs = sum(count for who, count in copiers(case).items() if who.startswith("iou-sqp"))
    polling = [one for one in case.result.threads if one.kernel_worker and one.name.startswith("iou-sqp")]
    awake = sum(one.awake for one in polling) / max(sum(one.wall for one in polling), 1)
    asleep = [one for one in case.calls("io_uring_enter") if waited(one) or one.sleeps]
    found = f"the kernel's thread was awake {awake:.0%} of the time; the process slept in {len(asleep)} io_uring_enter; "
    return confirmed(found + words(case)) if theirs and theirs == len(case.result.messages) else failed(found + words(case))
