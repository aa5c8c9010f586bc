"""The rows of the comparison, derived from recordings by rules that don't know the model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from findings.rounds import Ranking, Spread, spread
from labs.kit.lab import Case, Run
from labs.kit.traffic import Traffic
from probes.context import CasesRun
from probes.errors import WrongUsage
from probes.measure.measure import measure
from probes.measure.result import Verdict
from probes.recording import Recording
from reports import comparison as comparison_report
from runs import lab as run
from runs.compare import CONNECTIONS, FEW, RIVALS, TRAFFIC, Comparison, Crowd, compare, crowd_traffic, few_connections
from runs.rows import Copying, Round, Row, Waiting, row
from servers.__main__ import models

PHASES = {
    "asyncio": (Waiting("epoll_wait", "epoll"), Copying("recvfrom", False)),
    "blocking": (Waiting("recvfrom", "socket"), Copying("recvfrom", False)),
    "epoll": (Waiting("epoll_wait", "epoll"), Copying("recvfrom", False)),
    "epoll_edge": (Waiting("epoll_wait", "epoll"), Copying("recvfrom", False)),
    "io_uring": (Waiting("io_uring_enter", "io_uring"), Copying("io_uring_enter", False)),
    "native_aio": (Waiting("io_getevents", "native aio"), Copying("recvfrom", False)),
    "nonblocking": (None, Copying("recvfrom", False)),  # it polls
    "poll": (Waiting("poll", "poll"), Copying("recvfrom", False)),
    "posix_aio": (Waiting("read", "socket", True), Copying("read", True)),
    "process_pool": (Waiting("recvfrom", "socket", True), Copying("recvfrom", True)),
    "processes": (Waiting("recvfrom", "socket", True), Copying("recvfrom", True)),
    "select": (Waiting("pselect6", "select"), Copying("recvfrom", False)),
    "selectors": (Waiting("epoll_wait", "epoll"), Copying("recvfrom", False)),
    "signal_driven": (Waiting("rt_sigtimedwait", "signal"), Copying("recvfrom", False)),
    "thread_pool": (Waiting("recvfrom", "socket", True), Copying("recvfrom", True)),
    "threads": (Waiting("recvfrom", "socket", True), Copying("recvfrom", True)),
}


def made(name: str, recorded: Callable[[str], Recording]) -> Row:
    result = measure(recorded(name))
    if isinstance(result.context, CasesRun):  # the model itself is the first of them
        result = next(iter(Run(result).cases.values())).result
    return row(name, [Round(result, len(result.messages), 1_000_000)] * 3)


def test_every_server_is_compared() -> None:
    assert models() == sorted(PHASES)


@pytest.mark.parametrize("name", sorted(PHASES))
def test_the_two_phases_of_each_model(name: str, recorded: Callable[[str], Recording]) -> None:
    row = made(name, recorded)
    assert row.phase_1
    assert (None if row.phase_1.polls else row.phase_1, row.phase_2) == PHASES[name]
    assert row.messages > 0 and row.sound
    assert row.ready_to_notified_ns is not None and row.notified_to_copied_ns is not None


def ranking(width: int = 5, **medians: int) -> Ranking:
    return Ranking({name: Spread(ns, ns - width, ns + width) for name, ns in medians.items()})


CROWDS = (
    Crowd(1, ranking(threads=100, select=150, epoll=160), ranking(threads=20, select=21, epoll=22)),
    Crowd(200, ranking(threads=300, select=400, epoll=200), ranking(threads=200, select=100, epoll=50)),
)


@pytest.fixture
def compared(recorded: Callable[[str], Recording]) -> Comparison:
    return Comparison(TRAFFIC, tuple(made(name, recorded) for name in models()), CROWDS)


def written(comparison: Comparison, json: bool = False) -> str:
    file = io.StringIO()
    comparison_report.write(comparison, file, json)
    return file.getvalue()


def test_the_table_fits_80_columns_and_says_who_wins(compared: Comparison) -> None:
    text = written(compared)
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    words = " ".join(text.split())
    assert "At 1 connection, by round trip: threads is the lowest." in words
    assert "By CPU time: threads, select and epoll are equal within the spread of the rounds." in words
    assert "At 200 connections, by round trip: epoll is the lowest." in words
    assert "nonblocking takes" in words and "C23" in words and "C47" in words and "C61" in words
    assert "segments" not in text


def test_every_model_has_its_figures_in_a_table_at_80_columns(compared: Comparison) -> None:
    lines = written(compared).splitlines()
    for model in models():
        assert sum(line.startswith(f"{model} ") for line in lines) >= 3, f"{model}: the three tables"


def test_json_has_every_model(compared: Comparison) -> None:
    found = json.loads(written(compared, json=True))
    assert found["schema_version"] == 2 and {model["model"] for model in found["models"]} == set(PHASES)
    assert found["crowds"][1]["round_trip_ns"]["lowest"] == ["epoll"] and found["verdict"] == "pass"
    assert [check["verdict"] for check in found["checks"]] == ["confirmed", "confirmed", "confirmed", "refined"]


def verdicts(comparison: Comparison) -> list[Verdict]:
    return [check.verdict for check in comparison.checks]


def test_multiplexers_without_the_second_call_fail_the_comparison(compared: Comparison) -> None:
    """As if the rows of the models that wait and then read were those of models that only read."""
    cheap = tuple(replace(row, calls_per_message=2.0) if row.model in ("epoll", "select") else row for row in compared.rows)
    assert verdicts(replace(compared, rows=cheap))[0] is Verdict.FAILED


def with_trips(compared: Comparison, *trips: Ranking) -> Comparison:
    return replace(compared, crowds=tuple(Crowd(10**at, trip, trip) for at, trip in enumerate(trips)))


def test_a_multiplexer_that_is_faster_beyond_the_spread_refutes_the_text(compared: Comparison) -> None:
    fast, slow = ranking(threads=200, select=190, epoll=100), ranking(threads=100, select=190, epoll=200)
    assert verdicts(with_trips(compared, fast))[0] is Verdict.REFUTED
    assert verdicts(with_trips(compared, fast, fast))[0] is Verdict.REFUTED
    assert verdicts(with_trips(compared, slow, fast))[0] is Verdict.REFINED
    assert verdicts(with_trips(compared, slow, slow))[0] is Verdict.CONFIRMED


def test_a_difference_within_the_spread_is_none(compared: Comparison) -> None:
    """The screen that said "epoll answers first: 104, threads 119" beside "confirmed: no faster"."""
    close = with_trips(compared, ranking(width=20, epoll=104, threads=119, select=130))
    assert verdicts(close)[0] is Verdict.CONFIRMED
    words = " ".join(written(close).split())
    assert "At 1 connection, by round trip: epoll, threads and select are equal within the spread" in words
    assert "epoll is the lowest" not in words


def test_rounds_that_differ_by_more_than_a_factor_show_nothing(compared: Comparison) -> None:
    noisy = with_trips(compared, ranking(width=60, threads=100, select=110, epoll=105))
    assert verdicts(noisy)[0] is Verdict.UNAVAILABLE
    assert noisy.verdict == "pass"


SPREADS = st.lists(st.integers(1, 1000), min_size=3, max_size=5).map(spread)


@given(st.lists(st.tuples(SPREADS, SPREADS, SPREADS), min_size=1, max_size=3))
def test_the_sentence_and_the_check_never_contradict_each_other(trips: list[tuple[Spread, Spread, Spread]]) -> None:
    rankings = [Ranking(dict(zip(RIVALS, trip, strict=True))) for trip in trips]
    crowds = tuple(Crowd(10**at, found, found) for at, found in enumerate(rankings))
    few = [crowd.round_trip_ns for crowd in crowds if crowd.connections <= FEW]
    saying = [found.words for found in few]
    rows = tuple(
        replace(_ROW, model=name, calls_per_message=calls) for name, calls in (("blocking", 2), ("epoll", 4), ("select", 4))
    )
    verdict, evidence = few_connections(Comparison(TRAFFIC, rows, crowds))
    assert all(words in evidence for words in saying)
    threads_lowest = [words.partition(", and ")[0].partition(" are equal")[0] for words in saying]
    faster = ["threads" not in words.partition(" is the lowest")[0] for words in threads_lowest]
    expected = Verdict.REFUTED if all(faster) else Verdict.REFINED if any(faster) else None
    assert verdict is expected if expected else verdict in (Verdict.CONFIRMED, Verdict.UNAVAILABLE)


_ROW = Row("", None, None, 3, 15, 2.0, None, None, 1, None, Spread(1, 1, 1), 1.0, 1, 1, True)


def test_the_advantage_must_be_there_to_disappear(compared: Comparison) -> None:
    threads, epoll = ranking(threads=100, select=200, epoll=200), ranking(threads=200, select=100, epoll=100)
    for crowds, verdict in (
        ((threads, epoll), Verdict.CONFIRMED),
        ((epoll, epoll), Verdict.REFUTED),
        ((threads, threads), Verdict.UNAVAILABLE),
    ):
        assert verdicts(with_trips(compared, *crowds))[1] is verdict
    crossed = with_trips(compared, threads, threads, epoll)
    assert "an advantage at 100 connections, none at 1 and 10 connections; it begins between 10 and 100 connections" in (
        crossed.checks[1].evidence
    )


def test_the_load_is_the_same_at_each_number_of_connections() -> None:
    for connections in CONNECTIONS:
        traffic = crowd_traffic(connections)
        assert traffic.gap_ms / traffic.clients == crowd_traffic(1).gap_ms
        assert traffic.clients * (traffic.messages - 1) >= 50, "without the first message of each connection"


def test_models_that_all_wait_alike_fail_the_comparison(compared: Comparison) -> None:
    alike = tuple(replace(row, phase_1=Waiting("recvfrom", "socket")) for row in compared.rows)
    assert verdicts(replace(compared, rows=alike))[2] is Verdict.FAILED


def test_a_synchronous_model_without_a_copy_fails_the_comparison(compared: Comparison) -> None:
    rows = tuple(replace(row, phase_2=None) if row.model == "select" else row for row in compared.rows)
    assert verdicts(replace(compared, rows=rows))[2:] == [Verdict.FAILED, Verdict.FAILED]


def test_lost_events_make_the_comparison_inconclusive(compared: Comparison) -> None:
    rows = (replace(compared.rows[0], sound=False), *compared.rows[1:])
    assert set(verdicts(replace(compared, rows=rows))) == {Verdict.INCONCLUSIVE}


def test_messages_in_several_segments_are_marked(compared: Comparison) -> None:
    rows = (replace(compared.rows[0], segments=16, ready_to_all_ready_ns=900_000), *compared.rows[1:])
    words = " ".join(written(replace(compared, rows=rows)).split())
    assert "16 900 us" in words and "A message arrived in several segments" in words


def test_data_is_unread_longest_in_one_model_only_beyond_the_spread(compared: Comparison) -> None:
    def late(**medians: int) -> str:
        rows = tuple(
            replace(row, ready_to_notified_ns=Spread(ns, ns - 5_000, ns + 5_000))
            for row in compared.rows
            for ns in [medians.get(row.model, 30_000)]
        )
        return " ".join(written(replace(compared, rows=rows)).split())

    assert "Data is unread longest in native_aio: 101 us" in late(native_aio=101_000)
    assert "unread longest: the rounds of native_aio, 30.0 us to 40.0 us, overlap with the rounds of 15 other" in (
        late(native_aio=35_000)
    )


def test_a_row_counts_per_message_of_the_clients(recorded: Callable[[str], Recording]) -> None:
    """A large message may leave the socket empty several times: the arrivals of the models differ, the messages do not."""
    result = measure(recorded("blocking"))
    once, twice = (row("blocking", [Round(result, answered, 1)]) for answered in (69, 138))
    assert once.calls_per_message == pytest.approx(2 * twice.calls_per_message, abs=0.1)
    assert once.cpu_per_message_ns.median == pytest.approx(2 * twice.cpu_per_message_ns.median, abs=2)


@pytest.mark.live
def test_the_memory_is_that_with_the_connections(kernel: None) -> None:
    """The processes for the connections have ended when the clients are done: without them the figure is epoll's."""
    traffic = Traffic(clients=12, messages=5, gap_ms=20)
    alone, each = (
        run.serve(Case(name, name), traffic, None, memory_at_half=True).witness.memory_bytes for name in ("epoll", "processes")
    )
    assert each > 1.3 * alone


