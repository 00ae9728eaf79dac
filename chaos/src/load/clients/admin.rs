//! Operators: look at budgets, at forecasts and at the cluster, set budgets, pause and resume.

use std::sync::Arc;
use std::time::Duration;

use super::{Common, Play, number};
use crate::history::{Micros, Op};
use crate::load::decimal;
use crate::load::desk::Again;
use crate::load::http::Request;
use crate::load::journal::Closed;
use crate::load::kind::Kind;
use crate::load::model;
use crate::load::random::Stream;

/// A campaign that was paused is resumed, however long that has to be tried.
const RESUMES: u32 = 40;

pub struct Admin(pub Arc<Common>);

#[derive(Clone, Debug)]
pub struct Plan {
    account: Box<str>,
    campaign: Box<str>,
    key: Box<str>,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Read,
    Cluster,
    /// What a customer is worth: there is always an answer.
    Predict(Box<str>),
    SetCap(Micros, Again),
    /// For how long, and how it is resumed.
    Pause(Duration, Again),
}

impl Play for Admin {
    const KIND: Kind = Kind::Admin;
    type Plan = Plan;

    fn draw(&self, client: u32, n: u64, stream: &mut Stream) -> Plan {
        let (common, spec) = (&self.0, &self.0.spec);
        let (account, campaign) = common.campaign(stream);
        let (what, look) = (stream.part(), stream.part());
        let of = |(a, c): &(Box<str>, Box<str>)| (a, c) == (&account, &campaign);
        let place = common.campaigns.iter().position(of).unwrap_or_default();
        let cap = spec.cap(place as u32 / spec.accounts.max(1));
        let cap = stream.amount((cap - cap / 10).max(1), cap + cap / 10);
        let (paused, again) = (stream.within(spec.think_max), common.again(stream));
        let resuming = Again::draw(stream, RESUMES, spec.elsewhere).owed();
        let what = match what {
            what if what < spec.set_cap => What::SetCap(cap, again),
            what if what < spec.set_cap + spec.pause => What::Pause(paused, resuming),
            _ if look < spec.look_cluster => What::Cluster,
            _ if look < spec.look_cluster + spec.look_forecast && !common.urls.value.is_empty() => {
                What::Predict(match spec.model {
                    true => model::customer(&account, stream.below(model::CUSTOMERS)),
                    false => campaign.clone(),
                })
            }
            _ => What::Read,
        };
        Plan { account, campaign, key: common.key(Kind::Admin, client, n, ""), what }
    }

    async fn play(self: Arc<Self>, client: u32, plan: Plan) -> Result<(), Closed> {
        let (desk, urls, client) = (&self.0.desk, &self.0.urls, number(Kind::Admin, client));
        let Plan { account, campaign, key, what } = plan;
        let shield = desk.first(client, &urls.shield);
        let order = |word: &str, key: &str| {
            Request::post(format!("/api/v1/allocations/{campaign}/{word}")).of(&account).key(key)
        };
        match what {
            What::Read => {
                let request = Request::get(format!("/api/v1/budget/{campaign}")).of(&account);
                desk.call(client, shield, Op::Read { account, campaign }, &request).await?;
            }
            What::Cluster => {
                let path = "/api/admin/cluster";
                let op = Op::Call { method: "GET".into(), path: path.into() };
                let admin = desk.first(client, &urls.admin);
                desk.call(client, admin, op, &Request::get(path.to_owned())).await?;
            }
            What::Predict(customer) => {
                let path = "/api/v1/ltv/predict";
                let body = format!(r#"{{"customer_id":"{customer}","account":"{account}"}}"#);
                let op = Op::Call { method: "POST".into(), path: path.into() };
                let value = desk.first(client, &urls.value);
                desk.call(client, value, op, &Request::post(path).json(body)).await?;
            }
            What::SetCap(cap, again) => {
                let body = format!(
                    r#"{{"campaign_id":"{campaign}","budget":{},"currency":"{}","account":"{account}"}}"#,
                    decimal::text(cap),
                    self.0.spec.currency
                );
                let request = Request::post("/api/v1/allocate").key(&key).json(body);
                let op = Op::SetCap { account, campaign, cap };
                desk.insist(client, &urls.shield, &op, &request, &again).await?;
            }
            What::Pause(paused, resuming) => {
                let request = order("pause", &key);
                let op = Op::Pause { account: account.clone(), campaign: campaign.clone() };
                desk.call(client, shield, op, &request).await?;
                tokio::time::sleep(paused).await;
                // Whatever became of the pause: a campaign that stays paused would refuse all that comes.
                let request = order("resume", &format!("{key}-resume"));
                let op = Op::Resume { account: account.clone(), campaign: campaign.clone() };
                desk.insist(client, &urls.shield, &op, &request, &resuming).await?;
            }
        }
        Ok(())
    }
}
