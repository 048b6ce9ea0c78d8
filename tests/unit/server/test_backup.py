"""Backups of a stopped switch, and what is refused: targets, damage, other engines, a full disk."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity, load_identity
from server import data_folder
from server import restore as restoring
from server.aside import written_aside
from server.backup import Backup
from server.backup_manifest import MANIFEST
from server.commands.local_office import opened
from server.config import ServerConfig
from server.data_folder import Lock, read_books
from server.domain.directory import DenyKind
from server.examine import examine_stopped
from server.shards import shard_lock
from server.shards.address import sqlite_urls
from server.shards.books_file import write_books
from server.shards.deny_book import EVERYBODY, FOR_EVER
from server.shards.directory import Directory
from server.shards.schema import open_shard
from tests.running import shard_path
from tests.unit.server.domain.commands import accounts_on, deposit, open_account
from tests.unit.server.shards.parts import Stores, shards_in
from tests.unit.server.switch.in_process import make_folder, now_us

SHARDS = 2
Harm = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder of a switch that never ran."""
    make_folder(tmp_path / "data", SHARDS)
    return tmp_path / "data"


def taken(folder: Path, target: Path) -> Path:
    """Take a backup of a stopped switch."""
    Backup(folder, target, now_us).take(None)
    return target


def restored(backup: Path, target: Path, accepts_loss: bool = False) -> Path:
    """Restore it."""
    restoring.restore(backup, target, accepts_loss, now_us, lambda rows: None)
    return target


def nothing_else(folder: Path) -> bool:
    """Whether there is nothing beside the data folder."""
    return [path.name for path in folder.parent.iterdir()] == [folder.name]


async def test_what_is_only_in_the_wals_is_in_the_backup(folder: Path, tmp_path: Path) -> None:
    """The copy that the manual used to ask for restored as empty books that verified."""
    places = Stores(folder, books_id=read_books(folder).id)
    account = next(accounts_on(1, SHARDS))
    with shards_in(places, SHARDS) as shards:
        await shards.submit(open_account(account))
        await shards.submit(deposit(account, 70))
        killed = tmp_path / "killed"
        shutil.copytree(folder, killed)  # as a kill leaves it: the rows are in the WAL
    backup = taken(killed, tmp_path / "backup")
    target = restored(backup, tmp_path / "new")
    again = Stores(target, books_id=read_books(target).id)
    with shards_in(again, SHARDS) as shards:
        found = await shards.account(account)
        assert found is not None
        assert found.balance == 70
    assert not list(backup.rglob("*-wal"))


def test_a_backup_serves_nobody_and_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    backup = taken(folder, tmp_path / "backup")
    assert {path.name for path in backup.iterdir()} == {
        MANIFEST, "books.json", "directory.db", "identity", "kessai.toml", "operator", "shards",
    }  # fmt: skip
    with pytest.raises(Complaint, match="is a backup, and stays as it is"):
        Lock(backup)
    assert examine_stopped(backup).faults == []
    restored(backup, tmp_path / "new")
    restored(backup, tmp_path / "newer", accepts_loss=True)


def test_what_is_there_already_is_not_touched(folder: Path, tmp_path: Path) -> None:
    backup, other = taken(folder, tmp_path / "backup"), tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("x")
    before = (backup / MANIFEST).read_bytes()
    for target in (backup, other, other / "mine"):
        with pytest.raises(Complaint, match="exists already"):
            taken(folder, target)
        with pytest.raises(Complaint, match="is not an empty folder"):
            restored(backup, target)
    assert (backup / MANIFEST).read_bytes() == before
    assert [path.name for path in other.iterdir()] == ["mine"]


def test_a_backup_goes_neither_into_the_folder_nor_into_nowhere(folder: Path) -> None:
    with pytest.raises(Complaint, match="in the data folder itself"):
        taken(folder, folder / "backup")
    with pytest.raises(Complaint, match="there is no folder"):
        taken(folder, folder.parent / "nowhere" / "backup")
    with pytest.raises(Complaint, match=r"books\.json does not say"):
        taken(folder.parent, folder.parent / "backup")
    assert nothing_else(folder)


