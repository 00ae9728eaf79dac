//! Names of accounts and campaigns, and the actor that governs each.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::models::cluster::node::Role;
use crate::models::cluster::shard::Shard;

/// The budget of an account itself: no campaign can have this name.
pub const ACCOUNT_BUDGET: &str = "@account";
pub const NAME_CHARS_MAX: usize = 128;
/// What begins the names of rows that are a campaign's, though they are no budget: the longest first.
const OF_CAMPAIGNS: [&str; 2] = ["@flow/pacer/", "@flow/"];

/// An account, or a campaign of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BudgetName {
    pub account: Arc<str>,
    pub budget: Arc<str>,
}

/// Letters, digits, `_`, `-` and `.`, at most 128 of them and not dots alone: safe in paths, logs and labels.
pub fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    // Of dots alone, a path segment means another place.
    let dots = text.bytes().all(|b| b == b'.');
    (1..=NAME_CHARS_MAX).contains(&text.len()) && !dots && text.bytes().all(plain)
}

impl BudgetName {
    pub fn campaign(account: &str, campaign: &str) -> BudgetName {
        BudgetName { account: account.into(), budget: campaign.into() }
    }

    pub fn account(account: &str) -> BudgetName {
        BudgetName { account: account.into(), budget: ACCOUNT_BUDGET.into() }
    }

    pub fn is_account(&self) -> bool {
        &*self.budget == ACCOUNT_BUDGET
    }

    /// The key of its actor: `camp_001`, or `account:camp_001` outside the default account.
    pub fn key(&self, default_account: &str) -> Cow<'_, str> {
        match (self.is_account(), &*self.account == default_account) {
            (true, _) => Cow::Borrowed(&self.account),
            (false, true) => Cow::Borrowed(&self.budget),
            (false, false) => Cow::Owned(format!("{}:{}", self.account, self.budget)),
        }
    }

    /// The campaign that a key of the campaigns' actors names.
    pub fn of_campaign_key(key: &str, default_account: &str) -> BudgetName {
        match key.split_once(':') {
            Some((account, campaign)) => BudgetName::campaign(account, campaign),
            None => BudgetName::campaign(default_account, key),
        }
    }

    /// The shard that its rows are written under, and whose owner answers for it. A campaign has one of its own,
    /// and what SyncFlow keeps of it is there, too; everything else of an account (its window, its people, their
    /// requests and purchases, its models, its log) is in the account's own, so that what asks each other is in
    /// one place.
    pub fn shard(&self) -> i64 {
        let of = OF_CAMPAIGNS.iter().find_map(|of| self.budget.strip_prefix(of));
        let place = match of {
            Some(campaign) => campaign,
            None if self.budget.starts_with('@') => ACCOUNT_BUDGET,
            None => &self.budget,
        };
        let mut hash = Sha256::new();
        hash.update(self.account.as_bytes());
        hash.update([0]);
        hash.update(place.as_bytes());
        i64::from(hash.finalize()[0])
    }

    /// The same, as nodes own it.
    pub fn place(&self) -> Shard {
        Shard::of(Role::Shield, u16::try_from(self.shard()).unwrap_or_default())
    }
}

impl fmt::Display for BudgetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_campaign_and_only_that() {
        for name in [BudgetName::campaign("default", "c"), BudgetName::campaign("acme", "c")] {
            assert_eq!(BudgetName::of_campaign_key(&name.key("default"), "default"), name);
        }
        assert!(!is_name(ACCOUNT_BUDGET) && !is_name("a:b") && !is_name("") && !is_name("a/b"));
        let of = |budget: &str| BudgetName::campaign("acme", budget).shard();
        assert_eq!(of("@flow/camp"), of("camp"));
        assert_eq!(of("@flow/pacer/camp"), of("camp"));
        assert_ne!(of("camp"), of(ACCOUNT_BUDGET));
        for other in ["@person/1", "@person/2", "@ltv/1", "@dsr/9", "@audit", "@ltv/registry"] {
            assert_eq!(of(other), of(ACCOUNT_BUDGET), "{other}");
        }
        assert!(!is_name(".") && !is_name("..") && is_name(".a") && is_name("a.b."));
        assert!(!is_name(&"x".repeat(129)) && is_name("camp_001") && !is_name("caf\u{e9}"));
    }
}
