//! A record that was lost, made again of what a notice's URL carries.

use kiki_models::shield::money::Micros;

use crate::auction::bid::reserve;
use crate::pricing::worth;

use super::digest::{Digest, Text};
use super::record::{Decision, Kind, LtvUsed, PriceUsed};

/// Which text of a digest is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Account,
    Campaign,
    Creative,
    Impression,
    Model,
    Auction,
    Deal,
}

/// The record of a digest. `find` looks up a text by its hash among those that are known: accounts, campaigns,
/// creatives, models; what it does not find stands as `sha256:` and the hash's 32 hexadecimal digits. Where breakers
/// stood nobody knows any more.
pub fn rebuild(digest: &Digest, find: impl Fn(Named, &[u8; 16]) -> Option<String>) -> Decision {
    let text = |named: Named, text: &Text| match text {
        Text::Plain(text) => text.clone(),
        Text::Hash(hash) => find(named, hash)
            .filter(|found| text.is(found))
            .unwrap_or_else(|| format!("sha256:{:032x}", u128::from_be_bytes(*hash))),
    };
    let some = |named: Named, it: &Text| match it {
        Text::Plain(plain) if plain.is_empty() => None,
        it => Some(text(named, it)),
    };
    Decision {
        campaign: Some(text(Named::Campaign, &digest.campaign)),
        version: Some(digest.definition),
        auction: some(Named::Auction, &digest.auction),
        impression: Some(text(Named::Impression, &digest.impression)),
        creative: Some(text(Named::Creative, &digest.creative)),
        deal: some(Named::Deal, &digest.deal),
        ltv: Some(LtvUsed {
            amount: digest.ltv,
            status: digest.ltv_status,
            model: text(Named::Model, &digest.model),
        }),
        multipliers: Some(digest.multipliers.into()),
        price: Some(PriceUsed {
            cpm: digest.cpm,
            own_currency: digest.own_currency,
            price: digest.price,
            currency: digest.currency,
            rates: [digest.cross.from.0, digest.cross.to.0],
            reserve: reserve(digest.cpm),
            first_price: digest.first_price,
            floor: (digest.floor > Micros::ZERO).then_some(digest.floor),
            value: digest.value,
            // As it was reckoned: it need not be carried.
            worth: Some(worth(digest.value, &digest.multipliers)).filter(|worth| worth.is_finite()),
            win: None,
            surplus: None,
        }),
        hold: Some(format!("{:032x}", digest.hold)),
        breaker: None,
        rebuilt: true,
        ..Decision::new(Kind::Bid, &text(Named::Account, &digest.account), digest.at_us)
    }
}
