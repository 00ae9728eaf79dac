//! An account that has campaigns in auctions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arc_swap::ArcSwap;

use crate::models::flow::auction::Rates;
use crate::models::shield::money::Currency;

/// It outlives indexes.
pub struct Account {
    pub name: Arc<str>,
    rates: ArcSwap<Rates>,
    read: AtomicBool,
}

impl Account {
    pub fn new(name: &Arc<str>) -> Account {
        let rates = ArcSwap::from_pointee(Rates::none(Currency::USD));
        Account { name: Arc::clone(name), rates, read: AtomicBool::new(false) }
    }

    pub fn rates(&self) -> Arc<Rates> {
        self.rates.load_full()
    }

    /// Whether they were read; until then there is no rate of anything.
    pub fn has_rates(&self) -> bool {
        self.read.load(Relaxed)
    }

    pub fn set_rates(&self, rates: Rates) {
        self.rates.store(Arc::new(rates));
        self.read.store(true, Relaxed);
    }
}
