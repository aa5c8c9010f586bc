"""Questions about experiments: will this call sleep, be refused, or succeed at once; on which queue; and who ends its sleep?"""

from __future__ import annotations

from collections.abc import Set

from findings.evidence import ms
from labs.kit.experiment import PAUSE
from labs.kit.lab import Run
from labs.kit.questions.question import Question, Truth, Undecided, count
from probes.kernel import syscalls
from probes.measure.queues import place
from probes.measure.result import Call, Sleep

_SLEEPS = "it sleeps until it has what it waits for"
_REFUSED = "it comes back at once, with an error (EAGAIN or another)"
_SUCCEEDS = "it comes back at once, and has done what was asked"
_BY_THE_WAY = {"page", "lock", "disk", "rcu", "socket lock"}  # such a sleep may befall any call, and says nothing of it


def _section(run: Run, name: str, kinds: Set[str]) -> Call:
    """The call that a section is about: the first of those kinds, or, of any kind, the one that slept longest."""
    calls = run.sections.get(name, [])
    chosen = [one for one in calls if one.name in kinds] if kinds else sorted(calls, key=lambda one: -one.wait)
    if not chosen:
        raise Undecided(f"{name}: 0 calls of {', '.join(sorted(kinds)) or 'any kind'} in this section")
    return chosen[0]


def _sleeps(call: Call) -> list[Sleep]:
    return [one for one in call.sleeps if one.queue not in _BY_THE_WAY]


def _what(section: str, kinds: Set[str], text: str) -> Question:
    """Does the section's call sleep, is it refused, or does it succeed at once?"""

    def truth(run: Run) -> Truth:
        call = _section(run, section, kinds)
        asleep = _sleeps(call)
        option = _SLEEPS if asleep else _REFUSED if call.errno else _SUCCEEDS
        words = f"{call.name} {'got ' + call.errno if call.errno else f'returned {call.result}'}, {count(len(asleep), 'sleep')}"
        where = ", ".join(sorted({place(one.queue) for one in asleep}))
        return Truth(option, words + (f" {where}, {ms(call.wait)}" if where else ""))

    return Question(_id(section), f"{text}: what does it do?", (_SLEEPS, _REFUSED, _SUCCEEDS), truth)


def _id(section: str) -> str:
    return section.replace(",", "").replace("?", "").replace(" ", "-")


_ON = {
    "socket": "that of the connection's received data",
    "accept": "the listener's own, for connections",
    "connect": "the connecting socket's, for the handshake",
    "send buffer": "the socket's, for room in its send buffer",
    "timer": "none: only a timer wakes it",
    "futex": "a futex, a lock between threads",
    "": "none: it does not sleep",
}


def _where(section: str, kinds: Set[str], text: str) -> Question:
    """On which wait queue does the section's call sleep?"""

    def truth(run: Run) -> Truth:
        call = _section(run, section, kinds)
        asleep = _sleeps(call)
        if not asleep:
            return Truth(_ON[""], f"{call.name}: 0 sleeps")
        longest = max(asleep, key=lambda one: one.wait)
        return Truth(_ON.get(longest.queue, longest.queue), f"{call.name} slept {ms(longest.wait)} {place(longest.queue)}")

    return Question(f"{_id(section)}-where", f"{text}: on which wait queue does it sleep?", tuple(_ON.values()), truth)


_ENDS = {
    "packet": "a packet that comes, through TCP",
    "timer": "a timer that runs out",
    "signal": "a signal",
    "futex": "another thread of the process",
    "": "nothing: it does not sleep",
}


def _who(section: str, kinds: Set[str], text: str) -> Question:
    """What ends the sleep of the section's call?"""

    def truth(run: Run) -> Truth:
        call = _section(run, section, kinds)
        asleep = _sleeps(call)
        if not asleep:
            return Truth(_ENDS[""], f"{call.name}: 0 sleeps")
        longest = max(asleep, key=lambda one: one.wait)
        if longest.waker is None:
            raise Undecided("this machine did not show who ended the sleep")
        words = f"{call.name} was woken after {ms(longest.wait)}, so: {longest.waker.words} -> thread"
        return Truth(_ENDS.get(longest.waker.chain[0], longest.waker.words), words)

    return Question(f"{_id(section)}-woken-by", f"{text}: what ends its sleep?", tuple(_ENDS.values()), truth)


def _held(key: str, index: int, text: str) -> Question:
    """Bytes in a queue, as the experiment of lab delivery asked the kernel for them."""

    def truth(run: Run) -> Truth:
        held = run.aside.get(key, [])
        if len(held) <= index:
            raise Undecided(f"{len(held)} amounts were asked for")
        return Truth(f"{held[index]:,} bytes", f"{key}, after the sending, one read, and another: {held}")

    return Question(f"{key}-{index}", text, ("0 bytes", "400 bytes", "600 bytes", "1,000 bytes"), truth, ranges=True)


_STILL, _DONE = "no, it goes on beside", "yes, submit comes back with the result"


