"""Files that survive a power cut: written whole or not at all (design rule 3).

Used by whoever keeps keys, certificates and documents in a folder, on both ends.
"""

from __future__ import annotations

import os
from pathlib import Path

_PRIVATE, _PUBLIC = 0o600, 0o644


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
    """Make a folder that only its owner can enter, and those above it; existing ones stay."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _fsync_folder(path.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
