"""A classic mistake: one thread, blocking calls, and a client that says nothing. Who waits for it?"""

from findings import evidence
from findings.evidence import ms
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.traffic import Traffic

LAB = Lab(
    model="blocking",
    chapter="Classic mistakes",
    question="What does one silent client do to all the others?",
    watch="the same clients, the same silence: only in the first server does anybody wait for it.",
    try_next=(
        "invoke lab blocking  the model by itself",
        "invoke lab epoll     one thread, and nobody held up",
    ),
    reading=(
        "UNP 6.8, Denial-of-Service Attacks",
        "UNP 4.8 and 26.4, a process or a thread for each client",
    ),
    cases=(Case("broken", "blocking"), Case("mended", "threads"), Case("one thread", "epoll")),
    traffic=Traffic(clients=3, messages=5, gap_ms=10, silent_ms=400),
)


@LAB.check("a silent client holds up a single thread", claims=("C13",))
def held(run: Run) -> Finding:
    """The thread slept in recvfrom on the silent connection while others' data lay ready."""
    broken = run.case("broken")
    silent = [one for one in broken.reads if not one.bytes]  # it says nothing and then goes: the read brings 0 bytes
    worst, lay = evidence.held_up(broken, "socket", silent)
    gone = max((one.exit for one in silent if one.wait > 0.5 * run.silent_ns), default=0)
    if all(sent > gone for client in broken.clients for sent, _echoed in client["exchanges"]) and gone:
        return unavailable("nobody else sent while it was silent: use a smaller --gap-ms than 400")
    found = f"the slowest echo took {ms(max(broken.round_trips))}, beside a silence of {ms(run.silent_ns)}; data lay ready for"
    found += f" {ms(lay)}, for {ms(worst)} of which the thread slept in recvfrom on a connection that never said anything"
    return confirmed(found) if worst > 0.5 * run.silent_ns else failed(found)


@LAB.check("with a thread for each it holds up nobody", claims=("C14",))
def isolated(run: Run) -> Finding:
    """The others were answered as if it were not there: each connection had a thread of its own."""
    case = run.case("mended")
    made = len(evidence.created(case))
    if made < len(case.connections):
        return failed(f"{made} threads were made for {len(case.connections)} connections")
    return _unharmed(run, "mended")


@LAB.check("nor with one thread that waits in epoll", claims=("C24",))
def multiplexed(run: Run) -> Finding:
    """One thread is enough, as long as it never waits in a call on a socket."""
    if len(run.case("one thread").result.threads) > 1:
        return failed(f"{len(run.case('one thread').result.threads)} threads")
    return _unharmed(run, "one thread")


def _unharmed(run: Run, name: str) -> Finding:
    case = run.case(name)
    worst, _lay = evidence.held_up(case, "socket")
    found = f"{evidence.threads(case)}: the slowest of {len(case.round_trips)} echoes took {ms(max(case.round_trips))}"
    found += f" beside a silence of {ms(run.silent_ns)}; "
    found += f"data lay ready while its thread slept on another connection for {ms(worst)}" if worst else "no data lay ready"
    found += "" if worst else " while its thread slept on another connection"
    good = max(case.round_trips) < 0.5 * run.silent_ns and worst < 0.1 * run.silent_ns
    return confirmed(found) if good else failed(found)
