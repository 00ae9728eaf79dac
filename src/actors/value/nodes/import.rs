//! Purchases in. The account's home takes them; a node that was asked sends them there in messages of bounded size,
//! for the request itself may be too large to be passed on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::claims::Claim;
use super::{Asked, ask_home, not_here};
use crate::actors::cluster::links::LinkError;
use crate::actors::shield::Written;
use crate::actors::value::customer::{self, Imported, NewPurchase};
use crate::actors::value::service::{Result, ValueError};
use crate::actors::value::shared::{Shared, home_of};
use crate::store::{LtvImportRow, Put};

pub const KIND: &str = "value.import";
pub const KEEP: &str = "value.keep_import";
/// Customers that are asked at a time.
const AT_A_TIME: usize = 128;
/// Purchases of a message to another node.
const OF_MESSAGE: usize = 1_024;
/// A message's own way, beside what the customers take.
const WAY: Duration = Duration::from_secs(1);

/// Purchases of one customer.
pub type OfCustomer = (String, Vec<NewPurchase>);

/// What is to become of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    Take,
    /// Nothing is taken: what would become of them all.
    Check,
}

#[derive(Serialize, Deserialize)]
pub struct Question {
    account: String,
    how: How,
    of: Vec<OfCustomer>,
    /// Of a request with a key: nothing is taken where another one has it.
    #[serde(default)]
    claim: Option<Claim>,
}

/// Why a customer's purchases were not taken, as another node says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    Unavailable,
    UnknownAccount,
    Erased,
    Overloaded { retry_after_ms: u64 },
    Unanswered,
    Claimed,
}

impl From<ValueError> for Refusal {
    fn from(error: ValueError) -> Refusal {
        match error {
            ValueError::Unavailable => Refusal::Unavailable,
            ValueError::UnknownAccount => Refusal::UnknownAccount,
            ValueError::Erased => Refusal::Erased,
            ValueError::Overloaded { retry_after_ms } => Refusal::Overloaded { retry_after_ms },
            ValueError::Claimed => Refusal::Claimed,
            // A customer's actor says nothing else.
            _ => Refusal::Unanswered,
        }
    }
}

impl From<Refusal> for ValueError {
    fn from(refusal: Refusal) -> ValueError {
        match refusal {
            Refusal::Unavailable => ValueError::Unavailable,
            Refusal::UnknownAccount => ValueError::UnknownAccount,
            Refusal::Erased => ValueError::Erased,
            Refusal::Overloaded { retry_after_ms } => ValueError::Overloaded { retry_after_ms },
            Refusal::Unanswered => ValueError::Unanswered,
            Refusal::Claimed => ValueError::Claimed,
        }
    }
}

type Answer = std::result::Result<Imported, Refusal>;

/// Asks the customers, wherever they are at home: what became of each one's purchases, in their order.
pub async fn all(
    shared: &Arc<Shared>,
    account: &str,
    of: Vec<OfCustomer>,
    how: How,
    claim: Option<&Claim>,
) -> Vec<Result<Imported>> {
    let home = home_of(account);
    if shared.is_here(home) {
        return here(shared, account, of, how, claim).await;
    }
    let mut done: Vec<Result<Imported>> = of.iter().map(|_| Ok(Imported::default())).collect();
    // One after the other: of two rows with one id the first is the one that counts.
    for message in messages(of, how) {
        let (places, of): (Vec<Place>, Vec<OfCustomer>) = message.into_iter().unzip();
        let claim = claim.cloned();
        let question = Question { account: account.to_owned(), how, of, claim };
        let patience = shared.terms.call_patience + WAY;
        let answers = match ask_home(shared, home, (KIND, &question), patience).await {
            Ok(Asked::Answered(answers)) => answers,
            Ok(Asked::Here) => {
                let Question { of, claim, .. } = question;
                let answers = here(shared, account, of, how, claim.as_ref()).await;
                answers.into_iter().map(|answer| answer.map_err(Refusal::from)).collect()
            }
            Err(error) => {
                tracing::warn!(%error, account, "the home of {account} does not take purchases: {error}");
                Vec::new()
            }
        };
        add(&mut done, &places, answers);
    }
    done
}

/// The customers whose account is at home here.
async fn here(
    shared: &Arc<Shared>,
    account: &str,
    of: Vec<OfCustomer>,
    how: How,
    claim: Option<&Claim>,
) -> Vec<Result<Imported>> {
    let allowed = claim.map_or(Ok(()), |claim| shared.elsewhere.claims.claim(claim).allowed());
    if let Err(refused) = allowed {
        return of.iter().map(|_| Err(refused.clone())).collect();
    }
    let account: Arc<str> = account.into();
    let asking = of.into_iter().enumerate().map(|(place, (customer, rows))| {
        let (shared, account) = (Arc::clone(shared), Arc::clone(&account));
        async move {
            let done = match how {
                How::Take => take(&shared, &account, &customer, rows).await,
                How::Check => check(&shared, &account, &customer, rows).await,
            };
            (place, done)
        }
    });
    let mut done: Vec<(usize, Result<Imported>)> =
        stream::iter(asking).buffer_unordered(AT_A_TIME).collect().await;
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, done)| done).collect()
}

