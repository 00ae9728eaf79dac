//! How hard the checker looks, and what it takes for possible.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    /// A history that was cut off by a kill is checked alone, without a last line that is not whole, and the run is said
    /// to be cut off. Without it, it is an error.
    pub allow_cut_off: bool,
    /// How far the wall clocks of services and of the suite may be apart where no fault struck a clock.
    pub wall_slack_us: i64,
    /// For how long a node may answer for a person from memory.
    pub stale_us: u64,
    /// States that the search may visit for one key, and for all of them.
    pub search_states: u64,
    pub search_states_total: u64,
    pub search_time: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            allow_cut_off: false,
            wall_slack_us: 2_000_000,
            stale_us: 2_100_000,
            search_states: 400_000,
            search_states_total: 8_000_000,
            search_time: Duration::from_secs(10),
        }
    }
}
