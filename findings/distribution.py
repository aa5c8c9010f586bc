"""How durations are distributed: a median alone hides the few that are long."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from probes.measure.percentiles import percentile_of


@dataclass(frozen=True)
class Distribution:
    """Durations in ns: `p5` is the percentile of 5 %, and so on (probes/measure/percentiles.py)."""

    count: int
    p5: int
    p25: int
    p50: int
    p75: int
    p95: int


def distribution(durations: Iterable[int]) -> Distribution | None:
    """The distribution; None without a duration.

    >>> distribution(range(1, 101))
    Distribution(count=100, p5=6, p25=26, p50=51, p75=76, p95=96)
    """
    ordered = sorted(durations)
    found = [percentile_of(ordered, share) for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
    values = [value for value in found if value is not None]
    return Distribution(len(ordered), *values) if len(values) == len(found) else None
