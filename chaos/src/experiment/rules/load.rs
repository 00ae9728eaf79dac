//! A load that can be made, and that means something.

use super::Look;
use crate::experiment::load::{Hostile, Load};

pub fn check(look: &mut Look<'_>) {
    let load = &look.experiment.load;
    amounts(look, load);
    rates(look, load);
    for (at, hostile) in load.hostile.iter().enumerate() {
        let (start, duration) = match hostile {
            Hostile::SlowLoris { start, duration, .. } => (start, duration),
            Hostile::ConnectionStorm { start, duration, .. } => (start, duration),
        };
        let ends = start.plus(*duration);
        if ends > load.duration {
            let what = format!("ends after {ends}, and the load after {}", load.duration);
            look.wrong(&format!("load.hostile[{at}].duration"), what);
        }
    }
}

fn amounts(look: &mut Look<'_>, load: &Load) {
    let (least, most) = (load.amounts.least, load.amounts.most);
    if least.micros() == 0 {
        look.wrong("load.amounts.least", "an operation moves more than nothing");
    }
    if least > most {
        look.wrong("load.amounts", "the least amount is above the most");
    }
    if load.budgets.tight > load.budgets.wide {
        look.wrong("load.budgets", "tight is above wide");
    }
    if most > load.budgets.window_cap {
        look.wrong("load.budgets.window_cap", "is below the most that one operation moves");
    }
}

fn rates(look: &mut Look<'_>, load: &Load) {
    let total = load.rates.total();
    if total <= 0.0 {
        look.wrong("load.rates", "a load that sends nothing shows nothing");
    }
    let authorise = &load.rates.authorise;
    let told = authorise.settle + authorise.release + authorise.expire;
    // Parts as they are written sum up to 1 but for what a float cannot hold.
    if told > 1.0 + 1e-9 {
        let what = format!("settle, release and expire are {told} together, not 1 or less");
        look.wrong("load.rates.authorise", what);
    }
    let bid = &load.rates.bid;
    if bid.duplicate + bid.late > 1.0 + 1e-9 {
        look.wrong("load.rates.bid", "duplicate and late are more than 1 together");
    }
    let minimum = &load.minimum;
    if minimum.per_second <= 0.0 {
        let what = "is not above 0: a load of which nothing has to be done shows nothing";
        look.wrong("load.minimum.per_second", what);
    }
    if minimum.per_second > total {
        let what = format!("{} is never done where {total} are sent", minimum.per_second);
        look.wrong("load.minimum.per_second", what);
    }
    for (kind, least) in &minimum.of {
        let sent = load.rates.of(*kind);
        if !(0.0..=sent).contains(least) {
            let what = format!("is not within 0 and the {sent} that are sent");
            let name = serde_json::to_value(kind).ok();
            let name = name.as_ref().and_then(|it| it.as_str()).unwrap_or_default();
            look.wrong(&format!("load.minimum.of.{name}"), what);
        }
    }
}
