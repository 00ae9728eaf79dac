//! In whose day a bid was made (rule 9), where auctions do not see its campaign any more: what is paused or
//! over has its row, and the time zone of a campaign that was started never changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::actors::flow::auction::Office;
use crate::models::flow::campaign::state::Campaign;
use crate::store::StoreError;

/// Of where nothing is known.
const UTC: &str = "UTC";
/// Campaigns that are remembered: where there are more, all of them are looked up anew.
const KNOWN_MAX: usize = 16_384;

type Name = (String, String);

/// Zones of campaigns that were looked up.
#[derive(Default)]
pub struct Zones(Mutex<HashMap<Name, Arc<str>>>);

impl Zones {
    fn known(&self) -> MutexGuard<'_, HashMap<Name, Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: &Name) -> Option<Arc<str>> {
        self.known().get(name).cloned()
    }

    fn put(&self, name: Name, zone: Arc<str>) {
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(name, zone);
    }
}

/// That of a campaign as it is stored.
fn stored(state: &str) -> Arc<str> {
    match serde_json::from_str::<Campaign>(state) {
        Ok(campaign) => campaign.definition.schedule.time_zone.as_str().into(),
        Err(error) => {
            tracing::error!(%error, "a stored campaign cannot be read: its wins are of the day of UTC");
            UTC.into()
        }
    }
}

impl Office {
    /// The time zone of a campaign, whatever has become of it.
    ///
    /// # Errors
    /// The store does not say.
    pub(super) async fn zone_of(
        &self,
        account: &str,
        campaign: &str,
    ) -> Result<Arc<str>, StoreError> {
        let name = (account.to_owned(), campaign.to_owned());
        if let Some(zone) = self.zones.get(&name) {
            return Ok(zone);
        }
        let row = self.shield.store().flow_campaign(account, campaign).await?;
        // Of what is not there nothing can be booked.
        let Some(row) = row else { return Ok(UTC.into()) };
        let zone = stored(&row.state);
        self.zones.put(name, Arc::clone(&zone));
        Ok(zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_zones_are_remembered_than_there_is_room_for() {
        let zones = Zones::default();
        for n in 0..=KNOWN_MAX {
            zones.put(("a".into(), format!("c{n}")), UTC.into());
            assert!(zones.known().len() <= KNOWN_MAX);
        }
        let last = ("a".to_owned(), format!("c{KNOWN_MAX}"));
        assert_eq!(zones.get(&last).as_deref(), Some(UTC));
        assert_eq!(&*stored("{}"), UTC);
    }
}
