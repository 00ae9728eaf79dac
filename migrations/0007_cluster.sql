-- Nodes of a cluster, and who owns what. Times are micros of the database's own clock.
-- `shard` counts 256 for each role: 0 to 255 are SyncShield's, then SyncValue's, then SyncFlow's.

CREATE TABLE node (
    account     TEXT /* key */ NOT NULL,
    incarnation TEXT /* key */ NOT NULL PRIMARY KEY,
    name        TEXT /* key */ NOT NULL,
    address     TEXT NOT NULL,
    roles       TEXT NOT NULL,
    version     TEXT NOT NULL,
    joined_at   BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    draining    BIGINT NOT NULL,
    dead        BIGINT NOT NULL
);
-- of the lives of one node, one lives
CREATE UNIQUE INDEX node_living ON node (name) WHERE dead = 0;

ALTER TABLE shard ADD COLUMN heir TEXT NOT NULL DEFAULT '';
ALTER TABLE shard ADD COLUMN since BIGINT NOT NULL DEFAULT 0;

INSERT INTO shard (account, shard, epoch, owner)
    WITH RECURSIVE n(x) AS (SELECT 256 UNION ALL SELECT x + 1 FROM n WHERE x < 767)
    SELECT '*', x, 0, '' FROM n;
