//! Decisions on their way into the store, each batch with its record for the audit log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::json;

use crate::actors::flow::auction::Office;
use crate::actors::shield::audit::pending;
use crate::actors::shield::view::rfc3339;
use crate::actors::shield::{Rows, Writes, Written};
use crate::clock;
use crate::models::flow::decision::proof::{self, Tree};
use crate::models::flow::decision::{Decision, Outcome};
use crate::models::shield::audit::record::{Event, Outcome as Ended, Record};
use crate::store::{AuditPendingRow, FlowDecisionRow, FlowReachRow, Put, StoreError};

/// What every batch adds to the audit log.
const WRITTEN: Event = Event::fixed("decisions.written");

/// Rows of one account's decisions, the newest state of each.
pub struct Sealed {
    pub rows: Vec<FlowDecisionRow>,
    /// What proves them.
    pub audit: AuditPendingRow,
}

/// Text of PostgreSQL has no zero character, and exchanges choose their ids.
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn row(id: u128, decision: &Decision, batch: &str) -> Result<FlowDecisionRow, serde_json::Error> {
    let tidied = (!decision.is_tidy()).then(|| decision.clone().tidied());
    let decision = tidied.as_ref().unwrap_or(decision);
    Ok(FlowDecisionRow {
        decision: format!("{id:032x}"),
        campaign: decision.campaign.as_deref().map(storable).unwrap_or_default(),
        at: decision.at_us,
        kind: decision.kind.as_str().to_owned(),
        auction: decision.auction.as_deref().map(storable),
        outcome: decision.outcome.name().to_owned(),
        ends_at: decision.ends_us.unwrap_or(i64::MAX),
        record: serde_json::to_string(decision)?,
        batch: batch.to_owned(),
        proof: String::new(),
        updated_at: clock::wall_us(),
        account: decision.account.clone(),
    })
}

/// Makes the rows of decisions of one account. One that cannot be written is left out, and said.
pub fn seal(account: &str, made: &[(u128, &Decision)]) -> Option<Sealed> {
    let batch = uuid::Uuid::now_v7().simple().to_string();
    let written = |(id, decision): &(u128, &Decision)| {
        let row = row(*id, decision, &batch);
        row.inspect_err(|error| tracing::error!(%error, "a decision cannot be written")).ok()
    };
    let mut rows: Vec<FlowDecisionRow> = made.iter().filter_map(written).collect();
    rows.sort_by(|a, b| a.decision.cmp(&b.decision));
    let leaves = rows.iter().map(|row| proof::leaf(&row.decision, &row.record)).collect();
    let tree = Tree::new(leaves);
    for (at, row) in rows.iter_mut().enumerate() {
        row.proof = tree.proof(at).map(|proof| proof.to_text()).unwrap_or_default();
    }
    let campaigns = || rows.iter().map(|row| row.campaign.as_str());
    let times = || rows.iter().map(|row| row.at);
    let (first_at, last_at) = (times().min()?, times().max()?);
    let data = json!({
        "decisions": rows.len(),
        "root": tree.root().to_string(),
        "first_campaign": campaigns().min(),
        "last_campaign": campaigns().max(),
        "first_at": rfc3339(first_at),
        "last_at": rfc3339(last_at),
    });
    let record = Record {
        at_us: clock::wall_us(),
        event: WRITTEN,
        actor: "system".to_owned(),
        subject: Some(batch.clone()),
        person: None,
        outcome: Ended::Ok,
        count: 1,
        data: data.as_object().cloned(),
        sealed: None,
    };
    match pending(account, &record) {
        Ok(audit) => Some(Sealed { rows, audit }),
        Err(error) => {
            tracing::error!(%error, account, "decisions of {account} have no record in the audit log");
            None
        }
    }
}

/// Writes decisions: all of an account or none, each account with its record for the audit log. `reach`: whom
/// bids of them are for.
pub async fn write(
    office: &Office,
    writes: &Writes,
    made: &[(u128, Decision)],
    reach: &[(u128, Arc<str>)],
) -> Result<(), String> {
    let reach: HashMap<u128, &Arc<str>> = reach.iter().map(|(hold, it)| (*hold, it)).collect();
    let mut by_account: BTreeMap<&str, Vec<(u128, &Decision)>> = BTreeMap::new();
    for (id, decision) in made {
        by_account.entry(&decision.account).or_default().push((*id, decision));
    }
    for (account, made) in by_account {
        let Some(Sealed { rows, audit }) = seal(account, &made) else { continue };
        let kick = vec![(audit.id.clone(), audit.record.clone())];
        let mut puts: Vec<Put> = rows.into_iter().map(Put::from).collect();
        let of = |(id, decision): &(u128, &Decision)| FlowReachRow {
            account: account.to_owned(),
            decision: format!("{id:032x}"),
            person: reach.get(id).map(|person| person.to_string()).unwrap_or_default(),
            at: decision.at_us,
        };
        let known = made.iter().filter(|(id, _)| reach.contains_key(id));
        puts.extend(known.map(|made| Put::from(of(made))));
        puts.push(audit.into());
        match writes.write(account, "flow/journal", Rows::from(puts)).await {
            Written::Done => office.shield.audit().kick(account, kick),
            other => return Err(format!("decisions of {account}: {other:?}")),
        }
    }
    Ok(())
}

/// What the store has of these decisions, by their ids; one that cannot be read is said, and not there.
pub async fn stored(
    writes: &Writes,
    names: &[(String, String)],
) -> Result<BTreeMap<u128, Decision>, StoreError> {
    let rows = writes.store().flow_decisions_found(names).await?;
    Ok(rows.into_iter().filter_map(|row| read(&row)).collect())
}

