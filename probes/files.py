"""Files that are written whole or not at all, or that grow under a name of their own, and that belong to the user who called.

`check` and `whole` make the same plan in the same way: the plan holds the very file that will be written to, so what can be
refused is refused before the work. What an existing file keeps: owner, group, permissions, POSIX ACL, user.* attributes.
What it does not keep: set-user-ID bits, other attributes (a security label is the folder's default), and its hard links:
its other names keep the old content.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from probes import places
from probes.errors import WrongUsage

_REMEDIES = {
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room there, or name another place",
    errno.EFBIG: "record less, or raise the limit of file sizes (ulimit -f)",
    errno.ENOENT: "make the folder first (mkdir -p), or name a file in another folder",
    errno.EISDIR: "name a file in that folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle: name the file itself",
    errno.EROFS: "the file system is mounted read-only: name a file on another file system",
    errno.EBADF: "name a descriptor that is open for writing, or a file",
}
# A folder that takes no new name, or a file that can't have its owner kept: such a file can still be written in place.
_NOT_REPLACED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EINVAL, errno.EOPNOTSUPP}
_NO_TMPFILE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}  # file systems without O_TMPFILE (open(2))
_HALF = re.compile(r"\.iolab-[0-9a-f]{16}")
_ACL = "system.posix_acl_access"  # acl(5)
_CAUTION = "can't be replaced, only overwritten: if that is interrupted or finds no room, a part of the file is left"


class Way(enum.Enum):
    """How a file is written."""

    THROUGH = "a device, a pipe or an open descriptor: written to at once"
    NEW = "a new name for what is whole"
    REPLACE = "renamed over the existing file"
    IN_PLACE = "the existing file's content is overwritten when all is written"


@dataclass(frozen=True)
class Plan:
    """How one file will be written, with the descriptors that this takes. They are open as long as the plan is in use."""

    way: Way
    place: places.Place
    half: int = -1  # what is written to until it is whole; no name leads to it, unless `half_name` is one
    half_name: str = ""
    existing: int = -1  # the file that is replaced or overwritten, open for writing


def check(path: str) -> str:
    """Raises WrongUsage before the work if the file can't be written.

    Returns a sentence about what can't be promised for this file; "" if it will be whole or unchanged.
    """
    with _refusals(path), _planned(path) as plan:
        return f"{path} {_CAUTION}" if plan.way is Way.IN_PLACE else ""


@contextlib.contextmanager
def whole(path: str, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write to, which appears under its name when all is written. A device or a pipe is written to at once.

    `mode` is "w" or "wb". Raises WrongUsage where it can't be written.
    """
    options: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace"}
    with _refusals(path), _planned(path) as plan:
        if plan.way is Way.THROUGH:
            with os.fdopen(_open_through(plan.place), mode, **options) as file:
                yield file
            return
        _sweep(plan.place.folder)
        with os.fdopen(os.dup(plan.half), mode, **options) as file:
            yield file
            file.flush()
            os.fsync(plan.half)  # a quota or a remote disk may say only now that there is no room (fsync(2))
        _publish(plan)


@contextlib.contextmanager
def growing(path: str) -> Iterator[IO[bytes]]:
    """A file that keeps what was flushed to it even if this process is killed: for what can be read without its end.

    A new file has its name from the start. An existing file stays until the new one is whole; until then the new one is called
    FILE.part. An error leaves what was written, under the name that it has then. Where the file can't have a name before it is
    whole, it is written as by `whole`. Raises WrongUsage where it can't be written.
    """
    with _refusals(path), _planned(path) as plan:
        if plan.way is Way.THROUGH:
            with os.fdopen(_open_through(plan.place), "wb") as file:
                yield file
            return
        folder = plan.place.folder
        _sweep(folder)
        name = _show(plan)
        try:
            with os.fdopen(os.dup(plan.half), "wb") as file:
                yield file
                file.flush()
                os.fsync(plan.half)
        except BaseException:
            if name and not os.fstat(plan.half).st_size and _is_called(plan.half, name, folder):
                _remove(name, folder)
            raise
        if name != plan.place.name or not _is_called(plan.half, name, folder):
            _publish(plan)
        if name != plan.place.name and _is_called(plan.half, name, folder):
            _remove(name, folder)


def _show(plan: Plan) -> str:
    """Gives the half its name for the time until it is whole. The name, or "" if it can't have one."""
    if plan.way is Way.IN_PLACE:
        return ""
    name = plan.place.name + (".part" if plan.way is Way.REPLACE else "")
    if plan.way is Way.REPLACE:
        _sweep_part(name, plan.place.folder)
    source = plan.half_name or f"/proc/self/fd/{plan.half}"
    try:
        os.link(source, name, src_dir_fd=plan.place.folder, dst_dir_fd=plan.place.folder, follow_symlinks=not plan.half_name)
    except OSError:
        return ""
    return name


