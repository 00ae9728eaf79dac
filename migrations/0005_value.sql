-- What customers bought, the models that say what they will, and how those do.
-- `model` names an immutable version of an account; days count from 1970-01-01; amounts are micros.

CREATE TABLE ltv_customer (
    account    TEXT /* key */ NOT NULL,
    person     TEXT /* key */ NOT NULL,
    purchases  BIGINT NOT NULL,
    total      BIGINT NOT NULL,
    currency   TEXT NOT NULL,
    first_day  BIGINT NOT NULL,
    last_day   BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (account, person)
);

CREATE TABLE ltv_purchase (
    account    TEXT /* key */ NOT NULL,
    person     TEXT /* key */ NOT NULL,
    purchase   TEXT /* key */ NOT NULL,
    reference  TEXT,
    day        BIGINT NOT NULL,
    amount     BIGINT NOT NULL,
    currency   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, person, purchase)
);

CREATE TABLE ltv_import (
    account    TEXT /* key */ NOT NULL,
    import     TEXT /* key */ NOT NULL,
    body_hash  TEXT NOT NULL,
    answer     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, import)
);
CREATE INDEX ltv_import_created ON ltv_import (created_at);

CREATE TABLE ltv_model (
    account      TEXT /* key */ NOT NULL,
    model        TEXT /* key */ NOT NULL,
    kind         TEXT NOT NULL,
    horizon_days BIGINT NOT NULL,
    fingerprint  TEXT NOT NULL,
    parts        BIGINT NOT NULL,
    report       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (account, model)
);

CREATE TABLE ltv_model_part (
    account TEXT /* key */ NOT NULL,
    model   TEXT /* key */ NOT NULL,
    part    BIGINT NOT NULL,
    bytes   TEXT NOT NULL,
    PRIMARY KEY (account, model, part)
);

CREATE TABLE ltv_registry (
    account TEXT /* key */ NOT NULL,
    seq     BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    entry   TEXT NOT NULL,
    PRIMARY KEY (account, seq)
);

CREATE TABLE ltv_experiment (
    account    TEXT /* key */ NOT NULL,
    experiment TEXT /* key */ NOT NULL,
    challenger TEXT NOT NULL,
    share      BIGINT NOT NULL,
    shadow     BIGINT NOT NULL,
    started_by TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT,
    version    BIGINT NOT NULL,
    PRIMARY KEY (account, experiment)
);
CREATE INDEX ltv_experiment_open ON ltv_experiment (account) WHERE ended_at IS NULL;

CREATE TABLE ltv_forecast (
    account     TEXT /* key */ NOT NULL,
    person      TEXT /* key */ NOT NULL,
    model       TEXT /* key */ NOT NULL,
    period      BIGINT NOT NULL,
    made_day    BIGINT NOT NULL,
    due_day     BIGINT NOT NULL,
    arm         TEXT NOT NULL,
    value       BIGINT NOT NULL,
    lower_value BIGINT NOT NULL,
    upper_value BIGINT NOT NULL,
    p_active    BIGINT NOT NULL,
    actual      BIGINT,
    created_at  BIGINT NOT NULL,
    closed_at   BIGINT,
    PRIMARY KEY (account, person, model, period)
);
CREATE INDEX ltv_forecast_due ON ltv_forecast (due_day) WHERE actual IS NULL;
CREATE INDEX ltv_forecast_closed ON ltv_forecast (account, model, closed_at) WHERE actual IS NOT NULL;
CREATE INDEX ltv_forecast_old ON ltv_forecast (closed_at) WHERE actual IS NOT NULL;
CREATE INDEX ltv_forecast_model ON ltv_forecast (account, model);

CREATE TABLE ltv_drift (
    account    TEXT /* key */ NOT NULL,
    model      TEXT /* key */ NOT NULL,
    feature    TEXT /* key */ NOT NULL,
    state      TEXT NOT NULL,
    report     TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, model, feature)
);
