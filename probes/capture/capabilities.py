"""What this machine can do for the instrument, found out by trying, each gap with its remedy."""

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

_FUNCTION = "sock_poll"  # every kernel has it, and one of our programs is for it
_IO_URING_SETUP = 425  # the same number on every architecture


def examine() -> list[Finding]:
    """Everything that decides what can be traced here; loads real programs, and removes them again."""
    findings = [_system(), capabilities(), bpf_call(), _btf(), _bcc(), symbols()]
    findings += _probes()
    findings += [_fentry(), _kprobe(), _tracefs(), container(), _seccomp(), _io_uring(), *_limits()]
    return findings


def can_trace(findings: list[Finding]) -> bool:
    """Can the labs run here?"""
    return all(one.state is not State.NO for one in findings)


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
    kinds = sorted({hook.split(":")[0] for one in attached if one.attached for hook in one.attached.split(" + ")})
    found = [
        Finding("instrument", State.YES, f"compiled without kernel headers; {sum(1 for one in attached if one.attached)}"
                f" of {len(attached)} probes attached, by {', '.join(kinds)}")
    ]  # fmt: skip
    for one in attached:
        name = f"probe: {one.name}"
        if one.attached:
            found.append(Finding(name, State.YES, f"{one.quality}, by {one.attached}"))
        elif one.optional:
            found.append(
                Finding(name, State.INFO, f"not here: {one.reason}", "a kernel that allows fentry or kprobes shows it")
            )
        else:
            found.append(Finding(name, State.LIMITED, one.reason, "a newer kernel has it"))
    return found


def _refusal(kind: str) -> str | None:
    """Attaches one of the instrument's own programs at a function, and takes it away again; what speaks against it."""
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
        return Finding("fentry", State.INFO, "not tried: it takes the privileges that are missing")
    complaint = _refusal("fentry")
    if complaint is None:
        return Finding("fentry", State.YES, f"a program on {_FUNCTION} was loaded and attached")
    return Finding(
        "fentry", State.LIMITED, f"refused: {complaint}",
        "nothing to mend on this kernel; copies are upper bounds here, as tracepoints bracket them",
    )  # fmt: skip


def _kprobe() -> Finding:
    if capabilities().state is State.NO:
        return Finding("kprobe", State.INFO, "not tried: it takes the privileges that are missing")
    complaint = _refusal("kprobe")
    if complaint is None:
        return Finding("kprobe", State.YES, f"a program on {_FUNCTION} was loaded and attached")
    remedy = "nothing to mend, if this kernel is built without CONFIG_KPROBE_EVENTS; no lab needs them"
    return Finding("kprobe", State.LIMITED, f"refused: {complaint}", remedy)


def _tracefs() -> Finding:
    for place in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
        if Path(place, "events").is_dir():
            return Finding("tracefs", State.INFO, f"mounted at {place} (raw tracepoints don't need it)")
    return Finding("tracefs", State.INFO, "not mounted; raw tracepoints don't need it, nor do kprobes where perf makes them")


def _seccomp() -> Finding:
    if not filtered():
        return Finding("seccomp", State.INFO, "no filter")
    return Finding(
        "seccomp",
        State.LIMITED,
        "a filter is active",
        "Docker's and Podman's own refuse io_uring: --security-opt seccomp=unconfined",
    )


def _io_uring() -> Finding:
    library = ctypes.CDLL(None, use_errno=True)
    parameters = ctypes.create_string_buffer(120)  # struct io_uring_params
    fd = library.syscall(ctypes.c_long(_IO_URING_SETUP), ctypes.c_long(1), parameters)
    if fd >= 0:
        os.close(fd)
        return Finding("io_uring", State.YES, "a ring could be made")
    words = os.strerror(ctypes.get_errno())
    disabled = Path("/proc/sys/kernel/io_uring_disabled")
    if disabled.exists() and disabled.read_text().strip() != "0":
        remedy = f"{disabled} says {disabled.read_text().strip()}; 0 allows it"
    else:
        remedy = "a container's seccomp filter refuses it: --security-opt seccomp=unconfined; some kernels lack it"
    return Finding("io_uring", State.LIMITED, f"refused: {words}", remedy)


def _limits() -> list[Finding]:
    found = []
    for name, number, enough in (
        ("RLIMIT_NOFILE", resource.RLIMIT_NOFILE, 1024),
        ("RLIMIT_MEMLOCK", resource.RLIMIT_MEMLOCK, 0),
    ):
        soft, hard = ("unlimited" if one == resource.RLIM_INFINITY else f"{one:,}" for one in resource.getrlimit(number))
        few = resource.getrlimit(number)[1] < enough != 0 and resource.getrlimit(number)[1] != resource.RLIM_INFINITY
        found.append(Finding(name, State.LIMITED if few else State.INFO, f"{soft}, at most {hard}"))
    return found
