//! Handing rows to their customers, many at a time, and answering a repeated request again.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{ImportBody, Terms};
use crate::actors::value::customer::NewPurchase;
use crate::actors::value::{Claim, Claimed, OfCustomer, Value, ValueError};
use crate::api::problem::{Code, Problem};
use crate::api::value::{App, common};
use crate::clock;
use crate::store::LtvImportRow;

/// A purchase of somebody, with its line.
#[derive(Clone)]
pub struct Line {
    pub line: u64,
    pub customer: String,
    pub purchase: NewPurchase,
}

/// Customers with their purchases, and beside them the lines of those, in their order.
fn by_customer(lines: Vec<Line>) -> (Vec<OfCustomer>, Vec<Vec<u64>>) {
    let (mut order, mut numbers): (Vec<OfCustomer>, Vec<Vec<u64>>) = Default::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    for Line { line, customer, purchase } in lines {
        let place = *places.entry(customer).or_insert_with_key(|customer| {
            order.push((customer.clone(), Vec::new()));
            numbers.push(Vec::new());
            order.len() - 1
        });
        if let (Some((_, rows)), Some(numbers)) = (order.get_mut(place), numbers.get_mut(place)) {
            rows.push(purchase);
            numbers.push(line);
        }
    }
    (order, numbers)
}

/// Asks the customers of all lines what they would not take, before anything is: lets through what is
/// taken whole. What another request brings or erases in between, this does not see.
///
/// # Errors
/// Some rows cannot be taken, or nobody can say. Nothing is taken.
pub async fn all_or_nothing(
    value: &Value,
    account: &str,
    lines: &[Line],
    done: &mut ImportBody,
) -> Result<(), Problem> {
    // what cannot even be read is told without asking anybody
    if done.rejected > 0 {
        return Err(done.refused());
    }
    let (of, lines) = by_customer(lines.to_vec());
    let mut wrong = Vec::new();
    for (lines, checked) in lines.iter().zip(value.check_all(account, of).await) {
        for (at, why) in checked.map_err(common::failed)?.not_taken {
            wrong.push((lines.get(at).copied().unwrap_or(0), why));
        }
    }
    wrong.sort_unstable_by_key(|(line, _)| *line);
    for (line, why) in wrong {
        done.reject(line, why);
    }
    if done.rejected > 0 { Err(done.refused()) } else { Ok(()) }
}

/// Takes lines; what their customers do not take is rejected.
///
/// # Errors
/// Some may have been taken: to send them again is safe.
pub async fn take(
    value: &Value,
    account: &str,
    lines: Vec<Line>,
    keyed: Option<&Keyed>,
    done: &mut ImportBody,
) -> Result<(), Problem> {
    let (of, lines) = by_customer(lines);
    let claim = keyed.map(Keyed::claim);
    let mut failed = None;
    for (lines, imported) in lines.iter().zip(value.import_all(account, of, claim).await) {
        match imported {
            Ok(imported) => {
                done.imported += imported.new;
                done.duplicates += imported.known;
                for (at, why) in imported.not_taken {
                    done.reject(lines.get(at).copied().unwrap_or(0), why);
                }
            }
            // the others are taken all the same: less is left for the next time
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        None => Ok(()),
        Some(error) => Err(common::failed(error)),
    }
}

/// A request with an Idempotency-Key.
pub struct Keyed {
    /// As it is stored: not the key itself, which may tell something.
    import: String,
    /// The answer of before.
    known: Option<LtvImportRow>,
    claimed: Claimed,
}

/// 32 hexadecimal digits of SHA-256.
fn short(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl Keyed {
    /// `None` where the request has no key.
    ///
    /// # Errors
    /// A request with this key is being worked on, or the store does not answer.
    pub async fn begin(app: &App, terms: &Terms) -> Result<Option<Keyed>, Problem> {
        let Some(key) = &terms.key else { return Ok(None) };
        let import = short(Sha256::digest(format!("{}\0{key}", terms.account)));
        // Before it is asked whether there was an answer: what another request is doing is done by then, or not begun.
        let claimed = app.value.claim_import(&terms.account, &import).await;
        let claimed = claimed.map_err(common::failed)?;
        let claimed = claimed.ok_or_else(|| common::failed(ValueError::Claimed))?;
        let known = app.value.import_answer(&terms.account, &import).await;
        let known = known.map_err(common::failed)?;
        Ok(Some(Keyed { import, known, claimed }))
    }

    /// What stands for this request before others with its key.
    pub fn claim(&self) -> &Claim {
        self.claimed.claim()
    }

    /// Whether it was answered before: then nothing is imported, whatever it brings.
    pub fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The answer of before.
    ///
    /// # Errors
    /// It was to another body.
    pub fn again(&self, body: &Sha256) -> Result<ImportBody, Problem> {
        let Some(known) = &self.known else {
            return Err(Problem::new(Code::Internal, "there is no answer of before"));
        };
        if known.body_hash != short(body.clone().finalize()) {
            let why = "the key was used with another request";
            return Err(Problem::new(Code::IdempotencyMismatch, why));
        }
        let answer: ImportBody = serde_json::from_str(&known.answer)
            .map_err(|_| Problem::new(Code::Internal, "the answer of before is not understood"))?;
        Ok(ImportBody { replayed: true, ..answer })
    }

    /// Keeps the answer, if everything was taken. With rejected rows it is not kept: the same request is
    /// worked on again, finds what was taken, and takes what can be taken by then.
    ///
    /// # Errors
    /// It is not kept. What was imported is, so that the request can be repeated.
    pub async fn keep(
        &self,
        value: &Value,
        account: &str,
        body: Sha256,
        answer: &ImportBody,
    ) -> Result<(), Problem> {
        if answer.rejected > 0 {
            return Ok(());
        }
        let row = LtvImportRow {
            account: account.to_owned(),
            import: self.import.clone(),
            body_hash: short(body.finalize()),
            answer: serde_json::to_string(answer)
                .map_err(|error| Problem::new(Code::Internal, error.to_string()))?,
            created_at: clock::wall_us(),
        };
        value.keep_import(row).await.map_err(common::failed)
    }
}
