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
    chain_hash bytea NOT NULL
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
