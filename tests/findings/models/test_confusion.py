"""The table of confusion in the docs is that of the recordings; each real server that was recorded is classified right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from findings.models.model import Model
from tests.findings.models import confusion
from tests.findings.models.confusion import SERVERS
from tests.findings.models.real import Real, servers

RECORDED = tuple(server for server in servers() if (SERVERS / confusion.file_of(server)).exists())


@pytest.mark.parametrize("server", RECORDED, ids=lambda server: server.name)
def test_a_recorded_real_server_is_classified_right(server: Real) -> None:
    outcome = confusion.outcome_of(server, SERVERS / confusion.file_of(server))
    assert outcome.right, outcome.found


def test_each_recording_belongs_to_a_server() -> None:
    assert len(RECORDED) == len(list(SERVERS.glob("*.iolab"))) >= 40


def test_the_page_has_the_table_of_these_recordings() -> None:
    page = confusion.PAGE.read_text()
    assert page == confusion.replaced(page, "recordings", confusion.recorded_part()), (
        "python -m tests.findings.models.confusion"
    )


def test_a_wrong_classification_stands_outside_the_diagonal() -> None:
    right = next(outcome for outcome in confusion.of_recordings(SERVERS) if outcome.models == (Model.EPOLL,))
    wrong = replace(right, models=(Model.SELECT,))
    assert not wrong.right
    assert confusion.matrix([right, wrong]).splitlines()[2:] == ["| select | 1 |", "| epoll | 1 |"]
    assert "(wrong: it is select" in confusion.table([wrong])
