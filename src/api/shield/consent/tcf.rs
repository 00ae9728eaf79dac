//! IAB TCF strings, taken over as consents.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{check_customer, failed};
use crate::api::access::caller;
use crate::api::body::{self, Call, fields};
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::api::shield::{Ctx, common};
use crate::models::shield::consent::change::{Command, Origin};
use crate::models::shield::consent::kind::{Label, LegalBasis};
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
    /// Types that the string grants.
    granted: Vec<&'static str>,
    /// Types that it does not: revoked where they were granted.
    not_granted: Vec<&'static str>,
    /// Changes that were made.
    changes: usize,
}

fields!(TcfFields { customer_id, tc_string, vendor_id, account } only);

/// Take over what a TCF string says
///
/// A type is granted when all purposes that it stands for have consent, and the vendor, if one is
/// named, has consent and is disclosed; else it is revoked if it was granted.
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
    let tc =
        Tc::parse(&text).map_err(|why| Problem::field("tc_string", format!("is none: {why}")))?;
    common::known_account(&app, &account).await?;
    let people = app.shield.people();
    let standing = people.look(&account, &customer).await.map_err(failed)?.consents;
    let version = format!("tcf {} gvl {}", tc.core.policy_version, tc.core.vendor_list_version);
    let label = |text: &str| Label::new(text).map_err(|why| Problem::field("tc_string", why));
    let origin = Origin {
        source: label(&format!("tcf:cmp:{}", tc.core.cmp_id))?,
        version: Some(label(&version)?),
        proof: None,
    };
    let actor = caller().name.clone();
    let mut taken = TcfTaken {
        cmp_id: u64::from(tc.core.cmp_id),
        policy_version: u64::from(tc.core.policy_version),
        vendor_list_version: u64::from(tc.core.vendor_list_version),
        granted: Vec::new(),
        not_granted: Vec::new(),
        changes: 0,
    };
    for (kind, granted) in consents(&tc, vendor) {
        let origin = origin.clone();
        let command = match granted {
            true => {
                taken.granted.push(kind.as_str());
                Command::Grant { kind, legal_basis: LegalBasis::Consent, origin }
            }
            false => {
                taken.not_granted.push(kind.as_str());
                if !standing.allowed().contains(kind) {
                    continue;
                }
                Command::Revoke { kind, origin }
            }
        };
        let shown = granted.then(|| text.to_string());
        let done = people.change(&account, &customer, command, shown, &actor).await;
        taken.changes += done.map_err(failed)?.changes.len();
    }
    Ok(axum::Json(taken))
}
