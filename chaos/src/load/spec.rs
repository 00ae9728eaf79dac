//! What load there is to be: plain fields, so that any schema can be mapped to it.

use std::time::Duration;

use super::kind::Kind;
use super::summary::Minimums;
use crate::history::Micros;

/// Bounds that keep a typing mistake from taking the machine.
pub const CLIENTS_MAX: u32 = 512;
pub const RATE_MAX: f64 = 20_000.0;
pub const ACCOUNTS_MAX: u32 = 64;
pub const CAMPAIGNS_MAX: u32 = 256;
pub const PERSONS_MAX: u32 = 10_000;
pub const OUTSTANDING_MAX: u32 = 10_000;
const DURATION_MAX: Duration = Duration::from_secs(24 * 3_600);
/// A billion of the currency, as the API bounds it.
const AMOUNT_MAX: Micros = 1_000_000_000_000_000;

/// What an experiment may ask for at most.
const LATE_MAX: Duration = Duration::from_secs(120);

/// Clients of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrivals {
    /// Beginnings a second, of all clients together: one may be several operations.
    pub rate: f64,
    pub clients: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LoadSpec {
    /// Begins the names of accounts, campaigns, persons and keys: what two runs on one cluster must not share.
    pub tag: String,
    pub duration: Duration,
    pub budget: Arrivals,
    pub spend: Arrivals,
    pub exchange: Arrivals,
    pub customer: Arrivals,
    pub admin: Arrivals,

    pub accounts: u32,
    /// Campaigns of each account that are authorised and spent on directly.
    pub campaigns: u32,
    /// Campaigns of each account that bid; every second one needs the consent of who it is shown to.
    pub bidding: u32,
    /// How uneven campaigns are loaded: 0 is even, 1 is Zipf's law.
    pub zipf: f64,
    pub currency: String,
    /// Budget of each campaign.
    pub budget_cap: Micros,
    /// Which part of each account's campaigns has little, the last of them, and how much: what they have is fought for.
    pub tight: f64,
    pub tight_cap: Micros,
    /// Budget of each campaign that bids.
    pub bidding_cap: Micros,
    /// Cap of each account's window; its length is the platform's (`shield.window_seconds`).
    pub window_cap: Micros,
    pub window: Duration,
    /// Amounts are drawn evenly from here to there.
    pub amount_min: Micros,
    pub amount_max: Micros,
    /// How long a hold is asked for.
    pub hold: Duration,
    /// The longest time between an authorisation and what follows.
    pub think_max: Duration,

    /// Of approved authorisations: what part is released, and what part is left to expire. The rest is settled.
    pub release: f64,
    pub expire: f64,
    /// Of settles: what part settles all of it.
    pub settle_all: f64,
    /// Of spends: what part is given back afterwards.
    pub refund: f64,
    /// Settles and spends that are sent twice on purpose.
    pub duplicate: f64,
    /// How often an operation of unknown outcome is sent again under its key.
    pub retries: u32,
    /// What part of these go to another address, where there is one.
    pub elsewhere: f64,
    /// Of bids: won and billed; the others are told that they have lost.
    pub win: f64,
    /// Of notices: told late, and never.
    pub late_notice: f64,
    pub lost_notice: f64,
    /// How late, at most.
    pub late_by: Duration,
    /// Notices that are sent twice.
    pub duplicate_notice: f64,
    /// Of bid requests: about a person whose consent counts.
    pub personal: f64,
    /// Persons of each account. Each belongs to a few clients alone.
    pub persons: u32,
    /// Of what customers do: grants and revocations; the rest are questions.
    pub grant: f64,
    pub revoke: f64,
    /// Of looks by operators: at the cluster, and at forecasts where SyncValue is known; the rest are at budgets.
    pub look_cluster: f64,
    pub look_forecast: f64,
    /// Whether every account has customers with purchases and a model fitted to them; forecasts are about these then.
    pub model: bool,
    /// Of admin operations: budgets that are set, and pauses (each followed by its resume).
    pub set_cap: f64,
    pub pause: f64,

    /// Operations of one kind under way at most; what would be more is counted and not sent.
    pub outstanding: u32,
    pub connect_timeout: Duration,
    pub timeout: Duration,
    pub minimums: Minimums,
}

impl Default for LoadSpec {
    fn default() -> LoadSpec {
        let arrivals = |rate, clients| Arrivals { rate, clients };
        LoadSpec {
            tag: "chaos".to_owned(),
            duration: Duration::from_secs(60),
            budget: arrivals(60.0, 12),
            spend: arrivals(20.0, 4),
            exchange: arrivals(20.0, 4),
            customer: arrivals(10.0, 6),
            admin: arrivals(4.0, 2),
            accounts: 2,
            campaigns: 6,
            bidding: 2,
            zipf: 1.0,
            currency: "USD".to_owned(),
            budget_cap: 2_000_000_000,
            tight: 0.0,
            tight_cap: 500_000_000,
            bidding_cap: 500_000_000,
            window_cap: 20_000_000_000,
            window: Duration::from_secs(60),
            amount_min: 10_000,
            amount_max: 5_000_000,
            hold: Duration::from_secs(10),
            think_max: Duration::from_millis(400),
            release: 0.2,
            expire: 0.05,
            settle_all: 0.4,
            refund: 0.1,
            duplicate: 0.05,
            retries: 4,
            elsewhere: 0.5,
            win: 0.6,
            late_notice: 0.05,
            lost_notice: 0.05,
            late_by: Duration::from_secs(8),
            duplicate_notice: 0.05,
            personal: 0.3,
            persons: 6,
            grant: 0.3,
            revoke: 0.2,
            look_cluster: 0.25,
            look_forecast: 0.25,
            model: false,
            set_cap: 0.1,
            pause: 0.05,
            outstanding: 256,
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(8),
            minimums: Minimums::default(),
        }
    }
}

