"""`invoke labs`: the catalogue."""

from __future__ import annotations

from commands import shared

HELP = shared.ANSWER_HELP


def labs(json: bool = False, out: str = "") -> None:
    """List the labs with the question that each answers."""
    import labs as rooms
    from reports import catalogue

    with shared.answer(out) as file:
        catalogue.write_labs([(name, rooms.find(name)) for name in rooms.names()], file, json)