def _done_early(run: Run) -> Truth:
    if "done_early" not in run.aside:
        raise Undecided("the experiment did not ask")
    done, told = run.aside["done_early"], ", ".join(run.aside.get("told", []))
    words = f"work of {PAUSE * 1000:.0f} ms: done() right after submit says {done}; told of its end by: {told or 'nothing'}"
    return Truth(_DONE if done else _STILL, words)


_NEVER_ASLEEP, _ASLEEP_TOO = "none of it: it is runnable all the time", "some or all of it, as in a blocking read"


def _computing(run: Run) -> Truth:
    if "computing" not in run.sections:
        raise Undecided("0 sections in which it computes")
    slept = [one for call in run.sections["computing"] for one in call.sleeps if one.queue != "futex"]
    words = f"{count(len(slept), 'sleep')} while it computed, those for the interpreter's lock left out"
    return Truth(_ASLEEP_TOO if slept else _NEVER_ASLEEP, words)


_READ, _WRITE, _WAIT, _ACCEPT = syscalls.READS, syscalls.WRITES, syscalls.MULTIPLEXERS, syscalls.ACCEPTS
_CONNECT, _REGISTER = {"connect"}, {"epoll_ctl"}
_ANY: Set[str] = frozenset()
_COMING = "No data is there, it comes 20 ms later. A blocking"
_FULL = "The send buffer is full, the peer reads 20 ms later. A blocking"
_CLIENT = "Nobody has connected; a client comes 20 ms later. A blocking accept"
_BACKLOG = "The listener's backlog is full for 20 ms. A blocking connect"
_ROOM = "The listener has room. A blocking connect over loopback"
EXPERIMENTS: dict[str, tuple[Question, ...]] = {
    "accept": (
        _what("blocking", _ACCEPT, _CLIENT),
        _what("non-blocking", _ACCEPT, "Nobody has connected. A non-blocking accept"),
        _where("blocking", _ACCEPT, _CLIENT),
        _who("blocking", _ACCEPT, _CLIENT),
    ),
    "connect": (
        _what("room", _CONNECT, _ROOM),
        _what("full", _CONNECT, _BACKLOG),
        _what("non-blocking", _CONNECT, "The listener's backlog is full. A non-blocking connect"),
        _where("full", _CONNECT, _BACKLOG),
        _where("room", _CONNECT, _ROOM),
        _who("full", _CONNECT, _BACKLOG),
    ),
    "delivery": (
        _what("send", _WRITE, "The receiver does not read yet. A blocking send of 1,000 bytes"),
        _what("read", _READ, "1,000 bytes lie there. A blocking recv of 400"),
        _held("unread", 0, "1,000 bytes were sent, none is read yet. How many lie in the receiver's queue?"),
        _held("unread", 1, "400 of 1,000 bytes were read. How many lie in the receiver's queue?"),
        _held("unacknowledged", 0, "1,000 bytes came, none is read yet. How many does the sender's kernel still keep?"),
        _held("unacknowledged", 1, "400 of 1,000 bytes were read. How many does the sender's kernel still keep?"),
    ),
    "files": (
        *(_what(f"epoll, {kind}", _REGISTER, f"epoll_ctl, to watch a {kind}") for kind in ("socket", "terminal", "pipe")),
        _what("epoll, file", _REGISTER, "epoll_ctl, to watch a regular file"),
        _what("select, file", _WAIT, "select, for an empty regular file to be readable"),
        _what("poll, file", _WAIT, "poll, for an empty regular file to be readable"),
    ),
    "input_calls": (
        *(_what(f"{name}, blocking", _READ, f"{_COMING} {name}") for name in ("read", "readv", "recv", "recvmsg")),
        *(
            _what(f"{name}, non-blocking", _READ, f"No data is there. A non-blocking {name}")
            for name in ("read", "recv", "recvmsg")
        ),
        _where("recv, blocking", _READ, f"{_COMING} recv"),
        _who("recv, blocking", _READ, f"{_COMING} recv"),
    ),
    "output_calls": (
        *(_what(f"{name}, blocking", _WRITE, f"{_FULL} {name}") for name in ("write", "writev", "send", "sendmsg")),
        *(
            _what(f"{name}, non-blocking", _WRITE, f"The send buffer is full. A non-blocking {name}")
            for name in ("write", "send", "sendmsg")
        ),
        _where("send, blocking", _WRITE, f"{_FULL} send"),
        _who("send, blocking", _WRITE, f"{_FULL} send"),
    ),
    "terms": (
        _what("synchronous", _ANY, "Work of 20 ms is handed to another thread. submit(...).result()"),
        _what("non-blocking", _READ, "Nothing was sent. A non-blocking recv"),
        Question(
            "asynchronous", "submit(...) has just come back. Is the work of 20 ms done by then?", (_STILL, _DONE), _done_early,
        ),
        Question(
            "computing", "A function computes for some 100 ms, without any I/O. How much of that does its thread sleep?",
            (_NEVER_ASLEEP, _ASLEEP_TOO), _computing,
        ),
    ),
}  # fmt: skip
