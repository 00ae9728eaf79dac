//! How many rows a batch may have.
//!
//! A commit takes a time that does not depend on what is in it (the flush of the disk, the way to the database), and a time
//! for each row. Only the second is a reason for smaller batches: where the disk is slow, they would only be more of them.
//! Both are told apart by a regression of time on rows over the commits of late, the newest counting most.

use std::time::Duration;

/// What the newest commit counts for.
const NEWEST: f64 = 0.3;
/// Batches that differ by less than so many rows, or than this part of them, tell nothing of what a row takes.
const ALIKE: f64 = 2.0;
const ALIKE_PART: f64 = 0.03;

#[derive(Clone, Copy, Debug)]
pub struct Limit {
    rows: usize,
    least: usize,
    most: usize,
    /// What the rows of a batch may take.
    goal_s: f64,
    seen: Option<Seen>,
}

/// Moving averages of rows, seconds, and their products.
#[derive(Clone, Copy, Debug)]
struct Seen {
    rows: f64,
    seconds: f64,
    rows_rows: f64,
    rows_seconds: f64,
}

impl Limit {
    pub fn new(rows: usize, least: usize, most: usize, goal: Duration) -> Limit {
        let least = least.max(1);
        let most = most.max(least);
        let goal_s = goal.as_secs_f64();
        Limit { rows: rows.clamp(least, most), least, most, goal_s, seen: None }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A batch of so many rows was committed; `full`: more waited than it could take.
    pub fn committed(&mut self, rows: usize, took: Duration, full: bool) {
        let (n, t) = (rows as f64, took.as_secs_f64());
        let now = Seen { rows: n, seconds: t, rows_rows: n * n, rows_seconds: n * t };
        let seen = self.seen.map_or(now, |before| before.and(now));
        self.seen = Some(seen);
        // Batches that are all alike tell nothing: a smaller one is tried.
        let of_rows = seen.each().map_or(t, |each| each * n);
        if of_rows > self.goal_s {
            self.rows = (self.rows * 3 / 4).max(self.least);
        } else if full {
            self.rows = (self.rows * 5 / 4 + 1).min(self.most);
        }
    }
}

impl Seen {
    fn and(self, now: Seen) -> Seen {
        let mean = |old: f64, new: f64| old + NEWEST * (new - old);
        Seen {
            rows: mean(self.rows, now.rows),
            seconds: mean(self.seconds, now.seconds),
            rows_rows: mean(self.rows_rows, now.rows_rows),
            rows_seconds: mean(self.rows_seconds, now.rows_seconds),
        }
    }

    /// Seconds that a row takes; none where batches were too much alike to know.
    fn each(&self) -> Option<f64> {
        let variance = self.rows_rows - self.rows * self.rows;
        let together = self.rows_seconds - self.rows * self.seconds;
        let alike = ALIKE.max(ALIKE_PART * self.rows);
        (variance >= alike * alike).then(|| (together / variance).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Duration = Duration::from_millis(20);

    /// Commits of a queue that is never empty.
    fn run(limit: &mut Limit, commits: usize, fixed_ms: f64, row_ms: f64) {
        for _ in 0..commits {
            let rows = limit.rows();
            let took = Duration::from_secs_f64((fixed_ms + row_ms * rows as f64) / 1e3);
            limit.committed(rows, took, true);
        }
    }

    #[test]
    fn where_rows_are_what_takes_time_batches_keep_to_the_goal() {
        let mut limit = Limit::new(64, 16, 512, GOAL);
        run(&mut limit, 40, 1.0, 0.2);
        for _ in 0..40 {
            run(&mut limit, 1, 1.0, 0.2);
            assert!((50..=160).contains(&limit.rows()), "{}", limit.rows());
        }
    }

    #[test]
    fn a_slow_flush_makes_batches_larger_and_not_smaller() {
        let mut limit = Limit::new(64, 16, 512, GOAL);
        run(&mut limit, 30, 300.0, 0.01);
        for _ in 0..40 {
            run(&mut limit, 1, 300.0, 0.01);
            assert!(limit.rows() >= 280, "{}", limit.rows());
        }
    }

    #[test]
    fn a_flush_that_becomes_slow_or_quick_is_understood_within_a_few_commits() {
        let mut limit = Limit::new(64, 16, 512, GOAL);
        run(&mut limit, 60, 2.0, 0.2);
        run(&mut limit, 25, 300.0, 0.01);
        assert!(limit.rows() > 256, "{}", limit.rows());
        run(&mut limit, 40, 2.0, 0.2);
        assert!(limit.rows() <= 160, "{}", limit.rows());
    }

    #[test]
    fn a_queue_that_is_empty_leaves_the_limit_as_it_is_and_bounds_hold() {
        let mut limit = Limit::new(64, 16, 512, GOAL);
        for rows in [1, 7, 3, 40, 2] {
            limit.committed(rows, Duration::from_millis(2), false);
        }
        assert_eq!(limit.rows(), 64);
        run(&mut limit, 60, 0.0, 50.0);
        assert_eq!(limit.rows(), 16);
        assert_eq!(Limit::new(64, 0, 0, GOAL).rows(), 1);
    }
}
