//! How each account sees a request: looked up when the first of its campaigns is a candidate, and kept for as
//! long as the request is worked on.

use std::cell::OnceCell;
use std::sync::Arc;

use super::account::Account;
use super::market::Market;
use super::office::Office;
use crate::actors::flow::ltv::{self, Known, Wanted};
use crate::clock;
use crate::models::flow::auction::Rates;
use crate::models::flow::frequency::{PersonKey, Table};
use crate::models::flow::opportunity::Auction;
use crate::models::flow::targeting::{Person, Sight, Sights};

/// Chains that accounts are spread over.
const CHAINS: usize = 8;

/// What one account knows.
struct Sees {
    rates: Arc<Rates>,
    /// The number of the name that it has for the person; 0: none.
    person: u128,
    /// `None`: nobody that it could know.
    known: Option<Known>,
}

/// A chain of accounts: what was given out of it stays where it is. One account costs no allocation.
#[derive(Default)]
struct Chain {
    first: OnceCell<(u32, Sees)>,
    rest: OnceCell<Box<Chain>>,
}

impl Chain {
    fn get(&self, account: u32, sees: impl FnOnce() -> Sees) -> &Sees {
        let mut chain = self;
        while chain.first.get().is_some_and(|(known, _)| *known != account) {
            chain = chain.rest.get_or_init(Box::default);
        }
        &chain.first.get_or_init(|| (account, sees())).1
    }

    fn find(&self, account: u32) -> Option<&Sees> {
        let mut chain = Some(self);
        while let Some(it) = chain {
            match it.first.get()? {
                (known, sees) if *known == account => return Some(sees),
                _ => chain = it.rest.get().map(|rest| &**rest),
            }
        }
        None
    }
}

/// What is known of who sees a request.
pub struct Seeing<'a> {
    /// Under which impressions are counted.
    pub key: Option<PersonKey>,
    /// The id that the person may be known by as somebody's customer.
    customer: Option<&'a str>,
    chains: [Chain; CHAINS],
}

impl<'a> Seeing<'a> {
    /// `exchange`: the name by which the caller is known.
    pub fn of(office: &Office, auction: &Auction<'a>, exchange: &str) -> Seeing<'a> {
        let user = auction.user.filter(|_| auction.personal);
        Seeing {
            key: user.map(|user| office.people.person(&user, exchange)),
            customer: user.filter(|user| user.is_known()).map(|user| user.key),
            chains: Default::default(),
        }
    }

    fn chain(&self, account: u32) -> Option<&Chain> {
        self.chains.get(account as usize % CHAINS)
    }

    /// Whether what the person had granted an account stands: asked once more right before an answer leaves,
    /// since a revocation that is answered meanwhile holds for it, too.
    pub fn stands(&self, office: &Office, account: u32) -> bool {
        let sees = self.chain(account).and_then(|chain| chain.find(account));
        let Some(Sees { known: Some(known), person, .. }) = sees else { return true };
        // Who has granted nothing has nothing to take back.
        let granted = known.granted.filter(|granted| !granted.is_empty());
        // A node whose lease is over may be the last to hear of a revocation.
        granted.is_none_or(|granted| {
            office.shield.serves() && office.ltv.stands(*person, granted, clock::mono_us())
        })
    }

    /// The number of the person whose grants to an account counted; 0: nobody's did.
    pub fn granted(&self, account: u32) -> u128 {
        let sees = self.chain(account).and_then(|chain| chain.find(account));
        let Some(Sees { known: Some(known), person, .. }) = sees else { return 0 };
        let counted = known.granted.is_some_and(|granted| !granted.is_empty());
        if counted { *person } else { 0 }
    }

    /// What an account knew of the person, if it was asked.
    pub fn known(&self, account: u32) -> Option<&Known> {
        self.chain(account)?.find(account)?.known.as_ref()
    }
}

/// For decisions.
pub struct View<'a> {
    pub office: &'a Office,
    pub market: &'a Market,
    pub seeing: &'a Seeing<'a>,
    /// In which impressions of this person are counted.
    pub table: Option<&'a Table>,
    /// Of an account that is not there.
    pub nothing: &'a Rates,
}

impl View<'_> {
    fn ask(&self, account: &Arc<Account>) -> Sees {
        let View { office, seeing, .. } = *self;
        let rates = account.rates();
        let person = seeing.customer.map_or(0, |it| office.person(&account.name, it));
        let known = seeing.customer.map(|customer| {
            let (known, wanted) = office.ltv.look(person, clock::mono_us());
            if wanted == Wanted::Yes
                && let Some(lookup) = office.lookup.get()
            {
                let (account, customer) = (Arc::clone(account), customer.to_owned());
                // Too many wait: the next auction of this person asks again.
                let _ = lookup.tell(ltv::Msg::Look(ltv::Question { account, customer, person }));
            }
            known.unwrap_or_else(|| Known::thumb(rates.base(), office.horizon_days(), None))
        });
        Sees { rates, person, known }
    }
}

impl Sights for View<'_> {
    fn of(&self, account: u32) -> Sight<'_> {
        let seen = self.seen();
        let place = self.market.accounts.get(account as usize);
        let (Some(of), Some(chain)) = (place, self.seeing.chain(account)) else {
            return Sight { rates: self.nothing, person: Person { seen, ..Person::default() } };
        };
        let Sees { rates, known, .. } = chain.get(account, || self.ask(of));
        let known = known.as_ref();
        let person = Person {
            ltv: known.map(Known::ltv),
            cohort: known.and_then(|known| known.cohort),
            granted: known.and_then(|known| known.granted),
            seen,
        };
        Sight { rates, person }
    }

    fn seen(&self) -> Option<(&Table, PersonKey)> {
        self.table.zip(self.seeing.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::money::Currency;

    #[test]
    fn each_account_is_looked_up_once_however_many_there_are() {
        let chain = Chain::default();
        let mut asked = 0;
        for account in [3, 3, 11, 3, 19, 11, 19, 3] {
            let sees = || {
                asked += 1;
                let rates = Rates::new(account as i32, Currency::USD, []).expect("rates");
                Sees { rates: Arc::new(rates), person: 0, known: None }
            };
            assert_eq!(chain.get(account, sees).rates.day, account as i32);
        }
        assert_eq!(asked, 3);
        assert_eq!(chain.find(11).map(|sees| sees.rates.day), Some(11));
        assert!(chain.find(27).is_none() && Chain::default().find(3).is_none());
    }
}
