"""A Debian kernel under QEMU with this machine's files: `python -m machines.guest 6.1 -- CMD ARGS` runs CMD in the guest.

The guest has 2 CPUs, 2 GiB of memory, loopback only, and no disk. Its root is this machine's / by 9p, read-only, under a tmpfs
overlay. So the checkout has the same path, the same Python and the same BCC, and files that the guest writes are gone at the
end. The output and the exit status of CMD come out through virtio-serial ports; the console is for errors only. The guest
changes nothing on this machine's disk. The kernel ends QEMU when the process that started it ends (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import lzma
import os
import re
import selectors
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machines import debian
from probes.capture.prctl import end_with_parent
from probes.errors import CannotTrace, LabBroken

_QEMU = {"amd64": ("qemu-system-x86_64", "qemu-system-x86"), "arm64": ("qemu-system-aarch64", "qemu-system-arm")}
# The modules that the initramfs loads. modprobe finds their dependencies, and the modules that are built into the kernel.
_MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
_PORTS = ("out", "err", "status")
_BOOT_SECONDS = 180  # measured: 4 to 9 s on two free cores
_SILENT_SECONDS = 60  # the kernel prints its first line within 2 s
_LOOK_UP = 0.5  # seconds
_LINES = 40  # of the console
# the first line of a kernel's crash (kernel/panic.c, lib/bug.c, die() of each architecture); after a lockup the kernel goes on
_CRASH = re.compile(
    r"Kernel panic - |\bBUG: (?!soft|workqueue)|kernel BUG at |\bOops: |Unable to handle kernel |Internal error: "
)


@dataclass(frozen=True)
class Share:
    """A folder of this machine that the guest sees at `target`. Files that the guest writes there are gone at its end."""

    source: str
    target: str


@dataclass
class Ended:
    """A command that ran in a guest."""

    status: int
    out: str
    err: str
    boot_seconds: float
    console: list[str] = field(default_factory=list)


def _archive(files: dict[str, tuple[int, bytes]]) -> bytes:
    """An initramfs (cpio "newc") of {path: (mode, content)}; the kernel's early-userspace/buffer-format describes it."""
    archive = bytearray()
    for number, (path, (mode, content)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        archive += bytes(-len(archive) % 4) + content
        archive += bytes(-len(archive) % 4)
    return bytes(archive)


def _modules(kernel: debian.Kernel) -> list[Path]:
    """The module files that the guest needs before it has a root, in the order of loading."""
    files: list[Path] = []
    modprobe = shutil.which("modprobe", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or "modprobe"
    for name in _MODULES:
        said = debian.run(
            modprobe, "--config", "/dev/null", "--dirname", str(kernel.tree), "--set-version", kernel.release,
            "--show-depends", name, remedy="sudo apt-get install kmod",
        )  # fmt: skip
        files += [Path(line.split(None, 1)[1].strip()) for line in said.splitlines() if line.startswith("insmod ")]
    return list(dict.fromkeys(files))


def _plain(module: Path) -> bytes:
    content = module.read_bytes()
    return lzma.decompress(content) if module.suffix == ".xz" else content


_INIT = """#!/bin/busybox sh
b=/bin/busybox
fail() { echo "iolab-init: $*"; $b poweroff -f; }
$b mkdir -p /proc /sys /dev /lower /layer /root
$b mount -t proc proc /proc && $b mount -t sysfs sysfs /sys && $b mount -t devtmpfs dev /dev || fail "no /proc, /sys or /dev"
for module in /modules/*; do $b insmod "$module" || fail "insmod $module"; done
$b mount -t tmpfs -o mode=755 layer /layer
share() {  # TAG TARGET: the 9p share under a tmpfs layer
    $b mkdir -p /lower/$1 /layer/$1/upper /layer/$1/work
    $b mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=512000,ro $1 /lower/$1 || fail "mount of $1"
    $b mkdir -p "$2"
    $b mount -t overlay -o lowerdir=/lower/$1,upperdir=/layer/$1/upper,workdir=/layer/$1/work $1 "$2" || fail "overlay on $2"
}
@SHARES@
$b mount -t tmpfs -o mode=755 run /root/run && $b mkdir /root/run/iolab || fail "/run"
$b cp /bin/busybox /start /command /root/run/iolab
$b mkdir -p /root/proc /root/sys /root/dev
for one in proc sys dev; do $b mount --move /$one /root/$one || fail "/$one"; done
exec $b switch_root /root /run/iolab/busybox sh /run/iolab/start
"""

_START = """
b=/run/iolab/busybox
$b mkdir -p /dev/pts /dev/shm
$b ln -s /proc/self/fd /dev/fd
$b ln -s fd/0 /dev/stdin; $b ln -s fd/1 /dev/stdout; $b ln -s fd/2 /dev/stderr
$b mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
$b mount -t tmpfs shm /dev/shm
$b mount -t tracefs tracefs /sys/kernel/tracing
$b ip link set lo up
$b hostname iolab-guest
for one in /sys/class/virtio-ports/*; do
    read -r name < $one/name && $b ln -s /dev/${one##*/} /run/iolab/port-$name
done
exec 7> /run/iolab/port-status
echo up >&7
cats=
for one in out err; do  # through pipes: a port can be opened only once, and a program may open /dev/stdout again
    $b mkfifo /run/iolab/$one
    $b cat /run/iolab/$one > /run/iolab/port-$one &
    cats="$cats $!"
done
ulimit -n 20000
$b setsid $b sh /run/iolab/command < /dev/null > /run/iolab/out 2> /run/iolab/err 7>&-
status=$?
for _ in 1 2 3 4 5 6 7 8 9 10; do  # whatever the command left running may hold the pipes open: not for long
    $b kill -0 $cats 2> /dev/null || break
    $b sleep 1
done
echo $status >&7
$b poweroff -f
"""


def _initramfs(
    kernel: debian.Kernel, shares: Sequence[Share], command: Sequence[str], directory: str, environment: dict[str, str]
) -> bytes:
    mounts = "\n".join(f"share t{number} {shlex.quote('/root' + share.target)}" for number, share in enumerate(shares))
    words = " ".join(shlex.quote(f"{key}={value}") for key, value in environment.items())
    line = f"cd {shlex.quote(directory)} && exec /usr/bin/env -i {words} {shlex.join(command)}\n"
    files = {
        "bin": (0o040755, b""),
        "modules": (0o040755, b""),
        "bin/busybox": (0o100755, kernel.busybox.read_bytes()),
        "init": (0o100755, _INIT.replace("@SHARES@", mounts).encode()),
        "start": (0o100644, _START.encode()),
        "command": (0o100644, line.encode()),
    }
    for number, module in enumerate(_modules(kernel)):
        files[f"modules/{number:02}-{module.name.removesuffix('.xz')}"] = (0o100644, _plain(module))
    return _archive(files)


def _has_kvm(arch: str) -> bool:
    """Whether QEMU can use KVM. /dev/kvm alone is not enough: a virtual machine may have it without vmx or svm."""
    able = debian.DEBIAN_ARCH.get(os.uname().machine) == arch and os.access("/dev/kvm", os.R_OK | os.W_OK)
    return able and (arch != "amd64" or bool(re.search(r"\b(?:vmx|svm)\b", Path("/proc/cpuinfo").read_text())))


def _machine(kernel: debian.Kernel, shares: Sequence[Share], initramfs: int, ports: Sequence[int]) -> list[str]:
    """QEMU's command line: with KVM if this machine has it for the architecture, otherwise a thread for each emulated CPU."""
    kvm = _has_kvm(kernel.arch)
    console, board = ("ttyS0", "q35") if kernel.arch == "amd64" else ("ttyAMA0", "virt")
    # five-level page tables and pointer authentication cost much under emulation, and no lab needs them; randomized addresses
    # (norandmaps below) cost as much again, because QEMU keeps what it has translated by virtual address
    cpu = "host" if kvm else "max,la57=off" if kernel.arch == "amd64" else "cortex-a72"
    line = [
        _QEMU[kernel.arch][0], "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
        "-machine", board, "-accel", "kvm" if kvm else "tcg,thread=multi", "-cpu", cpu, "-smp", "2", "-m", "2G",
        "-kernel", str(kernel.image), "-initrd", f"/proc/self/fd/{initramfs}",
        "-append", f"console={console} quiet panic=-1 mitigations=off tsc=reliable no_timer_check",
        "-device", "virtio-serial-pci",
    ]  # fmt: skip
    for name, port in zip(_PORTS, ports, strict=True):
        line += ["-chardev", f"socket,id={name},fd={port}", "-device", f"virtserialport,chardev={name},name={name}"]
    for number, share in enumerate(shares):
        source = share.source.replace(",", ",,")
        line += ["-virtfs", f"local,path={source},mount_tag=t{number},security_model=none,readonly=on,multidevs=remap"]
    return line


def need_qemu(arch: str) -> None:
    """Installs QEMU for that architecture, as root on Debian. Otherwise raises CannotTrace if it is missing."""
    program, package = _QEMU[arch]
    debian.install({program: package, "modprobe": "kmod"})


class _NeverBegan(LabBroken):
    """The machine printed nothing, not even from its firmware."""


def run(kernel: debian.Kernel, command: Sequence[str], **options: Any) -> Ended:
    """Like `_run`, but starts a machine without any output once more. With a thread for each emulated CPU, QEMU sometimes does
    not start the guest (1 of about 40 boots).
    """
    try:
        return _run(kernel, command, **options)
    except _NeverBegan:
        return _run(kernel, command, **options)


def _run(
    kernel: debian.Kernel,
    command: Sequence[str],
    *,
    seconds: float,
    directory: str | None = None,
    environment: dict[str, str] | None = None,
    shares: Sequence[Share] = (),
    out: Callable[[bytes], object] | None = None,
    err: Callable[[bytes], object] | None = None,
    stop: threading.Event | None = None,
) -> Ended:
    """Boots the kernel, runs the command in `directory` (default: the current folder), and returns its end.

    `seconds` bounds the command, not the boot. `out` and `err` get what the command prints at once, too. `stop` ends
    it all from another thread. Raises LabBroken with what the console tells where the guest hangs, crashes or ends without a
    status.
    """
    need_qemu(kernel.arch)
    shares = shares or (Share("/", "/"),)
    shares = (*shares, Share(str(kernel.modules), f"/lib/modules/{kernel.release}"))
    variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    variables |= environment or {}
    content = _initramfs(kernel, shares, command, directory or str(Path.cwd()), variables)
    with contextlib.ExitStack() as stack:
        ports = [tuple(stack.enter_context(end) for end in socket.socketpair()) for _ in _PORTS]
        qemu = stack.enter_context(_started(kernel, shares, content, [theirs for _, theirs in ports]))
        stack.callback(qemu.kill)
        return _Follower(kernel, qemu, [ours for ours, _ in ports], seconds, (out, err), stop).follow()


def _started(
    kernel: debian.Kernel, shares: Sequence[Share], initramfs: bytes, ports: Sequence[socket.socket]
) -> subprocess.Popen[bytes]:
    """Starts QEMU with these ends of the ports, which are closed here: at the end of QEMU the other ends read end-of-file."""
    parent = os.getpid()
    file = os.memfd_create("initramfs")
    try:
        with os.fdopen(os.dup(file), "wb") as content:
            content.write(initramfs)
        descriptors = [port.fileno() for port in ports]
        return subprocess.Popen(
            _machine(kernel, shares, file, descriptors),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(*descriptors, file),
            preexec_fn=lambda: end_with_parent(parent), start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(file)
        for port in ports:
            port.close()


class _Follower:
    """Reads the output of a guest until the guest ends."""

    def __init__(
        self,
        kernel: debian.Kernel,
        qemu: subprocess.Popen[bytes],
        ports: Sequence[socket.socket],
        seconds: float,
        listeners: Sequence[Callable[[bytes], object] | None],
        stop: threading.Event | None,
    ) -> None:
        self._kernel, self._seconds, self._stop = kernel, seconds, stop
        self._listeners = dict(zip(_PORTS, (*listeners, None), strict=True))
        self._said = {name: bytearray() for name in (*_PORTS, "console")}
        self._started = time.monotonic()
        self._up: float | None = None
        self._selector = selectors.DefaultSelector()
        assert qemu.stdout
        self._selector.register(qemu.stdout, selectors.EVENT_READ, "console")
        for name, port in zip(_PORTS, ports, strict=True):
            self._selector.register(port, selectors.EVENT_READ, name)

    def follow(self) -> Ended:
        deadline = self._started + _BOOT_SECONDS
        with self._selector:
            while self._selector.get_map():
                if self._stop and self._stop.is_set():
                    raise self._broken("it was interrupted")
                ready = self._selector.select(_LOOK_UP)
                if not self._said["console"] and not self._up and time.monotonic() > self._started + _SILENT_SECONDS:
                    raise _NeverBegan(
                        f"{self._kernel.release} in QEMU: it printed nothing in {_SILENT_SECONDS} s", "start it again"
                    )
                if not ready and time.monotonic() > deadline:
                    raise self._broken(
                        f"its command did not end within {self._seconds:.0f} s"
                        if self._up
                        else f"it did not boot within {_BOOT_SECONDS} s"
                    )
                for key, _ in ready:
                    self._read(key)
                if self._up is None and b"up\n" in self._said["status"]:
                    self._up = time.monotonic()
                    deadline = self._up + self._seconds
        words = self._said["status"].split()
        if self._up is None or len(words) != 2:
            raise self._broken("it ended without any output" if self._up is None else "it ended in the middle of its command")
        out, err = (self._said[name].decode(errors="replace") for name in ("out", "err"))
        return Ended(int(words[1]), out, err, self._up - self._started, self._console())

    def _read(self, key: selectors.SelectorKey) -> None:
        try:
            data = os.read(key.fd, 1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            self._selector.unregister(key.fileobj)
            return
        self._said[key.data] += data
        listener = self._listeners.get(key.data)
        if listener:
            listener(data)

    def _console(self) -> list[str]:
        return telling(self._said["console"].decode(errors="replace"))

    def _broken(self, what: str) -> LabBroken:
        lines = self._console()
        why = f" ({crash})" if (crash := reason(lines)) else ""
        output = "\n  ".join(lines) or "(nothing)"
        return LabBroken(f"kernel {self._kernel.release} in QEMU: {what}{why}", f"the end of its console:\n  {output}")


def telling(console: str) -> list[str]:
    """The important lines of a console: from the kernel's first line about its crash on, or else the last lines."""
    plain = re.sub(r"\x1b[\[\dc;?]*[A-Za-z]?", "", console)
    lines = [line.rstrip() for line in plain.splitlines() if line.strip()]
    # the reason comes before the call trace and the registers, which may take many lines
    crash = next((number for number, line in enumerate(lines) if _CRASH.search(line)), None)
    return lines[-_LINES:] if crash is None else lines[crash:][:_LINES]


def reason(lines: Sequence[str]) -> str:
    """A crash in one line, from the console: its kind, and the function of the kernel. "" if there was no crash.

    >>> reason(["[ 1455.1] Oops: int3: 0000 [#1] SMP NOPTI", "[ 1455.2] RIP: 0010:trace_syscall_exit+0x5a/0x90"])
    'Oops: int3: 0000 [#1] SMP NOPTI, in trace_syscall_exit+0x5a/0x90'
    """
    if not lines or not _CRASH.search(lines[0]):
        return ""
    place = next((match[1] for line in lines if (match := re.search(r"(?:RIP: 0010:|pc : )(\S+)", line))), None)
    return re.sub(r"^\[[\s\d.]*\]\s*", "", lines[0]) + (f", in {place}" if place else "")


def main(arguments: Sequence[str]) -> int:
    """`python -m machines.guest KERNEL -- CMD ARGS`: exits with the status of the command."""
    if len(arguments) < 3 or arguments[1] != "--" or arguments[0] not in debian.SUITES:
        print(f"usage: python -m machines.guest {'|'.join(debian.SUITES)} -- CMD ARGS", file=sys.stderr)
        return 2

    def say(words: str) -> None:
        print(f"iolab: {words}", file=sys.stderr, flush=True)

    def write(file: int) -> Callable[[bytes], object]:
        return lambda data: os.write(file, data)

    try:
        kernel = debian.fetch(arguments[0], say=say)
        ended = run(kernel, arguments[2:], seconds=3600, out=write(1), err=write(2), environment=inherited())
    except (CannotTrace, LabBroken) as error:
        say(str(error))
        return error.code
    except KeyboardInterrupt:
        say("interrupted; nothing is left running")
        return 130
    except BrokenPipeError:  # the reader of the output has gone
        return 141
    say(f"kernel {kernel.release}: booted in {ended.boot_seconds:.1f} s, status {ended.status}")
    return ended.status


def inherited() -> dict[str, str]:
    """The environment variables of iolab, which a command in the guest also gets."""
    return {key: value for key, value in os.environ.items() if key.startswith("IOLAB_") and key != "IOLAB_CALLED"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
