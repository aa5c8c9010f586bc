"""The queue between the instrument and a slower reader."""

from __future__ import annotations

from probes.capture.feed import Feed, Quiet


def test_what_was_put_comes_out_in_order_and_then_the_end() -> None:
    feed = Feed()
    feed.put(b"one")
    feed.put(b"two")
    feed.close()
    feed.put(b"too late")
    assert [feed.take(0), feed.take(0), feed.take(0)] == [(b"one", False), (b"two", False), None]


def test_an_open_feed_without_records_says_so() -> None:
    assert Feed().take(0) == (b"", False)


def test_a_reader_is_behind_until_it_has_taken_nearly_all() -> None:
    feed = Feed(most_bytes=80)
    for _ in range(9):
        feed.put(bytes(10))
    assert feed.behind
    states = []
    for _ in range(9):
        feed.take(0)
        states.append(feed.behind)
    assert states == [True] * 8 + [False], "what is being read counts, too"


def test_an_abandoned_feed_is_empty() -> None:
    feed = Feed(most_bytes=1)
    feed.put(b"some")
    feed.abandon()
    assert feed.take(0) is None and not feed.behind


def test_silence_is_said_once_then_after_longer_times() -> None:
    quiet = Quiet(first=0)
    assert quiet.lasts(nothing=True)
    quiet = Quiet(first=3600)
    assert not quiet.lasts(nothing=True) and not quiet.lasts(nothing=False)
