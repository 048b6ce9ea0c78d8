"""The tables of a shard on PostgreSQL, and how they are made and a line to them is opened.

Each shard is a schema of its own, named by books and shard number, so several may share a database.
Ids of requests and holds are bytea, account numbers and amounts bigint. What is refused at opening:
a server that acknowledges what is not on its disk, and a schema that is not there or not this one.
One of a former release gets what it lacks when it is opened to write, in one transaction with its
new version; opened to read only, it is read as it is.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.types.numeric import Int8BinaryDumper

from kessai.complaint import Complaint
from server.shards.postgres_url import parts_of, shown

SCHEMA_VERSION = "3"

# What a version lacks of the next: a log row's own version, and when it was decided.
_UPGRADES = {
    "2": """
ALTER TABLE log ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN decide_us bigint NOT NULL DEFAULT 0;
UPDATE meta SET value = '3' WHERE key = 'version';
""",
}

Line = psycopg.Connection[tuple[Any, ...]]

_TABLES = """
CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);

CREATE TABLE account (
    id bigint PRIMARY KEY,
    ledger integer NOT NULL,
    code integer NOT NULL,
    flags integer NOT NULL,
    owner text NOT NULL,
    open_us bigint NOT NULL,
    debits_pending bigint NOT NULL,
    debits_posted bigint NOT NULL,
    credits_pending bigint NOT NULL,
    credits_posted bigint NOT NULL,
    sequence bigint NOT NULL
) WITH (fillfactor = 60);

CREATE TABLE entry (
    account bigint NOT NULL,
    sequence bigint NOT NULL,
    amount bigint NOT NULL,
    balance bigint NOT NULL,
    counterparty bigint NOT NULL,
    code integer NOT NULL,
    book_us bigint NOT NULL,
    request_id bytea NOT NULL,
    log_sequence bigint NOT NULL,
    PRIMARY KEY (account, sequence)
);

CREATE TABLE log (
    sequence bigint PRIMARY KEY,
    request_id bytea NOT NULL UNIQUE,
    kind integer NOT NULL,
    input_hash bytea NOT NULL,
    payer bigint NOT NULL,
    payee bigint NOT NULL,
    amount bigint NOT NULL,
    ledger integer NOT NULL,
    book_us bigint NOT NULL,
    decline integer NOT NULL,
    body bytea NOT NULL,
    chain_hash bytea NOT NULL,
    version integer NOT NULL DEFAULT 1,
    decide_us bigint NOT NULL DEFAULT 0
);

CREATE TABLE outbox (
    log_sequence bigint PRIMARY KEY,
    request_id bytea NOT NULL,
    payer bigint NOT NULL,
    payee bigint NOT NULL,
    amount bigint NOT NULL,
    ledger integer NOT NULL,
    code integer NOT NULL
);

