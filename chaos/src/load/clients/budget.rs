//! Bidders of others: authorise, then settle, release, or let it expire.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::{Common, Play, Twice, number};
use crate::history::{Micros, Op};
use crate::load::decimal;
use crate::load::desk::Again;
use crate::load::http::Request;
use crate::load::journal::Closed;
use crate::load::kind::Kind;
use crate::load::random::Stream;

pub struct Budgets(pub Arc<Common>);

#[derive(Clone, Debug)]
pub struct Plan {
    account: Box<str>,
    campaign: Box<str>,
    amount: Micros,
    key: Box<str>,
    again: Again,
    think: Duration,
    then: Then,
    settling: Again,
    twice: Twice,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Settle(Micros),
    Release,
    Expire,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
}

impl Play for Budgets {
    const KIND: Kind = Kind::Budget;
    type Plan = Plan;

    fn draw(&self, client: u32, n: u64, stream: &mut Stream) -> Plan {
        let (common, spec) = (&self.0, &self.0.spec);
        let (account, campaign) = common.campaign(stream);
        let amount = stream.amount(spec.amount_min, spec.amount_max);
        let (fate, all, part) =
            (stream.part(), stream.chance(spec.settle_all), stream.amount(0, amount));
        let then = match fate {
            fate if fate < spec.release => Then::Release,
            fate if fate < spec.release + spec.expire => Then::Expire,
            _ => Then::Settle(if all { amount } else { part }),
        };
        Plan {
            account,
            campaign,
            amount,
            key: common.key(Kind::Budget, client, n, ""),
            again: common.again(stream),
            think: stream.within(spec.think_max),
            then,
            settling: common.again(stream).owed(),
            twice: Twice::draw(stream, spec.duplicate),
        }
    }

    async fn play(self: Arc<Self>, client: u32, plan: Plan) -> Result<(), Closed> {
        let (desk, addresses) = (&self.0.desk, &self.0.urls.shield);
        let client = number(Kind::Budget, client);
        let Plan { account, campaign, amount, key, again, think, then, settling, twice } = plan;
        // Milliseconds as a decimal of seconds: exact.
        let ttl =
            decimal::text(Micros::try_from(self.0.spec.hold.as_micros()).unwrap_or(Micros::MAX));
        let body = format!(
            r#"{{"campaign_id":"{campaign}","bid_amount":{},"platform":"chaos","ttl_s":{ttl},"account":"{account}"}}"#,
            decimal::text(amount)
        );
        let request = Request::post("/api/v1/check").key(&key).json(body);
        let op =
            Op::Authorise { account: account.clone(), campaign: campaign.clone(), amount, key };
        let told = desk.insist(client, addresses, &op, &request, &again).await?;
        let Some(hold) = told.done().and_then(|answer| answer.hold.clone()) else { return Ok(()) };
        tokio::time::sleep(think).await;
        let (op, request) = match then {
            Then::Expire => return Ok(()),
            Then::Release => (
                Op::Release { account: account.clone(), campaign, hold: hold.clone() },
                Request::post(format!("/api/v1/holds/{hold}/release")).of(&account),
            ),
            Then::Settle(amount) => {
                // With its proof, so that it is booked also where a crash has lost the hold.
                let token = serde_json::from_slice::<Token>(&told.body).ok().and_then(|t| t.token);
                let token = token.and_then(|token| serde_json::to_string(&token).ok());
                let proof = token.map(|token| format!(r#","token":{token}"#)).unwrap_or_default();
                let body = format!(r#"{{"amount":{}{proof}}}"#, decimal::text(amount));
                let op =
                    Op::Settle { account: account.clone(), campaign, hold: hold.clone(), amount };
                (op, Request::post(format!("/api/v1/holds/{hold}/settle")).of(&account).json(body))
            }
        };
        let send = || desk.insist(client, addresses, &op, &request, &settling);
        twice.send(send).await.map(|_| ())
    }
}
