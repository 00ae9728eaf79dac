//! IAB TCF strings, taken over as consents.

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{bytes_of, check_customer, failed};
use crate::actors::shield::person::PersonError;
use crate::api::access::caller;
use crate::api::body::{self, Call, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::shield::{App, Ctx, common};
use crate::clock;
use crate::models::shield::audit::record::{Event, Outcome, Record};
use crate::models::shield::consent::change::{Command, Origin};
use crate::models::shield::consent::kind::{Label, LegalBasis};
use crate::models::shield::consent::state::Status;
use crate::models::shield::tcf::mapping::consents;
use crate::models::shield::tcf::tc::Tc;

/// A TC string of a customer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body")]
pub struct TcfBody {
    #[schema(example = "cust_123", min_length = 1, max_length = 256)]
    customer_id: String,
    /// TCF 2.3 (2.0 to 2.2 are read, too).
    #[schema(max_length = 16384)]
    tc_string: String,
    /// The vendor that must have the consent, by its number in the Global Vendor List.
    vendor_id: Option<u16>,
    account: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct TcfTaken {
    cmp_id: u64,
    policy_version: u64,
    vendor_list_version: u64,
    /// Types that the string grants: they are granted.
    granted: Vec<&'static str>,
    /// Types that it does not: revoked where they were granted.
    not_granted: Vec<&'static str>,
    /// Types that the string grants and that are not granted all the same.
    refused: Vec<TcfRefused>,
    /// Changes that were made.
    changes: usize,
}

/// A grant that was not taken over.
#[derive(Serialize, ToSchema)]
pub struct TcfRefused {
    consent_type: &'static str,
    /// restricted, history_full, or erased: the customer is being erased.
    reason: &'static str,
}

fields!(TcfFields { customer_id, tc_string, vendor_id, account } only);

/// That a string was read or refused is in the log; the string itself is with the consents.
async fn tell(app: &App, account: &str, tc: Option<&Tc>) -> Result<(), Problem> {
    const READ: Event = Event::fixed("consent.tcf_read");
    const REFUSED: Event = Event::fixed("consent.tcf_refused");
    let data = tc.map(|tc| {
        json!({
            "cmp_id": tc.core.cmp_id, "policy_version": tc.core.policy_version,
            "disclosed_vendors": if tc.disclosed.is_some() { "yes" } else { "no" },
        })
    });
    let record = Record {
        at_us: clock::wall_us(),
        event: if tc.is_some() { READ } else { REFUSED },
        actor: caller().name.to_string(),
        subject: None,
        person: None,
        outcome: if tc.is_some() { Outcome::Ok } else { Outcome::Failed },
        count: 1,
        data: data.and_then(|data| data.as_object().cloned()),
        sealed: None,
    };
    let told = app.shield.audit().append(account, &[record], app.shield.patience()).await;
    told.map(|_| ()).map_err(|error| {
        tracing::warn!(%error, account, "the audit log did not answer");
        Problem::new(Code::Unanswered, "the audit log did not answer in time")
    })
}

/// Take over what a TCF string says
///
/// A type is granted when all purposes that it stands for have consent, and the vendor, if one is
/// named, has consent and is disclosed; else it is revoked if it was granted, also while the customer's
/// data is restricted. What the string takes back is done first. What it grants and cannot be granted
/// now is told in `refused`, and holds nothing else up.
#[utoipa::path(post, path = "/api/v1/consent/tcf", tag = "consent", request_body = TcfBody,
    responses((status = 200, body = TcfTaken), Problems))]
pub async fn take(State(app): Ctx, call: Call) -> Result<axum::Json<TcfTaken>, Problem> {
    let fields: TcfFields = call.json.fields()?;
    let account = common::account(&app, &call.headers, fields.account)?.into_owned();
    let raw = fields.customer_id.ok_or_else(|| Problem::missing("customer_id"))?;
    let customer = body::text("customer_id", raw, usize::MAX)?.into_owned();
    check_customer("customer_id", &customer)?;
    let raw = fields.tc_string.ok_or_else(|| Problem::missing("tc_string"))?;
    let text = body::text("tc_string", raw, 16_384)?;
    let vendor: Option<u16> = match fields.vendor_id {
        None => None,
        Some(raw) => Some(
            serde_json::from_str(raw.get())
                .ok()
                .filter(|id| *id > 0)
                .ok_or_else(|| Problem::field("vendor_id", "is not a vendor's number"))?,
        ),
    };
    common::known_account(&app, &account).await?;
    let parsed = Tc::parse(&text);
    tell(&app, &account, parsed.as_ref().ok()).await?;
    let tc = parsed.map_err(|why| Problem::field("tc_string", format!("is none: {why}")))?;
    let people = app.shield.people();
    let standing = people.look(&account, &customer).await.map_err(failed)?.consents;
    let version = format!("tcf {} gvl {}", tc.core.policy_version, tc.core.vendor_list_version);
    let label = |text: &str| Label::new(text).map_err(|why| Problem::field("tc_string", why));
    let origin = Origin {
        source: label(&format!("tcf:cmp:{}", tc.core.cmp_id))?,
        version: Some(label(&version)?),
        proof: None,
        shown_bytes: 0,
    };
    let actor = caller().name.clone();
    let mut taken = TcfTaken {
        cmp_id: u64::from(tc.core.cmp_id),
        policy_version: u64::from(tc.core.policy_version),
        vendor_list_version: u64::from(tc.core.vendor_list_version),
        granted: Vec::new(),
        not_granted: Vec::new(),
        refused: Vec::new(),
        changes: 0,
    };
    let said = consents(&tc, vendor);
    for (kind, _) in said.iter().copied().filter(|(_, granted)| !granted) {
        taken.not_granted.push(kind.as_str());
        if standing.standing(kind).status == Status::Granted {
            let command = Command::Revoke { kind, origin: origin.clone() };
            let done = people.change(&account, &customer, command, None, &actor).await;
            taken.changes += done.map_err(failed)?.changes.len();
        }
    }
    for (kind, _) in said.iter().copied().filter(|(_, granted)| *granted) {
        let origin = Origin { shown_bytes: bytes_of(&text), ..origin.clone() };
        let command = Command::Grant { kind, legal_basis: LegalBasis::Consent, origin };
        let shown = Some(text.to_string());
        let consent_type = kind.as_str();
        let reason = match people.change(&account, &customer, command, shown, &actor).await {
            Ok(done) => {
                taken.granted.push(consent_type);
                taken.changes += done.changes.len();
                continue;
            }
            Err(PersonError::Refused(why)) => why.as_str(),
            Err(PersonError::Erased) => "erased",
            Err(error) => return Err(failed(error)),
        };
        taken.refused.push(TcfRefused { consent_type, reason });
    }
    Ok(axum::Json(taken))
}
