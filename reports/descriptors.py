"""A descriptor in words: what kind of file it is, with its number."""

from __future__ import annotations

from functools import cache

from findings.descriptor_words import kind_words, socket_words
from probes.measure.sockets import SocketName
from probes.measure.sums import Descriptor

# The kernel's functions that close files of a kind (struct file_operations, release).
_KINDS = {
    "pipe_release": "pipe", "ep_eventpoll_release": "epoll", "eventfd_release": "eventfd", "timerfd_release": "timerfd",
    "signalfd_release": "signalfd", "inotify_release": "inotify", "fanotify_release": "fanotify",
    "io_uring_release": "io_uring",
    "userfaultfd_release": "userfaultfd", "seccomp_notify_release": "seccomp notifications", "pidfd_release": "pidfd",
    "tty_release": "terminal", "perf_release": "perf event", "bpf_map_release": "BPF map", "bpf_prog_release": "BPF program",
    "fuse_dev_release": "FUSE device", "mqueue_flush_file": "message queue",
    "ext4_release_file": "file", "xfs_file_release": "file", "btrfs_release_file": "file", "ovl_release": "file",
    "fuse_release": "file", "nfs_file_release": "file", "f2fs_release_file": "file", "zfs_release": "file",
    "v9fs_dir_release": "file", "simple_release": "file",
    "dcache_dir_close": "folder", "ext4_release_dir": "folder", "fuse_dir_release": "folder", "ovl_dir_release": "folder",
    "nfs_closedir": "folder", "offset_dir_release": "folder",
    "kernfs_fop_release": "file of sysfs", "proc_reg_release": "file of /proc", "seq_release": "file of /proc",
    "single_release": "file of /proc", "seq_release_private": "file of /proc", "proc_map_release": "file of /proc",
    "mem_release": "file of /proc", "proc_id_map_release": "file of /proc",
}  # fmt: skip
_SOCKETS = "sock_close"


@cache
def kind(descriptor: Descriptor) -> str:
    """As in "TCP", "unix socket", "epoll", "file"; "" for what has no word here.

    >>> kind(Descriptor("sock_close", 2, 1, 6)), kind(Descriptor("ep_eventpoll_release")), kind(Descriptor("x_release"))
    ('TCP', 'epoll', '')
    """
    if descriptor.release != _SOCKETS and not descriptor.family:
        return _KINDS.get(descriptor.release, "")
    return kind_words(descriptor.family, descriptor.type, descriptor.protocol)


def with_number(descriptor: Descriptor | None, fd: int, name: SocketName | None = None) -> str:
    """As in "epoll[12]", "TCP[6] 127.0.0.1:8080<-:51000"; the number alone where the kind is not known.

    >>> with_number(Descriptor("pipe_release"), 5), with_number(None, 5)
    ('pipe[5]', '5')
    """
    if name:
        protocol, _, addresses = socket_words(name).partition(" ")
        return f"{protocol}[{fd}] {addresses}"
    words = kind(descriptor) if descriptor else ""
    return f"{words}[{fd}]" if words else str(fd)
