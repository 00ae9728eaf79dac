//! Exchanges: ask for bids, let some win, and tell what became of them: on time, late, twice, or never; and, where a
//! fault strikes the exchange, not now, slowly, or after nonsense.

use std::sync::Arc;
use std::time::Duration;

use super::{Common, Play, Twice, number};
use crate::history::Op;
use crate::load::bids;
use crate::load::desk::{Again, Desk};
use crate::load::http::Request;
use crate::load::journal::Closed;
use crate::load::kind::Kind;
use crate::load::nonsense;
use crate::load::random::Stream;

/// The floor of impressions: a cent for a thousand.
const FLOOR: i64 = 10_000;
/// AdCOM: lost to a higher bid.
const OUTBID: u32 = 102;

pub struct Exchanges(pub Arc<Common>);

#[derive(Clone, Debug)]
pub struct Plan {
    account: Box<str>,
    request: Box<str>,
    person: Option<Box<str>>,
    think: Duration,
    wins: bool,
    /// The part of the bid at which it clears.
    clears: f64,
    /// Nothing is told of it: it expires.
    silent: bool,
    /// The win is told, too, before the billing.
    tells_win: bool,
    again: Again,
    twice: Twice,
    /// Whether nonsense goes before the request and before a notice, where the exchange is out of its mind, and which.
    babbles: [(f64, usize); 2],
}

impl Play for Exchanges {
    const KIND: Kind = Kind::Exchange;
    type Plan = Plan;

    fn draw(&self, client: u32, n: u64, stream: &mut Stream) -> Plan {
        let (common, spec) = (&self.0, &self.0.spec);
        let account = &common.names.accounts[stream.below(common.names.accounts.len())];
        let (personal, person) =
            (stream.chance(spec.personal), stream.below(account.persons.len()));
        let asks = personal && account.bidding.iter().any(|campaign| campaign.personal);
        let (fate, on_time, late) =
            (stream.part(), stream.within(spec.think_max), stream.within(spec.late_by));
        let is_late = fate >= spec.lost_notice && fate < spec.lost_notice + spec.late_notice;
        Plan {
            account: account.name.clone(),
            request: common.key(Kind::Exchange, client, n, ""),
            person: account.persons.get(person).filter(|_| asks).cloned(),
            think: if is_late { late } else { on_time },
            wins: stream.chance(spec.win),
            clears: stream.part(),
            silent: fate < spec.lost_notice,
            tells_win: stream.chance(0.8),
            again: common.again(stream).owed(),
            twice: Twice::draw(stream, spec.duplicate_notice),
            babbles: [
                (stream.part(), stream.below(nonsense::REQUESTS)),
                (stream.part(), stream.below(nonsense::NOTICES)),
            ],
        }
    }

    async fn play(self: Arc<Self>, client: u32, plan: Plan) -> Result<(), Closed> {
        let (common, client) = (&self.0, number(Kind::Exchange, client));
        let (desk, addresses, currency) = (&common.desk, &common.urls.flow, &common.spec.currency);
        let Plan { account, request: id, person, .. } = plan;
        if !desk.venue.auction().await {
            return Ok(());
        }
        let domain = bids::domain(&account, person.is_some());
        let body = bids::request(&id, &domain, FLOOR, person.as_deref(), currency);
        let address = desk.first(client, addresses);
        let [(part, way), babble] = plan.babbles;
        if desk.venue.babbles(part) {
            let (op, request) = nonsense::request(&body, way);
            desk.call(client, address, op, &request).await?;
        }
        let request = Request::post("/openrtb2/bid").json(body);
        let op = Op::Bid { account: account.clone(), request: id.clone(), person };
        // An auction is over when its time is: nobody asks twice.
        let told = desk.call(client, address, op, &request).await?;
        let Some(bid) = told.done().and_then(|_| bids::bid(&id, &told.body).ok()) else {
            return Ok(());
        };
        tokio::time::sleep(plan.think).await;
        if plan.silent {
            return Ok(());
        }
        let (cpm, each) = bid.clearing(plan.clears);
        let notice = |path: &str, lost_for| bids::told(path, cpm, currency, lost_for);
        let call = |kind: &str| Op::Call {
            method: "GET".into(),
            path: format!("/openrtb2/{kind}?h={}", bid.id).into(),
        };
        let teller = Teller { desk, client, addresses, babble, again: &plan.again };
        // What a campaign bids that is not the load's is not its money to spend.
        if !plan.wins || bid.account != account {
            let (op, address) = (call("loss"), notice(&bid.loss, OUTBID));
            return plan.twice.send(|| teller.tell(&op, &address)).await.map(|_| ());
        }
        if plan.tells_win {
            teller.tell(&call("win"), &notice(&bid.win, 0)).await?;
        }
        let op = Op::Billing {
            account,
            campaign: bid.campaign.clone(),
            bid: bid.id.clone(),
            amount: each,
        };
        let address = notice(&bid.billing, 0);
        plan.twice.send(|| teller.tell(&op, &address)).await.map(|_| ())
    }
}

/// Who tells what became of a bid.
struct Teller<'a> {
    desk: &'a Desk,
    client: u32,
    addresses: &'a [String],
    babble: (f64, usize),
    again: &'a Again,
}

impl Teller<'_> {
    /// Tells it when the exchange can, and insists.
    async fn tell(&self, op: &Op, address: &str) -> Result<(), Closed> {
        let Teller { desk, client, addresses, .. } = *self;
        desk.venue.notice().await;
        let (part, way) = self.babble;
        if desk.venue.babbles(part) {
            let (op, request) = nonsense::notice(address, way);
            desk.call(client, desk.first(client, addresses), op, &request).await?;
        }
        let request = Request::get(address.to_owned());
        desk.insist(client, addresses, op, &request, self.again).await.map(|_| ())
    }
}
