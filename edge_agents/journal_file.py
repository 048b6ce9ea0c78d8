"""The journal's file: one agent at a time, every write on the disk when it returns.

Used by `journal` alone.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import NoReturn

from kessai.complaint import Complaint
from kessai.kept_file import DAMAGED, require_sound
from kessai.last_words import end_process

_VERSION = 4
_EXIT_IO_ERROR = 74  # sysexits.h: EX_IOERR
# Goods that were given out and not paid, once each where the payment is known.
_UNPAID = """
    CREATE TABLE unpaid (
        request_id BLOB UNIQUE,
        give_out_us INTEGER NOT NULL,
        currency TEXT,
        amount_minor INTEGER
    ) STRICT;
"""
_SCHEMA = f"""
    CREATE TABLE payment (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        request_id BLOB NOT NULL UNIQUE CHECK (length(request_id) = 16),
        order_id TEXT NOT NULL UNIQUE,
        request BLOB NOT NULL,
        state TEXT NOT NULL,
        sealed BLOB,
        receipt BLOB,
        note TEXT NOT NULL DEFAULT '',
        printed INTEGER NOT NULL DEFAULT 0,
        delivered INTEGER NOT NULL DEFAULT 0,
        accept_us INTEGER,
        credential_id BLOB,
        wallet_handle BLOB,
        former_wallet_handle BLOB,
        holder_answer BLOB,
        admission_id BLOB,
        currency TEXT NOT NULL,
        amount_minor INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX payment_state ON payment (state, number);
    CREATE INDEX payment_unprinted ON payment (number) WHERE state = 'settled' AND printed = 0;
    CREATE INDEX payment_undelivered ON payment (number)
        WHERE receipt IS NOT NULL AND delivered = 0;
    CREATE INDEX payment_admission ON payment (admission_id) WHERE admission_id IS NOT NULL;
    CREATE INDEX payment_accepted ON payment (accept_us) WHERE accept_us IS NOT NULL;
    {_UNPAID}
"""

# Columns and tables that journals of earlier versions lack; one newer than all is not opened.
_UPGRADES = {
    2: """
    ALTER TABLE payment ADD COLUMN wallet_handle BLOB;
    ALTER TABLE payment ADD COLUMN former_wallet_handle BLOB;
    ALTER TABLE payment ADD COLUMN holder_answer BLOB;
    ALTER TABLE payment ADD COLUMN admission_id BLOB;
    CREATE INDEX payment_admission ON payment (admission_id) WHERE admission_id IS NOT NULL;
    CREATE INDEX payment_accepted ON payment (accept_us) WHERE accept_us IS NOT NULL;
    """,
    3: _UNPAID,
}


def end_agent(error: sqlite3.Error) -> NoReturn:
    """End the process: a write failed, so what is on the disk is unknown until the next start."""
    line = f"the journal cannot be written ({error}). The register stops; "
    line += "a payment under way is taken up at the next start. Check the disk."
    end_process(line, _EXIT_IO_ERROR)


def lock_folder(folder: Path) -> int:
    """Take the folder for this agent; Complaint if another one has it. A descriptor comes back."""
    try:
        lock = os.open(folder / "journal.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Complaint(
            f"The folder {folder} cannot be used ({error.strerror}). Set `folder` to the one that "
            "`kessai agent pair` made."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Complaint(
            f"Another agent runs on {folder} already. Stop it first, or pair a second terminal."
        ) from None
    return lock


def open_file(path: Path) -> sqlite3.Connection:
    """Open, make or upgrade the file; Complaint if it is damaged, or of another version."""
    try:
        db = sqlite3.connect(path, timeout=5.0)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            version = _VERSION
        while version in _UPGRADES:
            steps = f"{_UPGRADES[version]} PRAGMA user_version = {version + 1};"
            db.executescript(f"BEGIN; {steps} COMMIT;")
            version += 1
        require_sound(db)
    except DAMAGED as error:
        raise Complaint(
            f"The journal {path} cannot be opened ({error}). Keep the file: it may hold payments. "
            "Restore it, or pair a new terminal."
        ) from None
    if version != _VERSION:
        raise Complaint(f"The journal {path} is of another version of kessai. Update the agent.")
    return db
