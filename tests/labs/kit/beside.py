"""Runs an experiment as a lab does, in a process of its own: experiments change its limits and leave descriptors open."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def beside(experiment: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the experiment returns."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(experiment).result(timeout=60)
