"""Programs of one run that serve clients of their own are classified one by one."""

from __future__ import annotations

from findings.models.classify import classify
from findings.models.model import Architecture, Classification, Model
from findings.threads.roles import Role, identify
from tests.findings.models.story import Story


def two(shared: bool = False, reuseport: bool = False, known: bool = True) -> Story:
    """An epoll loop (process 1), and its child, which serves one connection after the other."""
    story = Story()
    if shared:
        story.listener(3)
    child = story.process(1)
    if not shared:
        story.listener(3, reuseport=reuseport)
        if known:
            story.listener(3, by=child, reuseport=reuseport)
    story.call("epoll_create1", 0, result=5)
    story.call("epoll_ctl", 5, 1, 3, 1)
    for number in (7, 8, 9):
        story.call("epoll_wait", 5, 0, 10, -1, result=1)
        story.call("accept4", 3, 0, 0, 0o4000, result=number)
        story.call("epoll_ctl", 5, 1, number, 1)
    for _ in range(4):
        for number in (7, 8, 9):
            story.call("epoll_wait", 5, 0, 10, -1, result=1, sleeps="epoll")
            story.read(number)
    for _ in range(4):
        story.call("accept", 3, result=4, by=child, sleeps="accept")
        for _ in range(2):
            story.read(4, by=child, sleeps="socket")
        story.call("close", 4, by=child)
    return story


def classified(story: Story) -> list[tuple[Model, Architecture]]:
    found = classify(story.result())
    return [(each.model, each.architecture) for each in (found, *found.beside)]


def test_two_servers_with_listeners_of_their_own_are_two() -> None:
    loop, sequential = (Model.EPOLL, Architecture.SINGLE_LOOP), (Model.BLOCKING, Architecture.SEQUENTIAL)
    assert classified(two()) == [loop, sequential]


def test_each_has_the_roles_of_its_own_architecture() -> None:
    found = identify(two().result()).roles
    assert found.role_of == {1: Role.LOOP, 2: Role.SERVER}


def test_processes_that_share_a_listener_are_one_server() -> None:
    found: Classification = classify(two(shared=True).result())
    assert not found.beside


def test_listeners_with_reuseport_may_share_a_port() -> None:
    assert not classify(two(reuseport=True).result()).beside


def test_an_unknown_listener_divides_nothing() -> None:
    assert not classify(two(known=False).result()).beside


def test_a_handed_connection_joins_two_processes() -> None:
    """One process accepts, another reads: one server, although each has a listener."""
    story = two()
    story.call("accept4", 3, 0, 0, 0o4000, result=12)
    child = story.process(1)
    story.listener(20, by=child)
    for _ in range(3):
        story.read(12, by=child, sleeps="socket")
    assert len(classified(story)) == 2


def test_the_server_of_the_first_process_comes_first() -> None:
    story = two()
    for _ in range(40):
        story.call("accept", 3, result=4, by=2, sleeps="accept")
        story.read(4, by=2, sleeps="socket")
        story.call("close", 4, by=2)
    assert classified(story)[0] == (Model.EPOLL, Architecture.SINGLE_LOOP)
