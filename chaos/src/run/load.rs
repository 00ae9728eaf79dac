//! From what an experiment says of its load to what the generator takes.

use std::time::Duration;

use crate::experiment::Experiment;
use crate::experiment::load::{Load, Through};
use crate::experiment::pick::BudgetKey;
use crate::experiment::rates::Kind;
use crate::experiment::target::{Need, Target};
use crate::load::{Arrivals, LoadSpec, Names, Urls};

/// A load is stopped by the run, not by its own clock; this only bounds one that nobody stops.
const LONGER: Duration = Duration::from_secs(1_800);
/// Operations under way for each client that the file asks for: a hold is open while its client thinks.
const OPEN_FOR_EACH: u32 = 8;
/// Campaigns of each account that bid, where anything bids: every second one needs consent.
const BIDDING: u32 = 2;
/// Of the platform, where a file says nothing (`config/default.toml`).
const WINDOW_S: f64 = 60.0;
const HOLD_S: f64 = 60.0;

/// The load of an experiment. `tag` begins all names.
pub fn spec(experiment: &Experiment, tag: &str) -> LoadSpec {
    let (load, target) = (&experiment.load, &experiment.target);
    let rates = &load.rates;
    let clients = share(load);
    let arrivals = |rate: f64| {
        let part = (f64::from(load.clients) * rate / clients.max(1e-9)).round();
        Arrivals { rate, clients: if rate > 0.0 { (part as u32).clamp(1, 512) } else { 0 } }
    };
    let consent = &rates.consent;
    let asked = consent.grant + consent.revoke + consent.check;
    let looks = rates.read + rates.admin_read + rates.forecast;
    let operators = looks + rates.set_cap + rates.pause;
    let part = |of: f64, all: f64| if all > 0.0 { (of / all).clamp(0.0, 1.0) } else { 0.0 };
    let (hold, window) = (seconds(target, "shield.hold_ttl_s", HOLD_S), window(target));
    let budgets = &load.budgets;
    LoadSpec {
        tag: tag.to_owned(),
        duration: Duration::from(load.warm_up.plus(load.duration)) + LONGER,
        budget: arrivals(rates.authorise.per_second),
        spend: arrivals(rates.spend),
        exchange: arrivals(rates.bid.per_second),
        customer: arrivals(asked),
        admin: arrivals(operators),
        accounts: u32::from(load.accounts),
        campaigns: u32::from(load.campaigns),
        bidding: if rates.bid.per_second > 0.0 { BIDDING } else { 0 },
        zipf: load.skew,
        budget_cap: budgets.wide.micros(),
        tight: budgets.tight_share,
        tight_cap: budgets.tight.micros(),
        bidding_cap: budgets.wide.micros(),
        window_cap: budgets.window_cap.micros(),
        window,
        amount_min: load.amounts.least.micros(),
        amount_max: load.amounts.most.micros(),
        hold,
        release: rates.authorise.release,
        expire: rates.authorise.expire,
        refund: part(rates.refund, rates.spend),
        win: rates.bid.win,
        late_notice: rates.bid.late,
        lost_notice: 0.0,
        late_by: rates.bid.late_by.into(),
        duplicate_notice: rates.bid.duplicate,
        personal: rates.bid.personal,
        persons: (consent.people / u32::from(load.accounts.max(1))).max(1),
        grant: part(consent.grant, asked),
        revoke: part(consent.revoke, asked),
        look_cluster: part(rates.admin_read, looks),
        look_forecast: part(rates.forecast, looks),
        model: experiment.needs().contains(&Need::Model),
        set_cap: part(rates.set_cap, operators),
        pause: part(rates.pause, operators),
        outstanding: (u32::from(load.clients) * OPEN_FOR_EACH).max(64),
        ..LoadSpec::default()
    }
}

