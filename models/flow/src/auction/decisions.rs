//! Who won, who stands behind, and why the others did not.

use kiki_models::shield::money::Currency;

use crate::reason::Reason;
use crate::targeting::scratch::Refused;

use super::bid::Bid;
use super::rank::{FALLBACKS_MAX, Ranking};

/// Where one slot stands.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// Rank of the winner.
    winner: Option<usize>,
    /// Rank from which a fall-back is looked for.
    next: usize,
    fallbacks: usize,
    /// Bids before its first winner: their campaigns have as much of the request as they may.
    ahead: usize,
}

/// The outcome of one request. Used again for the next one.
#[derive(Debug, Default)]
pub struct Decisions {
    pub(super) rankings: Vec<Ranking>,
    standing: Vec<Standing>,
    /// Impressions won, by the campaign's place in the index.
    taken: Vec<(u32, u16)>,
    /// Winners that were refused after all, by slot and the campaign's place in the index.
    fell: Vec<(usize, u32, Reason)>,
    refused: Refused,
    /// Slots of the request.
    slots: usize,
    pub(super) candidates: u32,
    pub(super) common: Option<Currency>,
}

impl Decisions {
    pub(super) fn begin(&mut self, slots: usize) {
        self.slots = slots;
        (self.candidates, self.common) = (0, None);
        if self.rankings.len() < slots {
            self.rankings.resize_with(slots, Ranking::default);
        }
        self.rankings.iter_mut().take(slots).for_each(|ranking| ranking.begin(slots));
        self.standing.clear();
        self.standing.resize(slots, Standing::default());
        self.taken.clear();
        self.fell.clear();
        self.refused = Refused::default();
    }

    pub(super) fn refused_mut(&mut self) -> &mut Refused {
        &mut self.refused
    }

    /// Slots of the request.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Pairs of a slot and a campaign that the index has left, and that were looked at one by one.
    pub fn candidates(&self) -> u32 {
        self.candidates
    }

    /// What bids were compared in: the base of the first candidate's account. `None`: there was no candidate.
    pub fn common(&self) -> Option<Currency> {
        self.common
    }

    /// Refusals by reason, one for each pair of a slot and a campaign of the index that does not win it.
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    /// The winner of a slot.
    pub fn winner(&self, slot: usize) -> Option<&Bid> {
        self.ranking(slot)?.get(self.standing.get(slot)?.winner?)
    }

    /// Slots that are won, with their winners.
    pub fn winners(&self) -> impl Iterator<Item = (usize, &Bid)> {
        (0..self.slots).filter_map(|slot| Some((slot, self.winner(slot)?)))
    }

    /// The best bids of a slot, the winner among them.
    pub fn ranked(&self, slot: usize) -> impl Iterator<Item = &Bid> {
        let ranking = self.ranking(slot);
        let best = ranking.map_or(0, Ranking::len);
        (0..best).filter_map(move |rank| ranking?.get(rank))
    }

    fn ranking(&self, slot: usize) -> Option<&Ranking> {
        self.rankings.get(slot).filter(|_| slot < self.slots)
    }

    fn taken(&self, at: u32) -> u16 {
        self.taken.iter().find(|(campaign, _)| *campaign == at).map_or(0, |(_, n)| *n)
    }

    fn take(&mut self, at: u32, by: i8) {
        match self.taken.iter_mut().find(|(campaign, _)| *campaign == at) {
            Some((_, n)) => *n = n.saturating_add_signed(i16::from(by)),
            None if by > 0 => self.taken.push((at, 1)),
            None => {}
        }
    }

    /// Rank of the best bid of a slot, from a rank on, whose campaign may win one more.
    fn free(&self, slot: usize, from: usize) -> Option<usize> {
        let ranking = self.ranking(slot)?;
        (from..ranking.len())
            .find(|rank| ranking.get(*rank).is_some_and(|bid| self.taken(bid.at) < bid.room))
    }

