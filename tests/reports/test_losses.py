"""The words for losses: each kind that does not change a verdict has a sentence, except a lost stack, which its label names."""

from __future__ import annotations

from probes.kernel.records import Loss
from probes.measure.result import Events
from probes.measure.soundness import Soundness, Voids
from reports import losses

IN_THE_LABEL = {Loss.STACK_FAILED, Loss.STACK_CUT}  # the queue or the waker is called unknown


def test_what_voids_nothing_is_explained() -> None:
    for loss in Loss:
        sentences = losses.notes(Events(10, 0, 0, {loss.name.lower(): 2}))
        explained = Soundness.VOIDS[loss.name] is Voids.NOTHING and loss not in IN_THE_LABEL
        assert len(sentences) == explained, loss
        assert all(" 2 " in f" {sentence}" for sentence in sentences), sentences


def test_the_remedy_for_a_full_table_is_less_traffic_and_for_the_rest_less_load() -> None:
    assert "fewer clients" in losses.remedy(Events(10, 1, 0, {"watchers_full": 1}, needs_room=True))
    assert "less load" in losses.remedy(Events(10, 1, 0, {"ring_full": 1}))
