//! Bids of campaigns that another node has now.

use std::collections::{HashMap, HashSet};

use super::super::overflow::Line as Filed;
use super::JournalActor;
use crate::actors::kernel::Reply;
use crate::actors::shield::BudgetName;
use crate::clock;
use crate::models::cluster::shard::Shard;

/// How long the store may take for them; then the file has them.
const WITHIN_US: i64 = 4_000_000;

/// Those of a shard, until they are gone.
pub(super) struct Leaving {
    holds: HashSet<u128>,
    /// Monotonic.
    until_us: i64,
    reply: Option<Reply<()>>,
}

/// The shards of campaigns, each looked up once.
#[derive(Default)]
struct Places(HashMap<(String, String), Shard>);

impl Places {
    fn of(&mut self, account: &str, campaign: &str) -> Shard {
        let place = || BudgetName::campaign(account, campaign).place();
        *self.0.entry((account.to_owned(), campaign.to_owned())).or_insert_with(place)
    }
}

impl JournalActor {
    pub(super) fn leave(&mut self, shard: Shard, orderly: bool, reply: Reply<()>) {
        self.shelf.ripen(i64::MAX);
        let mut places = Places::default();
        let mut holds = self.shelf.of(|decision| {
            let campaign = decision.campaign.as_deref().unwrap_or_default();
            places.of(&decision.account, campaign) == shard
        });
        holds.extend(self.unknown.of(|told| places.of(&told.account, &told.campaign) == shard));
        let until_us = if orderly { clock::mono_us() + WITHIN_US } else { i64::MIN };
        self.leaving.push(Leaving { holds, until_us, reply: Some(reply) });
        self.due = true;
        self.let_go();
    }

    /// What is written of those that leave goes, and what takes too long is put into the file: there, what the store
    /// has of it by then is looked at before it is stored.
    pub(super) fn let_go(&mut self) {
        let now_us = clock::mono_us();
        for mut leaving in std::mem::take(&mut self.leaving) {
            if now_us >= leaving.until_us {
                for (id, decision, replies) in self.shelf.take_out(&leaving.holds) {
                    replies.into_iter().for_each(|reply| reply.send(false));
                    self.file_soon(Filed::Made { id, decision: Box::new(decision) }, None);
                }
                leaving.reply.take().into_iter().for_each(|reply| reply.send(()));
            }
            leaving.holds.retain(|hold| {
                self.shelf.let_go(*hold);
                self.shelf.has(*hold) || self.unknown.has(*hold)
            });
            match leaving.holds.is_empty() {
                true => leaving.reply.into_iter().for_each(|reply| reply.send(())),
                false => self.leaving.push(leaving),
            }
        }
    }
}
