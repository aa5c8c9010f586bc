"""A student's server in namespaces of its own: the two processes around it. Standard library only.

`sandbox.py FD` reads the plan (`Plan`, as JSON) from the socket FD. The outer process makes the namespaces and waits. The inner
process is the init of the pid namespace: when it ends, the kernel kills every process in it (kernel/pid_namespace.c,
zap_pid_ns_processes), however that process has changed its session, its group or its parent. It mounts a private view of the
files, starts the server, and collects the processes that lost their parents.

The inner process answers one JSON line for each thing that happens: `started`, `ended`, and `left` after a question.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
NAMESPACES = {  # the flags of unshare(2)
    "mount": 0x00020000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _RDONLY = 442, -100, 0x8000, 0x1
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER, _PR_CAP_AMBIENT, _CLEAR_ALL = 1, 38, 36, 47, 4
_SECCOMP = {"x86_64": 317, "aarch64": 277}  # seccomp(2); the runner has asked whether this machine has filters
_SET_MODE_FILTER, _SPEC_ALLOW = 1, 4
_CAPABILITIES_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3 (uapi: capability.h)
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_LOOKS_EVERY, _FIRST = 0.05, -10  # seconds between two checks of the memory; the nice value of the process that checks
WORK = "/tmp/submission"  # where a copy of the submission stands, in its own view of the files


@dataclass(frozen=True)
class Plan:
    """How a server is started. `user` None keeps the user.

    `copy` gives it a copy of `folder` to write in, and a read-only view of the other files.
    """

    command: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    number: int  # the process id that the server gets in its pid namespace
    parent: int
    invitation: int | None = None  # the descriptor with the cookie for the probes
    user: int | None = None
    strict: bool = False  # without any capability, and without a way to get one
    copy: bool = False
    hidden: tuple[str, ...] = ()  # folders and files that the server finds empty
    missing: tuple[str, ...] = ()  # namespaces that this machine refuses
    limits: dict[str, int] = field(default_factory=dict)  # RLIMIT_ names without the prefix
    disk_bytes: int = 64 << 20
    groups: tuple[str, ...] = ()  # cgroup.procs files of the server's control groups
    memory: int = 0  # bytes that the processes may use together, where no control group limits it; 0: not watched
    filter: str = ""  # of system calls, in hex (runs/seccomp.py); "": none


def unshare(names: tuple[str, ...]) -> None:
    """Moves this process into new namespaces of these kinds (unshare(2)). Raises OSError."""
    flags = 0
    for name in names:
        flags |= NAMESPACES[name]
    if _LIBC.unshare(ctypes.c_int(flags)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def refused() -> list[str]:
    """The kinds of namespaces that the kernel refuses to this user. A fork tries each kind, and stays in the namespace."""
    return [name for name in NAMESPACES if not _may_unshare(name)]


def _may_unshare(name: str) -> bool:
    fork = os.fork()
    if not fork:
        with contextlib.suppress(OSError):
            unshare((name,))
            os._exit(0)
        os._exit(1)
    return os.waitpid(fork, 0)[1] == 0


def enter_network(pid: int) -> None:
    """Moves the calling thread into the network namespace of a process (setns(2)). Raises OSError."""
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if _LIBC.setns(ctypes.c_int(descriptor), ctypes.c_int(NAMESPACES["net"])):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    if _LIBC.mount(
        source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), data.encode() or None
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def _read_only() -> None:
    """Makes every mount that this process sees read-only (mount_setattr(2), Linux 5.12)."""
    attributes = _MountAttributes(set=_RDONLY)
    if _LIBC.syscall(
        ctypes.c_long(_MOUNT_SETATTR), _AT_FDCWD, b"/", _AT_RECURSIVE, ctypes.byref(attributes), ctypes.sizeof(attributes)
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "/")


def _loopback_up() -> None:
    """A new network namespace has a loopback interface that is down (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _private_files(plan: Plan) -> list[str]:
    """Mounts the server's own view of the files. Returns what this machine refused, in words."""
    refused: list[str] = []
    source = os.open(plan.folder, os.O_PATH | os.O_DIRECTORY)  # a new /tmp may hide the folder
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    if plan.copy:
        try:
            _read_only()
        except OSError as error:
            refused.append(f"the files outside its folder are not read-only ({error.strerror})")
        for place in ("/tmp", "/var/tmp", "/dev/shm"):
            if Path(place).is_dir() and not Path(place).is_symlink():
                _mount("iolab", place, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={plan.disk_bytes},mode=1777")
        _copy(f"/proc/self/fd/{source}", plan)
        for place in plan.hidden:  # those below /tmp are not there any more
            if Path(place).is_dir():
                _mount("iolab", place, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=4k,mode=755")
            elif Path(place).is_file():
                _mount(os.devnull, place, None, _MS_BIND)
    os.close(source)
    if "pid" not in plan.missing:
        try:
            _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV)
        except OSError as error:
            refused.append(f"it sees other processes in /proc ({error.strerror})")
            if plan.memory:
                refused.append("its memory is not limited, as no control group can be made and /proc can't be mounted")
    return refused


def _copy(source: str, plan: Plan) -> None:
    """Copies the submission to WORK, for its user to write in."""
    shutil.copytree(source + "/", WORK, symlinks=True, ignore_dangling_symlinks=True)
    if plan.user is None:
        return
    for folder, folders, files in os.walk(WORK):
        for name in (*folders, *files):
            os.chown(Path(folder) / name, plan.user, plan.user, follow_symlinks=False)
        os.chown(folder, plan.user, plan.user)


def _next_process_id(number: int) -> None:
    """Makes `number` the id of the next process: by ns_last_pid (pid_namespaces(7)), or by processes that end at once."""
    try:
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(number - 1))
        return
    except OSError:
        pass
    pid = os.getpid()
    while pid < number - 1:
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)


