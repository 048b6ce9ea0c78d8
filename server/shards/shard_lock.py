"""The lock of a shard file: one process writes it, whichever folder names the file.

A copied data folder whose books.json has an absolute address leads a second switch to the same
file. The lock lies beside the file itself, so both meet there. It is no lock of the file's own:
closing that would drop the locks that SQLite holds in the same process.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

from kessai.complaint import Complaint

# A switch that was killed may have a process that still ends its last commit.
_WAIT_S = 3.0


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
        if not take_in_time(self._file, _WAIT_S, place):
            raise Complaint(
                f"the shard file {path} is written by another switch (process {_pid_in(place)}), "
                "whose folder names the same file. Only one may; nothing was changed. Stop the "
                "other one, or give this folder shards of its own: kessai restore from a backup."
            )
        with suppress(OSError):  # a full disk: then nobody learns who it is
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Give the lock back; again is no error."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def lock_file(path: Path) -> Path:
    """Where the lock of a shard file lies, also if the file is named by a link."""
    real = path.resolve()
    return real.with_name(f"{real.name}.lock")


def take_in_time(file: int, limit_s: float, place: Path) -> bool:
    """Take the lock of an open file; if it was not to be had in time, the file is closed.

    Complaint if the file system on which it is (`place`) has no locks.
    """
    deciding, tried, given_up = threading.Lock(), threading.Event(), threading.Event()
    faults: list[OSError] = []

    def take() -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            faults.append(error)
        with deciding:
            tried.set()
            if given_up.is_set() or faults:
                os.close(file)

    threading.Thread(target=take, name="lock", daemon=True).start()
    tried.wait(limit_s)
    with deciding:
        if not tried.is_set():
            given_up.set()
    if faults:
        raise no_locks(place, faults[0])
    return not given_up.is_set()


def no_locks(place: Path, error: OSError) -> Complaint:
    """What to say where a file cannot be locked, although nobody has its lock."""
    return Complaint(
        f"{place} cannot be locked ({error.strerror}): its file system has no locks, so nobody can "
        "tell whether another switch writes there. Nothing was changed. Move the folder to a disk "
        "of this machine, or mount it with locks."
    )


def _pid_in(place: Path) -> str:
    with suppress(OSError):
        return place.read_text().strip()
    return "unknown"
