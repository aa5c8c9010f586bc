"""The rows of the sums that the kernel side keeps: of calls and of sleeps. sums.py reads them; a Result has them."""

from __future__ import annotations

from dataclasses import dataclass

from probes.kernel import syscalls
from probes.measure.wakers import Waker


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What kind of file a descriptor was: the kernel's function that closes such files, and of a socket what kind it is."""

    release: str
    family: int = 0
    type: int = 0
    protocol: int = 0


@dataclass(frozen=True, slots=True)
class CallSum:
    """All calls of one name, of one thread, on one kind of descriptor, with one outcome. Durations are ns.

    `outcome`: a negative error number, 0, or Outcome. `histogram`: records.bucket_floor has the bounds.
    """

    thread: int  # OTHERS: the threads without an account of their own
    name: str
    descriptor: Descriptor | None
    outcome: int
    count: int
    bytes: int
    total: int
    wait: int
    sched_delay: int
    preempted: int
    copy: int
    sleeps: int
    preemptions: int
    longest: int
    histogram: tuple[int, ...]
    polled: int = 0
    queued: int = 0
    unqueued: int = 0

    @property
    def kernel(self) -> int:
        """On a CPU inside the calls and not copying."""
        return self.total - self.wait - self.sched_delay - self.preempted - self.copy

    @property
    def errno(self) -> str | None:
        """The name of the error, None if the calls did not fail."""
        if self.outcome >= 0 or self.name == "rt_sigreturn":  # its result is a register of the interrupted code
            return None
        return syscalls.errno_name(self.outcome)


@dataclass(frozen=True, slots=True)
class SleepSum:
    """All sleeps of one thread in one call (None: outside of calls) on one wait queue that one waker ended. Durations are ns.

    `walked`, `waker_walked`: of how many sleeps the stacks were walked. The other sleeps have the stacks of a sleep before.
    """

    thread: int
    call: str | None
    queue: str
    stack: tuple[str, ...]
    waker: Waker | None  # its tid is 0: waker_thread says which followed thread it was
    waker_thread: int  # 0: not a followed thread
    open: bool  # still asleep when the recording ended
    count: int
    wait: int
    sched_delay: int
    longest: int
    walked: int
    waker_walked: int
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Others:
    """The threads that have no account of their own, since very many threads were followed before them."""

    threads: int
    wall: int
    calls: int
    wait: int
    sched_delay: int
    preempted: int
    copy: int
    kernel: int
    voluntary_switches: int
    involuntary_switches: int

    @property
    def user(self) -> int:
        """In user code, ns."""
        return self.wall - self.wait - self.sched_delay - self.preempted - self.copy - self.kernel
