//! The experiments that come with the program.

/// Name and text of each, by name. A test sees that none of the folder is left out.
pub const FILES: &[(&str, &str)] = &[
    ("a-bidder-panics-in-a-loop", include_str!("../../experiments/a-bidder-panics-in-a-loop.yaml")),
    (
        "a-node-dies-while-the-database-is-slow",
        include_str!("../../experiments/a-node-dies-while-the-database-is-slow.yaml"),
    ),
    (
        "a-node-has-no-descriptors-left",
        include_str!("../../experiments/a-node-has-no-descriptors-left.yaml"),
    ),
    ("a-node-has-no-memory-left", include_str!("../../experiments/a-node-has-no-memory-left.yaml")),
    (
        "a-node-is-cut-off-from-the-database",
        include_str!("../../experiments/a-node-is-cut-off-from-the-database.yaml"),
    ),
    ("a-node-restarts-in-a-loop", include_str!("../../experiments/a-node-restarts-in-a-loop.yaml")),
    (
        "a-shard-moves-while-its-budget-is-spent",
        include_str!("../../experiments/a-shard-moves-while-its-budget-is-spent.yaml"),
    ),
    ("a-storm-of-connections", include_str!("../../experiments/a-storm-of-connections.yaml")),
    ("actors-of-budgets-fail", include_str!("../../experiments/actors-of-budgets-fail.yaml")),
    (
        "an-outage-of-ltv-opens-and-closes-breakers",
        include_str!("../../experiments/an-outage-of-ltv-opens-and-closes-breakers.yaml"),
    ),
    (
        "connections-to-postgresql-are-killed",
        include_str!("../../experiments/connections-to-postgresql-are-killed.yaml"),
    ),
    (
        "consent-is-revoked-during-a-partition",
        include_str!("../../experiments/consent-is-revoked-during-a-partition.yaml"),
    ),
    (
        "every-node-is-restarted-in-turn",
        include_str!("../../experiments/every-node-is-restarted-in-turn.yaml"),
    ),
    ("forecasts-are-slow", include_str!("../../experiments/forecasts-are-slow.yaml")),
    ("forecasts-are-throttled", include_str!("../../experiments/forecasts-are-throttled.yaml")),
    ("forecasts-make-no-sense", include_str!("../../experiments/forecasts-make-no-sense.yaml")),
    ("fsync-of-postgresql-fails", include_str!("../../experiments/fsync-of-postgresql-fails.yaml")),
    (
        "fsync-of-postgresql-is-slow",
        include_str!("../../experiments/fsync-of-postgresql-is-slow.yaml"),
    ),
    (
        "half-of-the-packets-between-nodes-are-lost",
        include_str!("../../experiments/half-of-the-packets-between-nodes-are-lost.yaml"),
    ),
    ("mailboxes-are-flooded", include_str!("../../experiments/mailboxes-are-flooded.yaml")),
    (
        "messages-to-budgets-are-late-lost-and-doubled",
        include_str!("../../experiments/messages-to-budgets-are-late-lost-and-doubled.yaml"),
    ),
    (
        "notices-come-twice-and-late",
        include_str!("../../experiments/notices-come-twice-and-late.yaml"),
    ),
    (
        "packets-come-twice-and-connections-are-reset",
        include_str!("../../experiments/packets-come-twice-and-connections-are-reset.yaml"),
    ),
    (
        "postgresql-is-away-for-longer-than-a-lease",
        include_str!("../../experiments/postgresql-is-away-for-longer-than-a-lease.yaml"),
    ),
    ("postgresql-is-restarted", include_str!("../../experiments/postgresql-is-restarted.yaml")),
    ("postgresql-stands-still", include_str!("../../experiments/postgresql-stands-still.yaml")),
    ("redis-is-flushed", include_str!("../../experiments/redis-is-flushed.yaml")),
    ("redis-is-stopped", include_str!("../../experiments/redis-is-stopped.yaml")),
    ("redis-stands-still", include_str!("../../experiments/redis-stands-still.yaml")),
    (
        "slow-clients-hold-connections-open",
        include_str!("../../experiments/slow-clients-hold-connections-open.yaml"),
    ),
    (
        "the-actor-of-a-budget-hangs",
        include_str!("../../experiments/the-actor-of-a-budget-hangs.yaml"),
    ),
    (
        "the-clock-of-a-node-jumps-back",
        include_str!("../../experiments/the-clock-of-a-node-jumps-back.yaml"),
    ),
    (
        "the-clock-of-a-node-jumps-forward",
        include_str!("../../experiments/the-clock-of-a-node-jumps-forward.yaml"),
    ),
    (
        "the-disk-of-a-node-is-full",
        include_str!("../../experiments/the-disk-of-a-node-is-full.yaml"),
    ),
    (
        "the-disk-of-postgresql-is-full",
        include_str!("../../experiments/the-disk-of-postgresql-is-full.yaml"),
    ),
    (
        "the-exchange-is-away-and-tells-everything-at-once",
        include_str!("../../experiments/the-exchange-is-away-and-tells-everything-at-once.yaml"),
    ),
    (
        "the-exchange-is-slow-and-then-throttled",
        include_str!("../../experiments/the-exchange-is-slow-and-then-throttled.yaml"),
    ),
    (
        "the-exchange-talks-nonsense",
        include_str!("../../experiments/the-exchange-talks-nonsense.yaml"),
    ),
    (
        "the-link-to-a-node-is-narrow",
        include_str!("../../experiments/the-link-to-a-node-is-narrow.yaml"),
    ),
    (
        "the-network-between-nodes-is-slow",
        include_str!("../../experiments/the-network-between-nodes-is-slow.yaml"),
    ),
    (
        "the-owner-is-killed-in-the-middle-of-an-authorisation",
        include_str!(
            "../../experiments/the-owner-is-killed-in-the-middle-of-an-authorisation.yaml"
        ),
    ),
    (
        "the-owner-is-paused-past-its-lease",
        include_str!("../../experiments/the-owner-is-paused-past-its-lease.yaml"),
    ),
    (
        "two-nodes-hear-each-other-one-way-only",
        include_str!("../../experiments/two-nodes-hear-each-other-one-way-only.yaml"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_in_the_program_by_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
            .collect();
        names.sort();
        let embedded: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(embedded, names);
    }
}
