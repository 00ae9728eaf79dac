//! How a network is trained.

use serde::{Deserialize, Serialize};

use super::error::LearnError;

/// The longest horizon: ten years.
pub const HORIZON_DAYS_MAX: u32 = 3_653;
pub const ENSEMBLE_MAX: u32 = 32;
pub const WIDTH_MAX: u32 = 256;
pub const STATE_MAX: u32 = 64;
pub const EVENTS_MAX: u32 = 64;
pub const CUTS_MAX: u32 = 52;

/// The terms of a training. Same terms, same customers: same network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LearnTerms {
    pub seed: u64,
    /// Networks whose forecasts are averaged; each holds out other customers. 1 to [`ENSEMBLE_MAX`].
    pub ensemble: u32,
    /// Passes over the rows at most, 1 to 10,000.
    pub epochs_max: u32,
    /// Passes without a better loss on the customers held out, after which a member is done.
    pub patience: u32,
    /// Rows per step, 8 to 65,536.
    pub batch: u32,
    /// Step length of AdamW at the start; it falls to a twentieth along half a cosine.
    pub rate: f64,
    /// Weight decay of AdamW (Loshchilov & Hutter 2019), per step and rate.
    pub decay: f64,
    /// Share of hidden units that are left out of a step, 0 to 0.9.
    pub dropout: f64,
    /// Share of the customers on whom a member is stopped and not trained, 0.02 to 0.5.
    pub held_out: f64,
    /// Widths of the two hidden layers, 1 to [`WIDTH_MAX`].
    pub hidden: [u32; 2],
    /// The last purchases that are looked at one by one, 1 to [`EVENTS_MAX`].
    pub events_max: u32,
    /// Width of the recurrent state, 1 to [`STATE_MAX`].
    pub state: u32,
    /// Cuts whose rows are pooled: the one given and those `cut_step_days`, twice as many, … before
    /// it. 1 to [`CUTS_MAX`]; cuts with hardly any customers are left out.
    pub cuts: u32,
    /// 1 to 3,653.
    pub cut_step_days: u32,
    /// Members that are trained at a time, 1 to 64. Changes nothing but the time it takes.
    #[serde(skip, default = "two")]
    pub threads: u32,
    /// Train on the first CUDA card, for a build with the feature `cuda`.
    #[serde(skip)]
    pub cuda: bool,
}

fn two() -> u32 {
    2
}

impl Default for LearnTerms {
    /// Found on the calibration period of the CDNOW log alone.
    fn default() -> Self {
        Self {
            seed: 0,
            ensemble: 5,
            epochs_max: 40,
            patience: 6,
            batch: 1_024,
            rate: 3e-3,
            decay: 1e-3,
            dropout: 0.1,
            held_out: 0.1,
            hidden: [32, 16],
            events_max: 8,
            state: 8,
            cuts: 1,
            cut_step_days: 28,
            threads: 2,
            cuda: false,
        }
    }
}

impl LearnTerms {
    /// The terms if each is within its bounds.
    pub fn checked(&self) -> Result<&LearnTerms, LearnError> {
        let terms = [
            ("ensemble", f64::from(self.ensemble), 1.0, f64::from(ENSEMBLE_MAX)),
            ("epochs_max", f64::from(self.epochs_max), 1.0, 1e4),
            ("patience", f64::from(self.patience), 1.0, 1e4),
            ("batch", f64::from(self.batch), 8.0, 65_536.0),
            ("rate", self.rate, 1e-7, 1.0),
            ("decay", self.decay, 0.0, 10.0),
            ("dropout", self.dropout, 0.0, 0.9),
            ("held_out", self.held_out, 0.02, 0.5),
            ("hidden", f64::from(self.hidden[0]), 1.0, f64::from(WIDTH_MAX)),
            ("hidden", f64::from(self.hidden[1]), 1.0, f64::from(WIDTH_MAX)),
            ("events_max", f64::from(self.events_max), 1.0, f64::from(EVENTS_MAX)),
            ("state", f64::from(self.state), 1.0, f64::from(STATE_MAX)),
            ("cuts", f64::from(self.cuts), 1.0, f64::from(CUTS_MAX)),
            ("cut_step_days", f64::from(self.cut_step_days), 1.0, 3_653.0),
            ("threads", f64::from(self.threads), 1.0, 64.0),
        ];
        for (name, value, least, most) in terms {
            if !(least..=most).contains(&value) {
                return Err(LearnError::Term { name, value, least, most });
            }
        }
        Ok(self)
    }
}

/// The horizon if it is one, in days.
pub(super) fn horizon(days: u32) -> Result<u32, LearnError> {
    let (least, most) = (1.0, f64::from(HORIZON_DAYS_MAX));
    let value = f64::from(days);
    match (least..=most).contains(&value) {
        true => Ok(days),
        false => Err(LearnError::Term { name: "horizon_days", value, least, most }),
    }
}
