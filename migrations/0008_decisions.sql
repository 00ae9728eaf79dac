-- Decisions of an account by kind: also those of no campaign, as of breakers and of requests that meant nobody.

CREATE INDEX flow_decision_kind ON flow_decision (account, kind, at, decision);
