"""A disk that forgets at a power cut whatever was not synced: below SQLite, above the real files.

Written bytes stay in this process until SQLite syncs the file, so SIGKILL loses exactly what a
power cut may lose. Files are shared by all connections of the process.
"""

from __future__ import annotations

from collections import defaultdict

import apsw

Writes = list[tuple[int, bytes]]

_unsynced: defaultdict[str, Writes] = defaultdict(list)


class LossyFile(apsw.VFSFile):
    """A file whose writes reach the system when it is synced."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._writes = _unsynced[path]

    def xWrite(self, data: bytes, offset: int) -> None:
        """Keep a write for the next sync."""
        self._writes.append((offset, bytes(data)))

    def xRead(self, amount: int, offset: int) -> bytes:
        """Read what was written, synced or not."""
        read = bytearray(super().xRead(amount, offset))
        for begin, data in self._writes:
            first, last = max(begin, offset), min(begin + len(data), offset + amount)
            if first < last:
                read.extend(bytes(max(0, last - offset - len(read))))
                read[first - offset : last - offset] = data[first - begin : last - begin]
        return bytes(read)

    def xFileSize(self) -> int:
        """Tell the size with what is not synced yet."""
        ends = (begin + len(data) for begin, data in self._writes)
        return max(super().xFileSize(), *ends, 0)

    def xTruncate(self, newsize: int) -> None:
        """Cut the file off, at once."""
        self._writes[:] = [(b, data[: newsize - b]) for b, data in self._writes if b < newsize]
        if super().xFileSize() > newsize:
            super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        """Write all that was kept, then sync."""
        for offset, data in self._writes:
            super().xWrite(data, offset)
        self._writes.clear()
        super().xSync(flags)


class LossyDisk(apsw.VFS):
    """The system's disk, with files that forget; the default from when it is made."""

    def __init__(self) -> None:
        super().__init__("lossy", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """Open a file that forgets."""
        return LossyFile(name, flags)
