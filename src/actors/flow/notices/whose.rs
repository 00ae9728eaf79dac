//! Whose a notice is. Its address says so; one of before may say the account or the campaign as a hash, which is
//! looked up: first among what runs, then in the store.

use super::heard::{Heard, Ours};
use crate::actors::flow::auction::Office;
use crate::models::flow::decision::{Digest, Text};
use crate::models::flow::notice::url::Notice;
use crate::models::flow::targeting::compile::key_of;
use crate::models::shield::entry::Op;
use crate::store::{PAGE_MAX, Result};

type Name = (String, String);

impl Office {
    /// # Errors
    /// The answer, where it is nobody's or nobody can say whose.
    pub(super) async fn ours(&self, notice: &Notice<'_>) -> std::result::Result<Ours, Heard> {
        let ticket = &notice.ticket;
        let mut digest = Digest::decode(&ticket.digest).map_err(|_| Heard::Bad)?;
        if digest.hold != ticket.hold.0 {
            return Err(Heard::Bad);
        }
        // Where the digest had no room for it, the address has it all the same, as well signed.
        if matches!(digest.impression, Text::Hash(_)) && digest.impression.is(&ticket.impression) {
            digest.impression = Text::plain(&ticket.impression);
        }
        let pending = self.open.get(ticket.hold.0);
        let (account, campaign) = match &pending {
            Some(pending) => {
                (pending.seat.name.account.to_string(), pending.seat.name.budget.to_string())
            }
            None => self.named(ticket.hold, &digest).await?,
        };
        let market = self.market();
        let seat = pending.as_ref().map(|pending| &pending.seat);
        let seat = seat.or_else(|| market.by_key(key_of(&account, &campaign)));
        let zone = seat.map(|seat| seat.campaign().definition.schedule.time_zone.clone());
        let zone = zone.unwrap_or_default();
        let (hold, expires_us) = (ticket.hold, ticket.expires_us);
        Ok(Ours { hold, account, campaign, digest, expires_us, pending, zone })
    }

    async fn named(&self, hold: Op, digest: &Digest) -> std::result::Result<Name, Heard> {
        if let (Text::Plain(account), Text::Plain(campaign)) = (&digest.account, &digest.campaign) {
            return Ok((account.clone(), campaign.clone()));
        }
        let market = self.market();
        let mut seats = market.seats.iter().map(|seat| &seat.name);
        let of = seats.find(|of| digest.account.is(&of.account) && digest.campaign.is(&of.budget));
        if let Some(name) = of {
            return Ok((name.account.to_string(), name.budget.to_string()));
        }
        match self.stored_name(hold, digest).await {
            Ok(Some(name)) => Ok(name),
            Ok(None) => Err(Heard::Bad),
            Err(error) => {
                tracing::warn!(%error, %hold, "nobody can say whose the notice of hold {hold} is");
                Err(Heard::Later)
            }
        }
    }

    /// By the record of its bid or, where that is lost, among all campaigns.
    async fn stored_name(&self, hold: Op, digest: &Digest) -> Result<Option<Name>> {
        let store = self.shield.store();
        for account in self.accounts_of(&digest.account).await? {
            let row = store.flow_decision(&account, &hold.to_string()).await?;
            if let Some(row) = row.filter(|row| digest.campaign.is(&row.campaign)) {
                return Ok(Some((account, row.campaign)));
            }
            let mut after = String::new();
            loop {
                let page = store.flow_campaign_names(&account, &after, PAGE_MAX).await?;
                if let Some(campaign) = page.iter().find(|name| digest.campaign.is(name)) {
                    return Ok(Some((account, campaign.clone())));
                }
                match page.last() {
                    Some(last) if page.len() == PAGE_MAX as usize => after.clone_from(last),
                    _ => break,
                }
            }
        }
        Ok(None)
    }

    async fn accounts_of(&self, account: &Text) -> Result<Vec<String>> {
        if let Text::Plain(account) = account {
            return Ok(vec![account.clone()]);
        }
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.shield.store().accounts(&after, PAGE_MAX).await?;
            found.extend(page.iter().map(|row| &row.account).filter(|it| account.is(it)).cloned());
            match page.last() {
                Some(last) if page.len() == PAGE_MAX as usize => after.clone_from(&last.account),
                _ => return Ok(found),
            }
        }
    }
}
