"""The capabilities of this machine, tested by loading real programs; each gap has its remedy."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
from pathlib import Path

from probes.capture.attach import Hook
from probes.capture.btf import Btf
from probes.capture.privileges import Finding, State, bpf_call, capabilities, container, filtered, symbols
from probes.errors import CannotTrace
from probes.recording import Probe

_FUNCTION = "sock_poll"  # every kernel has this function, and the instrument has a program for it
_IO_URING_SETUP = 425  # the same number on every architecture


def examine() -> list[Finding]:
    """All findings about tracing on this machine. Loads real programs, and removes them again."""
    findings = [_system(), capabilities(), bpf_call(), _btf(), _bcc(), symbols()]
    findings += _probes()
    findings += [_fentry(), _kprobe(), _tracefs(), container(), _seccomp(), _io_uring(), *_limits()]
    return findings


def can_trace(findings: list[Finding]) -> bool:
    """Can the labs run here?"""
    return all(finding.state is not State.NO for finding in findings)


def _system() -> Finding:
    words = f"{platform.system()} {platform.release()}, {platform.machine()}, {len(os.sched_getaffinity(0))} CPUs"
    if platform.system() != "Linux":
        return Finding("system", State.NO, words, "run the container image on a Linux machine")
    return Finding("system", State.YES, words)


def _btf() -> Finding:
    path = Path("/sys/kernel/btf/vmlinux")
    if path.exists():
        return Finding("BTF", State.YES, f"{path}, {path.stat().st_size / 1e6:.1f} MB")
    return Finding(
        "BTF", State.NO, f"no {path}", "a kernel with CONFIG_DEBUG_INFO_BTF: Debian's since 5.10, Ubuntu's since 20.10"
    )


def _bcc() -> Finding:
    try:
        from probes.capture.bpf import import_bcc

        bcc = import_bcc()
    except CannotTrace as error:
        return Finding("BCC", State.NO, error.problem, error.remedy)
    return Finding("BCC", State.YES, f"{getattr(bcc, '__version__', '?')} from {Path(bcc.__file__).parent}")


def _probes() -> list[Finding]:
    from probes.capture.instrument import Instrument

    try:
        with Instrument() as instrument:
            attached = instrument.probes
    except CannotTrace as error:
        return [Finding("instrument", State.NO, error.problem, error.remedy)]
    places = [probe.attached for probe in attached if probe.attached]
    kinds = sorted({hook.split(":")[0] for place in places for hook in place.split(" + ")})
    words = f"this kernel accepted {len(places)} of {len(attached)} probes (attached by {', '.join(kinds)})"
    return [Finding("instrument", State.YES, words), *map(_probe, attached)]


def _probe(probe: Probe) -> Finding:
    name = f"probe: {probe.name}"
    if probe.attached:
        return Finding(name, State.YES, f"{probe.quality}, by {probe.attached}")
    if probe.optional:
        return Finding(name, State.INFO, f"not available: {probe.reason}", "needs a kernel that allows fentry or kprobes")
    return Finding(name, State.LIMITED, probe.reason, "needs a newer kernel")


def _refusal(kind: str) -> str | None:
    """Attaches one of the instrument's programs at a function, and removes it. Why this fails; None if it works."""
    from probes.capture.programs import Programs

    try:
        programs = Programs(Btf())
        try:
            programs.load(Hook(_FUNCTION, kind=kind))
        finally:
            programs.close()
    except (OSError, CannotTrace) as error:
        return str(error)
    return None


def _fentry() -> Finding:
    if not Path("/sys/kernel/btf/vmlinux").exists():
        return Finding("fentry", State.LIMITED, "needs BTF", "see BTF")
    if capabilities().state is State.NO:
        return Finding("fentry", State.INFO, "not tried: privileges are missing")
    complaint = _refusal("fentry")
    if complaint is None:
        return Finding("fentry", State.YES, f"a program on {_FUNCTION} was loaded and attached")
    return Finding(
        "fentry", State.LIMITED, f"refused: {complaint}",
        "no remedy on this kernel; tracepoints measure the copies instead, as upper bounds",
    )  # fmt: skip


def _kprobe() -> Finding:
    if capabilities().state is State.NO:
        return Finding("kprobe", State.INFO, "not tried: privileges are missing")
    complaint = _refusal("kprobe")
    if complaint is None:
        return Finding("kprobe", State.YES, f"a program on {_FUNCTION} was loaded and attached")
    remedy = "no remedy if this kernel is built without CONFIG_KPROBE_EVENTS; no lab needs kprobes"
    return Finding("kprobe", State.LIMITED, f"refused: {complaint}", remedy)


def _tracefs() -> Finding:
    for place in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
        # only root may look into tracefs; any user sees that it is mounted
        if os.path.isdir(f"{place}/events") or os.path.ismount(place):  # noqa: PTH112 (pathlib raises PermissionError)
            return Finding("tracefs", State.INFO, f"mounted at {place} (raw tracepoints don't need tracefs)")
    return Finding("tracefs", State.INFO, "not mounted; raw tracepoints don't need tracefs")


def _seccomp() -> Finding:
    if not filtered():
        return Finding("seccomp", State.INFO, "no filter")
    return Finding(
        "seccomp",
        State.LIMITED,
        "a filter is active",
        "the filters of Docker and Podman refuse io_uring: --security-opt seccomp=unconfined",
    )


def _io_uring() -> Finding:
    library = ctypes.CDLL(None, use_errno=True)
    parameters = ctypes.create_string_buffer(120)  # struct io_uring_params
    fd = library.syscall(ctypes.c_long(_IO_URING_SETUP), ctypes.c_long(1), parameters)
    if fd >= 0:
        os.close(fd)
        return Finding("io_uring", State.YES, "io_uring_setup created a ring")
    words = os.strerror(ctypes.get_errno())
    disabled = Path("/proc/sys/kernel/io_uring_disabled")
    if disabled.exists() and disabled.read_text().strip() != "0":
        remedy = f"{disabled} says {disabled.read_text().strip()}; 0 allows it"
    else:
        remedy = "a container's seccomp filter refuses it: --security-opt seccomp=unconfined; some kernels lack it"
    return Finding("io_uring", State.LIMITED, f"refused: {words}", remedy)


def _limits() -> list[Finding]:
    findings = []
    for name, number, enough in (
        ("RLIMIT_NOFILE", resource.RLIMIT_NOFILE, 1024),
        ("RLIMIT_MEMLOCK", resource.RLIMIT_MEMLOCK, 0),
    ):
        soft, hard = ("unlimited" if limit == resource.RLIM_INFINITY else f"{limit:,}" for limit in resource.getrlimit(number))
        few = resource.getrlimit(number)[1] < enough != 0 and resource.getrlimit(number)[1] != resource.RLIM_INFINITY
        findings.append(Finding(name, State.LIMITED if few else State.INFO, f"soft limit {soft}, hard limit {hard}"))
    return findings
