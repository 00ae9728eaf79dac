//! A model as bytes, and back: safetensors, with everything but the networks as JSON in its metadata.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::blended::{Blended, Fitting};
use super::features::{Feature, NAMES, VALUES_MAX};
use super::level::Levels;
use super::model::ValueModel;
use super::net::Nets;
use super::prior::Prior;
use super::probable::Probable;
use super::terms::HORIZON_DAYS_MAX;
use crate::value::learned::fit::Learned;
use crate::value::log::day::Day;
use crate::value::registry::version::Kind;
use crate::value::values::check;

/// Most bytes of a model.
pub const BYTES_MAX: usize = 64 << 20;
/// The key of the JSON in the metadata, and the version of what it says.
const KEY: &str = "kiki.value";
const VERSION: u32 = 1;
const NETS_MAX: usize = 16;

/// Bytes that are no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no model of value: {0}")]
pub struct BadModel(pub String);

fn bad(why: impl std::fmt::Display) -> BadModel {
    BadModel(why.to_string())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    version: u32,
    kind: Kind,
    cut: Day,
    horizon_days: u32,
    probable: Probable,
    levels: Levels,
    prior: Prior,
    blended: Option<Fitting>,
    features: Vec<Vec<f64>>,
}

impl ValueModel {
    /// The same model has the same bytes.
    ///
    /// # Errors
    /// None are known; a library's refusal is passed on.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BadModel> {
        let json = Json {
            version: VERSION,
            kind: self.kind,
            cut: self.cut,
            horizon_days: self.horizon_days,
            probable: self.probable,
            levels: self.levels.clone(),
            prior: self.prior.clone(),
            blended: self.blended.as_ref().map(|of| of.fitting.clone()),
            features: self.features.iter().map(|of| of.values.clone()).collect(),
        };
        let json = serde_json::to_string(&json).map_err(bad)?;
        let nets = self.blended.iter().flat_map(|of| &of.nets.0);
        let nets: Vec<Vec<u8>> =
            nets.map(|net| net.to_safetensors().map_err(bad)).collect::<Result<_, _>>()?;
        let views = nets.iter().enumerate().map(|(at, bytes)| {
            let view = TensorView::new(Dtype::U8, vec![bytes.len()], bytes).map_err(bad)?;
            Ok((format!("net.{at}"), view))
        });
        let views: Vec<(String, TensorView<'_>)> = views.collect::<Result<_, BadModel>>()?;
        serialize(views, Some(HashMap::from([(KEY.to_owned(), json)]))).map_err(bad)
    }

    /// From bytes of anybody: what is no model is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<ValueModel, BadModel> {
        if bytes.len() > BYTES_MAX {
            return Err(bad("more than 64 MiB"));
        }
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(bad)?;
        let text = header.metadata().as_ref().and_then(|all| all.get(KEY));
        let json: Json =
            serde_json::from_str(text.ok_or_else(|| bad("no metadata"))?).map_err(bad)?;
        if json.version != VERSION {
            return Err(bad(format_args!("version {} instead of {VERSION}", json.version)));
        }
        if !(1..=HORIZON_DAYS_MAX).contains(&json.horizon_days) {
            return Err(bad("a horizon out of bounds"));
        }
        let blended = json.blended.map(|fitting| nets(bytes).map(|nets| Blended { nets, fitting }));
        Ok(ValueModel {
            kind: json.kind,
            cut: json.cut,
            horizon_days: json.horizon_days,
            probable: json.probable,
            levels: json.levels,
            prior: json.prior,
            blended: blended.transpose()?,
            features: features(json.features)?,
        })
    }
}

fn nets(bytes: &[u8]) -> Result<Nets, BadModel> {
    let all = SafeTensors::deserialize(bytes).map_err(bad)?;
    if all.is_empty() || all.len() > NETS_MAX {
        return Err(bad("no network, or too many"));
    }
    let net = |at: usize| {
        let view = all.tensor(&format!("net.{at}")).map_err(bad)?;
        Learned::from_safetensors(view.data()).map_err(bad)
    };
    Ok(Nets((0..all.len()).map(net).collect::<Result<_, _>>()?))
}

fn features(columns: Vec<Vec<f64>>) -> Result<Vec<Feature>, BadModel> {
    let sound = |values: &Vec<f64>| values.len() <= VALUES_MAX && check(values).is_ok();
    let fits = columns.is_empty() || columns.len() == NAMES.len() && columns.iter().all(sound);
    if !fits {
        return Err(bad("other features than it was fitted on"));
    }
    let named = NAMES.into_iter().zip(columns);
    Ok(named.map(|(name, values)| Feature { name, values }).collect())
}
