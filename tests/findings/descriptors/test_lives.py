"""A descriptor's life: by which call it was opened, when it was used for the last time, and which call closed it."""

from __future__ import annotations

from findings.descriptors.lives import Descriptor, descriptors
from findings.view import Run
from tests.findings.models.story import Story


def lives(story: Story) -> list[Descriptor]:
    return descriptors(Run(story.result()))


def test_a_number_that_is_used_again_is_another_descriptor() -> None:
    story = Story()
    story.call("openat", result=3)
    story.read(3)
    story.call("close", 3)
    story.call("socket", result=3)
    first, second = lives(story)
    assert (first.fd, second.fd) == (3, 3)
    assert first.used and first.used.name == "recvfrom" and first.closed and first.closed.name == "close"
    assert second.opened.name == "socket" and second.used is None and second.closed is None


def test_each_process_has_numbers_of_its_own() -> None:
    story = Story()
    child = story.process(parent=1)
    story.call("openat", result=3)
    story.call("openat", result=3, by=child)
    story.call("close", 3, by=child)
    ours, theirs = lives(story)
    assert ours.closed is None and theirs.closed is not None


def test_close_range_closes_the_descriptors_of_its_range() -> None:
    story = Story()
    for number in (3, 4, 5):
        story.call("openat", result=number)
    story.call("close_range", 4, 5)
    assert [bool(each.closed) for each in lives(story)] == [False, True, True]


def test_epoll_ctl_uses_the_descriptor_that_it_adds() -> None:
    story = Story()
    story.call("epoll_create1", result=3)
    story.call("socket", result=4)
    story.call("epoll_ctl", 3, 1, 4)
    epoll, socket = lives(story)
    assert epoll.used is None and socket.used is not None


def test_fcntl_opens_a_descriptor_only_where_it_duplicates_another() -> None:
    story = Story()
    story.call("fcntl", 3, 0, 10, result=10)  # F_DUPFD
    story.call("fcntl", 3, 3, result=2)  # F_GETFL returns flags
    story.call("openat", result=-2, errno="ENOENT")
    assert [each.fd for each in lives(story)] == [10]


def test_a_new_program_keeps_no_descriptor_of_the_old_program() -> None:
    story = Story()
    story.call("openat", result=3)
    story.call("execve")
    story.call("close", 3)
    (only,) = lives(story)
    assert only.closed is None