@pytest.mark.live
def test_the_cpu_time_of_steady_traffic_has_no_connection_set_up() -> None:
    """A thread for each of 20 connections costs more than 2 messages: it must not be counted to the messages."""
    traffic = Traffic(clients=20, messages=2, gap_ms=40, jitter=0)
    served = run.serve(Case("threads", "threads"), traffic, None, steady=True)
    assert not any(client.gave_up for client in served.traffic_seen.clients)
    assert 0 < served.steady_cpu_ns < 0.8 * served.witness.cpu_ns / len(served.traffic_seen.exchanges)


def test_a_model_that_does_not_exist_is_refused() -> None:
    with pytest.raises(WrongUsage, match="compare knows no model kqueue"):
        compare(TRAFFIC, print, chosen=["kqueue"])


@pytest.mark.live
def test_two_models_are_compared_alone(kernel: None) -> None:
    found = compare(TRAFFIC, lambda _: None, chosen=["select", "epoll"])
    assert [row.model for row in found.rows] == ["select", "epoll"] and not found.checks and not found.crowds
    assert len(found.drawn) == 2 and all(drawn.figure.scene.sent for drawn in found.drawn)
    file = io.StringIO()
    comparison_report.write(found, file)
    text = file.getvalue()
    assert "compare: select and epoll on the same traffic" in text and text.count("phase 1: wait for data") == 2