pub fn read(row: &FlowDecisionRow) -> Option<(u128, Decision)> {
    let id = u128::from_str_radix(&row.decision, 16).ok()?;
    match serde_json::from_str(&row.record) {
        Ok(decision) => Some((id, decision)),
        Err(error) => {
            tracing::error!(%error, id = row.decision, "decision {} cannot be read", row.decision);
            None
        }
    }
}

/// What lines of the file come to, with what the store has of them already. Either may be the older: what is
/// said last in a bid's life stands.
pub fn merged(
    lines: &[super::overflow::Line],
    mut known: BTreeMap<u128, Decision>,
) -> Vec<(u128, Decision)> {
    use super::overflow::Line;

    let mut changed: BTreeMap<u128, Decision> = BTreeMap::new();
    for line in lines {
        match line {
            Line::Made { id, decision } => {
                let before = changed.get(id).or_else(|| known.get(id));
                let now = match before {
                    Some(before) => joined(before, decision),
                    None => (**decision).clone(),
                };
                if before != Some(&now) {
                    changed.insert(*id, now);
                }
            }
            Line::Told(told) => {
                let before = changed.remove(&told.hold).or_else(|| known.remove(&told.hold));
                if let Some(decision) = before.or_else(|| told.rebuilt()) {
                    changed.insert(told.hold, became(decision, told.outcome));
                }
            }
        }
    }
    changed.into_iter().collect()
}

/// Two records of a decision: the one that was not made anew, with what became of it by either.
fn joined(before: &Decision, made: &Decision) -> Decision {
    match before.rebuilt && !made.rebuilt {
        true => became(made.clone(), before.outcome),
        false => became(before.clone(), made.outcome),
    }
}

fn became(mut decision: Decision, next: Outcome) -> Decision {
    if decision.outcome.gives_way_to(&next) {
        decision.outcome = next;
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::super::overflow::Line;
    use super::super::told::Told;
    use super::*;
    use crate::models::flow::decision::{Kind, Proof};
    use crate::models::shield::audit::proof::verify_inclusion;
    use crate::models::shield::money::Micros;

    fn decision(campaign: &str) -> Decision {
        Decision {
            campaign: Some(campaign.to_owned()),
            auction: Some("a\0b".to_owned()),
            ..Decision::new(Kind::Bid, "a", 7)
        }
    }

    fn told(hold: u128, outcome: Outcome) -> Line {
        Line::Told(Box::new(Told {
            account: "a".into(),
            campaign: "c".into(),
            hold,
            at_us: 7,
            outcome,
            digest: None,
        }))
    }

    #[test]
    fn a_batch_proves_each_of_its_decisions_by_the_root_that_is_in_the_audit_log() {
        let all: Vec<(u128, Decision)> = (1..=5).map(|id| (6 - id, decision("c"))).collect();
        let made: Vec<(u128, &Decision)> = all.iter().map(|(id, it)| (*id, it)).collect();
        let Sealed { rows, audit } = seal("a", &made).expect("sealed");
        let log = Record::parse(&audit.record).expect("a record");
        let data = log.data.expect("data");
        let root = data["root"].as_str().expect("text").parse().expect("a hash");
        assert_eq!(data["decisions"], 5);
        for row in &rows {
            assert_eq!(Some(&row.batch), log.subject.as_ref());
            let Proof { index, size, path } = Proof::from_text(&row.proof).expect("a proof");
            let holds = |record: &str| {
                let leaf = proof::leaf(&row.decision, record);
                verify_inclusion(&leaf, index, size, &path, &root).is_ok()
            };
            assert!(holds(&row.record));
            assert!(!holds(&row.record.replace("\"at_us\":7", "\"at_us\":8")));
            assert_eq!(row.auction.as_deref(), Some("a\u{fffd}b"));
        }
        assert!(seal("a", &[]).is_none());
    }

    #[test]
    fn what_the_store_has_is_newer_than_the_file_and_what_became_of_it_is_said() {
        let billed = Outcome::Billed { amount: Micros(5), at_us: 9, late: false };
        let over = Outcome::Expired { at_us: 9 };
        let made = |id| Line::Made { id, decision: Box::new(decision("file")) };
        let known = Decision { outcome: billed, ..decision("store") };
        let lines = [made(1), made(2), told(1, over), told(3, billed), made(4), told(4, over)];
        let all = merged(&lines, [(1, known), (2, decision("store"))].into());
        let names: Vec<(u128, &str, &str)> = all
            .iter()
            .map(|(id, it)| (*id, it.campaign.as_deref().unwrap_or(""), it.outcome.name()))
            .collect();
        let expected = [(1, "store", "billed"), (3, "c", "billed"), (4, "file", "expired")];
        assert_eq!(names, expected);
        // The file has what was left when a life ended, after the store had it in an older state, or what
        // was lost and made anew.
        let late = |rebuilt| Decision { outcome: billed, rebuilt, ..decision("file") };
        let [whole, anew] =
            [false, true].map(|it| Line::Made { id: 1, decision: Box::new(late(it)) });
        let first = || [(1, decision("store"))].into();
        assert_eq!(
            merged(std::slice::from_ref(&whole), first()),
            [(1, Decision { outcome: billed, ..decision("store") })]
        );
        let rebuilt = [(1, Decision { rebuilt: true, ..decision("store") })].into();
        assert_eq!(merged(&[whole], rebuilt), [(1, late(false))]);
        assert!(merged(&[made(1)], [(1, late(false))].into()).is_empty());
        assert_eq!(merged(&[anew, made(1)], BTreeMap::new()), [(1, late(false))]);
        // Nothing is left of a bid that nobody paid for.
        assert!(merged(&[told(9, over)], BTreeMap::new()).is_empty());
    }
}
