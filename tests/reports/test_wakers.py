"""What ended a sleep, in words: each way that a wake-up has a name for has words, and an unknown way keeps its function."""

from __future__ import annotations

import pytest

from findings.sleeps.causes import Cause
from probes.measure.wakers import Link
from reports import wakers


@pytest.mark.parametrize("link", Link)
def test_each_way_has_words(link: Link) -> None:
    by_task = wakers.words(Cause((link,), thread=7), lambda serial: f"pool-{serial}")
    by_event = wakers.words(Cause((link,)), lambda _serial: "")
    nobody = link is Link.END_OF_THE_PROCESS  # whichever thread called exit_group, or got the signal
    assert ("pool-7" in by_task) is not nobody and by_event
    alone = {Link.TIMER, Link.PACKET, Link.DISK}  # these ways begin without a task
    later = {Link.MPTCP, Link.EPOLL_QUEUE}  # other links with words stand before these
    as_named = {Link.INOTIFY, Link.FANOTIFY, Link.IO_URING}
    assert by_task != f"pool-7 through {link}" or link in alone | later | as_named, by_task


def test_an_unknown_way_keeps_the_name_of_the_kernels_function() -> None:
    assert wakers.words(Cause(("a_new_function",), task="sshd"), str) == "sshd through a_new_function"


def test_the_deed_of_a_task_names_the_task() -> None:
    assert wakers.words(Cause((Link.CHILD_STOP,), thread=3), lambda _serial: "worker") == "the stop of worker"
    assert wakers.words(Cause((Link.SUPERVISOR, Link.COMPLETION), task="warden"), str) == "the seccomp supervisor warden"