/// Some may have been taken where this fails: to send them again is safe.
async fn take(
    shared: &Shared,
    account: &str,
    customer: &str,
    rows: Vec<NewPurchase>,
) -> Result<Imported> {
    let customers = shared.customers.get().ok_or(ValueError::Unavailable)?;
    let key = shared.shield.people().name(account, customer).key();
    let customer: Arc<str> = customer.into();
    let mut all = Imported::default();
    let mut rows = rows.into_iter().peekable();
    let mut taken = 0;
    while rows.peek().is_some() {
        let part: Vec<NewPurchase> = rows.by_ref().take(customer::ROWS_MAX).collect();
        let (many, customer) = (part.len(), Arc::clone(&customer));
        let make = |reply| customer::Msg::Import { customer, rows: part, reply };
        let done = customers.ask(&key, shared.terms.call_patience, make).await??;
        all.add(done, taken);
        taken += many;
    }
    Ok(all)
}

async fn check(
    shared: &Shared,
    account: &str,
    customer: &str,
    rows: Vec<NewPurchase>,
) -> Result<Imported> {
    let customers = shared.customers.get().ok_or(ValueError::Unavailable)?;
    let key = shared.shield.people().name(account, customer).key();
    let make = |reply| customer::Msg::Check { rows, reply };
    Ok(customers.ask(&key, shared.terms.call_patience, make).await??)
}

/// A part of a customer's purchases: which customer, and how many are before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    customer: usize,
    before: usize,
}

/// Purchases as they are sent. A customer who is only asked is asked about all of them at once.
fn messages(of: Vec<OfCustomer>, how: How) -> Vec<Vec<(Place, OfCustomer)>> {
    let mut messages: Vec<Vec<(Place, OfCustomer)>> = Vec::new();
    let mut room = 0;
    for (at, (customer, rows)) in of.into_iter().enumerate() {
        let mut rows = VecDeque::from(rows);
        let mut before = 0;
        while !rows.is_empty() {
            if room == 0 || (how == How::Check && rows.len() > room) {
                messages.push(Vec::new());
                room = OF_MESSAGE;
            }
            let many = match how {
                How::Take => rows.len().min(room),
                How::Check => rows.len(),
            };
            let part = (customer.clone(), rows.drain(..many).collect());
            let place = Place { customer: at, before };
            if let Some(message) = messages.last_mut() {
                message.push((place, part));
            }
            before += many;
            room = room.saturating_sub(many);
        }
    }
    messages
}

/// Adds the answers to a message; a part without one was not answered.
fn add(done: &mut [Result<Imported>], places: &[Place], answers: Vec<Answer>) {
    let mut answers = answers.into_iter();
    for place in places {
        let answer = answers.next().unwrap_or(Err(Refusal::Unavailable));
        let Some(all) = done.get_mut(place.customer) else { continue };
        match (answer, all.as_mut()) {
            (Ok(part), Ok(all)) => all.add(part, place.before),
            (Err(refusal), Ok(_)) => *all = Err(refusal.into()),
            // A part before it was refused: that is what is told.
            (_, Err(_)) => {}
        }
    }
}

/// Another node asks for customers who are at home here.
pub async fn asked(
    shared: Arc<Shared>,
    question: Question,
) -> std::result::Result<Vec<Answer>, LinkError> {
    let Question { account, how, of, claim } = question;
    if !shared.is_here(home_of(&account)) {
        return Err(not_here());
    }
    let answers = here(&shared, &account, of, how, claim.as_ref()).await;
    Ok(answers.into_iter().map(|answer| answer.map_err(Refusal::from)).collect())
}

/// Keeps the answer to an import, where its account is at home. A key has one answer: the one that came first.
pub async fn keep(shared: &Shared, row: LtvImportRow) -> Result<()> {
    let (account, import, body) = (row.account.clone(), row.import.clone(), row.body_hash.clone());
    put(shared, row).await?;
    match shared.writes.store().ltv_import(&account, &import).await? {
        Some(kept) if kept.body_hash == body => Ok(()),
        Some(_) => Err(ValueError::KeyUsed),
        None => Err(ValueError::Unavailable),
    }
}

