"""Folders that are written aside, and renamed when they are whole: backups, restored ones."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kessai.complaint import Complaint
from kessai.durable_file import begin_folder
from server.shards.store import StoreUnavailable


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Make a folder to write into, and take it away unless it was renamed; Complaint.

    One writer a target: whoever comes meanwhile is told so, and disturbs nothing.
    """
    partial = partial_of(target)
    try:
        with _alone(target):
            begin_folder(partial)
            try:
                yield partial
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except (OSError, StoreUnavailable) as error:
        raise Complaint(
            f"{partial.parent} cannot be written ({error}). Nothing was left there, and nothing "
            "else was changed. Make room, or name another folder."
        ) from None


def partial_of(target: Path) -> Path:
    """Where a folder is written before it is whole."""
    return target.with_name(f"{target.name}.kessai-partial")


def refuse_mount_point(folder: Path) -> None:
    """Complaint if a folder is a mount point, which cannot be renamed over or removed."""
    if os.path.ismount(folder):
        raise Complaint(
            f"{folder} is a mount point, which no folder can take the place of; nothing was "
            f"changed. Name a folder in it, such as {folder / 'data'}."
        )


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    place = target.with_name(f"{target.name}.kessai-lock")
    while True:
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Complaint(
                f"another backup or restore writes {target} just now; nothing was changed. Wait "
                "until it is done, or name another folder."
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            # A file system without locks, as some are on which backups lie.
        if _is_at(lock, place):
            break
        os.close(lock)  # whoever had it took it away when he was done
    try:
        yield
    finally:
        place.unlink(missing_ok=True)
        os.close(lock)


def _is_at(descriptor: int, place: Path) -> bool:
    try:
        found = place.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), found)
