"""Make released books: `python -m tests.released.make schema_N` in a tree of the release.

Writes `schema_N.tar.xz`, a data folder as a switch left it, and `schema_N.json`, what must be in
it. Books that were released are never made anew: a release whose books differ gets its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tarfile
import tempfile
from collections import Counter as Tally
from pathlib import Path
from typing import Any

import apsw

from kessai.decline import name_of
from server.config import CONFIG_FILE, write_sample
from server.domain.command import CommandKind
from server.identity.keyring import Keyring
from server.shards.address import sqlite_urls
from server.shards.books_file import Books, write_books
from server.shards.opening import open_shards
from tests.released.cast import SHARDS, SLOTS, Cast, counter_in, secret
from tests.released.story import scenes
from tests.unit.server.switch.in_process import CONFIG

FOLDER = Path(__file__).parent
BOOKS_ID = "00000000decade01"


def main(name: str) -> None:
    """Write the files."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        end_us = fill(folder)
        (FOLDER / f"{name}.json").write_text(json.dumps(contents(folder, end_us), indent=1) + "\n")
        with tarfile.open(FOLDER / f"{name}.tar.xz", "w:xz") as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock")):
                    archive.add(path, path.relative_to(folder), filter=_anonymous)


def fill(folder: Path) -> int:
    """Make a data folder and tell the story on it; the time at its end, microseconds."""
    books = Books(BOOKS_ID, tuple(sqlite_urls(SHARDS)), SLOTS)
    folder.mkdir()
    for address in books.addresses(folder):
        address.create()
    write_books(folder, books)
    (folder / CONFIG_FILE).write_text(write_sample(CONFIG))
    _write_keys(folder)
    end_us = asyncio.run(_tell(folder, books))
    for path in folder.rglob("*.db"):
        db = apsw.Connection(str(path))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
    return end_us


def contents(folder: Path, end_us: int) -> dict[str, Any]:
    """What is in the books: balances and rows by shard, kinds of commands, declines."""
    books = Books(BOOKS_ID, tuple(sqlite_urls(SHARDS)), SLOTS)
    kinds: Tally[str] = Tally()
    declines: Tally[str] = Tally()
    shards = []
    for address in books.addresses(folder):
        reader = address.open_reader()
        rows = list(reader.log())
        kinds.update(CommandKind(row.kind).name for row in rows)
        declines.update(name_of(row.decline) for row in rows if row.decline)
        accounts = {str(account.id): account.balance for account in reader.all_accounts()}
        shards.append({
            "rows": len(rows),
            "chain_hash": rows[-1].chain_hash.hex(),
            "owed": len(list(reader.all_outbox())),
            "pending": sum(hold.state == 1 for hold in reader.all_holds()),
            "balances": accounts,
        })  # fmt: skip
        reader.close()
    return {
        "end_us": end_us,
        "kinds": dict(sorted(kinds.items())),
        "declines": dict(sorted(declines.items())),
        "shards": shards,
    }


async def _tell(folder: Path, books: Books) -> int:
    counter = counter_in(folder, known=False)
    shards = open_shards(books.addresses(folder), SLOTS, counter.clock, lambda shard: None)
    cast = Cast(folder, counter, shards)
    cast.enter()
    for scene in scenes():
        await scene(cast)
    cast.close()
    shards.close()
    counter.directory.close()
    return counter.clock.us


def _write_keys(folder: Path) -> None:
    names = iter(("signing", "sealing", "pairing"))
    Keyring.create(folder / "identity", lambda count: secret(next(names))[:count])


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(sys.argv[1])
