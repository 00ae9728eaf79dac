//! Which fields of a campaign may still change.
//!
//! | field | draft | active, paused |
//! |---|---|---|
//! | `id`, `account` | no | no |
//! | `currency`, `schedule.time_zone` | yes | no: money was booked in that currency, by that zone's days |
//! | `schedule.starts` | yes | not once it is past, and not to a time that is past |
//! | `schedule.ends` | yes | to a time to come |
//! | a creative with a known `id` | yes | no, nor of one that was taken out: exchanges review by id; another creative has another id |
//! | everything else | yes | yes |
//!
//! An ended campaign is not edited.

use std::collections::BTreeMap;

use super::creative::Creative;
use super::definition::Definition;
use super::mistake::Mistakes;
use super::name::fingerprint;

/// Creatives that were taken out of a campaign since it began: what each was, by its id.
pub type Retired = BTreeMap<String, String>;

/// Creatives that may be taken out of a campaign that has begun.
pub const RETIRED_MAX: usize = 1_000;

/// Of all that it says.
fn print(creative: &Creative) -> String {
    let bytes = serde_json::to_vec(creative).expect("a creative is names, numbers and texts");
    fingerprint(&bytes)
}

/// What is taken out after an edit from one definition to another.
pub fn retired(before: &Retired, from: &Definition, to: &Definition) -> Retired {
    let gone = |id: &str| to.creatives.iter().all(|creative| creative.id != id);
    let known = before.iter().map(|(id, print)| (id.clone(), print.clone()));
    let now = from.creatives.iter().map(|creative| (creative.id.clone(), print(creative)));
    known.chain(now).filter(|(id, _)| gone(id)).collect()
}

/// What an edit changes and may not. `begun`: the campaign was activated once; `out`: what was taken out.
pub fn locked(
    from: &Definition,
    to: &Definition,
    (begun, out): (bool, &Retired),
    now_us: i64,
) -> Mistakes {
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
        let same = known.is_none_or(|known| known == creative);
        let was = known.is_none().then(|| out.get(&creative.id)).flatten();
        let same = same && was.is_none_or(|was| *was == print(creative));
        let why = "cannot change what a creative is: give it another id";
        wrong.unless(same, &format!("creatives[{i}]"), why);
    }
    let many = retired(out, from, to).len();
    let why = format!("cannot lose more than {RETIRED_MAX} in all: begin another campaign");
    wrong.unless(many <= RETIRED_MAX, "creatives", &why);
    wrong
}
