-- People and what they decided, requests of theirs, the audit log, and who may call.
-- `person` is a random id: it stands for a customer while the row in `person` maps it, and for
-- nobody after that. `sealed` texts can be read with the person's key alone.

CREATE TABLE person (
    account     TEXT /* key */ NOT NULL,
    person      TEXT /* key */ NOT NULL,
    lookup      TEXT /* key */ NOT NULL,
    customer    TEXT NOT NULL,
    wrapped_key TEXT NOT NULL,
    seq         BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    erased_at   BIGINT,
    version     BIGINT NOT NULL,
    PRIMARY KEY (account, person)
);
CREATE UNIQUE INDEX person_lookup ON person (account, lookup) WHERE erased_at IS NULL;
CREATE INDEX person_erased ON person (erased_at) WHERE erased_at IS NOT NULL;

CREATE TABLE consent (
    account TEXT /* key */ NOT NULL,
    person  TEXT /* key */ NOT NULL,
    seq     BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    change  TEXT NOT NULL,
    sealed  TEXT,
    PRIMARY KEY (account, person, seq)
);

CREATE TABLE attribute (
    account    TEXT /* key */ NOT NULL,
    person     TEXT /* key */ NOT NULL,
    name       TEXT /* key */ NOT NULL,
    sealed     TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, person, name)
);

CREATE TABLE dsr (
    account    TEXT /* key */ NOT NULL,
    dsr        TEXT /* key */ NOT NULL,
    person     TEXT /* key */ NOT NULL,
    kind       TEXT NOT NULL,
    status     TEXT NOT NULL,
    due_at     BIGINT NOT NULL,
    state      TEXT NOT NULL,
    sealed     TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (account, dsr)
);
CREATE INDEX dsr_status ON dsr (status, due_at);
CREATE INDEX dsr_person ON dsr (account, person);
CREATE INDEX dsr_created ON dsr (account, created_at);

CREATE TABLE dsr_package (
    account    TEXT /* key */ NOT NULL,
    dsr        TEXT /* key */ NOT NULL,
    part       BIGINT NOT NULL,
    person     TEXT /* key */ NOT NULL,
    sealed     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, dsr, part)
);
CREATE INDEX dsr_package_person ON dsr_package (account, person);
CREATE INDEX dsr_package_created ON dsr_package (created_at);

CREATE TABLE audit_log (
    account  TEXT /* key */ NOT NULL PRIMARY KEY,
    size     BIGINT NOT NULL,
    root     TEXT NOT NULL,
    frontier TEXT NOT NULL,
    blocks   BIGINT NOT NULL,
    version  BIGINT NOT NULL
);

CREATE TABLE audit_block (
    account TEXT /* key */ NOT NULL,
    block   BIGINT NOT NULL,
    first   BIGINT NOT NULL,
    count   BIGINT NOT NULL,
    month   TEXT NOT NULL,
    at_from BIGINT NOT NULL,
    at_to   BIGINT NOT NULL,
    lines   TEXT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (account, block)
);
CREATE INDEX audit_block_first ON audit_block (account, first);

CREATE TABLE audit_node (
    account TEXT /* key */ NOT NULL,
    level   BIGINT NOT NULL,
    idx     BIGINT NOT NULL,
    hash    TEXT NOT NULL,
    PRIMARY KEY (account, level, idx)
);

CREATE TABLE audit_head (
    account TEXT /* key */ NOT NULL,
    size    BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    head    TEXT NOT NULL,
    kept    BIGINT NOT NULL,
    PRIMARY KEY (account, size)
);

CREATE TABLE audit_person (
    account TEXT /* key */ NOT NULL,
    person  TEXT /* key */ NOT NULL,
    block   BIGINT NOT NULL,
    PRIMARY KEY (account, person, block)
);
CREATE INDEX audit_person_block ON audit_person (account, block);

CREATE TABLE audit_cursor (
    account TEXT /* key */ NOT NULL,
    budget  TEXT /* key */ NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (account, budget)
);
-- The log begins here: what was booked before stands in the ledger alone.
INSERT INTO audit_cursor (account, budget, seq)
    SELECT account, budget, seq FROM budget WHERE seq > 0;

CREATE TABLE audit_pending (
    account TEXT /* key */ NOT NULL,
    id      TEXT /* key */ NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    record  TEXT NOT NULL
);
CREATE INDEX audit_pending_account ON audit_pending (account, id);

CREATE TABLE api_key (
    account    TEXT /* key */ NOT NULL,
    key        TEXT /* key */ NOT NULL,
    name       TEXT NOT NULL,
    hash       TEXT NOT NULL,
    role       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    version    BIGINT NOT NULL,
    PRIMARY KEY (account, key)
);

CREATE TABLE keyring (
    account    TEXT /* key */ NOT NULL,
    purpose    TEXT /* key */ NOT NULL,
    key        TEXT /* key */ NOT NULL,
    sealed     TEXT NOT NULL,
    public     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, purpose, key)
);

CREATE TABLE correction (
    account     TEXT /* key */ NOT NULL,
    correction  TEXT /* key */ NOT NULL,
    budget      TEXT NOT NULL,
    amount      BIGINT NOT NULL,
    currency    TEXT NOT NULL,
    reason      TEXT NOT NULL,
    status      TEXT NOT NULL,
    proposed_by TEXT NOT NULL,
    proposed_at BIGINT NOT NULL,
    decided_by  TEXT,
    decided_at  BIGINT,
    refusal     TEXT,
    seq         BIGINT,
    version     BIGINT NOT NULL,
    PRIMARY KEY (account, correction)
);
CREATE INDEX correction_approved ON correction (account, correction) WHERE status = 'approved';

CREATE TABLE webhook (
    account    TEXT /* key */ NOT NULL,
    webhook    TEXT /* key */ NOT NULL,
    url        TEXT NOT NULL,
    events     TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    disabled   BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (account, webhook)
);

CREATE TABLE delivery (
    account    TEXT /* key */ NOT NULL,
    webhook    TEXT /* key */ NOT NULL,
    event      TEXT /* key */ NOT NULL,
    body       TEXT NOT NULL,
    status     TEXT NOT NULL,
    attempts   BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, webhook, event)
);
CREATE INDEX delivery_due ON delivery (next_at) WHERE status = 'waiting';
CREATE INDEX delivery_over ON delivery (updated_at) WHERE status <> 'waiting';