CREATE TABLE hold (
    id bytea PRIMARY KEY,
    debit_account_id bigint NOT NULL,
    credit_account_id bigint NOT NULL,
    amount bigint NOT NULL,
    ledger integer NOT NULL,
    code integer NOT NULL,
    expire_us bigint NOT NULL,
    far_account bigint NOT NULL,
    state integer NOT NULL,
    finish_id bytea NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE document (
    id bytea PRIMARY KEY,
    kind integer NOT NULL,
    account bigint NOT NULL,
    body bytea NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX hold_due ON hold (expire_us) WHERE state = 1 AND expire_us > 0;
CREATE INDEX hold_payer ON hold (debit_account_id) WHERE state = 1;
CREATE INDEX hold_payee ON hold (credit_account_id) WHERE state = 1;
CREATE INDEX document_account ON document (account);

CREATE TABLE resident (
    slot bigint NOT NULL,
    account bigint PRIMARY KEY
);

CREATE INDEX resident_by_slot ON resident (slot);

CREATE TABLE moved (
    slot bigint PRIMARY KEY,
    shard bigint NOT NULL,
    generation bigint NOT NULL,
    move_id bytea NOT NULL,
    book_us bigint NOT NULL,
    is_clean bigint NOT NULL
);
"""

# A server or a network that is gone is noticed within seconds, by either side: then a transaction
# ends, and with it the hold of its shard.
_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SESSION = {
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
_WRITER = {"idle_in_transaction_session_timeout": "15s"}


def schema_name(shard: int, books_id: str) -> str:
    """Name the schema of a shard."""
    return f"kessai_{books_id}_{shard:04d}"


def create_shard(url: str, shard: int, books_id: str) -> None:
    """Make a shard's schema; Complaint if the server cannot be reached or does not let us."""
    schema = schema_name(shard, books_id)
    try:
        with _connect(url, schema, {}) as db:
            _check_durability(db, url)
            with db.transaction():
                db.execute(f"CREATE SCHEMA {schema}")
                db.execute(_TABLES, prepare=False)
                meta = {"version": SCHEMA_VERSION, "shard": str(shard), "books": books_id}
                for row in meta.items():
                    db.execute("INSERT INTO meta VALUES (%s, %s)", row)
    except psycopg.Error as error:
        raise Complaint(
            f"shard {shard} cannot be made at {shown(url)} ({_line(error)}). "
            "Nothing was left behind. The role needs the right to CREATE in that database."
        ) from None


def drop_shard(url: str, shard: int, books_id: str) -> None:
    """Remove a shard that was just made."""
    with _connect(url, "public", {}) as db:
        db.execute(f"DROP SCHEMA {schema_name(shard, books_id)} CASCADE")


def open_shard(url: str, shard: int, books_id: str, *, read_only: bool) -> Line:
    """Open a line to a shard, in autocommit; Complaint if it cannot be used, and why.

    Complaint also for a server with synchronous_commit or fsync off: what it acknowledges would not
    be on its disk (design rule 3).
    """
    schema = schema_name(shard, books_id)
    try:
        db = _connect(url, schema, {} if read_only else _WRITER)
    except psycopg.Error as error:
        raise Complaint(
            f"the server of shard {shard}, {shown(url)}, cannot be reached ({_line(error)}). "
            "No money was moved. Start it, or bring books.json in order, and try again."
        ) from None
    try:
        _check_durability(db, url)
        version = _check_meta(db, url, shard, books_id)
        if version in _UPGRADES and not read_only:
            _upgrade(db, url, shard)
    except BaseException:
        db.close()
        raise
    return db


def lacks_checksums(url: str) -> str:
    """A warning if a server does not check its pages; "" if it does, or cannot be reached now."""
    try:
        with _connect(url, "public", {}) as db:
            [value] = db.execute("SHOW data_checksums").fetchone() or ("",)
    except psycopg.Error:
        return ""
    if value == "on":
        return ""
    return (
        f"the server of {shown(url)} has data_checksums = off: a bit that its disk flips may go "
        "unseen, and a payment be made twice. Stop it, and run pg_checksums --enable."
    )


def _connect(url: str, schema: str, session: dict[str, str]) -> Line:
    parts = parts_of(url)
    settings = {"search_path": schema} | _SESSION | session
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    parts["options"] = f"{parts.get('options', '')} {options}".strip()
    parts["application_name"] = f"kessai {schema}"
    conninfo = make_conninfo("", **(_CONNECTION | parts))
    db = psycopg.connect(conninfo, autocommit=True, prepare_threshold=0)
    db.adapters.register_dumper(int, Int8BinaryDumper)
    return db


def _check_durability(db: Line, url: str) -> None:
    for setting in ("synchronous_commit", "fsync"):
        [value] = db.execute(f"SHOW {setting}").fetchone() or ("",)
        if value == "off":
            raise Complaint(
                f"{shown(url)} has {setting} = off: it would acknowledge payments that a power "
                "cut takes back. No money was moved. Switch it on, then start again."
            )


def _check_meta(db: Line, url: str, shard: int, books_id: str) -> str:
    try:
        meta: dict[str, str] = dict(db.execute("SELECT key, value FROM meta").fetchall())
    except psycopg.Error as error:
        raise Complaint(
            f"shard {shard} is not at {shown(url)}: its schema {schema_name(shard, books_id)} "
            f"cannot be read ({_line(error)}). No money was moved. Bring it back, from a backup if "
            "need be, and start again."
        ) from None
    version = meta["version"] if meta.get("version") in _UPGRADES else SCHEMA_VERSION
    expected = {"version": version, "shard": str(shard), "books": books_id}
    for key, value in expected.items():
        if meta.get(key) != value:
            raise Complaint(
                f"the schema at {shown(url)} is not the shard that belongs here: its {key} is "
                f'"{meta.get(key)}", expected "{value}". No money was moved.'
            )
    return version


def _upgrade(db: Line, url: str, shard: int) -> None:
    try:
        with db.transaction():
            # Of two switches that start at once the second waits here, and finds it done.
            locked = db.execute("SELECT value FROM meta WHERE key = 'version' FOR UPDATE")
            [version] = locked.fetchone() or ("",)
            db.execute(_UPGRADES.get(version, ""), prepare=False)
    except psycopg.Error as error:
        raise Complaint(
            f"shard {shard} at {shown(url)} is of a former release and cannot be brought to this "
            f"one's form ({_line(error)}). Nothing in it was changed. Stop every switch and "
            "verification on it, and start again."
        ) from None


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
