"""Restoring a backup: copied aside, verified whole, and only then put in its place.

Where the loss of what came after is accepted, the directory notes it with a record in the audit
log, so that devices that have seen more are told once and begin anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from kessai.complaint import Complaint
from kessai.durable_file import make_folder, move_durably
from server import data_folder
from server.aside import refuse_mount_point, written_aside
from server.backup_manifest import Manifest, file_faults, read_manifest, tidy
from server.examine import Findings, examine_stopped
from server.identity.audit import MACHINE, Act, Audit
from server.shards.directory import Directory
from server.shards.still import copy_durably
from server.shards.tie_book import Restore, TieBook
from server.shards.ties import head_of

Progress = Callable[[int], None]


def restore(
    backup: Path, target: Path, accepts_loss: bool, now_us: Callable[[], int], progress: Progress
) -> tuple[Manifest, Findings]:
    """Make a data folder of a backup; Complaint if it is not whole, or something is there."""
    manifest = read_manifest(backup)
    target = target.absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise Complaint(
            f"{target} is not an empty folder; nothing was changed. Move it away first, and keep "
            "it: it may hold payments that the backup lacks."
        )
    if faults := list(file_faults(backup, manifest)):
        raise Complaint(
            f"{backup} is damaged: {'; '.join(faults[:3])}. Nothing was changed. Use another one."
        )
    refuse_mount_point(target)
    with written_aside(target) as partial:
        for name in manifest.files:
            make_folder((partial / name).parent)
            copy_durably(backup / name, partial / name)
        found = _verified(partial, progress)
        if accepts_loss:
            accept(partial, now_us, "")
        with closing(Directory(partial / "directory.db")) as directory:
            directory.note_restored(now_us())
            directory.denied.begin_after_loss()
        tidy(partial)
        if target.exists():
            target.rmdir()
        move_durably(partial, target)
    return manifest, found


def accept_in_place(
    folder: Path, with_faults: bool, now_us: Callable[[], int], progress: Progress
) -> Findings:
    """Take a folder for the newest that there is; Complaint if its books do not verify.

    That its stores are not of one moment is accepted; other faults `with_faults` only. The caller
    has the folder's lock.
    """
    found = examine_stopped(folder, progress)
    worse = [*found.report.faults, *found.directory_faults, *found.audit_faults]
    if worse and not with_faults:
        raise Complaint(
            f"the books do NOT verify ({len(worse)} faults, the first: {worse[0]}); nothing was "
            "changed. Bring back all stores of one moment. If there is nothing better, and you "
            "answer for the difference: --with-faults"
        )
    accept(folder, now_us, "WITH_FAULTS" if worse else "")
    return found


def accept(folder: Path, now_us: Callable[[], int], how: str) -> None:
    """Note durably, and in the audit log, that what came after these stores is lost."""
    books = data_folder.read_books(folder)
    heads, ties = {}, [0]
    for address in books.addresses(folder):
        with closing(address.open_reader()) as reader:
            heads[address.shard] = head_of(reader, now_us())
            ties.append(reader.tie())
    sequences = {shard: place.sequence for shard, place in heads.items()}
    with closing(Directory(folder / "directory.db")) as directory:
        book, audit = TieBook(directory.file), Audit(directory.file, now_us)

        def note() -> None:
            book.accept_loss(Restore(now_us(), sequences))
            book.note(heads, least=max(ties))
            directory.denied.begin_after_loss()

        audit.do(Act(MACHINE, "BackupService/AcceptLoss", object=how), note)


def _verified(folder: Path, progress: Progress) -> Findings:
    found = examine_stopped(folder, progress)
    if wrong := [*found.faults, *found.audit_faults]:
        raise Complaint(
            f"the backup does NOT verify ({len(wrong)} faults, the first: {wrong[0]}); nothing was "
            "restored. Use another one."
        )
    return found
