//! The steps of requests, carried out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::erasures::{self, Erasure};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::person::{Doing, Done, People, PersonError, Subject};
use crate::actors::shield::shared::Shared;
use crate::actors::shield::vault::nonce;
use crate::clock;
use crate::models::shield::audit::month::time_text;
use crate::models::shield::consent::kind::KindSet;
use crate::models::shield::dsr::kind::Kind;
use crate::models::shield::dsr::package::{Header, package};
use crate::models::shield::dsr::request::{Details, Request};
use crate::models::shield::dsr::step::{Evidence, Failure, Step};
use crate::models::shield::seal::Binding;
use crate::store::{DsrPackageRow, Gone, Outcome, Put, Write};

/// Bytes of a part of a package.
const PART_BYTES: usize = 512 * 1_024;

/// Performs a step of a request. Every step may be performed again.
pub async fn perform(
    shared: &Arc<Shared>,
    people: &People,
    request: &Request,
    step: Step,
) -> Result<Evidence, Failure> {
    let dsr = request.id.clone();
    let doing = match step {
        // the package is made of what is there when it is made: there is nothing to stage
        Step::Collect => return Ok(Evidence::default()),
        Step::Package => {
            let made = make_package(shared, people, request).await;
            if matches!(made, Err(Failure::Erased)) {
                // an erasure overtook it: parts that were written since would outlive the person
                let gone = vec![Gone::DsrPackage { dsr: request.id.clone() }];
                write(shared, request, Vec::new(), gone).await?;
            }
            return made;
        }
        Step::Journal => return journal(shared, request).await,
        Step::Finish => return finish(shared, people, request).await,
        Step::StopProcessing => Doing::StopProcessing { dsr },
        Step::Survey => Doing::Survey,
        Step::EraseTables => Doing::EraseTables,
        Step::DestroyKey => Doing::DestroyKey { again: None },
        Step::Freeze => Doing::Freeze { dsr },
        // others that have the person frozen are the person's to know
        Step::Unfreeze => Doing::Unfreeze { dsr },
        Step::Correct => match &request.details {
            Details::Corrections { sealed } => Doing::Correct { sealed: sealed.clone() },
            _ => return Err(Failure::Retry("the request has no corrections".to_owned())),
        },
        Step::Object => Doing::Object { dsr, kinds: purposes(request) },
        Step::OptOut => Doing::OptOut { dsr, kinds: purposes(request) },
    };
    // what is kept in memory goes right behind what is stored, while it is known whose it is
    let erases = matches!(doing, Doing::EraseTables | Doing::DestroyKey { .. });
    let lookup = if erases { lookup(shared, request).await? } else { None };
    let done = ask(people, request, doing).await?;
    if let Some(lookup) = lookup {
        forget(shared, request, Some(&lookup)).await?;
    }
    match done {
        Some(Done::Rows(rows)) => Ok(Evidence { rows, package: None }),
        Some(_) => Ok(Evidence::default()),
        // erased already: an erasure has nothing more to do, others have nobody to do it for
        None if request.kind == Kind::Deletion => Ok(Evidence::default()),
        None => Err(Failure::Erased),
    }
}

/// The keyed hash of the person's customer id, while the person is not erased.
async fn lookup(shared: &Shared, request: &Request) -> Result<Option<String>, Failure> {
    let row = shared.store.person(&request.account, &request.person).await;
    let row = row.map_err(|error| Failure::Retry(error.to_string()))?;
    Ok(row.filter(|row| row.erased_at.is_none()).map(|row| row.lookup))
}

async fn forget(shared: &Shared, request: &Request, lookup: Option<&str>) -> Result<(), Failure> {
    let done = shared.memories.forget(&request.account, &request.person, lookup).await;
    done.map_err(Failure::Retry)
}

async fn ask(people: &People, request: &Request, doing: Doing) -> Result<Option<Done>, Failure> {
    match people.perform(&request.account, &request.person, doing).await {
        Ok(done) => Ok(done),
        Err(PersonError::Erased) if request.kind != Kind::Deletion => Err(Failure::Erased),
        Err(error) => Err(Failure::Retry(error.to_string())),
    }
}

fn purposes(request: &Request) -> KindSet {
    match &request.details {
        Details::Purposes(purposes) => purposes.iter().copied().collect(),
        _ => KindSet::EMPTY,
    }
}