    /// Bids of a slot that stand before its first winner, and did not win: their campaigns have as much of the request
    /// as they may.
    pub fn passed_over(&self, slot: usize) -> impl Iterator<Item = &Bid> {
        self.ranked(slot).take(self.standing.get(slot).map_or(0, |standing| standing.ahead))
    }

    /// Why the bid of a campaign does not win a slot, as [`Decisions::refused`] counts it; `None`: it does. Asked of
    /// campaigns that have bid on it.
    pub fn lost(&self, slot: usize, at: u32) -> Option<Reason> {
        if self.winner(slot).is_some_and(|bid| bid.at == at) {
            return None;
        }
        let fell = self.fell.iter().find(|(of, campaign, _)| (*of, *campaign) == (slot, at));
        let passed = || self.passed_over(slot).any(|bid| bid.at == at);
        Some(match fell {
            Some((_, _, reason)) => *reason,
            None if passed() => Reason::OnePerRequest,
            None => Reason::Outbid,
        })
    }

    /// Deals the slots out: the best bid of all first, then the best of what is left, each campaign within
    /// its limit.
    pub(super) fn settle(&mut self) {
        loop {
            let mut best: Option<(usize, usize)> = None;
            for slot in 0..self.slots {
                let Some(standing) = self.standing.get(slot).copied() else { continue };
                if standing.winner.is_some() {
                    continue;
                }
                let Some(rank) = self.free(slot, standing.next) else { continue };
                // What was taken is not given back while slots are dealt out: no need to look again.
                if let Some(standing) = self.standing.get_mut(slot) {
                    standing.next = rank;
                }
                let better = match best {
                    None => true,
                    Some((other, other_rank)) => match (self.ranking(slot), self.ranking(other)) {
                        (Some(a), Some(b)) => a.beats(rank, b, other_rank),
                        _ => false,
                    },
                };
                if better {
                    best = Some((slot, rank));
                }
            }
            let Some((slot, rank)) = best else { break };
            self.win(slot, rank);
        }
        // Everybody who bid was counted as outbid. Winners are not, and whoever has as much as it may have
        // is counted as that.
        for slot in 0..self.slots {
            let winner = self.standing.get(slot).and_then(|standing| standing.winner);
            let ahead = winner.unwrap_or_else(|| self.ranking(slot).map_or(0, Ranking::len));
            if let Some(standing) = self.standing.get_mut(slot) {
                standing.ahead = ahead;
            }
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.refused.take(Reason::Outbid, ahead + u32::from(winner.is_some()));
            self.refused.add(Reason::OnePerRequest, ahead);
        }
    }

    fn win(&mut self, slot: usize, rank: usize) {
        let Some(at) = self.ranking(slot).and_then(|ranking| ranking.get(rank)).map(|bid| bid.at)
        else {
            return;
        };
        if let Some(standing) = self.standing.get_mut(slot) {
            standing.winner = Some(rank);
            standing.next = rank + 1;
        }
        self.take(at, 1);
    }

    /// The winner of a slot is refused after all, such as by its budget: the next one wins, at most
    /// [`FALLBACKS_MAX`] times.
    pub fn fall_back(&mut self, slot: usize, reason: Reason) -> Option<&Bid> {
        let at = self.winner(slot)?.at;
        self.take(at, -1);
        self.refused.add(reason, 1);
        self.fell.push((slot, at, reason));
        let standing = self.standing.get_mut(slot)?;
        standing.winner = None;
        standing.fallbacks += 1;
        if standing.fallbacks > FALLBACKS_MAX {
            return None;
        }
        let rank = self.free(slot, self.standing.get(slot)?.next)?;
        self.win(slot, rank);
        self.refused.take(Reason::Outbid, 1);
        self.winner(slot)
    }

    /// Why there is no bid at all: the reason that came nearest to one; `None`: there is a bid.
    pub fn no_bid(&self) -> Option<Reason> {
        if self.winners().next().is_some() {
            return None;
        }
        let of_money = |reason: &Reason| self.refused.get(*reason) > 0;
        Some(Reason::ALL.iter().rev().copied().find(of_money).unwrap_or(Reason::NoCandidate))
    }
}
