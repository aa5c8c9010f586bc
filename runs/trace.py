"""Any program under the instrument: its children, threads and execs followed; its input, output, signals and status its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from probes import VERSION
from probes.capture.instrument import Instrument
from probes.capture.prctl import handed_over
from probes.errors import WrongUsage
from probes.recording import Recording

_OURS = {"IOLAB_CALLED", "IOLAB_STARTED", "IOLAB_PREPARED"}  # variables that ./iolab sets
_LAUNCH = Path(__file__).parents[1] / "probes" / "capture" / "launch.py"


def run(command: list[str], progress: Callable[[str], None], closed: Sequence[int] = ()) -> tuple[Recording, int]:
    """Runs the command to its end, and until all that it started has ended too (Ctrl-C stops that waiting).

    `closed` are the descriptors of 0, 1 and 2 that the user had closed: the program finds them closed.

    Returns the recording and the command's status, 128 + N if signal N killed it, as a shell would say. Raises WrongUsage if
    there is no such program, CannotTrace if this machine can't.
    """
    path = shutil.which(command[0])
    if path is None:
        raise WrongUsage(f"there is no program {command[0]!r}", "give its path, or a name that is on PATH")
    environment = {key: value for key, value in os.environ.items() if key not in _OURS}
    closing = ",".join(map(str, closed))
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []
    interrupted = threading.Event()
    terminal = _has_terminal()

    def pass_on(number: int, _frame: FrameType | None) -> None:
        # Ctrl-C and Ctrl-\\ reach the whole foreground group by themselves: the program decides, as it would without us
        interrupted.set()
        if number in (signal.SIGINT, signal.SIGQUIT) and terminal:
            return
        early.append(number)
        for process in started:
            process.send_signal(early.pop())

    with Instrument() as instrument:
        mine = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
        heeded = [one for one in mine if signal.getsignal(one) is not signal.SIG_IGN]  # nohup's choice is the program's, too
        handlers = {one: signal.signal(one, pass_on) for one in heeded}
        try:
            if interrupted.is_set():
                raise KeyboardInterrupt
            with handed_over(instrument.invite()) as invitation:
                os.set_inheritable(invitation, True)
                launch = [sys.executable, "-I", "-S", "-B", str(_LAUNCH), str(os.getpid()), str(invitation), closing]
                process = subprocess.Popen(
                    [*launch, path, *command],
                    close_fds=False,  # descriptors that the shell opened for the program are the program's; ours close on exec
                    env=environment,
                    cwd=".",  # keeps subprocess from posix_spawn, with which glibc leaves two real-time signals ignored
                )
            started.append(process)
            while early:  # it came while there was no program yet
                process.send_signal(early.pop())
            status = process.wait()
            if instrument.followed() and not interrupted.is_set():
                progress("the program has ended; what it started still runs (Ctrl-C ends the recording)")
            while instrument.followed() and not interrupted.wait(0.05):
                pass
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        progress("reading what the kernel said")
        recording = instrument.stop({"iolab": VERSION, "command": command, "status": _shell_status(status)})
    return recording, _shell_status(status)


def _has_terminal() -> bool:
    """Has this session a terminal that Ctrl-C may be typed at? Without one, as in a container without -t, it was sent to this
    process alone.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))  # ENXIO: none (tty(4))
    except OSError:
        return False
    return True


def _shell_status(status: int) -> int:
    return 128 - status if status < 0 else status
