"""What a wait costs, asked of this machine's kernel without any probe; and the findings that labs make of it."""

from __future__ import annotations

from labs.kit import growth


def test_select_and_poll_grow_and_epoll_does_not() -> None:
    found = growth.measure()["growth"]
    assert set(found) == {"select", "select, no wait", "poll", "poll, no wait", "epoll"}
    small, many = (str(one) for one in growth.SIZES[1:])
    for name, costs in found.items():
        factor = costs[many] / costs[small]
        assert factor < 2 if name == "epoll" else factor > 3, (name, costs)


def test_the_limit_is_that_of_open_files() -> None:
    found = growth.limit()["limit"]
    assert 200 < found["taken"] < found["nofile"] == 256
    assert found["refused"].endswith("dup")