/// Everything that is held, as one archive, sealed under the person's key.
async fn make_package(
    shared: &Arc<Shared>,
    people: &People,
    request: &Request,
) -> Result<Evidence, Failure> {
    let retry = |e: &dyn std::fmt::Display| Failure::Retry(e.to_string());
    let portable = request.kind == Kind::Portability;
    let sections = match ask(people, request, Doing::Collect { portable }).await? {
        Some(Done::Sections(sections)) => sections,
        Some(_) => return Err(Failure::Retry("the person's actor gave no sections".to_owned())),
        None => return Err(Failure::Erased),
    };
    let rows = sections.iter().map(|s| (s.name.clone(), s.rows.len() as u64)).collect();
    let made_at = clock::wall_us();
    let header = Header {
        request: request.id.clone(),
        account: request.account.clone(),
        kind: request.kind,
        made_at,
    };
    // zipping and sealing megabytes would hold up others
    let zip = tokio::task::spawn_blocking(move || package(&header, &sections)).await;
    let zip = zip.map_err(|e| retry(&e))?.map_err(|e| retry(&e))?;
    let row = shared.store.person(&request.account, &request.person).await;
    let row = row.map_err(|e| retry(&e))?.filter(|row| row.erased_at.is_none());
    let row = row.ok_or(Failure::Erased)?;
    let key = shared.vault.person(&row.account, &row.person, &row.wrapped_key);
    let key = key.map_err(|e| retry(&e))?;
    let binding =
        Binding { account: &request.account, person: &request.person, purpose: "dsr.package" };
    let sealed = key.seal_object(&zip, binding, nonce()).map_err(|e| retry(&e))?;
    // one from before may have had more parts
    write(shared, request, Vec::new(), vec![Gone::DsrPackage { dsr: request.id.clone() }]).await?;
    for (part, bytes) in sealed.chunks(PART_BYTES).enumerate() {
        let row = DsrPackageRow {
            account: request.account.clone(),
            dsr: request.id.clone(),
            part: i64::try_from(part).unwrap_or(i64::MAX),
            person: request.person.clone(),
            sealed: STANDARD.encode(bytes),
            created_at: made_at,
        };
        write(shared, request, vec![row.into()], Vec::new()).await?;
    }
    // an erasure that ends from here on deletes them itself
    let row = shared.store.person(&request.account, &request.person).await;
    let row = row.map_err(|e| retry(&e))?.filter(|row| row.erased_at.is_none());
    row.ok_or(Failure::Erased)?;
    Ok(Evidence { rows, package: Some(request.id.clone()) })
}

async fn write(
    shared: &Shared,
    request: &Request,
    puts: Vec<Put>,
    gone: Vec<Gone>,
) -> Result<(), Failure> {
    let budget = format!("@dsr/{}", request.id);
    let name =
        BudgetName { account: request.account.as_str().into(), budget: budget.as_str().into() };
    let shard = name.shard();
    let (account, epoch) = (request.account.clone(), shared.epoch(shard));
    let write = Write { account, budget, shard, epoch, puts, gone, ..Write::default() };
    let outcome = shared.committer.submit(write).map_err(|e| Failure::Retry(e.to_string()))?;
    match outcome.await {
        Ok(Outcome::Committed) => Ok(()),
        other => Err(Failure::Retry(format!("rows could not be written: {other:?}"))),
    }
}

async fn journal(shared: &Shared, request: &Request) -> Result<Evidence, Failure> {
    let erasure = Erasure {
        account: request.account.clone(),
        person: request.person.clone(),
        request: request.id.clone(),
        at: time_text(clock::wall_us()).unwrap_or_default(),
    };
    let dir = shared.audit.dir.clone();
    let written = tokio::task::spawn_blocking(move || erasures::append(&dir, &erasure)).await;
    match written {
        Ok(Ok(())) => Ok(Evidence::default()),
        Ok(Err(error)) => Err(Failure::Retry(format!("the journal of erasures: {error}"))),
        Err(error) => Err(Failure::Retry(error.to_string())),
    }
}

/// Looks once more that it is so, and deletes what was written about the person meanwhile.
async fn finish(shared: &Shared, people: &People, request: &Request) -> Result<Evidence, Failure> {
    if request.kind == Kind::Deletion {
        // only somebody with a key is asked: then it is not gone
        ask(people, request, Doing::Gone).await?;
        forget(shared, request, None).await?;
        let (account, person) = (request.account.clone(), request.person.clone());
        let of = Subject { account, person, key: None };
        let gone = shared.handlers.iter().flat_map(|handler| handler.erase(&of)).collect();
        write(shared, request, Vec::new(), gone).await?;
        shared.dsrs.unscrubbed.store(true, Ordering::Relaxed);
    }
    Ok(Evidence::default())
}
