"""Bit rot: a bit that flips in a file of a stopped switch refuses, and is never answered from.

The files are released books, rewritten with checksums. A bit is flipped in pages of every table and
index; then the file is opened past the check at its start, as a large file would be.
KESSAI_EXAMPLES says how many bits in each, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import apsw
import pytest

from kessai.complaint import Complaint
from server.domain.slot_move import MoveIn, MoveOut
from server.shards import checked_file
from server.shards.address import SqliteAddress
from server.shards.books_file import read_books
from server.shards.directory import Directory
from server.shards.placement import ShardPlace
from server.shards.settlement_log import LogRow
from server.shards.shard import ShardWriter
from server.shards.store import Reader, StoreDamaged
from server.shards.verify import verify
from tests.released import make

FLIPS = int(os.environ.get("KESSAI_EXAMPLES") or 2)
TREES = (
    "sqlite_schema", "meta", "log", "sqlite_autoindex_log_1", "account", "entry", "hold",
    "document", "outbox", "resident", "moved", "hold_due", "hold_payer", "hold_payee",
    "document_account",
)  # fmt: skip
HEADER_BITS = range(0, 800, 7)

Found = TypeVar("Found")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Released books with checksums."""
    folder = tmp_path_factory.mktemp("released") / "data"
    with tarfile.open(make.FOLDER / "schema_2.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for address in read_books(folder).addresses(folder):
        address.prepare()
    return folder


@pytest.fixture
def books(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to spoil, too large to be checked at its start."""
    monkeypatch.setattr(checked_file, "_CHECKED_AT_START", -1)
    return shutil.copytree(released, tmp_path / "data")


def address_in(folder: Path, shard: int = 0) -> SqliteAddress:
    """The address of a shard."""
    address = read_books(folder).addresses(folder)[shard]
    assert isinstance(address, SqliteAddress)
    return address


def pages_of(path: Path, tree: str) -> list[int]:
    """The pages of a table or an index, from 1."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    pages = [int(row[0]) for row in db.execute("SELECT pageno FROM dbstat WHERE name = ?", (tree,))]
    db.close()
    return pages


def flip(path: Path, offset: int, bit: int) -> None:
    """Flip one bit of a file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def spoilt(path: Path, tree: str, dice: random.Random) -> Iterator[None]:
    """Flip a bit of a tree, so many times, each in a file that is otherwise good."""
    good = path.read_bytes()
    for _ in range(FLIPS):
        page = dice.choice(pages_of(path, tree))
        flip(path, (page - 1) * 4096 + dice.randrange(4096), dice.randrange(8))
        yield
        for name in (path.name + "-wal", path.name + "-shm"):
            path.with_name(name).unlink(missing_ok=True)
        path.write_bytes(good)


def said(look: Callable[[], Found]) -> Found | None:
    """An answer, or None where the store refuses to give one."""
    try:
        return look()
    except (StoreDamaged, Complaint):
        return None


def answers_of(reader: Reader, log: list[LogRow]) -> list[object]:
    """All that a reader gives: each by its id, and the walks."""
    looks: list[Callable[[], object]] = [
        *(lambda r=row: reader.row(r.request_id) for row in log),
        *(lambda r=row: reader.account(r.payer) for row in log),
        *(lambda r=row: reader.statement(r.payer, 0, 9) for row in log),
        reader.last_sequence,
        lambda: reader.outbox(1000),
        lambda: reader.due_holds(2**62, 1000),
        reader.totals,
        reader.moved,
        lambda: [reader.residents(slot) for slot in range(1024)],
        lambda: [reader.document(document.id) for document in reader.all_documents()],
        lambda: [reader.hold(hold.id) for hold in reader.all_holds()],
        lambda: list(reader.all_entries()),
    ]
    return [said(look) for look in looks]


def repeated(address: SqliteAddress, log: list[LogRow]) -> list[LogRow]:
    """Ask for every logged command again, one by one; the rows that come back."""
    slots = read_books(address.path.parents[1]).slots
    store = said(address.open_store)
    if store is None:
        return []
    writer = ShardWriter(ShardPlace(address.shard, slots), store, lambda: 0, lambda shard: None)
    rows: list[object] = []
    for row in log:
        command = row.command()
        if not isinstance(command, MoveIn | MoveOut):
            rows += said(lambda c=command: writer.write([c])) or []  # type: ignore[misc]
    writer.close()
    return [row for row in rows if isinstance(row, LogRow)]


@pytest.mark.parametrize("tree", TREES)
def test_a_flipped_bit_is_no_answer_and_no_second_debit(
    books: Path, tree: str, random_seed: int
) -> None:
    """In whatever table or index: what comes back is what was there, or a refusal; never else."""
    address, dice = address_in(books), random.Random(random_seed)
    reader = address.open_reader()
    log = list(reader.log())
    right = answers_of(reader, log)
    reader.close()
    refused = 0
    for _ in spoilt(address.path, tree, dice):
        spoilt_reader = said(address.open_reader)
        if spoilt_reader is not None:
            for answer, good in zip(answers_of(spoilt_reader, log), right, strict=True):
                assert answer in (good, None)
                refused += answer != good
            spoilt_reader.close()
        assert set(repeated(address, log)) <= set(log)
        refused += spoilt_reader is None
    assert refused or tree in ("hold_payer", "hold_payee", "document_account")


@pytest.mark.parametrize("tree", TREES)
def test_verify_finds_a_flipped_bit(books: Path, tree: str, random_seed: int) -> None:
    address, slots = address_in(books), read_books(books).slots
    addresses = read_books(books).addresses(books)
    for _ in spoilt(address.path, tree, random.Random(random_seed)):
        report = said(lambda: verify(lambda: [at.open_reader() for at in addresses], slots))
        assert report is None or report.faults


def test_a_flipped_bit_of_the_header_is_seen(books: Path) -> None:
    """Also of those bytes that say whether there are checksums."""
    address = address_in(books)
    good = address.path.read_bytes()
    for bit in HEADER_BITS:
        flip(address.path, bit // 8, bit % 8)
        with pytest.raises(Complaint) as complaint:
            address.open_reader()
        assert "\n" not in str(complaint.value)
        address.path.write_bytes(good)


def test_a_switch_does_not_start_on_a_damaged_shard(released: Path, tmp_path: Path) -> None:
    """One line that names the file, from the check at its start; `verify` says so, too."""
    folder = shutil.copytree(released, tmp_path / "data")
    address = address_in(folder)
    page = pages_of(address.path, "sqlite_autoindex_log_1")[-1]
    flip(address.path, page * 4096 - 100, 3)
    with pytest.raises(Complaint, match=r"0000\.db is damaged .*bring the file back"):
        address.prepare()


def test_a_damaged_directory_is_refused(tmp_path: Path) -> None:
    """It says who may pay and who is revoked: no guess at that either."""
    path = tmp_path / "directory.db"
    Directory(path).close()
    good = path.read_bytes()
    for page in range(len(good) // 4096):
        flip(path, page * 4096 + 4000, 5)
        with pytest.raises(Complaint, match=r"directory"):
            Directory(path)
        path.write_bytes(good)
    Directory(path).close()
