"""The process of the clients.

`python -m runs.driving PARENT` reads one `Task` as a JSON line from stdin, runs the trial in the network namespace of the
server, and prints one `Outcome`. Every byte that a client sends comes from the seed and the submission's name: no server knows
it before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from probes import shapes
from probes.capture.prctl import end_with_parent
from runs.driving.run import run
from runs.driving.task import Task
from runs.sandbox import enter_network


def main() -> None:
    """Runs the tasks of stdin, one after the other, and ends with it."""
    end_with_parent(int(sys.argv[1]))
    for line in sys.stdin:
        task = shapes.read(Task, json.loads(line), "task")
        if task.process:
            enter_network(task.process)
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(asyncio.run(run(task)), default=shapes.plain), flush=True)


if __name__ == "__main__":
    main()
