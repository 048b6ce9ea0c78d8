"""A backup: every store of a switch as it is at one moment, in a folder, checked before it counts.

Of a running switch: all shards are held still for a fraction of a second, so that nothing is
committed in any of them; meanwhile a snapshot of each is opened, and the switch copies its
directory. Then payments go on, and the snapshots are copied. Money between shards is in the outbox
of one or has arrived in the other, in every such moment. Of a stopped switch its lock is taken.

All is written into TARGET.kessai-partial, verified there, and renamed: what a crash leaves behind
never looks whole. The folder holds keys: whoever has it can sign as the switch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from kessai.complaint import Complaint
from kessai.durable_file import make_folder, move_durably, write_durably
from server import data_folder
from server.aside import partial_of, written_aside
from server.backup_manifest import FORMAT, Manifest, files_of, hash_of, tidy, write_manifest
from server.config import CONFIG_FILE
from server.examine import Findings, examine_stopped
from server.shards.address import SqliteAddress, sqlite_urls
from server.shards.books_file import Books, write_books
from server.shards.directory_schema import MARK_TABLE
from server.shards.shard_lock import ShardLock
from server.shards.still import Snapshot, copy_closed, copy_durably, held_still

# Without offline-root/, which is not to lie on this machine, and without others' identities.
KEPT_FOLDERS = ("identity", "operator")
DIRECTORY = "directory.db"

CopyDirectory = Callable[[], tuple[Path, int]]


class Backup:
    """One backup, from a data folder to a target, which must not exist."""

    def __init__(self, folder: Path, target: Path, now_us: Callable[[], int]) -> None:
        """Look whether it can be; Complaint."""
        self._now_us = now_us
        self._folder, self._target = folder.absolute(), target.absolute()
        self._partial = partial_of(self._target)
        self.books = data_folder.read_books(folder)
        self._places = _files_alone(self.books, self._folder)
        if self._target.exists():
            raise Complaint(f"{target} exists already; nothing was changed. Name another folder.")
        if self._target.is_relative_to(self._folder):
            raise Complaint(
                f"{target} is in the data folder itself; nothing was written. Name a folder on "
                "another disk."
            )
        if not self._target.parent.is_dir():
            raise Complaint(f"there is no folder {self._target.parent}; nothing was written.")

    def take(
        self,
        copy_directory: CopyDirectory | None,
        on_progress: Callable[[int], None] = lambda rows: None,
    ) -> tuple[Manifest, Findings]:
        """Write it; what it says of itself, and what was found when it was verified.

        `copy_directory` lets the running switch copy its directory; None: it is stopped, and the
        caller has its lock. Complaint if it cannot be written or does not verify; nothing is left.
        """
        with written_aside(self._target):
            with ExitStack() as open_:
                moment_us, snapshots = self._open(copy_directory, open_)
                sequences = [snapshot.last_sequence() for snapshot in snapshots]
                for snapshot, address in zip(snapshots, self._places, strict=True):
                    snapshot.copy_to(self._partial / "shards" / _name(address))
            self._copy_files()
            files = {name: hash_of(self._partial / name) for name in files_of(self._partial)}
            found = examine_stopped(self._partial, on_progress)
            if wrong := [*found.faults, *found.audit_faults]:
                raise Complaint(
                    f"what was copied does NOT verify ({wrong[0]}), so there is no backup. Look "
                    f"at the original: kessai ledger verify --data {self._folder}"
                )
            tidy(self._partial)
            manifest = Manifest(
                FORMAT,
                self.books.id,
                moment_us,
                copy_directory is not None,
                sequences,
                self.books.urls,
                files,
            )
            write_manifest(self._partial, manifest)
            move_durably(self._partial, self._target)
        return manifest, found

    def _open(
        self, copy_directory: CopyDirectory | None, open_: ExitStack
    ) -> tuple[int, list[Snapshot]]:
        """Open all stores at one moment: when it was, and the shards; the directory is copied."""
        make_folder(self._partial / "shards")
        directory = self._partial / DIRECTORY

        def snapshots() -> list[Snapshot]:
            opened = [Snapshot(address) for address in self._places]
            for snapshot in opened:
                open_.callback(snapshot.close)
            return opened

        if copy_directory is None:
            for address in self._places:  # an absolute address may lead to another switch's files
                open_.callback(ShardLock(address.path).release)
            copy_closed(self._folder / DIRECTORY, directory, MARK_TABLE)
            return self._now_us(), snapshots()
        with held_still(self._places):
            moment_us, opened = self._now_us(), snapshots()
            copy, shards = copy_directory()
        if shards != self.books.shards:
            copy.unlink(missing_ok=True)
            raise Complaint("a shard was added meanwhile; nothing was written. Run it again.")
        copy_durably(copy, directory)
        copy.unlink()
        return moment_us, opened

    def _copy_files(self) -> None:
        write_books(self._partial, replace(self.books, urls=tuple(sqlite_urls(self.books.shards))))
        copy_file(self._folder / CONFIG_FILE, self._partial / CONFIG_FILE)
        for name in KEPT_FOLDERS:
            if (self._folder / name).is_dir():
                make_folder(self._partial / name)
                for path in sorted((self._folder / name).iterdir()):
                    copy_file(path, self._partial / name / path.name)


def copy_file(source: Path, target: Path) -> None:
    """Copy a small file durably; it is its owner's alone. OSError."""
    write_durably(target, source.read_bytes(), private=True)


def _files_alone(books: Books, folder: Path) -> list[SqliteAddress]:
    files = []
    for address in books.addresses(folder):
        if not isinstance(address, SqliteAddress):
            raise Complaint(
                f"shard {address.shard} is on PostgreSQL ({address.shown()}), which kessai backup "
                "does not copy; nothing was written. Stop the switch and use the server's own "
                'backup (pg_dump, PITR) together with this folder: see "Backup" in '
                "docs/operations.md."
            )
        files.append(address)
    return files


def _name(address: SqliteAddress) -> str:
    return f"{address.shard:04d}.db"
