-- Accounts, budgets, escrow slices, the ledger and what goes with them. The same text runs on
-- SQLite and PostgreSQL; `TEXT /* key */` becomes `TEXT COLLATE "C"` on PostgreSQL, so that keys
-- sort by their bytes on both.
-- Money is BIGINT micros, times are BIGINT microseconds (wall: since 1970 UTC), JSON is TEXT,
-- booleans are BIGINT 0/1. Every table names the account; what belongs to the installation is '*'.

CREATE TABLE shard (
    account    TEXT /* key */ NOT NULL,
    shard      BIGINT NOT NULL PRIMARY KEY,
    epoch      BIGINT NOT NULL,
    owner      TEXT NOT NULL
);

INSERT INTO shard (account, shard, epoch, owner)
    WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 255)
    SELECT '*', x, 0, '' FROM n;

CREATE TABLE account (
    account    TEXT /* key */ NOT NULL PRIMARY KEY,
    currency   TEXT NOT NULL,
    stopped    BIGINT NOT NULL,
    terms      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE budget (
    account    TEXT /* key */ NOT NULL,
    budget     TEXT /* key */ NOT NULL,
    shard      BIGINT NOT NULL,
    terms      TEXT NOT NULL,
    status     TEXT NOT NULL,
    funded     BIGINT NOT NULL,
    refunded   BIGINT NOT NULL,
    settled    BIGINT NOT NULL,
    facts      BIGINT NOT NULL,
    late       BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    state      TEXT NOT NULL,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, budget)
);

CREATE TABLE slice (
    account    TEXT /* key */ NOT NULL,
    budget     TEXT /* key */ NOT NULL,
    slice      TEXT /* key */ NOT NULL,
    holder     TEXT NOT NULL,
    quota      BIGINT NOT NULL,
    settled    BIGINT NOT NULL,
    day        TEXT NOT NULL,
    sealed     BIGINT NOT NULL,
    taken_at   BIGINT NOT NULL,
    mono_us    BIGINT NOT NULL,
    boot       TEXT NOT NULL,
    ttl_us     BIGINT NOT NULL,
    PRIMARY KEY (account, budget, slice)
);

CREATE TABLE ledger (
    account       TEXT /* key */ NOT NULL,
    budget        TEXT /* key */ NOT NULL,
    seq           BIGINT NOT NULL,
    op            TEXT /* key */ NOT NULL,
    kind          TEXT NOT NULL,
    amount        BIGINT NOT NULL,
    currency      TEXT NOT NULL,
    at            BIGINT NOT NULL,
    mono_us       BIGINT NOT NULL,
    boot          TEXT NOT NULL,
    hold          TEXT,
    slice         TEXT,
    day           TEXT NOT NULL,
    window_amount BIGINT NOT NULL,
    body_hash     TEXT NOT NULL,
    memo          TEXT,
    PRIMARY KEY (account, budget, seq)
);
CREATE UNIQUE INDEX ledger_op ON ledger (account, op);
CREATE INDEX ledger_at ON ledger (account, at);

CREATE TABLE hold (
    account        TEXT /* key */ NOT NULL,
    hold           TEXT /* key */ NOT NULL,
    budget         TEXT /* key */ NOT NULL,
    slice          TEXT NOT NULL,
    window_slice   TEXT,
    amount         BIGINT NOT NULL,
    day            TEXT NOT NULL,
    state          TEXT NOT NULL,
    settled_amount BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    body_hash      TEXT NOT NULL,
    memo           TEXT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (account, hold)
);
CREATE INDEX hold_open ON hold (account, budget) WHERE state = 'open';
CREATE INDEX hold_closed ON hold (updated_at) WHERE state <> 'open';

CREATE TABLE operation (
    account    TEXT /* key */ NOT NULL,
    op         TEXT /* key */ NOT NULL,
    budget     TEXT /* key */ NOT NULL,
    route      TEXT NOT NULL,
    body_hash  TEXT NOT NULL,
    status     BIGINT NOT NULL,
    answer     TEXT NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (account, op)
);

CREATE TABLE outbox (
    account      TEXT /* key */ NOT NULL,
    id           TEXT /* key */ NOT NULL PRIMARY KEY,
    kind         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    payload      TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    delivered_at BIGINT
);
CREATE INDEX outbox_pending ON outbox (id) WHERE delivered_at IS NULL;
CREATE INDEX outbox_delivered ON outbox (delivered_at) WHERE delivered_at IS NOT NULL;

CREATE TABLE rate (
    account    TEXT /* key */ NOT NULL,
    currency   TEXT /* key */ NOT NULL,
    day        TEXT /* key */ NOT NULL,
    rate_e9    BIGINT NOT NULL,
    PRIMARY KEY (account, currency, day)
);

CREATE TABLE meta (
    account    TEXT /* key */ NOT NULL,
    name       TEXT /* key */ NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (account, name)
);
