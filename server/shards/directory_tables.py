"""The tables of `directory.db`, by steps: a step is never changed, a further one is added."""

from __future__ import annotations

_FIRST_TABLES = """
CREATE TABLE merchant (
    merchant_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    category_code TEXT NOT NULL,
    account INTEGER NOT NULL,
    limit_minor INTEGER,
    limit_currency TEXT
) STRICT, WITHOUT ROWID;

-- A device is the path of its identity: "agent/shop-7/till-2", "phone/ann/pixel", "operator/joe".
CREATE TABLE device (
    device TEXT PRIMARY KEY,
    software_version TEXT NOT NULL,
    enroll_us INTEGER NOT NULL,
    revoke_us INTEGER
) STRICT, WITHOUT ROWID;

-- Keys are kept for ever: what a lost phone signed must stay verifiable.
CREATE TABLE signing_key (
    key_id BLOB PRIMARY KEY,
    device TEXT NOT NULL,
    public_key BLOB NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX signing_key_by_device ON signing_key (device);

CREATE TABLE certificate (
    serial BLOB PRIMARY KEY,
    device TEXT NOT NULL,
    request_id BLOB NOT NULL UNIQUE,
    keys_hash BLOB NOT NULL,
    chain BLOB NOT NULL,
    merchant_certificate BLOB NOT NULL,
    expire_us INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX certificate_by_device ON certificate (device, expire_us);
CREATE INDEX certificate_revoked ON certificate (expire_us) WHERE revoked;

-- A used code is one whose request_id has a certificate.
CREATE TABLE pairing_code (
    request_id BLOB PRIMARY KEY,
    handle BLOB NOT NULL,
    code_hash BLOB NOT NULL,
    device TEXT NOT NULL,
    accounts TEXT NOT NULL,
    expire_us INTEGER NOT NULL,
    wrong_tries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pairing_code_by_handle ON pairing_code (handle);
CREATE INDEX pairing_code_by_device ON pairing_code (device);

-- Holder credentials: whose they are stands here and not in them.
CREATE TABLE holder_credential (
    credential_id BLOB PRIMARY KEY,
    request_id BLOB NOT NULL UNIQUE,
    device TEXT NOT NULL,
    account INTEGER NOT NULL,
    holder_key BLOB NOT NULL,
    signed BLOB NOT NULL,
    expire_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX holder_credential_by_device ON holder_credential (device, expire_us);
CREATE INDEX holder_credential_by_key ON holder_credential (holder_key);

-- The names that people see on wallets' bills, where one was entered.
CREATE TABLE wallet (
    wallet_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which fares a wallet's phones pay, where it is not the usual one.
CREATE TABLE rider (
    wallet_id TEXT PRIMARY KEY,
    category TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What terminals must turn away without asking. Versions only grow: terminals ask for what is new.
CREATE TABLE deny_entry (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    id BLOB NOT NULL,
    expire_us INTEGER NOT NULL,
    UNIQUE (kind, id)
) STRICT;

-- What venues sell; an offer never changes.
CREATE TABLE ticket_offer (
    merchant_id TEXT NOT NULL,
    offer_id TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (merchant_id, offer_id)
) STRICT, WITHOUT ROWID;

-- What a device last said of itself (a DeviceReport), and how it is configured from afar.
CREATE TABLE device_report (
    device TEXT PRIMARY KEY,
    seen_us INTEGER NOT NULL,
    report BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE device_setting (
    device TEXT NOT NULL,
    key TEXT NOT NULL,
    value INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (device, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Whose terminals an entry is told to; "": everybody's. Terminals that were revoked before join it.
_DENIED_BY_MERCHANT = """
ALTER TABLE deny_entry ADD COLUMN merchant_id TEXT NOT NULL DEFAULT '';
INSERT INTO deny_entry (kind, id, expire_us, merchant_id)
    SELECT 3, serial, expire_us, substr(device, 7, instr(substr(device, 7), '/') - 1)
    FROM certificate WHERE revoked AND device LIKE 'agent/%';
"""

# Wrong tries of codes that there are not are counted against a code that nobody can present.
_PAIRING_DECOY = "INSERT INTO pairing_code VALUES (x'', x'', x'', '', '', 0, 0)"

# What terminals accepted off line and the switch then declined; counted by wallet.
_OFFLINE_LOSSES = """
CREATE TABLE offline_loss (
    request_id BLOB NOT NULL,
    terminal TEXT NOT NULL,
    phone TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    reason TEXT NOT NULL,
    is_phones INTEGER NOT NULL,
    lose_us INTEGER NOT NULL,
    forgive_us INTEGER,
    PRIMARY KEY (terminal, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX offline_loss_by_wallet ON offline_loss (wallet_id, lose_us);
CREATE INDEX offline_loss_by_time ON offline_loss (lose_us);
"""

_OPERATORS = """
-- What operators did; a chain (`kessai/audit_chain.py`) of references without names, kept for ever.
CREATE TABLE audit_record (
    sequence INTEGER PRIMARY KEY,
    record_us INTEGER NOT NULL,
    operator TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome INTEGER NOT NULL,
    reason TEXT NOT NULL,
    begun_sequence INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_record_by_begun ON audit_record (begun_sequence) WHERE begun_sequence > 0;

-- What waits for a second operator, or was confirmed by one.
CREATE TABLE proposal (
    proposal_id BLOB PRIMARY KEY,
    operator TEXT NOT NULL,
    method TEXT NOT NULL,
    content TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    propose_us INTEGER NOT NULL,
    expire_us INTEGER NOT NULL,
    approver TEXT NOT NULL,
    approver_serial BLOB,
    used_by BLOB
) STRICT, WITHOUT ROWID;

-- What each operator paid out: counts against his limit of a day.
CREATE TABLE cash_out (
    request_id BLOB PRIMARY KEY,
    operator TEXT NOT NULL,
    account INTEGER NOT NULL,
    currency TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    count_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cash_out_by_operator ON cash_out (operator, currency, count_us);
"""

# What operators paid in and out without a second one, while four eyes are asked for.
_CASH_ALONE = """
CREATE TABLE cash_alone (
    request_id BLOB PRIMARY KEY, operator TEXT NOT NULL, account INTEGER NOT NULL,
    currency TEXT NOT NULL, amount_minor INTEGER NOT NULL, count_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cash_alone_by_operator ON cash_alone (operator, currency, count_us);
"""

# What ties the shards to the directory: the newest place of each log that is known of. And the
# restores whose loss an operator accepted: of each shard the rows up to `sequence` were kept.
_TIES = """
CREATE TABLE store_place (
    shard INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL,
    chain_hash BLOB NOT NULL,
    note_us INTEGER NOT NULL
) STRICT;
CREATE TABLE restore (
    restore_us INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (restore_us, shard)
) STRICT, WITHOUT ROWID;
"""

# A merchant that was closed, and an offer that is not on sale any more.
_CLOSED = """
ALTER TABLE merchant ADD COLUMN close_us INTEGER;
ALTER TABLE ticket_offer ADD COLUMN withdraw_us INTEGER;
"""

# Whose terminals a fleet's server serves.
_RELAYS = """
CREATE TABLE relay_merchant (
    fleet_id TEXT NOT NULL, merchant_id TEXT NOT NULL, PRIMARY KEY (fleet_id, merchant_id)
) STRICT, WITHOUT ROWID;
"""

STEPS = (
    _FIRST_TABLES, _DENIED_BY_MERCHANT, _PAIRING_DECOY, _OFFLINE_LOSSES, _OPERATORS, _CASH_ALONE,
    _TIES, _CLOSED, _RELAYS,
)  # fmt: skip
