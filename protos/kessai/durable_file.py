"""Files that survive a power cut: written whole or not at all (design rule 3).

Used by whoever keeps keys, certificates and documents in a folder, on both ends.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from pathlib import Path

_PRIVATE, _PUBLIC = 0o600, 0o644
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_log = logging.getLogger(__name__)


def write_durably(path: Path, content: bytes, private: bool = False) -> None:
    """Write a file whole: temporary file, fsync, rename, fsync of the folder.

    A private file is readable by its owner only, from its first byte on. When this returns, the
    content is on the disk; after a crash either the old or the new content is there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with open(os.open(temporary, flags, _PRIVATE if private else _PUBLIC), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    move_durably(temporary, path)


def move_durably(source: Path, target: Path) -> None:
    """Rename a file within its folder, taking the place of what was there."""
    source.replace(target)
    _fsync_folder(target.parent)


def remove_durably(path: Path) -> None:
    """Remove a file; it is no error if there is none."""
    path.unlink(missing_ok=True)
    _fsync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, or close an existing one to all others.

    Folders above it are made alike where they are missing, and stay as they are where not.
    """
    _make_missing(path)
    close_to_others(path)


def begin_folder(path: Path) -> None:
    """Make an empty folder that nobody else has a hand in, in the place of one left unfinished.

    A link there would lead keys away. Folders above it are made where they are missing.
    FileExistsError if somebody puts something in its place meanwhile.
    """
    _make_missing(path.parent)
    if path.is_symlink():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    _fsync_folder(path.parent)


def close_to_others(path: Path) -> None:
    """Let only its owner enter a folder or open a file, at once; warn in the log if that cannot be.

    Others could read balances and keys there, or hold a lock and stop what needs it. A folder that
    is everybody's by intent, such as /tmp, stays so, with a warning.
    """
    mode = path.stat().st_mode
    if not mode & _OTHERS:
        return
    try:
        if mode & stat.S_ISVTX:
            raise PermissionError(errno.EPERM, "it is shared by all users")
        path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
        if path.stat().st_mode & _OTHERS:
            raise PermissionError(errno.EPERM, "its file system has no such rights")
    except OSError as error:
        _log.warning(
            "%s is open to other users of this machine, and cannot be closed to them (%s): "
            "move it to a folder of this user's own",
            path,
            error.strerror,
        )


def _make_missing(path: Path) -> None:
    if path.is_dir():
        return
    _make_missing(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _fsync_folder(path.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
