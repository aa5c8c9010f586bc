"""Names for threads and groups: short, and each different from the others."""

from __future__ import annotations

import dataclasses

from findings.threads.groups import Group
from findings.threads.labels import Labels
from findings.threads.roles import Role
from tests.conftest import measured, reported


def test_the_groups_of_a_run_have_different_names() -> None:
    for name in ("trace", "faults/chain-threads", "process_pool", "thread_pool"):
        report = reported(name)
        labels = Labels(report.result, report.groups)
        names = [labels.group(group) for group in report.groups]
        assert len(set(names)) == len(names), names


def test_a_thread_that_is_in_no_group_is_named_by_its_number() -> None:
    assert Labels(measured("epoll"), ()).waker(99) == "thread 99"


def test_threads_of_one_group_wake_one_another() -> None:
    report = reported("thread_pool")
    labels = Labels(report.result, report.groups)
    group = max(report.groups, key=lambda group: len(group.threads))
    assert len(group.threads) > 1
    assert labels.waker(group.threads[0].serial, group) == "one another"
    assert labels.waker(group.threads[0].serial).endswith(str(group.pids[0]))


def test_short_lived_processes_are_counted() -> None:
    group: Group = dataclasses.replace(reported("thread_pool").groups[0], role=Role.MAIN, short_lived=True)
    assert Labels(measured("thread_pool"), (group,)).group(group) == "1 short-lived process"
