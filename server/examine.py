"""Examining a whole data folder or backup: books, directory, audit log, and what ties them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from kessai.audit_chain import faults_of
from kessai.complaint import Complaint
from kessai.v1.audit_pb2 import AuditRecord
from server.domain.directory import AuditFilter
from server.shards.audit_book import AuditBook
from server.shards.books_file import Books, read_books
from server.shards.directory_file import DirectoryFile, DirectoryToRead
from server.shards.directory_schema import list_directory_faults
from server.shards.store import Reader, StoreUnavailable
from server.shards.tie_book import TieBook
from server.shards.ties import standing_of, tie_faults
from server.shards.verify import Report, verify

_PAGE = 500


@dataclass(slots=True)
class Findings:
    """What an examination found; `untied` are faults between stores that are whole by themselves.

    `audit_records` is None if the directory is of a former release, which kept none.
    """

    report: Report
    shards: int
    untied: list[str] = field(default_factory=list)
    directory_faults: list[str] = field(default_factory=list)
    audit_faults: list[str] = field(default_factory=list)
    audit_records: int | None = None

    @property
    def faults(self) -> list[str]:
        """All that is wrong with the books."""
        return [*self.untied, *self.report.faults, *self.directory_faults]


def examine_books(folder: Path, on_progress: Callable[[int], None] = lambda rows: None) -> Report:
    """Decide all logs of a folder again; Complaint if a shard cannot be read to its end."""
    books = read_books(folder)
    places = books.addresses(folder)

    def open_readers() -> list[Reader]:
        return [place.open_reader() for place in places]

    try:
        return verify(open_readers, books.slots, on_progress)
    except StoreUnavailable as error:
        raise Complaint(
            f"the books could not be read to their end ({error}), so nothing is known about "
            "them. Try again when the server is back."
        ) from None


def examine_stopped(
    folder: Path, on_progress: Callable[[int], None] = lambda rows: None
) -> Findings:
    """Examine a folder on which no switch runs, and change nothing in it.

    Complaint if something of it cannot be read.
    """
    books, directory = read_books(folder), folder / "directory.db"
    found = Findings(Report(), books.shards)
    found.directory_faults = list_directory_faults(directory)
    if not found.directory_faults:
        _examine_directory(folder, books, found)
    found.report = examine_books(folder, on_progress)
    return found


def _examine_directory(folder: Path, books: Books, found: Findings) -> None:
    try:
        file = DirectoryToRead(folder / "directory.db")
    except Complaint:
        return  # of a former release
    with closing(file):
        found.untied = untied(folder, books, file)
        records = list(_records(AuditBook(file)))
    found.audit_records, found.audit_faults = len(records), list(faults_of(records))


def untied(folder: Path, books: Books, file: DirectoryFile) -> list[str]:
    """What shows that the stores of a folder are not of one moment; Complaint if one is missing."""
    book, standings = TieBook(file), []
    places = book.places()
    for address in books.addresses(folder):
        with closing(address.open_reader()) as reader:
            standings.append(standing_of(reader, places.get(address.shard)))
    return list(tie_faults(book.number(), places, standings))


def _records(book: AuditBook) -> Iterator[AuditRecord]:
    after = 0
    while page := book.page(AuditFilter(), after, _PAGE):
        yield from page
        after = page[-1].sequence
