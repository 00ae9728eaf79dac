//! A customer as the store knows one.

use std::collections::HashMap;
use std::sync::Arc;

use super::PurchaseId;
use crate::actors::kernel::Fault;
use crate::actors::shield::person::PersonName;
use crate::actors::value::answer::History;
use crate::actors::value::shared::{Shared, day_of};
use crate::models::shield::money::Currency;
use crate::models::value::forecast::customer::{Purchase, merged};
use crate::store::{LtvCustomerRow, PAGE_MAX};

/// What is known of a customer.
pub struct Known {
    /// Of all purchases of the account.
    pub currency: Currency,
    pub history: Arc<History>,
    pub row: Option<LtvCustomerRow>,
    /// Day and amount of each purchase by its id.
    pub ids: HashMap<PurchaseId, (i32, i64)>,
}

impl Known {
    pub fn seen(&self) -> super::Seen {
        super::Seen {
            history: Arc::clone(&self.history),
            purchases: self.ids.len() as u64,
            total: self.row.as_ref().map_or(0, |row| row.total),
            currency: self.currency,
        }
    }
}

/// Reads a customer. Nothing where there is no such account.
pub async fn known(shared: &Shared, name: &PersonName) -> Result<Option<Known>, Fault> {
    let (account, store) = (&*name.account, shared.writes.store());
    let Some(row) = store.account(account).await? else { return Ok(None) };
    let currency = row.currency.parse()?;
    let person = store.person_by_lookup(account, &name.lookup).await?;
    let nobody = Known { currency, history: Arc::default(), row: None, ids: HashMap::new() };
    let Some(person) = person else { return Ok(Some(nobody)) };
    let row = store.ltv_customer(account, &person.person).await?;
    let (mut ids, mut purchases) = (HashMap::new(), Vec::new());
    let mut after = String::new();
    while row.is_some() {
        let rows = store.ltv_purchases((account, &person.person), &after, PAGE_MAX).await?;
        for row in &rows {
            let (id, day) = (PurchaseId::parse(&row.purchase), day_of(row.day));
            let (Some(id), Some(day)) = (id, day) else {
                return Err(Fault::new(format!("purchase {} is none", row.purchase)));
            };
            ids.insert(id, (day.number(), row.amount));
            purchases.push(Purchase { day, micros: row.amount });
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE_MAX as usize => after.clone_from(&last.purchase),
            _ => break,
        }
    }
    let person = Some(person.person.into());
    let history = Arc::new(History { person, purchases: merged(purchases) });
    Ok(Some(Known { history, row, ids, ..nobody }))
}