def _is_called(half: int, name: str, folder: int) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(half), os.stat(name, dir_fd=folder, follow_symlinks=False))
    return False


def make_folder(path: str) -> None:
    """Makes a folder with those above it, for the user who called. Raises WrongUsage where it can't."""
    for folder in (*reversed(Path(path).parents), Path(path)):
        with _refusals(path), contextlib.suppress(IsADirectoryError), ExitStack() as held:
            place = places.find(str(folder))
            held.callback(os.close, place.folder)
            if place.status is None:
                os.mkdir(place.name, dir_fd=place.folder)
                made = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place.folder)
                held.callback(os.close, made)
                _give_to_caller(made, place.folder)
            elif not stat.S_ISDIR(place.status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


@contextlib.contextmanager
def _refusals(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "name a file in a folder that you may write to")
        raise WrongUsage(f"can't write {path}: {error.strerror or error}", remedy) from error


@contextlib.contextmanager
def _planned(path: str) -> Iterator[Plan]:
    """The plan for a path; what it holds is closed, and an unused half is gone, at the end."""
    with ExitStack() as held:
        place = places.find(path)
        held.callback(os.close, place.folder)
        if place.descriptor is not None:
            _refuse_descriptor(place.descriptor)
            yield Plan(Way.THROUGH, place)
        elif place.status is None:
            half, half_name = _make_half(place.folder, 0o666, held)
            _give_to_caller(half, place.folder)
            yield Plan(Way.NEW, place, half, half_name)
        else:
            _refuse_unfit(path, place, place.status)
            if stat.S_ISREG(place.status.st_mode) and not place.magic:
                yield _plan_for_existing(place, place.status, held)
            else:
                if not os.access(place.name, os.W_OK, dir_fd=place.folder, effective_ids=True):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
                yield Plan(Way.THROUGH, place)


def _refuse_descriptor(number: int) -> None:
    """A descriptor that closes on exec is one that this process opened for itself, not one that its user gave it."""
    ours = fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    if ours or fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "the descriptor is not open for writing")


def _refuse_unfit(path: str, place: places.Place, status: os.stat_result) -> None:
    """Refuses what is no file, and a file that another user may have made as a trap (proc(5), protected_regular)."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.ENXIO, "it is a socket")
    folder = os.fstat(place.folder)
    crowd = folder.st_mode & stat.S_IWOTH or (folder.st_mode & stat.S_ISVTX and places.open_to_others(folder))
    if crowd and not places.trusted(status.st_uid) and status.st_uid != folder.st_uid:
        raise WrongUsage(
            f"can't write {path}: it belongs to {places.name_of(status.st_uid)}, in a folder where other users can write",
            "name another file",
        )


def _plan_for_existing(place: places.Place, before: os.stat_result, held: ExitStack) -> Plan:
    # without O_TRUNC: the old content stays until the new one is whole
    existing = os.open(place.name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place.folder)
    held.callback(os.close, existing)
    status = os.fstat(existing)
    if not os.path.samestat(before, status):
        raise OSError(errno.EAGAIN, "another program has just exchanged it")
    with ExitStack() as attempt:
        try:
            if _mount(existing) != _mount(place.folder):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))  # a bind mount: rename(2) refuses it
            half, half_name = _make_half(place.folder, 0o600, attempt)
            _take_after(half, existing, status)
            held.push(attempt.pop_all())
            return Plan(Way.REPLACE, place, half, half_name, existing)
        except OSError as error:
            if error.errno not in _NOT_REPLACED:
                raise
    _refuse_shared_content(existing, place.folder)
    half = os.memfd_create("iolab-half") if hasattr(os, "memfd_create") else os.dup(held.enter_context(_unnamed()).fileno())
    held.callback(os.close, half)
    return Plan(Way.IN_PLACE, place, half, "", existing)


def _refuse_shared_content(existing: int, folder: int) -> None:
    """Another user may have linked a file of ours to this name (link(2)); to overwrite its content would change our file."""
    if os.fstat(existing).st_nlink > 1 and places.open_to_others(os.fstat(folder)):
        raise OSError(errno.EMLINK, "it has several names (hard links), in a folder where other users can write")


def _unnamed() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _mount(descriptor: int) -> str:
    """The id of the mount that a file is reached by (proc(5), /proc/PID/fdinfo); "" where there is no /proc."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
            if line.startswith("mnt_id:"):
                return line
    return ""


