"""Runs one of the trials: its outcome."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from probes.clock import now_ns
from probes.words import visible
from runs.driving.task import Fault, Outcome, Task
from runs.driving.trial import Trial
from runs.driving.trials import half_close, many_clients, messages, reset, served, silent_client, slow_reader, traffic

TRIALS: dict[str, Callable[[Trial], Awaitable[str]]] = {
    "traffic": traffic.traffic,
    "silent_client": silent_client.silent_client,
    "slow_reader": slow_reader.slow_reader,
    "partial_messages": messages.partial_messages,
    "huge_message": messages.huge_message,
    "many_clients": many_clients.many_clients,
    "reset": reset.reset,
    "half_close": half_close.half_close,
    "alive": served.alive,
    "stays": served.stays,
}


async def run(task: Task) -> Outcome:
    """Runs the trial that the task names."""
    trial, begin = Trial(task), now_ns()
    fault = seen = remedy = ""
    try:
        seen = await TRIALS[task.trial](trial)
    except Fault as error:
        fault, remedy = visible(str(error)), error.remedy
    except OSError as error:
        fault = f"a client's connection broke: {os.strerror(error.errno or 0)}"
    clients = tuple(peer.spoke for peer in trial.peers) if fault else ()
    return Outcome(task.trial, begin, now_ns(), fault, seen, trial.traffic, clients, remedy)
