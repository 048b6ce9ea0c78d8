"""Where a shard is, by its address, and how it is made and opened there.

sqlite:///shards/0000.db             a file; relative to the data folder (four slashes: absolute)
postgresql://role@host:port/database a schema of its own in that database; all that libpq knows

Used by `router.py`, by `server/data_folder.py` and by whoever reads the books from outside.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import apsw

from kessai.complaint import Complaint
from kessai.durable_file import make_folder
from server.shards import schema
from server.shards.shard_lock import lock_file
from server.shards.sqlite_reader import SqliteReader
from server.shards.sqlite_store import SqliteStore
from server.shards.store import Reader, Store

_SQLITE, _POSTGRESQL = "sqlite:///", ("postgresql://", "postgres://")


@dataclass(frozen=True)
class ShardAddress(abc.ABC):
    """The place of one shard. `books_id` names the books that all shards of a switch belong to.

    `is_local` tells whether it is on a disk of this machine.
    """

    is_local: ClassVar[bool]

    shard: int
    books_id: str

    @abc.abstractmethod
    def shown(self) -> str:
        """Write the place for people, without a password."""

    @abc.abstractmethod
    def create(self) -> None:
        """Make the shard, empty; Complaint if that cannot be."""

    @abc.abstractmethod
    def remove(self) -> None:
        """Take a shard away that was made just now."""

    @abc.abstractmethod
    def prepare(self) -> str:
        """Make the shard ready to be opened by anybody; a warning comes back, or "".

        Complaint if it is missing, damaged, or another one.
        """

    @abc.abstractmethod
    def copy_warning(self) -> str:
        """Why a copy of this shard, which nobody has open, may lack what was paid last; or ""."""

    @abc.abstractmethod
    def open_store(self) -> Store:
        """Open the writer's side; Complaint if the shard is missing, or is another one."""

    @abc.abstractmethod
    def open_reader(self) -> Reader:
        """Open the side of people who look; Complaint if the shard is missing or another one."""


@dataclass(frozen=True)
class SqliteAddress(ShardAddress):
    """A shard in a file."""

    is_local = True

    path: Path

    def shown(self) -> str:
        """Name the file."""
        return str(self.path)

    def create(self) -> None:
        """Make the file."""
        if self.path.exists():
            raise Complaint(f"{self.path} exists already; nothing was changed in it.")
        try:
            if not self.path.parent.is_dir():
                make_folder(self.path.parent)
        except OSError as error:
            raise Complaint(f"{self.path.parent} cannot be made ({error.strerror}).") from None
        try:
            schema.create_shard(self.path, self.shard, self.books_id)
        except (OSError, apsw.Error) as error:
            raise Complaint(
                f"{self.path} cannot be made ({error}). Nothing was left behind. Make room on its "
                "disk, or give this user the right to write there."
            ) from None

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        lock_file(self.path).unlink(missing_ok=True)

    def prepare(self) -> str:
        """Check the file, and give it checksums if it has none."""
        return schema.prepare_shard(self.path, self.shard, self.books_id)

    def copy_warning(self) -> str:
        """Look whether the file was closed cleanly, and at its WAL."""
        return schema.copy_warning(self.path, self.shard, self.books_id)

    def open_store(self) -> Store:
        """Open the file to write."""
        return SqliteStore(self.path, self.shard, self.books_id)

    def open_reader(self) -> Reader:
        """Open the file to read."""
        return SqliteReader(self.path, self.shard, self.books_id)


@dataclass(frozen=True)
class PostgresAddress(ShardAddress):
    """A shard in a schema of a PostgreSQL database; `url` may hold a password, so it is not shown.

    The driver is imported only where there is such a shard.
    """

    is_local = False

    url: str

    def __repr__(self) -> str:
        return f"PostgresAddress(shard={self.shard}, books_id={self.books_id!r})"

    def shown(self) -> str:
        """Name the server and the database."""
        with driver():
            from server.shards import postgres_url

        return postgres_url.shown(self.url)

    def create(self) -> None:
        """Make the schema and its tables."""
        with driver():
            from server.shards import postgres_schema

        postgres_schema.create_shard(self.url, self.shard, self.books_id)

    def remove(self) -> None:
        """Drop the schema."""
        from server.shards import postgres_schema

        postgres_schema.drop_shard(self.url, self.shard, self.books_id)

    def prepare(self) -> str:
        """Look whether the server checks its pages."""
        with driver():
            from server.shards import postgres_schema

        return postgres_schema.lacks_checksums(self.url)

    def copy_warning(self) -> str:
        """Nothing: its server has its own backups."""
        return ""

    def open_store(self) -> Store:
        """Connect to write."""
        with driver():
            from server.shards.postgres_store import PostgresStore

        return PostgresStore(self.url, self.shard, self.books_id)

    def open_reader(self) -> Reader:
        """Connect to read."""
        with driver():
            from server.shards.postgres_reader import PostgresReader

        return PostgresReader(self.url, self.shard, self.books_id)


def addresses(urls: Sequence[str], folder: Path, books_id: str) -> list[ShardAddress]:
    """Read the addresses of all shards; Complaint if one is none, or two are the same file."""
    found: list[ShardAddress] = []
    for shard, url in enumerate(urls):
        if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
            path = folder / url.removeprefix(_SQLITE)
            found.append(SqliteAddress(shard, books_id, path))
        elif url.startswith(_POSTGRESQL):
            found.append(PostgresAddress(shard, books_id, url))
        else:
            raise Complaint(
                f"the address of shard {shard} must begin with sqlite:/// or postgresql://"
            )
    files = [address.path for address in found if isinstance(address, SqliteAddress)]
    if len(set(files)) < len(files):
        raise Complaint("two shards have the same file; each needs one of its own")
    return found


def sqlite_urls(count: int) -> list[str]:
    """Give the addresses of so many shards in files of the data folder."""
    return [f"{_SQLITE}shards/{shard:04d}.db" for shard in range(count)]


@contextmanager
def driver() -> Iterator[None]:
    """Import what PostgreSQL needs; Complaint if it is not installed."""
    try:
        yield
    except ImportError as error:
        raise Complaint(
            f"a shard on PostgreSQL needs psycopg ({error}): pip install 'kessai[postgresql]'"
        ) from None
