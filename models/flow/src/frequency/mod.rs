//! How often a person sees a campaign.