def _make_half(folder: int, mode: int, held: ExitStack, named: bool = False) -> tuple[int, str]:
    """A file to write to, and its name: "" where the file system has O_TMPFILE, so that a kill leaves nothing (open(2)).

    The kernel applies the umask or the folder's default ACL. The lock says that the file is in use; it ends with the process.
    """
    name = ""
    try:
        if named or not hasattr(os, "O_TMPFILE"):
            raise OSError(errno.EOPNOTSUPP, "no O_TMPFILE")
        half = os.open(".", os.O_TMPFILE | os.O_RDWR, mode, dir_fd=folder)
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
        name = _fresh_name()
        half = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, mode, dir_fd=folder)
        held.callback(_remove, name, folder)
    held.callback(os.close, half)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(half, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return half, name


def _fresh_name() -> str:
    return f".iolab-{secrets.token_hex(8)}"


def _remove(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _give_to_caller(descriptor: int, folder: int) -> None:
    """A new file belongs to the user who called sudo; in a set-group-ID folder its group is the folder's (inode(7))."""
    caller = places.caller()
    if caller is None:
        return
    keeps_group = os.fstat(folder).st_mode & stat.S_ISGID
    with contextlib.suppress(OSError):  # a file system without owners, or one that lets not even root choose
        os.fchown(descriptor, caller.user, -1 if keeps_group else caller.group)


def _take_after(half: int, existing: int, status: os.stat_result) -> None:
    """Gives the half the existing file's ACL, user attributes, permissions and owner.

    The ACL comes first: with one, the group's permission bits are its mask (acl(5)); without one they would widen the group's.
    """
    if hasattr(os, "listxattr"):
        names = os.listxattr(existing)
        for name in names:
            if name.startswith("user."):
                with contextlib.suppress(OSError):
                    os.setxattr(half, name, os.getxattr(existing, name))
        if _ACL in names:
            os.setxattr(half, _ACL, os.getxattr(existing, _ACL))
        else:  # one that the half has from its folder
            with contextlib.suppress(OSError):
                os.removexattr(half, _ACL)
    os.fchmod(half, status.st_mode & 0o777)
    os.fchown(half, status.st_uid, status.st_gid)


def _open_through(place: places.Place) -> int:
    if place.descriptor is not None:
        return os.dup(place.descriptor)  # opened anew, it would begin at the file's start
    follow = 0 if place.magic else os.O_NOFOLLOW
    through = os.open(place.name, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | follow, dir_fd=place.folder)
    if place.status is None or not os.path.samestat(os.fstat(through), place.status):
        os.close(through)
        raise OSError(errno.EAGAIN, "another program has just exchanged it")
    return through


def _publish(plan: Plan) -> None:
    """Gives the whole file its name. linkat(2) can't replace, so an existing file is replaced by rename(2) in a second step."""
    folder, name = plan.place.folder, plan.place.name
    if plan.way is Way.IN_PLACE:
        _pour(plan.half, plan.existing)
        return
    with ExitStack() as held:
        half_name = plan.half_name
        if not half_name and plan.way is Way.NEW and _link(plan.half, name, folder):
            return
        if not half_name:
            half_name = _fresh_name()
            held.callback(_remove, half_name, folder)
            if not _link(plan.half, half_name, folder):
                half_name = _named_copy(plan, held)
        try:
            os.rename(half_name, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            if plan.way is not Way.REPLACE or error.errno not in _NOT_REPLACED:
                raise
            _refuse_shared_content(plan.existing, folder)
            _pour(plan.half, plan.existing)  # it was mounted over, or the folder closed, while the work was done


def _link(half: int, name: str, folder: int) -> bool:
    """Gives an unnamed file its name (open(2), O_TMPFILE). False if that can't be done: the name exists, or no /proc."""
    try:
        os.link(f"/proc/self/fd/{half}", name, dst_dir_fd=folder, follow_symlinks=True)
    except OSError:
        return False
    return True


def _named_copy(plan: Plan, held: ExitStack) -> str:
    copy, name = _make_half(plan.place.folder, 0o600, held, named=True)
    status = os.fstat(plan.half)
    _pour(plan.half, copy)
    _take_after(copy, plan.half, status)
    return name


def _pour(half: int, target: int) -> None:
    """Overwrites a file's content. It is cut to its length last, so that its old blocks are there for the new content."""
    os.lseek(half, 0, os.SEEK_SET)
    with os.fdopen(os.dup(half), "rb") as source, os.fdopen(os.dup(target), "wb") as sink:
        shutil.copyfileobj(source, sink)
        sink.flush()
        os.ftruncate(target, os.fstat(half).st_size)
        os.fsync(target)


def _sweep(folder: int) -> None:
    """Removes what killed runs left in this folder: unfinished files of iolab that no living process has locked (flock(2))."""
    with contextlib.suppress(OSError), ExitStack() as held:
        listing = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        held.callback(os.close, listing)
        for name in filter(_HALF.fullmatch, os.listdir(listing)):
            _sweep_part(name, folder)


def _sweep_part(name: str, folder: int) -> None:
    """Removes one such file, if there is one and no living process has locked it."""
    with contextlib.suppress(OSError), ExitStack() as opened:
        half = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        opened.callback(os.close, half)
        status = os.fstat(half)
        if stat.S_ISREG(status.st_mode) and places.trusted(status.st_uid):
            fcntl.flock(half, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
