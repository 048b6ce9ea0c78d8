"""The lock of a shard file: one process writes it, whichever folder names the file.

A copied data folder whose books.json has an absolute address leads a second switch to the same
file. The lock lies beside the file itself, so both meet there. It is no lock of the file's own:
closing that would drop the locks that SQLite holds in the same process.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from kessai.complaint import Complaint

# A switch that was killed may have a process that still ends its last commit.
_WAIT_S = 3.0
_LOOK_S = 0.02


class ShardLock:
    """The right to write a shard file; it ends with the process at the latest."""

    def __init__(self, path: Path) -> None:
        """Take the lock; Complaint if somebody else writes the file, or there is no right to."""
        place = lock_file(path)
        try:
            self._file = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Complaint(
                f"the shard file {path} cannot be written: {place.name} beside it cannot be made "
                f"({error.strerror}). No money was moved. Make room on its disk, or give this user "
                "the right to write there, and start again."
            ) from None
        deadline = time.monotonic() + _WAIT_S
        while not self._is_taken():
            if time.monotonic() > deadline:
                holder = os.pread(self._file, 20, 0).decode(errors="replace").strip()
                os.close(self._file)
                raise Complaint(
                    f"the shard file {path} is written by another switch (process {holder}), whose "
                    "folder names the same file. Only one may; nothing was changed. Stop the other "
                    "one, or give this folder shards of its own: kessai restore from a backup."
                )
            time.sleep(_LOOK_S)
        with suppress(OSError):  # a full disk: then nobody learns who it is
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Give the lock back; again is no error."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _is_taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def lock_file(path: Path) -> Path:
    """Where the lock of a shard file lies, also if the file is named by a link."""
    real = path.resolve()
    return real.with_name(f"{real.name}.lock")
