"""The compiled programs: their instructions and the definitions of their maps, kept on disk from one start to the next.

clang takes more than a second at each start, and half a minute in an emulated machine. What it makes depends on the source text
(with every offset and number of this kernel in it), on BCC, and on the machine; the file's name is a hash over all of these.
If the version of BCC's library is not known, nothing is kept.
The programs run in the kernel with root's rights, so a file is believed only in a folder that nobody else can write.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import platform
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from probes.capture.bpf import ENDS, KERNEL, compile_bpf, import_bcc, program_on, quiet
from probes.capture.system import map_definition
from probes.errors import CannotTrace

FOLDER = "/var/cache/iolab"
BTF, NOTES = Path("/sys/kernel/btf/vmlinux"), Path("/sys/kernel/notes")
_BUILD_ID = 3  # NT_GNU_BUILD_ID
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")
_OPTIONS = ("-Wno-unused-function",)  # for clang
_MAGIC = b"iolab image 2\n"
_LARGEST = 16 << 20  # bytes of a file; 0.1 MB are usual
_KEEP = 32  # files
_KEY = re.compile("[0-9a-f]{40}")
_UNFINISHED = re.compile(r"\.[0-9a-f]{40}\.[0-9a-f]{16}")  # a file that is being written, or whose writer was killed
_LOAD_MAP = 0x18  # BPF_LD | BPF_IMM | BPF_DW, whose source register says that the constant is a map's descriptor
_PSEUDO_MAP_FD = 1


@dataclass(frozen=True)
class MapDefinition:
    """One map: how to make it anew (system.Map)."""

    name: str
    kind: int
    key_size: int
    value_size: int
    entries: int
    flags: int


@dataclass(frozen=True)
class Program:
    """One program's instructions; `maps` says at which instruction which map's descriptor belongs."""

    code: bytes
    maps: tuple[tuple[int, str], ...]

    def with_maps(self, descriptors: dict[str, int]) -> bytes:
        """The instructions with the descriptors of maps that were made for them."""
        code = bytearray(self.code)
        for index, name in self.maps:
            struct.pack_into("=i", code, 8 * index + 4, descriptors[name])
        return bytes(code)


@dataclass(frozen=True)
class Image:
    """All programs by name, and their maps."""

    maps: tuple[MapDefinition, ...]
    programs: dict[str, Program]


_known: dict[str, Image] = {}  # of this process


def image(source: str, names: list[str], functions: dict[str, list[str]]) -> Image:
    """The compiled image of the source: from this process, from the disk, or by clang. Raises CannotTrace.

    `names` are programs by their own name; `functions` has, for fentry and fexit, the kernel functions that have one.
    """
    key = _key(source, names, functions)
    if key is None:
        return _compile(source, names, functions)
    if key not in _known:
        with _folder() as folder:
            found = _read(folder, key) if folder is not None else None
            _known[key] = found or _compile(source, names, functions)
            if folder is not None and found is None:
                _write(folder, key, _known[key])
    return _known[key]


def _key(source: str, names: list[str], functions: dict[str, list[str]]) -> str | None:
    """Everything that the compiled programs depend on, as one hash; None if BCC's version is not known."""
    library = _bcc_library()
    if library is None:
        return None
    found = library.stat()
    parts = {
        "format": _MAGIC.decode(),
        "source": source,
        "headers": {str(path.relative_to(KERNEL)): path.read_text() for path in sorted(KERNEL.rglob("*.h"))},
        "options": _OPTIONS,
        "programs": [names, functions],
        "kernel": _kernel(),
        "BCC": [str(library), found.st_size, found.st_mtime_ns],
        "machine": [platform.machine(), platform.release()],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


def _kernel() -> str:
    """What identifies the build of the kernel, and with it its types: its build id, or, if it has none, the types themselves.

    /sys/kernel/notes has the ELF notes of vmlinux (kernel/ksysfs.c): a header of three words, the name "GNU", the id.
    """
    with contextlib.suppress(OSError, struct.error):
        notes = NOTES.read_bytes()
        name, size, kind = struct.unpack_from("=3I", notes)
        if (name, kind, notes[12:16]) == (4, _BUILD_ID, b"GNU\0") and size >= 16:
            return notes[16 : 16 + size].hex()
    return hashlib.sha256(BTF.read_bytes()).hexdigest()


def _bcc_library() -> Path | None:
    """The file of BCC's library, which identifies the installed version without loading it."""
    found = [path for folder in map(Path, _LIBRARIES) for path in (*folder.glob("libbcc.so.0"), *folder.glob("*/libbcc.so.0"))]
    return found[0].resolve() if found else None


# -- compiling --------------------------------------------------------------------------------------------------------


def _compile(source: str, names: list[str], functions: dict[str, list[str]]) -> Image:
    with quiet() as printed:
        try:
            module = compile_bpf(source.encode(), cflags=[f"-I{KERNEL}", *_OPTIONS])
        except CannotTrace:
            raise
        except Exception as error:
            failure = str(error)  # the exception would keep this frame alive until the next garbage collection
        else:
            try:
                return _dump(module, names, functions)
            finally:
                module.cleanup()
    said = printed[-1][-2000:]
    raise CannotTrace(f"BCC could not make the probes: {failure}\n{said}", "invoke doctor says what is missing")


def _dump(module: Any, names: list[str], functions: dict[str, list[str]]) -> Image:
    fds = _tables(module)
    maps = tuple(MapDefinition(name, *map_definition(fd)) for fd, name in fds.items())
    programs = {name: _program(module.dump_func(name.encode()), fds) for name in names}
    for kind, places in functions.items():
        for place in places:
            programs[f"{kind}_on_{place}"] = _program(module.dump_func(program_on(module, ENDS[kind], place)), fds)
    return Image(maps, programs)


def _tables(module: Any) -> dict[int, str]:
    """The maps that BCC made, by descriptor.

    The types are those of bcc_common.h. BCC's own module declares none for these functions, and ctypes would cut the module's
    address to 32 bits.
    """
    library = import_bcc().lib
    address, number = ctypes.c_void_p, ctypes.c_size_t
    for function, result, arguments in (
        (library.bpf_num_tables, number, [address]),
        (library.bpf_table_name, ctypes.c_char_p, [address, number]),
        (library.bpf_table_fd_id, ctypes.c_int, [address, number]),
    ):
        function.restype, function.argtypes = result, arguments
    return {
        library.bpf_table_fd_id(module.module, index): library.bpf_table_name(module.module, index).decode()
        for index in range(library.bpf_num_tables(module.module))
    }


def _program(code: bytes, fds: dict[int, str]) -> Program:
    maps, index = [], 0
    while index < len(code) // 8:
        operation, registers, _offset, constant = struct.unpack_from("=BBhi", code, 8 * index)
        wide = operation == _LOAD_MAP
        if wide and registers >> 4 == _PSEUDO_MAP_FD:
            maps.append((index, fds[constant]))
        index += 2 if wide else 1
    return Program(code, tuple(maps))


# -- the disk ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _folder() -> Iterator[int | None]:
    """The cache's folder, opened; None if no folder is writable by this user and root only."""
    descriptor = None
    with contextlib.suppress(OSError):
        descriptor = _trusted(Path(os.environ.get("IOLAB_CACHE") or FOLDER))
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _ours(found: os.stat_result) -> bool:
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022


def _trusted(path: Path) -> int | None:
    """Opens a folder step by step from the root; None if somebody else could put another one in its place.

    The last step is made if it is missing, once all above it are found to be ours.
    """
    if not path.is_absolute():
        return None
    descriptor = os.open("/", os.O_PATH | os.O_DIRECTORY)
    for depth, part in enumerate(path.parts[1:], 2):
        try:
            if not _ours(os.fstat(descriptor)):
                return None
            if depth == len(path.parts):
                with contextlib.suppress(OSError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    if not _ours(os.fstat(descriptor)):
        os.close(descriptor)
        return None
    return descriptor


def _read(folder: int, key: str) -> Image | None:
    """The image of that key; None if the file is missing, damaged, or writable by others."""
    try:
        # O_NONBLOCK: to open a FIFO would wait for a writer
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(key, flags, dir_fd=folder), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or not _ours(found) or found.st_size > _LARGEST:
                return None
            return _decode(file.read(_LARGEST), key)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def _digest(key: str, rest: bytes) -> bytes:
    return hashlib.sha256(key.encode() + rest).digest()


def _decode(data: bytes, key: str) -> Image:
    """Raises ValueError, KeyError, TypeError or struct.error where anything is damaged, or made for another key."""
    magic, digest, rest = data[: len(_MAGIC)], data[len(_MAGIC) : len(_MAGIC) + 32], data[len(_MAGIC) + 32 :]
    if magic != _MAGIC or _digest(key, rest) != digest:
        raise ValueError("damaged")
    size = struct.unpack_from("=I", rest)[0]
    header, code = json.loads(rest[4 : 4 + size]), rest[4 + size :]
    maps = tuple(MapDefinition(**each) for each in header["maps"])
    programs = {
        name: Program(code[each["at"] : each["at"] + each["bytes"]], tuple((index, to) for index, to in each["maps"]))
        for name, each in header["programs"].items()
    }
    made = Image(maps, programs)
    if not _makes_sense(made) or sum(len(program.code) for program in programs.values()) != len(code):
        raise ValueError("no image")
    return made


def _makes_sense(made: Image) -> bool:
    """Whether numbers are 32-bit words, programs whole instructions, and references to maps that the image has."""
    numbers = [(table.kind, table.key_size, table.value_size, table.entries, table.flags) for table in made.maps]
    names = {table.name for table in made.maps}
    return all(0 <= number < 1 << 32 for definition in numbers for number in definition) and all(
        program.code
        and len(program.code) % 8 == 0
        and all(0 <= index < len(program.code) // 8 - 1 and name in names for index, name in program.maps)
        for program in made.programs.values()
    )


def _encode(made: Image, key: str) -> bytes:
    programs, code = {}, b""
    for name, program in made.programs.items():
        programs[name] = {"at": len(code), "bytes": len(program.code), "maps": [list(each) for each in program.maps]}
        code += program.code
    header = json.dumps({"maps": [asdict(each) for each in made.maps], "programs": programs}).encode()
    rest = struct.pack("=I", len(header)) + header + code
    return _MAGIC + _digest(key, rest) + rest


def _write(folder: int, key: str, made: Image) -> None:
    """Keeps the image, whole or not at all; two writers of one key write the same.

    Process ids are not unique among the containers that share a volume, so the unfinished file has a random name.
    """
    unfinished = f".{key}.{os.urandom(8).hex()}"
    with contextlib.suppress(OSError):
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_encode(made, key))
            os.rename(unfinished, key, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unfinished, dir_fd=folder)
        _forget_the_oldest(folder)


def _forget_the_oldest(folder: int) -> None:
    """Removes the oldest of our files; the folder may hold others, which stay."""
    ours = [name for name in os.listdir(folder) if _KEY.fullmatch(name) or _UNFINISHED.fullmatch(name)]
    ours.sort(key=lambda name: os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns)
    for name in ours[:-_KEEP]:
        os.unlink(name, dir_fd=folder)
