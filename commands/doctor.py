"""`invoke doctor`: what this machine can trace."""

from __future__ import annotations

from commands import options, outputs

HELP = options.REPORT_HELP


def doctor(json: bool = False, out: str = "") -> int:
    """Say what this machine can trace, what it can't trace, and the remedy for each gap."""
    outputs.check(out)
    outputs.progress("loading a real program for each kind of probe, and making a link")
    from probes.capture import capabilities
    from reports import catalogue
    from runs import catalogue as entries
    from runs import link

    findings = [*capabilities.examine(), link.examine()]
    with outputs.output(out) as file:
        catalogue.write_doctor(entries.machine(findings), file, json)
    return 0 if capabilities.can_trace(findings) else 4
