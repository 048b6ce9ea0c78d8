"""Stores of different moments do not serve, and verification names the one that is old."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kessai.complaint import Complaint
from server import restore as restoring
from server.commands.ledger import verify_folder
from server.data_folder import Lock, read_books
from server.domain.directory import AuditFilter
from server.examine import examine_stopped
from server.shards.books_file import write_books
from server.shards.directory import Directory
from server.shards.tie_book import Place, TieBook
from server.shards.ties import Standing, tie_faults
from tests.unit.server.domain.commands import accounts_on, deposit, open_account
from tests.unit.server.switch.in_process import now_us, served

SHARDS = 2
ONE = Place(1, b"1" * 32, 5)


async def life(folder: Path, shard: int = 1) -> None:
    """Serve once, with a booking on one shard."""
    async with served(folder) as running:
        account = next(accounts_on(shard, SHARDS))
        await running.switch._shards.submit(open_account(account))
        await running.switch._shards.submit(deposit(account, 10))


def put_back(name: str) -> Callable[[Path, Path], object]:
    """Put an older copy of one file in place of the newest."""
    return lambda older, folder: shutil.copy(older / name, folder / name)


def lose_a_shard(older: Path, folder: Path) -> None:
    """Make books.json name one shard less."""
    books = read_books(folder)
    slots = replace(books.slots, shard_of_slot=(0,) * len(books.slots.shard_of_slot))
    write_books(folder, replace(books, urls=books.urls[:1], slots=slots))


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (put_back("shards/0001.db"), "shard 1 is an older copy: it ends at row 2, and"),
        (put_back("directory.db"), "directory.db is an older copy: shard 0 was in use with a"),
        (lose_a_shard, "books.json is an older copy: it names 1 shards, and directory.db knows 2"),
    ],
)
async def test_an_older_store_under_newer_ones_is_named(
    tmp_path: Path, harm: Callable[[Path, Path], object], named: str
) -> None:
    """At the start, which does not serve, and by verification, which fails."""
    folder, older = tmp_path / "data", tmp_path / "older"
    await life(folder)
    shutil.copytree(folder, older)
    await life(folder)
    assert examine_stopped(folder).faults == []
    harm(older, folder)
    assert any(fault.startswith(named) for fault in examine_stopped(folder).untied)
    with pytest.raises(Complaint, match="the books do NOT verify"):
        verify_folder(folder)
    with pytest.raises(Complaint, match=named):
        await life(folder)


async def test_a_folder_goes_on_once_its_loss_is_accepted(tmp_path: Path) -> None:
    """With a record in the audit log; its stores are tied anew."""
    folder, older = tmp_path / "data", tmp_path / "older"
    await life(folder)
    shutil.copytree(folder, older)
    await life(folder)
    put_back("shards/0001.db")(older, folder)
    lock = Lock(folder)
    found = restoring.accept_in_place(folder, False, now_us, lambda rows: None)
    lock.release()
    assert found.untied[0].startswith("shard 1 is an older copy")
    assert examine_stopped(folder).faults == []
    async with served(folder) as running:
        records = running.switch._audit.page(AuditFilter(), 0, 500)
        assert "BackupService/AcceptLoss" in {record.method for record in records}
    assert examine_stopped(folder).faults == []


async def test_a_kill_between_two_notes_is_no_fault(tmp_path: Path) -> None:
    """The directory knows of a tie first; a shard that was not told of it is as good as before."""
    folder = tmp_path / "data"
    await life(folder)
    with closing(Directory(folder / "directory.db")) as directory:
        book = TieBook(directory.file)
        before = book.number()
        assert book.note(book.places()) == before + 1
    assert examine_stopped(folder).faults == []
    await life(folder)


def test_what_each_knows_of_the_others() -> None:
    ok = Standing(3, 1, ONE.chain_hash)
    assert list(tie_faults(3, {0: ONE}, [ok, ok])) == []
    assert list(tie_faults(0, {}, [Standing(0, 7, b"")])) == []  # of a former release
    rewritten = list(tie_faults(3, {0: ONE}, [ok._replace(sequence=9, known_hash=b"2" * 32)]))
    assert rewritten == ["shard 0 is not the one that directory.db knows: its row 1 is another one"]
