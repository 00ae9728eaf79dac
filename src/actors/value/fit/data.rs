//! Purchases of an account, as fits want them.

use sha2::{Digest, Sha256};

use super::{FitFailure, Progress};
use crate::actors::value::shared::{Shared, day_of};
use crate::models::value::forecast::customer::{Customer, Purchase, merged};
use crate::models::value::log::day::Day;
use crate::store::PURCHASES_PAGE;

/// Purchases that a fit reads at most: some 16 bytes each are held.
const PURCHASES_MAX: usize = 50_000_000;

/// Everybody who bought, by person.
pub async fn customers(
    shared: &Shared,
    account: &str,
    progress: &Progress,
) -> Result<Vec<Customer>, FitFailure> {
    let (mut all, mut one): (Vec<Customer>, Vec<Purchase>) = Default::default();
    let (mut person, mut purchase, mut read) = (String::new(), String::new(), 0_usize);
    let close = |all: &mut Vec<Customer>, person: &str, one: &mut Vec<Purchase>| {
        if !one.is_empty() {
            all.push(Customer { id: person.into(), purchases: merged(std::mem::take(one)) });
        }
    };
    loop {
        let page = shared.writes.store().ltv_bought(account, (&person, &purchase)).await;
        let page = page.map_err(|error| FitFailure::Failed(error.to_string()))?;
        let full = page.len() == PURCHASES_PAGE as usize;
        read += page.len();
        for row in page {
            if row.person != person {
                close(&mut all, &person, &mut one);
                person = row.person;
            }
            purchase = row.purchase;
            let Some(day) = day_of(row.day) else { continue };
            one.push(Purchase { day, micros: row.amount });
        }
        if progress.is_cancelled() {
            return Err(FitFailure::Cancelled);
        }
        if read > PURCHASES_MAX {
            return Err(FitFailure::Data(format!("there are more than {PURCHASES_MAX} purchases")));
        }
        if !full {
            close(&mut all, &person, &mut one);
            return Ok(all);
        }
    }
}

/// SHA-256 in hex of the purchases on the days after `after` up to and with `to`, and of the customers
/// who have any.
pub fn fingerprint(customers: &[Customer], after: Option<Day>, to: Day) -> String {
    let mut sha = Sha256::new();
    for customer in customers {
        let within = |p: &&Purchase| after.is_none_or(|after| p.day > after) && p.day <= to;
        let mut any = false;
        for purchase in customer.purchases.iter().filter(within) {
            if !any {
                sha.update((customer.id.len() as u64).to_be_bytes());
                sha.update(customer.id.as_bytes());
                any = true;
            }
            sha.update(purchase.day.number().to_be_bytes());
            sha.update(purchase.micros.to_be_bytes());
        }
    }
    let digest: [u8; 32] = sha.finalize().into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
