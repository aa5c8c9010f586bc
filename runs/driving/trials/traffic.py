"""The trial traffic: the clients of the model's lab, with requests of the protocol."""

from __future__ import annotations

import asyncio
import random

from probes.clock import now_ns
from probes.context import Client, Exchange, Seen
from probes.words import count
from runs.driving.peer import Peer
from runs.driving.task import Fault
from runs.driving.trial import Trial


async def traffic(trial: Trial) -> str:
    """The traffic of the model's lab: some clients, each with some paced messages."""
    task, begin = trial.task, now_ns()
    clients = await asyncio.gather(*(_client(trial, index) for index in range(task.traffic.clients)))
    trial.traffic = Seen(tuple(clients), begin)
    echoes = sum(len(client.exchanges) for client in clients)
    if faults := [client.gave_up for client in clients if client.gave_up]:
        raise Fault(f"{len(faults)} of {count(len(clients), 'client')} did not get all replies: {faults[0]}")
    return f"{count(echoes, 'reply')} to {count(len(clients), 'client')} were right"


async def _client(trial: Trial, index: int) -> Client:
    """One client of the traffic, as runs/clients.py has it for echoes."""
    task, traffic = trial.task, trial.task.traffic
    seeded = random.Random(f"{task.seed}/{index}")
    await asyncio.sleep(traffic.gap_ms / 1000 * index / traffic.clients)
    asked = connected = now_ns()
    exchanges: list[Exchange] = []
    gave_up, port = "", 0
    peer: Peer | None = None
    try:
        for number in range(traffic.messages):
            if peer is None or trial.protocol.one_each:
                peer = await trial.open()
                connected, port = (connected if port else now_ns()), peer.port
            await asyncio.sleep(traffic.gap_ms / 1000 * seeded.uniform(1 - traffic.jitter, 1 + traffic.jitter))
            request, sent = trial.protocol.request(seeded, traffic.size), now_ns()
            patience = traffic.give_up_after + (0 if number else traffic.seconds)  # the connections before it may come first
            await peer.exchange(request, patience)
            exchanges.append(Exchange(sent, now_ns()))
            if trial.protocol.one_each:
                peer.close()
    except (Fault, OSError) as error:
        gave_up = str(error)
    if peer:
        peer.close()
    missing = (traffic.messages - len(exchanges)) * traffic.size
    return Client(
        asked=asked, connected=connected, port=port, exchanges=tuple(exchanges), not_echoed=missing, gave_up=gave_up
    )  # fmt: skip
