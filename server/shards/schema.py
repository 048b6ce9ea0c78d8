"""The tables of a shard on SQLite, and how a shard file is made and opened.

All rows of an account lie together: `entry` is clustered by (account, sequence), so a statement is
one range read (row B11). `log` is the settlement log; its UNIQUE request_id is the promise that the
same request has one effect for ever. `resident` lists the accounts here by slot, and `moved` the
slots that came or went, for when a slot moves; no payment reads them.

A file of a former release gets what it lacks when it is opened to write, in one transaction with
its new version; opened to read only, it is read as it is.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import apsw

from kessai.complaint import Complaint
from kessai.durable_file import close_to_others
from server.shards.checked_file import (
    add_checksums,
    check_at_start,
    connect,
    is_checked,
    make_checked,
    tell,
)
from server.shards.clean_close import is_marked_open, left_over_wal, missing_wal, size_of_wal
from server.shards.shard_lock import ShardLock

SCHEMA_VERSION = "3"

# The key in `meta` of the newest tie between this shard and the directory.
TIE_KEY = "tie"

# What a version lacks of the next: a log row's own version, and when it was decided.
_UPGRADES = {
    "2": """
ALTER TABLE log ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE log ADD COLUMN decide_us INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET value = '3' WHERE key = 'version';
""",
}

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    ledger INTEGER NOT NULL,
    code INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    owner TEXT NOT NULL,
    open_us INTEGER NOT NULL,
    debits_pending INTEGER NOT NULL,
    debits_posted INTEGER NOT NULL,
    credits_pending INTEGER NOT NULL,
    credits_posted INTEGER NOT NULL,
    sequence INTEGER NOT NULL
);

CREATE TABLE entry (
    account INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    counterparty INTEGER NOT NULL,
    code INTEGER NOT NULL,
    book_us INTEGER NOT NULL,
    request_id BLOB NOT NULL,
    log_sequence INTEGER NOT NULL,
    PRIMARY KEY (account, sequence)
) WITHOUT ROWID;

CREATE TABLE log (
    sequence INTEGER PRIMARY KEY,
    request_id BLOB NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    input_hash BLOB NOT NULL,
    payer INTEGER NOT NULL,
    payee INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    ledger INTEGER NOT NULL,
    book_us INTEGER NOT NULL,
    decline INTEGER NOT NULL,
    body BLOB NOT NULL,
    chain_hash BLOB NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    decide_us INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE outbox (
    log_sequence INTEGER PRIMARY KEY,
    request_id BLOB NOT NULL,
    payer INTEGER NOT NULL,
    payee INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    ledger INTEGER NOT NULL,
    code INTEGER NOT NULL
);

CREATE TABLE hold (
    id BLOB PRIMARY KEY,
    debit_account_id INTEGER NOT NULL,
    credit_account_id INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    ledger INTEGER NOT NULL,
    code INTEGER NOT NULL,
    expire_us INTEGER NOT NULL,
    far_account INTEGER NOT NULL,
    state INTEGER NOT NULL,
    finish_id BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE document (
    id BLOB PRIMARY KEY,
    kind INTEGER NOT NULL,
    account INTEGER NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX hold_due ON hold (expire_us) WHERE state = 1 AND expire_us > 0;
CREATE INDEX hold_payer ON hold (debit_account_id) WHERE state = 1;
CREATE INDEX hold_payee ON hold (credit_account_id) WHERE state = 1;
CREATE INDEX document_account ON document (account);

CREATE TABLE resident (
    slot INTEGER NOT NULL,
    account INTEGER NOT NULL,
    PRIMARY KEY (slot, account)
) WITHOUT ROWID;

CREATE TABLE moved (
    slot INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    move_id BLOB NOT NULL,
    book_us INTEGER NOT NULL,
    is_clean INTEGER NOT NULL
);
"""


def create_shard(path: Path, shard: int, books_id: str) -> None:
    """Make a shard file; `books_id` names the books that all shards of a switch belong to.

    OSError or apsw.Error if there is no room or no right; then nothing is left behind.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        db = connect(path, apsw.SQLITE_OPEN_READWRITE)
        make_checked(db)
        with db:
            db.execute(_TABLES)
            meta = (("version", SCHEMA_VERSION), ("shard", str(shard)), ("books", books_id))
            db.executemany("INSERT INTO meta VALUES (?, ?)", meta)
        db.execute("PRAGMA journal_mode = WAL")
        db.close()
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def prepare_shard(path: Path, shard: int, books_id: str) -> str:
    """Make a shard file ready for its writer, while nobody has it open; a warning or "" comes back.

    A file of an earlier version gets checksums. Complaint if it does not belong here or is damaged.
    """
    wal_bytes = size_of_wal(path)
    db = open_shard(path, shard, books_id, read_only=False)
    try:
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            if path.with_name(name).exists():
                close_to_others(path.with_name(name))
        if is_checked(db, path):
            check_at_start(db, path)
        else:
            _rewrite(db, path)
        return missing_wal(path) if is_marked_open(db, "meta") and not wal_bytes else ""
    finally:
        db.close()


def _rewrite(db: apsw.Connection, path: Path) -> None:
    lock = ShardLock(path)
    try:
        tell(f"{path} gets a checksum for every page, once; this may take a while.")
        add_checksums(db, path)
    finally:
        lock.release()


def copy_warning(path: Path, shard: int, books_id: str) -> str:
    """Why a file that nobody has open is not the whole shard by itself, or ""."""
    if size_of_wal(path):
        return left_over_wal(path)
    with closing(open_shard(path, shard, books_id, read_only=True)) as db:
        return missing_wal(path) if is_marked_open(db, "meta") else ""


def open_shard(path: Path, shard: int, books_id: str, *, read_only: bool) -> apsw.Connection:
    """Open a shard file; Complaint if it is missing, unreadable, or another shard's.

    To write, with every commit durable, and in this release's form from then on.
    """
    mode = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
    try:
        db = connect(path, mode)
        db.set_busy_timeout(5000)
        db.execute("PRAGMA synchronous = FULL")
        meta = {str(key): value for key, value in db.execute("SELECT key, value FROM meta")}
        is_checked(db, path)
    except apsw.Error as error:
        raise Complaint(
            f"the shard file {path} cannot be read ({error}). No money was moved. Look whether its "
            "disk is full; else bring the file back, from a backup if need be. Then start again."
        ) from None
    readable = meta.get("version") in _UPGRADES
    version = meta["version"] if readable else SCHEMA_VERSION
    expected = {"version": version, "shard": str(shard), "books": books_id}
    for key, value in expected.items():
        if meta.get(key) != value:
            db.close()
            raise Complaint(
                f"{path} is not the shard file that belongs here: its {key} is "
                f'"{meta.get(key)}", expected "{value}". No money was moved.'
            )
    if readable and not read_only:
        _upgrade(db, path)
    return db


def _upgrade(db: apsw.Connection, path: Path) -> None:
    try:
        db.execute("BEGIN IMMEDIATE")
        [(version,)] = db.execute("SELECT value FROM meta WHERE key = 'version'")
        db.execute(_UPGRADES.get(str(version), ""))
        db.execute("COMMIT")
    except apsw.Error as error:
        db.close()
        raise Complaint(
            f"{path} is of a former release and cannot be brought to this one's form ({error}). "
            "Nothing in it was changed. Make room, let nobody else use it, and start again."
        ) from None