/// All arrivals a second, for the clients to be shared out.
fn share(load: &Load) -> f64 {
    let of = |kind| load.rates.of(kind);
    let kinds = [
        Kind::Authorise,
        Kind::Spend,
        Kind::Read,
        Kind::Bid,
        Kind::Grant,
        Kind::Revoke,
        Kind::ConsentCheck,
        Kind::AdminRead,
        Kind::Forecast,
        Kind::SetCap,
        Kind::Pause,
    ];
    kinds.into_iter().map(of).sum()
}

fn window(target: &Target) -> Duration {
    seconds(target, "shield.window_seconds", WINDOW_S)
}

fn seconds(target: &Target, key: &str, usual: f64) -> Duration {
    let told = match target {
        Target::Lab(lab) => lab.settings.get(key).and_then(|it| it.to_string().parse().ok()),
        Target::Urls(_) => None,
    };
    Duration::try_from_secs_f64(told.unwrap_or(usual)).unwrap_or(Duration::from_secs(60))
}

/// Where clients go.
pub fn urls(through: Through, nodes: &[crate::lab::Urls], balancer: &crate::lab::Urls) -> Urls {
    let all = |of: fn(&crate::lab::Urls) -> &String| match through {
        Through::Nodes => nodes.iter().map(|node| of(node).clone()).collect(),
        Through::Balancer => {
            let behind = nodes.iter().map(|node| of(node).clone());
            // Whoever tries again elsewhere does not go around the balancer.
            std::iter::once(of(balancer).clone()).chain(behind).take(1).collect::<Vec<_>>()
        }
    };
    Urls {
        shield: all(|it| &it.shield),
        flow: all(|it| &it.flow),
        value: all(|it| &it.value),
        admin: all(|it| &it.admin),
        spread: through == Through::Nodes,
        nodes: Vec::new(),
        key: None,
    }
}

/// `account-1` and `campaign-2` as the load calls them.
///
/// # Errors
/// The load has no such budget, in words.
pub fn name(key: &BudgetKey, names: &Names) -> Result<(Box<str>, Box<str>), String> {
    let number = |text: &str, word: &str| {
        text.strip_prefix(word).and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0)
    };
    let account = number(&key.account, "account-").and_then(|n| names.accounts.get(n - 1));
    let campaign = number(&key.campaign, "campaign-")
        .and_then(|n| account.and_then(|account| account.campaigns.get(n - 1)));
    match (account, campaign) {
        (Some(account), Some(campaign)) => Ok((account.name.clone(), campaign.clone())),
        _ => Err(format!("the load has no budget {} of {}", key.campaign, key.account)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(text: &str) -> crate::experiment::Experiment {
        crate::experiment::validate(text, "x.yaml").expect("it is good")
    }

    #[test]
    fn every_load_of_the_catalogue_is_one_that_the_generator_takes_with_its_rates() {
        for (name, text) in crate::cli::catalogue::FILES {
            let experiment = experiment(text);
            let spec = spec(&experiment, "kc");
            assert_eq!(spec.faults(), Vec::<String>::new(), "{name}");
            for (sent, kind) in
                [(spec.budget.rate, Kind::Authorise), (spec.spend.rate, Kind::Spend)]
            {
                assert!((sent - experiment.load.rates.of(kind)).abs() < f64::EPSILON, "{name}");
            }
        }
    }

    #[test]
    fn budgets_have_the_names_that_the_load_gives_them() {
        let spec = LoadSpec { accounts: 2, campaigns: 3, ..LoadSpec::default() };
        let names = Names::of(&spec);
        let key = |a: &str, c: &str| BudgetKey { account: a.to_owned(), campaign: c.to_owned() };
        let (account, campaign) = name(&key("account-2", "campaign-3"), &names).expect("is there");
        assert_eq!((&*account, &*campaign), ("chaos-a1", "chaos-a1-c2"));
        for (a, c) in
            [("account-3", "campaign-1"), ("account-0", "campaign-1"), ("x", "campaign-1")]
        {
            assert!(name(&key(a, c), &names).is_err(), "{a} {c}");
        }
    }
}