def _become(plan: Plan) -> None:
    """Gives this process the server's limits, user and filter. It never gets a privilege back (no_new_privs, prctl(2))."""
    for name, value in plan.limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        most = resource.getrlimit(kind)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))
    if plan.user is not None:
        os.setgroups([])
        os.setresgid(plan.user, plan.user, plan.user)
        os.setresuid(plan.user, plan.user, plan.user)
    if plan.strict:
        _prctl(_PR_CAP_AMBIENT, _CLEAR_ALL)
        header, none = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)()
        _LIBC.capset(header, none)  # a change from another user than root takes no capability away (capabilities(7))
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if plan.filter:
        filtered(bytes.fromhex(plan.filter))


class _Program(ctypes.Structure):
    """struct sock_fprog (uapi: filter.h)."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def filtered(program: bytes) -> None:
    """Gives this process a filter of system calls, which stays; it must have set no_new_privs. Raises OSError.

    SECCOMP_FILTER_FLAG_SPEC_ALLOW: before Linux 5.16 a filter slowed down the branches of its process otherwise.
    """
    number = ctypes.c_long(_SECCOMP[os.uname().machine])
    words = _Program(len(program) // 8, program)
    if _LIBC.syscall(number, ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(_SPEC_ALLOW), ctypes.byref(words)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "seccomp")


def _prctl(option: int, argument: int) -> None:
    _LIBC.prctl(*(ctypes.c_long(word) for word in (option, argument, 0, 0, 0)))


def _serve(plan: Plan, output: int) -> None:
    """Becomes the server. Does not return."""
    from probes.capture.prctl import follow_me, read_invitation

    os.setsid()  # kill(0, ...) reaches its own group only
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    cookie = read_invitation(plan.invitation) if plan.invitation is not None else None
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.chdir(WORK if plan.copy else plan.folder)
    _become(plan)
    os.closerange(3, 1 << 16)
    path = shutil.which(plan.command[0], path=plan.environment.get("PATH", os.defpath)) or plan.command[0]
    if cookie is not None:
        follow_me(cookie)
    try:
        os.execve(path, plan.command, plan.environment)
    except OSError as error:
        print(f"iolab: can't execute {plan.command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(126)


class _Init:
    """The inner process: answers the runner, collects processes that have ended, and ends when the runner does."""

    def __init__(self, plan: Plan, control: socket.socket, output: int) -> None:
        self._plan, self._control = plan, control
        self._woken, wakes = socket.socketpair()
        wakes.setblocking(False)
        self._wakes = wakes
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        if "pid" not in plan.missing:
            _next_process_id(plan.number)
        self.server = os.fork()
        if self.server == 0:
            _serve(plan, output)
        self._watches = plan.memory > 0 and "pid" not in plan.missing
        if self._watches:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, 0, _FIRST)

    def say(self, **words: object) -> None:
        """One line for the runner. If the runner has gone, everything ends."""
        try:
            self._control.sendall(json.dumps(words).encode() + b"\n")
        except OSError:
            os._exit(1)

    def run(self) -> None:
        """Until the runner closes the socket."""
        while True:
            readable, _, _ = select.select([self._control, self._woken], [], [], _LOOKS_EVERY if self._watches else None)
            if self._watches and (used := memory_of(self._others(), self._plan.memory)) > self._plan.memory:
                self._end_all(used)
            if self._woken in readable:
                self._woken.recv(4096)
            self._collect()
            if self._control in readable:
                words = self._control.recv(4096)
                if not words:
                    return
                for word in words.decode().split():
                    self._answer(word)

    def _end_all(self, used: int) -> None:
        """Ends all processes of the server, and says why."""
        self._watches = False
        self.say(memory=used)
        os.kill(-1, signal.SIGKILL)  # every process of the pid namespace but its init (kill(2))

    def _answer(self, word: str) -> None:
        if word == "left":
            self._collect()
            self.say(left=len(self._others()))
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.server, getattr(signal, word))

    def _collect(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.server:
                self.say(ended=os.waitstatus_to_exitcode(status))

    def _others(self) -> list[int]:
        """The processes beside this one that still run: of the pid namespace, or its descendants without one.

        None are known in a pid namespace whose /proc could not be mounted: the numbers there are those of another namespace.
        """
        if "pid" not in self._plan.missing:
            ours = os.readlink("/proc/self") == str(os.getpid())  # noqa: PTH115
            names = os.listdir("/proc") if ours else []
            return [int(name) for name in names if name.isdigit() and int(name) != os.getpid()]
        found: list[int] = []
        left = [os.getpid()]
        while left:
            pid = left.pop()
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                left += map(int, children)
                found += map(int, children)
        return found

    def end(self) -> None:
        """Without a pid namespace the processes that are left must be found and killed."""
        if "pid" in self._plan.missing:
            for _ in range(100):
                if not (others := self._others()):
                    return
                for pid in others:
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    while os.waitpid(-1, os.WNOHANG)[0]:
                        pass


def memory_of(processes: list[int], limit: int) -> int:
    """The memory that these processes use together, bytes.

    The resident sets (/proc/PID/statm) count a page once for each process that shares it. If their sum is above
    the limit, the proportional sets count instead (/proc/PID/smaps_rollup); they take the kernel longer.
    """
    resident = sum(_resident(pid) for pid in processes)
    return sum(map(_proportional, processes)) if resident > limit else resident


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


def _inner(plan: Plan, control: socket.socket, output: int) -> None:
    """The init of the pid namespace."""
    from probes.capture.prctl import end_with_parent

    if "pid" in plan.missing:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        end_with_parent(os.getppid())
    else:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # end_with_parent would ask getppid(), which is 0 here
    refused: list[str] = []
    if "net" not in plan.missing:
        _loopback_up()
    if "mount" not in plan.missing:
        refused = _private_files(plan)
    init = _Init(plan, control, output)
    os.close(output)
    init.say(started=init.server, refused=refused)
    init.run()
    init.end()


def main() -> None:
    """`sandbox.py CONTROL OUTPUT`: descriptors of the socket to the runner, and of the pipe for the server's output."""
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 (pathlib is slow)
    from probes import shapes
    from probes.capture.prctl import end_with_parent

    control, output = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    size = struct.unpack("=I", control.recv(4, socket.MSG_WAITALL))[0]
    plan: Plan = shapes.read(Plan, json.loads(control.recv(size, socket.MSG_WAITALL)), "plan")
    end_with_parent(plan.parent)
    for group in plan.groups:
        Path(group).write_text(str(os.getpid()))
    unshare(tuple(name for name in NAMESPACES if name not in plan.missing))
    inner = os.fork()
    if inner == 0:
        try:
            _inner(plan, control, output)
        except OSError as error:
            control.sendall(json.dumps({"broken": str(error)}).encode() + b"\n")
        os._exit(0)
    control.close()
    os.close(output)
    os.waitpid(inner, 0)
    os._exit(0)


def encoded(plan: Plan) -> bytes:
    """The plan as `main` reads it."""
    words = json.dumps(dataclasses.asdict(plan)).encode()
    return struct.pack("=I", len(words)) + words


if __name__ == "__main__":
    main()
