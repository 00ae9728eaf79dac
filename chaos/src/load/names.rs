//! What accounts, campaigns and persons of a load are called.

use super::spec::LoadSpec;

/// The consents that customers change; bids ask for the first.
pub const CONSENTS: [&str; 3] = ["targeting", "marketing", "analytics"];

#[derive(Clone, Debug)]
pub struct Names {
    pub accounts: Vec<Account>,
}

#[derive(Clone, Debug)]
pub struct Account {
    pub name: Box<str>,
    /// Authorised and spent on directly.
    pub campaigns: Vec<Box<str>>,
    /// Those that bid.
    pub bidding: Vec<Bidding>,
    pub persons: Vec<Box<str>>,
}

#[derive(Clone, Debug)]
pub struct Bidding {
    pub name: Box<str>,
    /// Bids for those who have granted it alone.
    pub personal: bool,
}

impl Names {
    pub fn of(spec: &LoadSpec) -> Names {
        let tag = &spec.tag;
        let account = |a: u32| Account {
            name: format!("{tag}-a{a}").into(),
            campaigns: (0..spec.campaigns).map(|c| format!("{tag}-a{a}-c{c}").into()).collect(),
            bidding: (0..spec.bidding)
                .map(|b| Bidding { name: format!("{tag}-a{a}-b{b}").into(), personal: b % 2 == 1 })
                .collect(),
            persons: (0..spec.persons).map(|p| format!("{tag}-a{a}-p{p}").into()).collect(),
        };
        Names { accounts: (0..spec.accounts).map(account).collect() }
    }

    /// All campaigns as pairs of account and campaign, in an order that does not put those of one account first.
    pub fn campaigns(&self) -> Vec<(Box<str>, Box<str>)> {
        let most = self.accounts.iter().map(|a| a.campaigns.len()).max().unwrap_or(0);
        let at = |n: usize| {
            let of = move |a: &Account| Some((a.name.clone(), a.campaigns.get(n)?.clone()));
            self.accounts.iter().filter_map(of)
        };
        (0..most).flat_map(at).collect()
    }

    /// All persons as pairs of account and person.
    pub fn persons(&self) -> Vec<(Box<str>, Box<str>)> {
        let of =
            |a: &Account| a.persons.iter().map(|p| (a.name.clone(), p.clone())).collect::<Vec<_>>();
        self.accounts.iter().flat_map(of).collect()
    }
}
