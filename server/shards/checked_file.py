"""SQLite files whose every page carries a checksum, verified whenever the page is read.

SQLite's checksum VFS (`cksumvfs`, from apsw's wheel) keeps it in the last eight bytes of a page. So
a flipped bit in an index is a failed read and never "no such request". Pages in the WAL have the
WAL's own checksums instead. `application_id` marks files made so: a header that lost its reserved
bytes is then known as damage, and not taken for a file of an earlier version.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import apsw
import apsw.sqlite_extra

from kessai.complaint import Complaint

# "kssi", which `file` shows of a database.
APPLICATION_ID = 0x6B737369

_VFS, _EXTENSION = "cksmvfs", "cksumvfs"
_CHECKSUM_BYTES = 8

# A start reads files up to this size whole, at about two seconds a gigabyte; pages of larger ones
# are checked as they are read, and by `kessai ledger verify`.
_CHECKED_AT_START = 1 << 30

READ_FAULTS = (apsw.IOError, apsw.CorruptError, apsw.NotADBError)

# Of the machine, and never of what is read or written: with room, memory or a lock again it works.
PASSING_FAULTS = (
    apsw.FullError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.NoMemError,
    MemoryError,
)


def connect(path: Path, flags: int) -> apsw.Connection:
    """Open a file through the checksum VFS; apsw.Error if SQLite cannot.

    Complaint if this apsw was built without the VFS.
    """
    if _VFS not in apsw.vfs_names():
        _load()
    return apsw.Connection(str(path), flags=flags, vfs=_VFS)


def make_checked(db: apsw.Connection) -> None:
    """Let a file in which nothing was written yet have checksums."""
    db.reserve_bytes("main", _CHECKSUM_BYTES)
    db.pragma("application_id", APPLICATION_ID)


def is_checked(db: apsw.Connection, path: Path) -> bool:
    """Whether a file has checksums; Complaint if it had, and its header is damaged.

    A file of an earlier version has none until `add_checksums`.
    """
    marked = bool(db.pragma("application_id") == APPLICATION_ID)
    verified = str(db.pragma("checksum_verification")) == "1"
    if marked and not verified:
        raise Complaint(damaged(path, "its header has lost its checksums"))
    return marked


def add_checksums(db: apsw.Connection, path: Path) -> None:
    """Rewrite a file of an earlier version with checksums, once; Complaint if it is damaged.

    Nobody else may have it open. It is one transaction: after a crash or on a full disk the file is
    as it was, and the next start begins anew.
    """
    check_whole(db, path, "integrity_check")
    try:
        db.reserve_bytes("main", _CHECKSUM_BYTES)
        db.execute("PRAGMA journal_mode = WAL")
        # A checkpoint writes the first page first, and with it that all pages have checksums.
        db.execute("VACUUM")
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        check_whole(db, path, "quick_check")
        db.pragma("application_id", APPLICATION_ID)
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.Error as error:
        raise Complaint(
            f"{path} is to get a checksum for every page, once, and cannot be rewritten ({error}). "
            "Nothing in it was changed. That takes the file's size once more in its folder, and "
            "where SQLite keeps temporary files (set SQLITE_TMPDIR): make room, then start again."
        ) from None


def check_at_start(db: apsw.Connection, path: Path) -> None:
    """Read a file whole, unless it is large; Complaint if a page is damaged."""
    if path.stat().st_size <= _CHECKED_AT_START:
        check_whole(db, path, "quick_check")


def check_whole(db: apsw.Connection, path: Path, check: str) -> None:
    """Let SQLite check a file, by its pragma of that name; Complaint if the file is damaged."""
    if faults := list_faults(db, path, check, limit=1):
        raise Complaint(faults[0])


def list_faults(db: apsw.Connection, path: Path, check: str, limit: int = 20) -> list[str]:
    """The faults that SQLite finds by its pragma of that name, for people."""
    try:
        found = [str(row[0]) for row in db.execute(f"PRAGMA {check}({limit})")]
    except READ_FAULTS as error:
        found = [str(error)]
    return [damaged(path, " ".join(fault.split())) for fault in found if fault != "ok"]


def is_damage(error: apsw.Error) -> bool:
    """Whether an error says that a page cannot be trusted, and not that a write failed."""
    code = getattr(error, "extendedresult", apsw.SQLITE_IOERR)
    readable = code not in (apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_READ)
    return not (isinstance(error, apsw.IOError) and readable)


def damaged(path: Path, fault: str) -> str:
    """One line for people about a file that cannot be trusted."""
    return (
        f"{path} is damaged ({fault}). It gives no answers and takes no payments, so that none is "
        "made twice. Check the disk, and bring the file back from a backup."
    )


def tell(line: str) -> None:
    """Say one line to the operator, on stderr, from whatever process."""
    with suppress(OSError, ValueError):
        print(f"kessai: {line}", file=sys.stderr, flush=True)  # noqa: T201


def _load() -> None:
    # Made permanent by the extension itself, and found by name from then on.
    db = apsw.Connection(":memory:")
    try:
        apsw.sqlite_extra.load(db, _EXTENSION)
    except Exception as error:
        raise Complaint(
            f"SQLite's checksum VFS is missing in this installation of apsw ({error}). Nothing was "
            "opened. Install apsw from its wheel: pip install --force-reinstall apsw"
        ) from None
    finally:
        db.close()
