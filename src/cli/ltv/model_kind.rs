//! The kinds of models as the command line names them, and how times and amounts count.

use clap::{Args, ValueEnum};

use crate::models::value::forecast::terms::FitTerms;
use crate::models::value::log::day::Day;
use crate::models::value::log::format::Format;
use crate::models::value::registry::version::Kind;

/// What can be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelKind {
    /// Poisson purchases, and a coin after each repeat that decides whether the customer leaves; amounts
    /// by Gamma-Gamma
    BgNbd,
    /// The same, with a coin after the first purchase, too
    MbgNbd,
    /// Poisson purchases of customers who may leave at any moment; amounts by Gamma-Gamma
    ParetoNbd,
    /// Amounts by Gamma-Gamma, for customers who never leave
    GammaGamma,
    /// A network that has learned what customers spend
    Ziln,
    /// The network and BG/NBD joined: order, levels and intervals from an inner holdout before the cut
    Blend,
}

impl From<ModelKind> for Kind {
    fn from(kind: ModelKind) -> Kind {
        match kind {
            ModelKind::BgNbd => Kind::BgNbd,
            ModelKind::MbgNbd => Kind::MbgNbd,
            ModelKind::ParetoNbd => Kind::ParetoNbd,
            ModelKind::GammaGamma => Kind::GammaGamma,
            ModelKind::Ziln => Kind::Ziln,
            ModelKind::Blend => Kind::Blend,
        }
    }
}

/// What is fitted, and how.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// What is fitted
    #[arg(long, value_enum, default_value = "blend")]
    pub model: ModelKind,

    /// The seed of everything that is dealt or drawn: the same seed gives the same model
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Take times and amounts of CDNOW's logs as they are: by default they are rounded to hundredths of
    /// a week and whole cents, as the published tables have them, so that the fits are the published ones
    /// (they differ in the fourth digit)
    #[arg(long)]
    pub exact: bool,

    /// Networks of each part of the customers; more are better and take longer [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    pub networks: Option<u32>,

    /// Passes of a network over the customers at most [default: 40]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub epochs: Option<u32>,
}

impl ModelArgs {
    /// The terms of a fit of a log of this format.
    pub fn terms(&self, format: Format, cut: Day, horizon_days: u32) -> FitTerms {
        let mut terms = FitTerms::new(self.model.into(), cut, horizon_days);
        terms.seed = self.seed;
        terms.rounded = !self.exact && format != Format::Csv;
        terms.learn.ensemble = self.networks.unwrap_or(terms.learn.ensemble);
        terms.learn.epochs_max = self.epochs.unwrap_or(terms.learn.epochs_max);
        terms
    }
}
