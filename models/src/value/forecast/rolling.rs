//! The fit of a blend: networks that each leave customers out, and what they say of those at rolling
//! holdouts, all of which end at or before the cut.

use super::account::{Inner, back, until};
use super::blended::{Blended, Counted, Fitting, Row, came};
use super::customer::{Customer, Input, Purchase, summary};
use super::net::{Nets, Said, ask, train};
use super::probable::{Case, Probable, weeks};
use super::terms::{FitTerms, Step};
use crate::value::learned::fit::Learned;
use crate::value::log::day::Day;
use crate::value::registry::version::Kind;
use crate::value::split::{fold, place};
use crate::value::summary::Summary;

/// Customers of an inner holdout, and those of them who bought in it, without whom nothing is learned.
pub const ROWS_MIN: usize = 400;
pub const ACTIVE_MIN: usize = 60;
/// Parts of the customers: each network leaves one out.
const FOLDS: u32 = 5;

/// A customer who is known at an inner cut.
struct Member<'a> {
    id: &'a str,
    /// Up to the fit's cut, not beyond.
    purchases: &'a [Purchase],
    summary: Summary,
}

fn members<'a>(customers: &'a [Customer], end: Day, at: Day) -> Vec<Member<'a>> {
    let Some(windows) = until(at) else { return Vec::new() };
    let member = |of: &'a Customer| {
        let known = Input { purchases: &of.purchases, as_of: end }.known();
        let until = Input { purchases: known, as_of: at }.known();
        Some(Member { id: &of.id, purchases: known, summary: summary(until, windows)? })
    };
    customers.iter().filter_map(member).collect()
}

/// What is known of a holdout.
struct Holdout<'a> {
    inner: Inner,
    /// Fitted on what was known at its cut.
    model: Probable,
    members: Vec<Member<'a>>,
}

fn enough(members: &[Member<'_>], inner: Inner) -> bool {
    let active = members.iter().filter(|m| came(m.purchases, inner).1 > 0.0).count();
    members.len() >= ROWS_MIN && active >= ACTIVE_MIN
}

/// The inner holdout and those before it, the newest first, as far back as enough customers are known to fit
/// a counting model. One window of time is a small sample of what a season does to a total.
fn holdouts<'a>(customers: &'a [Customer], inner: Inner, terms: &FitTerms) -> Vec<Holdout<'a>> {
    let mut all = Vec::new();
    for k in 0..terms.learn.cuts {
        let days = k.saturating_mul(terms.learn.cut_step_days);
        let Some(cut) = back(inner.cut, days) else { break };
        let inner = Inner { cut, ..inner };
        let members = members(customers, terms.cut, cut);
        if !enough(&members, inner) {
            break;
        }
        let summaries = members.iter().map(|member| &member.summary);
        let Ok(fitted) = Probable::fit(Kind::BgNbd, summaries, terms.rounded) else { break };
        all.push(Holdout { inner, model: fitted.model, members });
    }
    all
}

/// The learned part of a model and the customers that it was learned from; or why there is none, and the
/// probabilistic model answers alone.
pub fn fit(
    customers: &[Customer],
    inner: Option<Inner>,
    terms: &FitTerms,
    watch: &mut dyn FnMut(Step),
) -> Result<(Blended, u64), String> {
    let inner = inner.ok_or("what is known is too short to learn from")?;
    let holdouts = holdouts(customers, inner, terms);
    let newest = holdouts.first().ok_or("too few customers to learn from")?;
    let (mut nets, mut rows) = (Vec::new(), Vec::new());
    for left_out in 0..FOLDS {
        let is_out = |member: &&Member<'_>| fold(terms.seed, member.id, FOLDS) == left_out;
        let seen = newest.members.iter().filter(|member| !is_out(member));
        let seen: Vec<&[Purchase]> = seen.map(|member| member.purchases).collect();
        let seed = terms.seed.wrapping_add(u64::from(left_out) << 32);
        let learn = super::net::seeded(&terms.learn, seed);
        let net = train(&seen, inner.cut, inner.days, &learn, &mut |part| {
            let done = (f64::from(left_out) + part) / f64::from(FOLDS);
            watch(Step { what: "networks", done });
        })
        .map_err(|error| error.to_string())?;
        for (at, holdout) in holdouts.iter().enumerate() {
            let out: Vec<&Member<'_>> = holdout.members.iter().filter(is_out).collect();
            rows.extend(told(&net, &out, at, holdout));
        }
        nets.push(net);
    }
    // The same order however the customers were dealt.
    rows.sort_unstable_by_key(|row| (row.holdout, row.place));
    let fitting = Fitting::fit(&rows, inner.days, terms.kind == Kind::Ziln)
        .map_err(|error| error.to_string())?;
    Ok((Blended { nets: Nets(nets), fitting }, newest.members.len() as u64))
}

/// Rows of customers whom a network has not seen.
fn told(net: &Learned, members: &[&Member<'_>], at: usize, holdout: &Holdout<'_>) -> Vec<Row> {
    let Holdout { inner, model, .. } = holdout;
    let purchases = members.iter().map(|of| of.purchases);
    let inputs: Vec<Input<'_>> =
        purchases.map(|purchases| Input { purchases, as_of: inner.cut }).collect();
    let ahead = weeks(inner.days);
    let row = |(member, said): (&&Member<'_>, Said)| {
        let (spend, purchases) = came(member.purchases, *inner);
        let case = Case::of(&member.summary);
        let counted = Counted {
            value: model.value(&case, ahead),
            purchases: model.purchases(&case, ahead),
            p_active: model.p_active(&case, ahead),
        };
        let repeats = case.history.repeats();
        let place = place("blend", member.id);
        Row { place, holdout: at, repeats, spend, purchases, counted, said }
    };
    members.iter().zip(ask(net, &inputs)).map(row).collect()
}
