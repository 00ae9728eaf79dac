-- Deliveries are chosen account by account, so that a backlog of one keeps no other's waiting; and
-- those that waited too long are found by their age.

CREATE INDEX delivery_turn ON delivery (account, webhook, next_at, event) WHERE status = 'waiting';
CREATE INDEX delivery_waiting ON delivery (created_at) WHERE status = 'waiting';
