//! Bookings of what happened elsewhere, and refunds of them.

use std::sync::Arc;
use std::time::Duration;

use super::{Common, Play, Twice, number};
use crate::history::{Micros, Op};
use crate::load::decimal;
use crate::load::desk::{Again, Told};
use crate::load::http::Request;
use crate::load::journal::Closed;
use crate::load::kind::Kind;
use crate::load::random::Stream;

pub struct Spends(pub Arc<Common>);

#[derive(Clone, Debug)]
pub struct Plan {
    account: Box<str>,
    campaign: Box<str>,
    amount: Micros,
    key: Box<str>,
    again: Again,
    twice: Twice,
    /// What is given back afterwards, and when.
    refund: Option<(Micros, Box<str>, Duration, Again)>,
}

impl Play for Spends {
    const KIND: Kind = Kind::Spend;
    type Plan = Plan;

    fn draw(&self, client: u32, n: u64, stream: &mut Stream) -> Plan {
        let (common, spec) = (&self.0, &self.0.spec);
        let (account, campaign) = common.campaign(stream);
        let amount = stream.amount(spec.amount_min, spec.amount_max);
        let refund = (
            -stream.amount(1, amount),
            common.key(Kind::Spend, client, n, "-back"),
            stream.within(spec.think_max),
            common.again(stream).owed(),
        );
        Plan {
            account,
            campaign,
            amount,
            key: common.key(Kind::Spend, client, n, ""),
            again: common.again(stream).owed(),
            twice: Twice::draw(stream, spec.duplicate),
            refund: stream.chance(spec.refund).then_some(refund),
        }
    }

    async fn play(self: Arc<Self>, client: u32, plan: Plan) -> Result<(), Closed> {
        let client = number(Kind::Spend, client);
        let Plan { account, campaign, amount, key, again, twice, refund } = plan;
        let book = |amount, key: Box<str>, again: Again| {
            let (account, campaign, common) =
                (account.clone(), campaign.clone(), Arc::clone(&self.0));
            async move { booked(&common, client, account, campaign, amount, key, &again).await }
        };
        let told = twice.send(|| book(amount, key.clone(), again.clone())).await?;
        let Some((amount, key, wait, again)) = refund.filter(|_| told.done().is_some()) else {
            return Ok(());
        };
        tokio::time::sleep(wait).await;
        book(amount, key, again).await.map(|_| ())
    }
}

async fn booked(
    common: &Common,
    client: u32,
    account: Box<str>,
    campaign: Box<str>,
    amount: Micros,
    key: Box<str>,
    again: &Again,
) -> Result<Told, Closed> {
    let body = format!(
        r#"{{"campaign_id":"{campaign}","amount":{},"account":"{account}"}}"#,
        decimal::text(amount)
    );
    let request = Request::post("/api/v1/spend").key(&key).json(body);
    let op = Op::Spend { account, campaign, amount, key };
    common.desk.insist(client, &common.urls.shield, &op, &request, again).await
}
