//! Which fields of a campaign may still change.
//!
//! | field | draft | active, paused |
//! |---|---|---|
//! | `id`, `account` | no | no |
//! | `currency`, `schedule.time_zone` | yes | no: money was booked in that currency, by that zone's days |
//! | `schedule.starts` | yes | not once it is past, and not to a time that is past |
//! | `schedule.ends` | yes | to a time to come |
//! | a creative with a known `id` | yes | no: exchanges review by id; another creative has another id |
//! | everything else | yes | yes |
//!
//! An ended campaign is not edited.

use super::definition::Definition;
use super::mistake::Mistakes;

/// What an edit changes and may not. `begun`: the campaign was activated once.
pub fn locked(from: &Definition, to: &Definition, begun: bool, now_us: i64) -> Mistakes {
    let mut wrong = Mistakes::default();
    wrong.unless(from.id == to.id, "id", "never changes");
    wrong.unless(from.account == to.account, "account", "never changes");
    if !begun {
        return wrong;
    }
    let why = "cannot change after the first activation";
    wrong.unless(from.currency == to.currency, "currency", why);
    wrong.unless(from.schedule.time_zone == to.schedule.time_zone, "schedule.time_zone", why);
    let (was, is) = (from.schedule.starts_us(), to.schedule.starts_us());
    let started = was.is_none_or(|starts| starts <= now_us);
    let back = is.is_none_or(|starts| starts < now_us);
    let why = "cannot change once it is past, nor to a time that is past";
    wrong.unless(was == is || !(started || back), "schedule.starts", why);
    let (was, is) = (from.schedule.ends_us(), to.schedule.ends_us());
    let past = is.is_some_and(|ends| ends <= now_us);
    wrong.unless(was == is || !past, "schedule.ends", "cannot move to a time that is past");
    for (i, creative) in to.creatives.iter().enumerate() {
        let known = from.creatives.iter().find(|known| known.id == creative.id);
        let why = "cannot change what a creative is: give it another id";
        wrong.unless(known.is_none_or(|known| known == creative), &format!("creatives[{i}]"), why);
    }
    wrong
}
