"""Format 1 of a recording, which iolab 0.1.0 wrote: a zip of meta.json and records.bin. It is only read.

zipfile reads the whole directory of a zip before it says what is in it. So the size of the directory is checked first.
"""

from __future__ import annotations

import os
import struct
import zipfile
from typing import IO, Any

from probes import bounds

FORMAT = 1
# RuntimeError: an encrypted member; NotImplementedError: an unknown compression
DAMAGE = (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError)
# Names in recordings of iolab 0.1.0, with their current names: kinds of records, their fields, and a probe's keys.
_OLD_KINDS = {"RUN": "BURST", "TAKEN": "SOCKET_COPY", "LISTED": "READY_LIST"}
_OLD_FIELDS = {"handed_in": "copy_in_max", "handed_out": "copy_out_max", "runs": "bursts"}
_OLD_PROBE_KEYS = {"more": "optional"}
_END = struct.Struct("<4s4H2LH")  # the last record of a zip (APPNOTE 4.3.16): entries (twice), size of the directory, ...
_LOCATOR = b"PK\x06\x07"  # 20 bytes before it in a zip of 4 GB or more: other numbers count there (APPNOTE 4.3.15)
_DIRECTORY = 4096  # bytes of the directory; that of two members has 120


class OtherFormat(Exception):
    """The file has a format that this iolab does not read."""


def read(file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """What meta.json holds, with the names of today, and the records. Raises OtherFormat, or one of DAMAGE or ValueError."""
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        meta = bounds.Texts().read(_member(archive, "meta.json", bounds.JSON))
        if not isinstance(meta, dict):
            raise ValueError("meta.json is not an object")
        if meta.get("format") != FORMAT:
            raise OtherFormat(str(meta.get("format"))[:20])
        return _with_new_names(meta), _member(archive, "records.bin", bounds.RECORDS)


def _check_directory(file: IO[bytes]) -> None:
    """Raises ValueError if the file does not end as a small zip without a comment does."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - 20))
    tail = file.read(_END.size + 20)  # of a device it has no end
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06":
        raise ValueError("it neither begins nor ends as a recording does")
    if _END.unpack(tail[-_END.size :])[5] > _DIRECTORY or tail.startswith(_LOCATOR):
        raise ValueError("its directory is too large")


def _member(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """One file of the archive, in bounded memory. The size in the directory is the most that zipfile unpacks."""
    if archive.namelist().count(name) > 1:
        raise ValueError(f"{name} is in it more than once")
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        raise ValueError(f"{name} is packed in another way than --save does")
    if info.file_size > largest or bounds.too_dense(info.file_size, info.compress_size):
        raise ValueError(f"{name} is too large")
    return archive.read(info)


def _with_new_names(meta: dict[str, Any]) -> dict[str, Any]:
    """The same recording with the current names."""
    layouts, probes = meta.get("layouts"), meta.get("probes")
    if isinstance(layouts, dict):
        layouts = {_OLD_KINDS.get(kind, kind): _renamed(fields) for kind, fields in layouts.items()}
    if isinstance(probes, list):
        probes = [
            {_OLD_PROBE_KEYS.get(key, key): value for key, value in probe.items()} if isinstance(probe, dict) else probe
            for probe in probes
        ]
    return meta | {name: value for name, value in (("layouts", layouts), ("probes", probes)) if value is not None}


def _renamed(fields: Any) -> Any:
    """A layout's fields with the current names; what is no list of fields stays as it is, for the check."""
    if not isinstance(fields, list) or not all(
        isinstance(field, list) and field and isinstance(field[0], str) for field in fields
    ):
        return fields
    return [[_OLD_FIELDS.get(name, name), *rest] for name, *rest in fields]
