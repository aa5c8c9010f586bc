"""A classic mistake: a pool of four threads, each kept by one connection for as long as it lasts. Who is the fifth?"""

from findings import evidence
from findings.evidence import ms
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.traffic import Traffic
from servers.thread_pool import WORKERS

LAB = Lab(
    model="thread_pool",
    chapter="Classic mistakes",
    question="What happens to the client that comes when the pool is full?",
    watch="its first answer: it was connected at once, and then served by nobody until somebody else had gone.",
    try_next=(
        "invoke lab thread_pool   the model by itself",
        "invoke lab process_pool  the same ceiling, of processes",
    ),
    reading=(
        "UNP 30.6 to 30.12 on preforked and prethreaded servers",
        "docs.python.org, concurrent.futures",
    ),
    cases=(Case("broken", "thread_pool"), Case("mended", "threads"), Case("one thread", "epoll")),
    traffic=Traffic(clients=6, messages=11, gap_ms=20),
)


def first_answers(run: Run) -> list[int]:
    """How long each client waited from its first message to its echo, ns, sorted."""
    return sorted(client["exchanges"][0][1] - client["exchanges"][0][0] for client in run.clients)


@LAB.check("beyond its size, connections wait", claims=("C16",))
def ceiling(run: Run) -> Finding:
    """At most four connections were served at a time, and the others' first answers came when those were done."""
    broken = run.case("broken")
    if min(len(client["exchanges"]) for client in broken.clients) < 2:
        return unavailable("a client that sends 1 message does not stay: use --messages 2 or more")
    found = evidence.ceiling(broken, WORKERS, "threads")
    answers = first_answers(broken)
    late = sum(1 for one in answers if one > 0.5 * _stay(broken))
    if found.verdict == "unavailable":
        return found
    words = f"{found.evidence}; {late} of {len(answers)} clients waited for their first answer, up to {ms(answers[-1])}"
    return confirmed(words) if found.verdict == "confirmed" and late == max(len(answers) - WORKERS, 0) else failed(words)


@LAB.check("without a ceiling, nobody does", claims=("C14",))
def no_ceiling(run: Run) -> Finding:
    """With a thread for each connection every client got its first answer at once."""
    made = len(evidence.created(run.case("mended")))
    if made < len(run.case("mended").connections):
        return failed(f"{made} threads were made for {len(run.case('mended').connections)} connections")
    return _at_once(run, "mended")


@LAB.check("one thread has no ceiling either", claims=("C24",))
def multiplexed(run: Run) -> Finding:
    """What is scarce in a pool is a thread for each connection; epoll needs none."""
    if len(run.case("one thread").result.threads) > 1:
        return failed(f"{len(run.case('one thread').result.threads)} threads")
    return _at_once(run, "one thread")


def _stay(run: Run) -> int:
    """How long a client stays at the least, from its first message to its last echo, ns."""
    return min(int(client["exchanges"][-1][1] - client["exchanges"][0][0]) for client in run.clients)


def _at_once(run: Run, name: str) -> Finding:
    case = run.case(name)
    if min(len(client["exchanges"]) for client in case.clients) < 2:
        return unavailable("a client that sends 1 message does not stay: use --messages 2 or more")
    answers = first_answers(case)
    found = f"{evidence.threads(case)}: the latest of {len(answers)} first answers took {ms(answers[-1])},"
    found += f" where a client stays for {ms(_stay(case))} at least"
    return confirmed(found) if answers[-1] < 0.5 * _stay(case) else failed(found)