def flip(name: str) -> Harm:
    """Flip a bit in the middle of a file."""

    def harm(backup: Path) -> None:
        content = bytearray((backup / name).read_bytes())
        content[len(content) // 2] ^= 1
        (backup / name).write_bytes(content)

    return harm


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda backup: (backup / MANIFEST).unlink(), "is no whole backup"),
        (lambda backup: (backup / MANIFEST).write_text("{"), r"backup\.json cannot be read"),
        (lambda backup: (backup / MANIFEST).write_text('{"format": 9}'), "its format is 9"),
        (lambda backup: (backup / "shards/0001.db").unlink(), r"shards/0001\.db is missing"),
        (lambda backup: (backup / "shards/0002.db").touch(), "was put in afterwards"),
        (lambda backup: (backup / "shards/0001.db-wal").write_text("x"), "put in afterwards"),
        (flip("shards/0000.db"), r"shards/0000\.db is not what was written"),
        (flip("directory.db"), r"directory\.db is not what was written"),
    ],
)
def test_a_backup_that_is_not_whole_is_not_restored(
    folder: Path, tmp_path: Path, harm: Harm, says: str
) -> None:
    backup = taken(folder, tmp_path / "backup")
    harm(backup)
    with pytest.raises(Complaint, match=says):
        restored(backup, tmp_path / "new")
    assert {path.name for path in tmp_path.iterdir()} == {"data", "backup"}


def test_books_that_do_not_verify_make_no_backup(folder: Path, tmp_path: Path) -> None:
    path, books = shard_path(folder, 1), read_books(folder)
    with closing(open_shard(path, 1, books.id, read_only=False)) as db:
        db.execute("INSERT INTO account VALUES (7, 978, 1, 0, 'wallet/ann', 1, 0, 0, 0, 500, 1)")
    with pytest.raises(Complaint, match=r"what was copied does NOT verify .*no backup"):
        taken(folder, tmp_path / "backup")
    assert nothing_else(folder)


def test_a_shard_on_postgresql_is_left_to_its_server(folder: Path, tmp_path: Path) -> None:
    books = read_books(folder)
    urls = (books.urls[0], "postgresql://kessai:secret@db.example/bank")
    write_books(folder, replace(books, urls=urls))
    with pytest.raises(Complaint, match=r"shard 1 is on PostgreSQL .*pg_dump, PITR") as refused:
        taken(folder, tmp_path / "backup")
    assert "secret" not in str(refused.value)
    assert nothing_else(folder)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let this process write no file larger than this, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("size", [0, 1000, 60_000, 100_000])
