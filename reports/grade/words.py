"""The reason for a criterion's verdict, in lines of plain text: what every format shows."""

from __future__ import annotations

from reports.words import with_command_name
from runs.grading.mark import Item, Verdict


def reason(item: Item) -> str:
    """What was seen, and for a fault also when, the remedy, and the lab that shows it."""
    if item.verdict is Verdict.EARNED:
        return item.seen
    if not item.counts:
        return f"{item.verdict}, the points do not count: {item.seen}"
    lines = [f"seen: {item.seen}", *(f"the kernel saw: {words}" for words in item.diagnosed)]
    if item.moment:
        lines.append(f"when: {item.moment}")
    if item.remedy:
        lines.append(f"remedy: {item.remedy}")
    if item.lab:
        lines.append(with_command_name(f"shown by: invoke lab {item.lab}"))
    return "\n".join(lines)
