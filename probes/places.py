"""Where a path leads, found step by step, so that no other user can lead root elsewhere.

The kernel follows every symbolic link for root unless protected_symlinks (proc(5), sysctl fs) is set, and then it looks at
sticky folders only. So each step is an openat(2) with O_NOFOLLOW relative to the folder before it, and a link is followed
only if root, this process's user or the caller of sudo made it, in a folder where nobody else can exchange it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from dataclasses import dataclass

from probes.errors import WrongUsage

_PATH_ONLY = getattr(os, "O_PATH", os.O_RDONLY)  # O_PATH asks for no permission to read the folder (open(2)); Linux only
_FOLDER = _PATH_ONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_LINKS_MAX = 40  # as the kernel's MAXSYMLINKS (path_resolution(7))
_LARGEST_ID = 2**32 - 2  # 2^32 - 1 means "leave as it is" (chown(2))


@dataclass(frozen=True)
class Caller:
    """The user who called sudo."""

    user: int
    group: int


@dataclass(frozen=True)
class Place:
    """The end of a path: a name in an open folder, and what has that name (None: nothing)."""

    folder: int
    name: str
    status: os.stat_result | None
    magic: bool = False  # a link of proc(5) that only the kernel can follow, for example /proc/PID/fd/1
    descriptor: int | None = None  # an open file of this process: /dev/stdout, /dev/fd/N


def caller() -> Caller | None:
    """The user who called sudo (sudo(8), SUDO_UID and SUDO_GID). None if this process is not root, or the values are no ids."""
    if os.geteuid() != 0:
        return None
    user, group = (os.environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID"))
    if not all(text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST_ID for text in (user, group)):
        return None
    return Caller(int(user), int(group))


def trusted(user: int) -> bool:
    """Whether what belongs to this user is as good as ours: root, the user of this process, the caller of sudo."""
    behind = caller()
    return user in {0, os.geteuid()} or (behind is not None and user == behind.user)


def open_to_others(folder: os.stat_result) -> bool:
    """Whether users whom we don't trust can make names in this folder."""
    behind = caller()
    own_groups = {0, os.getegid()} | ({behind.group} if behind else set())
    by_group = folder.st_mode & stat.S_IWGRP and folder.st_gid not in own_groups
    return bool(not trusted(folder.st_uid) or folder.st_mode & stat.S_IWOTH or by_group)


def name_of(user: int) -> str:
    """A user's name, or the number if the user has none."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def find(path: str) -> Place:
    """Where a path leads. The caller closes the folder.

    Raises WrongUsage for a link that isn't followed, and OSError where the kernel's own walk would fail.
    """
    walk = _Walk(path)
    try:
        return walk.to_the_end()
    except BaseException:
        os.close(walk.folder)
        raise


class _Walk:
    """The way along a path: the folder reached, and the names that are still to come (the next one last)."""

    def __init__(self, path: str) -> None:
        if not path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._path, self._links = path, 0
        self._names: list[str] = []
        self.folder = os.open(".", _FOLDER)
        self._prepend(path)

    def _prepend(self, path: str) -> None:
        """Goes on along this path, which is relative to the folder reached unless it begins at the root."""
        self._names += reversed(path.split("/"))
        if path.startswith("/"):
            self._enter("/")

    def _enter(self, name: str, flags: int = _FOLDER) -> None:
        following = os.open(name, flags, dir_fd=self.folder)
        os.close(self.folder)
        self.folder = following

    def to_the_end(self) -> Place:
        while True:
            name = self._names.pop()
            if name in ("", ".", ".."):  # the kernel's "a//b", "a/./b"; "a/" at the end says that a is a folder
                if name == "..":
                    self._enter(name)
                if not self._names:
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                continue
            try:
                status = os.stat(name, dir_fd=self.folder, follow_symlinks=False)
            except FileNotFoundError:
                if self._names:
                    raise
                return Place(self.folder, name, None)
            if stat.S_ISLNK(status.st_mode):
                end = self._follow(name, status)
                if end is not None:
                    return end
            elif self._names:
                self._enter(name)
            else:
                return Place(self.folder, name, status)

    def _follow(self, name: str, link: os.stat_result) -> Place | None:
        """Goes on where a link leads. The answer is a place if the way ends there."""
        self._links += 1
        if self._links > _LINKS_MAX:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        self._refuse_foreign(name, link)
        if os.fstat(self.folder).st_dev == _device_of_proc():
            return self._follow_in_proc(name)
        self._prepend(os.readlink(name, dir_fd=self.folder))
        return None

    def _refuse_foreign(self, name: str, link: os.stat_result) -> None:
        """A link that others made or can exchange is not followed.

        A folder's owner can rename every name in it; everyone who can write to it can, too, unless it is sticky (inode(7)).
        """
        folder = os.fstat(self.folder)
        owner = next((user for user in (link.st_uid, folder.st_uid) if not trusted(user)), None)
        if owner is not None:
            why = f"{name!r} is a symbolic link under the control of {name_of(owner)}"
        elif open_to_others(folder) and not folder.st_mode & stat.S_ISVTX:
            why = f"{name!r} is a symbolic link in a folder where other users can exchange it"
        else:
            return
        raise WrongUsage(f"can't write {self._path}: {why}", "name the file itself, not the link")

    def _follow_in_proc(self, name: str) -> Place | None:
        """The text of a link in /proc need not be a path ("pipe:[4711]"), so the kernel follows it (proc(5))."""
        if not self._names and name.isdecimal() and _same_file(os.fstat(self.folder), "/proc/self/fd"):
            return Place(self.folder, name, os.stat(name, dir_fd=self.folder), descriptor=int(name))
        if not self._names:
            return Place(self.folder, name, os.stat(name, dir_fd=self.folder), magic=True)
        self._enter(name, _PATH_ONLY | os.O_DIRECTORY)
        return None


def _device_of_proc() -> int | None:
    with contextlib.suppress(OSError):
        return os.stat("/proc/self/fd").st_dev  # noqa: PTH116
    return None


def _same_file(status: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(status, os.stat(path))  # noqa: PTH116
    except OSError:
        return False
