//! Customers, who change their minds, and those who ask before they use it. Each person belongs to two clients, and
//! each client does one thing at a time, so that an order of the answers can be searched.

use std::sync::Arc;

use super::{Common, Play, number};
use crate::history::Op;
use crate::load::desk::Again;
use crate::load::http::Request;
use crate::load::journal::Closed;
use crate::load::kind::Kind;
use crate::load::names::CONSENTS;
use crate::load::random::Stream;

pub struct Customers(pub Arc<Common>);

#[derive(Clone, Debug)]
pub struct Plan {
    op: Op,
    request: Request,
    again: Again,
}

impl Play for Customers {
    const KIND: Kind = Kind::Customer;
    const ALONE: bool = true;
    type Plan = Plan;

    fn draw(&self, client: u32, _: u64, stream: &mut Stream) -> Plan {
        let common = &self.0;
        let persons = common.names.persons();
        let clients = common.spec.customer.clients.max(1) as usize;
        let mine: Vec<usize> = (0..persons.len())
            .filter(|p| [p % clients, (p + 1) % clients].contains(&(client as usize)))
            .collect();
        let at =
            mine.get(stream.below(mine.len())).copied().unwrap_or(client as usize % persons.len());
        let (account, person) = persons[at].clone();
        // The first one matters to bids, and is asked for as often as the others together.
        let consent = CONSENTS[if stream.chance(0.5) { 0 } else { stream.below(CONSENTS.len()) }];
        let what = stream.part();
        // What is sent twice is two open calls to who searches an order: once is enough.
        let again = Again::draw(stream, common.spec.retries.min(1), common.spec.elsewhere);
        let body = format!(
            r#"{{"customer_id":"{person}","consent_type":"{consent}","account":"{account}"}}"#
        );
        let consent = consent.into();
        let (op, request) = match what {
            what if what < common.spec.grant => {
                (Op::Grant { account, person, consent }, Request::post("/consent/grant").json(body))
            }
            what if what < common.spec.grant + common.spec.revoke => (
                Op::Revoke { account, person, consent },
                Request::post("/consent/revoke").json(body),
            ),
            _ => {
                let path = format!("/api/v1/consent/check?customer_id={person}&type={consent}");
                let request = Request::get(path).of(&account);
                (Op::MayUse { account, person, consent }, request)
            }
        };
        Plan { op, request, again }
    }

    async fn play(self: Arc<Self>, client: u32, plan: Plan) -> Result<(), Closed> {
        let client = number(Kind::Customer, client);
        let Plan { op, request, again } = plan;
        self.0.desk.insist(client, &self.0.urls.shield, &op, &request, &again).await.map(|_| ())
    }
}
