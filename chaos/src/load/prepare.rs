//! What has to be there before load can be: accounts, budgets, campaigns that bid.

use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;

use super::bids;
use super::decimal;
use super::http::{Http, Request};
use super::model;
use super::names::{Account, Bidding, Names};
use super::run::LoadError;
use super::spec::LoadSpec;
use super::urls::Urls;
use crate::history::Budget;

/// How long a platform that is just starting may take for one of these.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(250);
/// What a campaign bids for a thousand at most.
const CPM: u32 = 100;
/// Campaigns that bid end so long after the load: their budgets are paced to that.
const LONGER: Duration = Duration::from_secs(900);

/// Makes everything that the load needs. What is there already under these names stays, if it is the same. The budgets
/// are for the first line of the history.
///
/// # Errors
/// The spec cannot be, or the platform does not take something within half a minute.
pub async fn prepare(spec: &LoadSpec, urls: &Urls) -> Result<Vec<Budget>, LoadError> {
    let faults: Vec<String> = spec.faults().into_iter().chain(urls.faults()).collect();
    if !faults.is_empty() {
        return Err(LoadError::Faults(faults));
    }
    let http = Http::new(urls, spec.connect_timeout, spec.timeout)?;
    let (shield, flow) = (&urls.shield[0], &urls.flow[0]);
    let names = Names::of(spec);
    let mut budgets = Vec::new();
    for account in &names.accounts {
        let body = format!(
            r#"{{"account":"{}","currency":"{}","window_cap":{}}}"#,
            account.name,
            spec.currency,
            decimal::text(spec.window_cap)
        );
        made(&http, shield, &Request::post("/api/v1/accounts").json(body), &[200, 201]).await?;
        for (campaign, number) in account.campaigns.iter().zip(0..) {
            let cap = spec.cap(number);
            let body = format!(
                r#"{{"campaign_id":"{campaign}","budget":{},"currency":"{}","account":"{}"}}"#,
                decimal::text(cap),
                spec.currency,
                account.name
            );
            made(&http, shield, &Request::post("/api/v1/allocate").json(body), &[200, 201]).await?;
            budgets.push(budget(account, campaign, spec, cap));
        }
        for campaign in &account.bidding {
            bidder(&http, flow, spec, account, campaign).await?;
            budgets.push(budget(account, &campaign.name, spec, spec.bidding_cap));
        }
    }
    if spec.model {
        // Once at a time: a node fits on few threads.
        for (account, number) in names.accounts.iter().zip(0..) {
            model::make(&http, &urls.value, &account.name, number).await?;
        }
    }
    Ok(budgets)
}

fn budget(account: &Account, campaign: &str, spec: &LoadSpec, cap: i64) -> Budget {
    Budget {
        account: account.name.clone(),
        campaign: campaign.into(),
        currency: spec.currency.as_str().into(),
        cap,
    }
}

async fn bidder(
    http: &Http,
    flow: &str,
    spec: &LoadSpec,
    account: &Account,
    campaign: &Bidding,
) -> Result<(), LoadError> {
    let (id, of) = (&campaign.name, &account.name);
    let domain = bids::domain(of, campaign.personal);
    let consent = if campaign.personal {
        format!(r#"{{"personal":true,"purposes":["{}"]}}"#, super::names::CONSENTS[0])
    } else {
        r#"{"personal":false}"#.to_owned()
    };
    let ends = jiff::Timestamp::now() + spec.duration + LONGER;
    let body = format!(
        r#"{{"id":"{id}","account":"{of}","name":"{id}","advertiser_domain":"chaos.example","currency":"{}","budget":{{"amount":{}}},"schedule":{{"ends":"{ends}"}},"strategy":{{"max_cpm":{{"cpm":{CPM}}}}},"consent":{consent},"targeting":{{"inventory":{{"sites":{{"allow":["{domain}"]}}}}}},"creatives":[{{"id":"box","format":{{"banner":{{"w":300,"h":250}}}},"markup":"<b>chaos</b>"}}]}}"#,
        spec.currency,
        decimal::text(spec.bidding_cap)
    );
    // 409: it was made before, by a try whose answer was lost.
    made(http, flow, &Request::post("/api/v1/campaigns").json(body), &[201, 409]).await?;
    let start = Request::post(format!("/api/v1/campaigns/{id}/start")).of(of);
    made(http, flow, &start, &[200]).await.map(drop)
}

/// Asks until the answer is a good one, which it gives.
pub(super) async fn made(
    http: &Http,
    base: &str,
    request: &Request,
    good: &[u16],
) -> Result<Vec<u8>, LoadError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let why = match http.send(base, request).await {
            Ok(reply) if good.contains(&reply.status) => return Ok(reply.body),
            Ok(reply) => {
                let text =
                    String::from_utf8_lossy(&reply.body).chars().take(300).collect::<String>();
                let why = format!("{} {text}", reply.status);
                if reply.status < 500 && reply.status != 429 {
                    return Err(failed(request, why));
                }
                why
            }
            Err(lost) => format!("{lost:?}"),
        };
        if Instant::now() >= until {
            return Err(failed(request, why));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

pub(super) fn failed(request: &Request, why: String) -> LoadError {
    let method = if request.method == Method::GET { "GET" } else { "POST" };
    LoadError::Prepare { what: format!("{method} {}", request.path), why }
}
