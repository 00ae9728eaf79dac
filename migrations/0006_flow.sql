-- Campaigns, what their bidders know, and why they bid. Times are wall-clock micros.
-- `hour` counts hours since 1970-01-01.

CREATE TABLE flow_campaign (
    account    TEXT /* key */ NOT NULL,
    campaign   TEXT /* key */ NOT NULL,
    status     TEXT NOT NULL,
    state      TEXT NOT NULL,
    todo       TEXT NOT NULL,
    revision   BIGINT NOT NULL,
    wake_at    BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (account, campaign)
);
CREATE INDEX flow_campaign_active ON flow_campaign (account, campaign) WHERE status = 'active';
CREATE INDEX flow_campaign_wake ON flow_campaign (account, campaign) WHERE wake_at IS NOT NULL;

CREATE TABLE flow_change (
    account    TEXT /* key */ NOT NULL,
    campaign   TEXT /* key */ NOT NULL,
    revision   BIGINT NOT NULL,
    definition_version BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    status     TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    definition TEXT,
    at         BIGINT NOT NULL,
    PRIMARY KEY (account, campaign, revision)
);
CREATE INDEX flow_change_old ON flow_change (at);

CREATE TABLE flow_pacer (
    account    TEXT /* key */ NOT NULL,
    campaign   TEXT /* key */ NOT NULL,
    state      TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, campaign)
);

CREATE TABLE flow_decision (
    account    TEXT /* key */ NOT NULL,
    decision   TEXT /* key */ NOT NULL,
    campaign   TEXT /* key */ NOT NULL,
    at         BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    auction    TEXT,
    outcome    TEXT NOT NULL,
    ends_at    BIGINT NOT NULL,
    record     TEXT NOT NULL,
    batch      TEXT NOT NULL,
    proof      TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, decision)
);
CREATE INDEX flow_decision_campaign ON flow_decision (account, campaign, at, decision);
CREATE INDEX flow_decision_auction ON flow_decision (account, auction) WHERE auction IS NOT NULL;
CREATE INDEX flow_decision_old ON flow_decision (at);

-- For whom a bid was made, where that was somebody's customer: what they buy later is told with it.
CREATE TABLE flow_reach (
    account    TEXT /* key */ NOT NULL,
    decision   TEXT /* key */ NOT NULL,
    person     TEXT /* key */ NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (account, decision)
);
CREATE INDEX flow_reach_person ON flow_reach (account, person, decision);
CREATE INDEX flow_reach_old ON flow_reach (at);

CREATE TABLE flow_count (
    account    TEXT /* key */ NOT NULL,
    campaign   TEXT /* key */ NOT NULL,
    hour       BIGINT NOT NULL,
    reason     TEXT /* key */ NOT NULL,
    writer     TEXT /* key */ NOT NULL,
    count      BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, campaign, hour, reason, writer)
);
CREATE INDEX flow_count_old ON flow_count (hour);