impl LoadSpec {
    pub fn arrivals(&self, kind: Kind) -> Arrivals {
        match kind {
            Kind::Budget => self.budget,
            Kind::Spend => self.spend,
            Kind::Exchange => self.exchange,
            Kind::Customer => self.customer,
            Kind::Admin => self.admin,
        }
    }

    /// The budget of an account's campaign, by its number from 0.
    pub fn cap(&self, campaign: u32) -> Micros {
        let tight = (f64::from(self.campaigns) * self.tight).round() as u32;
        if campaign + tight >= self.campaigns && tight > 0 {
            self.tight_cap
        } else {
            self.budget_cap
        }
    }

    /// Everything that is out of bounds, a sentence each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut want = |holds: bool, what: String| {
            if !holds {
                faults.push(what);
            }
        };
        let tag = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        want(
            (1..=64).contains(&self.tag.len()) && self.tag.bytes().all(tag),
            format!("tag {:?} is not 1 to 64 of A-Z a-z 0-9 _ -", self.tag),
        );
        want(
            self.currency.len() == 3 && self.currency.bytes().all(|b| b.is_ascii_uppercase()),
            format!("currency {:?} is not three capital letters", self.currency),
        );
        for kind in Kind::ALL {
            let Arrivals { rate, clients } = self.arrivals(kind);
            let name = kind.as_str();
            want(
                (0.0..=RATE_MAX).contains(&rate),
                format!("{name}: rate {rate} is not 0 to {RATE_MAX}"),
            );
            let least = u32::from(rate > 0.0);
            want(
                (least..=CLIENTS_MAX).contains(&clients),
                format!("{name}: {clients} clients are not {least} to {CLIENTS_MAX}"),
            );
        }
        for (name, value, least, most) in [
            ("accounts", self.accounts, 1, ACCOUNTS_MAX),
            ("campaigns", self.campaigns, 1, CAMPAIGNS_MAX),
            ("bidding", self.bidding, u32::from(self.exchange.rate > 0.0), CAMPAIGNS_MAX),
            ("persons", self.persons, 1, PERSONS_MAX),
            ("outstanding", self.outstanding, 1, OUTSTANDING_MAX),
            ("retries", self.retries, 0, 100),
        ] {
            want(
                (least..=most).contains(&value),
                format!("{name}: {value} is not {least} to {most}"),
            );
        }
        for (name, value) in [
            ("release", self.release),
            ("expire", self.expire),
            ("release + expire", self.release + self.expire),
            ("settle_all", self.settle_all),
            ("refund", self.refund),
            ("tight", self.tight),
            ("grant + revoke", self.grant + self.revoke),
            ("duplicate", self.duplicate),
            ("elsewhere", self.elsewhere),
            ("win", self.win),
            ("late_notice", self.late_notice),
            ("lost_notice", self.lost_notice),
            ("duplicate_notice", self.duplicate_notice),
            ("late_notice + lost_notice", self.late_notice + self.lost_notice),
            ("personal", self.personal),
            ("look_cluster + look_forecast", self.look_cluster + self.look_forecast),
            ("set_cap", self.set_cap),
            ("pause", self.pause),
            ("set_cap + pause", self.set_cap + self.pause),
        ] {
            want(
                (0.0..=1.0).contains(&value),
                format!("{name}: {value} is not a part from 0 to 1"),
            );
        }
        want((0.0..=4.0).contains(&self.zipf), format!("zipf: {} is not 0 to 4", self.zipf));
        for (name, value) in [
            ("budget_cap", self.budget_cap),
            ("tight_cap", self.tight_cap),
            ("bidding_cap", self.bidding_cap),
            ("window_cap", self.window_cap),
            ("amount_min", self.amount_min),
            ("amount_max", self.amount_max),
        ] {
            want(
                (1..=AMOUNT_MAX).contains(&value),
                format!("{name}: {value} micros are not 1 to {AMOUNT_MAX}"),
            );
        }
        want(self.amount_min <= self.amount_max, "amount_min is above amount_max".to_owned());
        let (ms, second) = (Duration::from_millis(1), Duration::from_secs(1));
        for (name, value, least, most) in [
            ("duration", self.duration, second, DURATION_MAX),
            ("window", self.window, second, DURATION_MAX),
            ("hold", self.hold, ms, DURATION_MAX),
            ("think_max", self.think_max, Duration::ZERO, self.hold),
            ("late_by", self.late_by, Duration::ZERO, LATE_MAX),
            ("connect_timeout", self.connect_timeout, ms, Duration::from_secs(60)),
            ("timeout", self.timeout, ms, Duration::from_secs(120)),
        ] {
            want(
                (least..=most).contains(&value),
                format!("{name}: {value:?} is not {least:?} to {most:?}"),
            );
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_without_words_is_in_bounds() {
        assert_eq!(LoadSpec::default().faults(), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_named() {
        let mut spec = LoadSpec { tag: "a b".to_owned(), zipf: f64::NAN, ..LoadSpec::default() };
        spec.budget.clients = 0;
        spec.release = 0.7;
        spec.expire = 0.7;
        spec.amount_min = spec.amount_max + 1;
        let faults = spec.faults().join("\n");
        for part in
            ["tag", "zipf", "budget: 0 clients", "release + expire: 1.4", "above amount_max"]
        {
            assert!(faults.contains(part), "{part} in {faults}");
        }
    }
}