async fn put(shared: &Shared, row: LtvImportRow) -> Result<()> {
    let home = home_of(&row.account);
    if shared.is_here(home) {
        return keep_here(shared, row).await;
    }
    match ask_home::<_, bool>(shared, home, (KEEP, &row), shared.terms.call_patience).await {
        Ok(Asked::Answered(true)) => Ok(()),
        Ok(Asked::Answered(false)) => Err(ValueError::Unavailable),
        Ok(Asked::Here) => keep_here(shared, row).await,
        Err(error) => {
            tracing::warn!(%error, "the answer to an import is not kept: {error}");
            Err(ValueError::Unavailable)
        }
    }
}

async fn keep_here(shared: &Shared, row: LtvImportRow) -> Result<()> {
    let account = row.account.clone();
    let entity = format!("@ltv/import/{}", row.import);
    match shared.writes.write(&account, &entity, vec![Put::from(row)]).await {
        Written::Done => Ok(()),
        _ => Err(ValueError::Unavailable),
    }
}

/// Another node has the answer to an import: whether it is kept.
pub async fn asked_to_keep(
    shared: Arc<Shared>,
    row: LtvImportRow,
) -> std::result::Result<bool, LinkError> {
    if !shared.is_here(home_of(&row.account)) {
        return Err(not_here());
    }
    Ok(keep_here(&shared, row).await.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::value::customer::{NotTaken, PurchaseId};
    use crate::models::value::log::day::Day;

    fn rows(from: usize, many: usize) -> Vec<NewPurchase> {
        let day = Day::new(19_000).expect("a day");
        let row = |id: usize| NewPurchase {
            id: PurchaseId(u128::MAX - id as u128),
            reference: Some("r".to_owned()),
            day,
            amount: i64::MAX,
            currency: "USD".parse().ok(),
        };
        (from..from + many).map(row).collect()
    }

    fn sizes(of: &[(&str, usize)], how: How) -> Vec<Vec<(usize, usize, usize)>> {
        let of = of.iter().map(|(name, many)| ((*name).to_owned(), rows(0, *many))).collect();
        let part =
            |(place, (_, rows)): &(Place, OfCustomer)| (place.customer, place.before, rows.len());
        messages(of, how).iter().map(|message| message.iter().map(part).collect()).collect()
    }

    #[test]
    fn messages_are_bounded_and_a_question_about_a_customer_is_one() {
        let of = [("a", 1_000), ("b", 1_100), ("c", 0), ("d", 5)];
        assert_eq!(
            sizes(&of, How::Take),
            [
                vec![(0, 0, 1_000), (1, 0, 24)],
                vec![(1, 24, 1_024)],
                vec![(1, 1_048, 52), (3, 0, 5)]
            ]
        );
        assert_eq!(
            sizes(&of, How::Check),
            [vec![(0, 0, 1_000)], vec![(1, 0, 1_100)], vec![(3, 0, 5)]]
        );
    }

    #[test]
    fn answers_of_parts_are_those_of_their_customers() {
        let place = |customer, before| Place { customer, before };
        let imported =
            |new, at| Imported { new, known: 1, not_taken: vec![(at, NotTaken::Differs)] };
        let mut done: Vec<Result<Imported>> = (0..4).map(|_| Ok(Imported::default())).collect();
        let refused = Refusal::Overloaded { retry_after_ms: 7 };
        add(&mut done, &[place(0, 0), place(1, 0)], vec![Ok(imported(3, 2)), Err(refused)]);
        add(&mut done, &[place(0, 5), place(1, 9)], vec![Ok(imported(4, 1)), Ok(imported(1, 0))]);
        add(&mut done, &[place(2, 0)], Vec::new());
        let of = |new, known, not_taken| Ok(Imported { new, known, not_taken });
        assert_eq!(done[0], of(7, 2, vec![(2, NotTaken::Differs), (6, NotTaken::Differs)]));
        assert_eq!(done[1], Err(ValueError::Overloaded { retry_after_ms: 7 }));
        assert_eq!(done[2], Err(ValueError::Unavailable), "nobody answered");
        assert_eq!(done[3], of(0, 0, Vec::new()), "there was nothing to ask");
    }

    #[test]
    fn a_question_and_its_answer_are_read_as_they_were_written() {
        let of = vec![("c".to_owned(), rows(0, 2))];
        let claim = None;
        let question = Question { account: "acme".to_owned(), how: How::Take, of, claim };
        let text = serde_json::to_vec(&question).expect("written");
        let read: Question = serde_json::from_slice(&text).expect("read");
        assert_eq!((read.account, read.how, read.of), (question.account, How::Take, question.of));
        let imported = Imported { new: 1, known: 2, not_taken: vec![(3, NotTaken::CurrencyMix)] };
        let answers: Vec<Answer> = vec![Ok(imported), Err(Refusal::Erased)];
        let text = serde_json::to_vec(&answers).expect("written");
        assert_eq!(serde_json::from_slice::<Vec<Answer>>(&text).expect("read"), answers);
    }
}