def test_a_full_disk_leaves_nothing(folder: Path, tmp_path: Path, size: int) -> None:
    """Neither of a backup nor of a restore; with room both work."""
    assert os.stat(folder / "directory.db").st_size > 100_000
    with pytest.raises(Complaint, match="Nothing was left there"), files_up_to(size):
        taken(folder, tmp_path / "backup")
    assert nothing_else(folder)
    backup = taken(folder, tmp_path / "backup")
    with pytest.raises(Complaint, match="Nothing was left there"), files_up_to(size):
        restored(backup, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    restored(backup, tmp_path / "new")


def test_two_backups_to_one_target_do_not_disturb_each_other(folder: Path, tmp_path: Path) -> None:
    """Nor a restore: who comes second is told, and the first one's folder becomes whole."""
    target, backup = tmp_path / "target", taken(folder, tmp_path / "backup")
    with written_aside(target) as partial:
        (partial / "half").write_bytes(b"")
        with pytest.raises(Complaint, match="another backup or restore writes"):
            Backup(folder, target, now_us).take(None)
        with pytest.raises(Complaint, match="another backup or restore writes"):
            restored(backup, target)
        assert (partial / "half").exists()
    taken(folder, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data", "target"]


def test_a_link_that_somebody_laid_leads_no_keys_away(folder: Path, tmp_path: Path) -> None:
    """In a shared folder, under the name that is written into first; nor when a switch is made."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in ("backup.kessai-partial", "new.kessai-partial", "fresh.partial"):
        (tmp_path / name).symlink_to(theirs)
    backup = taken(folder, tmp_path / "backup")
    restored(backup, tmp_path / "new")
    make_folder(tmp_path / "fresh", SHARDS)
    assert list(theirs.iterdir()) == []
    assert not any((tmp_path / name).is_symlink() for name in ("backup", "new", "fresh"))


def test_a_target_on_a_file_system_without_locks_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a share on another machine may be; the folder itself is on one with locks."""
    flock = fcntl.flock

    def without(file: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", without)
    assert taken(folder, tmp_path / "backup").is_dir()


def test_a_stopped_folder_whose_shards_another_switch_writes_is_not_backed_up(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copied directory and those shards are of no one moment."""
    monkeypatch.setattr(shard_lock, "_WAIT_S", 0.1)
    copy, books = tmp_path / "copy", read_books(folder)
    shutil.copytree(folder, copy)
    absolute = tuple(f"sqlite:///{shard_path(folder, number)}" for number in range(SHARDS))
    write_books(copy, replace(books, urls=absolute))
    with (
        shards_in(Stores(folder, books_id=books.id), SHARDS),
        pytest.raises(Complaint, match="is written by another switch"),
    ):
        taken(copy, tmp_path / "backup")
    assert taken(copy, tmp_path / "backup").is_dir()


def test_a_mount_point_is_no_place_for_a_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of a restore nor of a new switch; it is said before anything is copied."""
    backup, mounted = taken(folder, tmp_path / "backup"), tmp_path / "mounted"
    mounted.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == mounted)
    with pytest.raises(Complaint, match=r"is a mount point.*mounted/data"):
        restored(backup, mounted)
    with pytest.raises(Complaint, match="is a mount point"):
        data_folder.create(
            mounted, "switch.test", sqlite_urls(1), ServerConfig(), now_us, os.urandom
        )
    assert list(mounted.iterdir()) == []


def test_in_place_other_faults_are_not_accepted_by_the_way(folder: Path, tmp_path: Path) -> None:
    flip("shards/0001.db")(folder)
    with pytest.raises(Complaint, match="the books do NOT verify"):
        restoring.accept_in_place(folder, False, now_us, lambda rows: None)


def test_who_was_added_after_the_backup_is_nobody_in_what_is_restored(
    folder: Path, tmp_path: Path
) -> None:
    """His certificate is of the same authority; the books do not know him, and cannot revoke him.

    Whether the loss of what came since was accepted or not.
    """
    backup = taken(folder, tmp_path / "backup")
    with opened(folder) as office:
        office.add_operator("eve", tmp_path / "eve")
    for name, accepts_loss in (("kept", False), ("accepted", True)):
        with closing(
            Directory(restored(backup, tmp_path / name, accepts_loss) / "directory.db")
        ) as of:
            assert is_stray(of, load_identity(tmp_path / "eve"))
            assert not is_stray(of, load_identity(folder / "operator"))
    with closing(Directory(folder / "directory.db")) as of:
        assert not is_stray(of, load_identity(tmp_path / "eve"))


def test_what_is_denied_after_a_restore_reaches_who_knew_more(folder: Path, tmp_path: Path) -> None:
    """Also where nobody has accepted the loss: a terminal was told versions that are gone."""
    backup = taken(folder, tmp_path / "backup")
    with closing(Directory(folder / "directory.db")) as lost:
        lost.denied.add(DenyKind.TICKET, b"lost", FOR_EVER, EVERYBODY)
        known = lost.denied.version()
    with closing(Directory(restored(backup, tmp_path / "new") / "directory.db")) as of:
        of.denied.add(DenyKind.TICKET, b"later", FOR_EVER, EVERYBODY)
        assert [entry.id for entry in of.denied.after(known, "shop", 0, 10)] == [b"later"]


def is_stray(directory: Directory, who: DeviceIdentity) -> bool:
    """Whether the guard would refuse his certificate."""
    certificate = x509.load_pem_x509_certificates(who.chain_pem)[0]
    return directory.is_stray(who.device, certificate.serial_number, who.begin_us)
