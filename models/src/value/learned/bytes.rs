//! A trained ensemble as safetensors: the weights as tensors, all else as JSON in the metadata. Read with
//! suspicion: what comes back is of the shapes that its terms name, and every number is finite.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::error::BadBytes;
use super::features::{self, FEATURES};
use super::fit::{Facts, Learned};
use super::network;
use super::scale::Scale;
use super::sequence::FIGURES;
use super::terms::{CUTS_MAX, LearnTerms, horizon};
use super::train::WEIGHT_MAX;

/// More bytes are no ensemble: the widest one has less.
pub const BYTES_MAX: usize = 64 << 20;
/// The one entry of the metadata: more would be written in no certain order.
const KEY: &str = "kiki.learned";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    terms: LearnTerms,
    facts: Facts,
    /// The figures that the weights are for, in their order.
    features: Vec<String>,
}

fn bad(why: impl std::fmt::Display) -> BadBytes {
    BadBytes(why.to_string())
}

fn names() -> Vec<String> {
    features::NAMES.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// Tensors with their names and shapes, those of each member after the scales.
fn shapes(terms: &LearnTerms) -> Vec<(String, Vec<usize>)> {
    let parts = ["mean", "deviation", "low", "high"];
    let scale = |of: &str, n: usize| parts.map(|part| (format!("{of}.{part}"), vec![n]));
    let mut all = [scale("features", FEATURES), scale("events", FIGURES)].concat();
    for index in 0..terms.ensemble {
        let own = network::NAMES.iter().zip(network::shapes(terms)).enumerate();
        all.extend(own.map(|(at, (name, (inputs, outputs)))| {
            let shape = if at % 2 == 0 { vec![inputs, outputs] } else { vec![outputs] };
            (format!("{index}.{name}"), shape)
        }));
        all.push((format!("{index}.mean_state"), vec![terms.state as usize]));
    }
    all
}

impl Learned {
    /// Equal ensembles have equal bytes.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, BadBytes> {
        let scales = [&self.scale, &self.event_scale];
        let mut numbers: Vec<&[f32]> = scales.into_iter().flat_map(Scale::parts).collect();
        for member in &self.members {
            numbers.extend(network::parameters(member));
            numbers.push(&member.mean_state);
        }
        let little = |numbers: &[f32]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let data: Vec<Vec<u8>> = numbers.into_iter().map(little).collect();
        let named = shapes(&self.terms).into_iter().zip(&data);
        let mut views = Vec::with_capacity(data.len());
        for ((name, shape), data) in named {
            views.push((name, TensorView::new(Dtype::F32, shape, data).map_err(bad)?));
        }
        let (terms, facts) = (self.terms.clone(), self.facts.clone());
        let header = Header { version: VERSION, terms, facts, features: names() };
        let header = serde_json::to_string(&header).map_err(bad)?;
        serialize(views, Some(HashMap::from([(KEY.to_owned(), header)]))).map_err(bad)
    }

    /// What [`Learned::to_safetensors`] wrote; anything else is an error.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Learned, BadBytes> {
        if bytes.len() > BYTES_MAX {
            return Err(bad(format!("{} bytes are more than {BYTES_MAX}", bytes.len())));
        }
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(bad)?;
        let header = metadata.metadata().as_ref().and_then(|all| all.get(KEY));
        let header = header.ok_or_else(|| bad("there is no header"))?;
        let Header { version, terms, facts, features } =
            serde_json::from_str(header).map_err(bad)?;
        if version != VERSION {
            return Err(bad(format!("version {version} is not {VERSION}")));
        }
        if features != names() {
            return Err(bad("it is for other figures"));
        }
        terms.checked().map_err(bad)?;
        check(&terms, &facts)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(bad)?;
        let shapes = shapes(&terms);
        if tensors.len() != shapes.len() {
            return Err(bad(format!("{} tensors are not {}", tensors.len(), shapes.len())));
        }
        let numbers = shapes.iter().map(|(name, shape)| read(&tensors, name, shape));
        let mut numbers = numbers.collect::<Result<Vec<_>, _>>()?.into_iter();
        let mut next = || numbers.next().unwrap_or_default();
        let mut scale = || Scale::from_parts([next(), next(), next(), next()]);
        let other = || bad("a scale is none");
        let (scale, event_scale) = (scale().ok_or_else(other)?, scale().ok_or_else(other)?);
        let mut members = Vec::new();
        for _ in 0..terms.ensemble {
            let parameters = network::NAMES.map(|_| next()).to_vec();
            members.push(network::member(&terms, parameters, next()).map_err(bad)?);
        }
        Ok(Learned { terms, facts, scale, event_scale, members })
    }
}

fn check(terms: &LearnTerms, facts: &Facts) -> Result<(), BadBytes> {
    horizon(facts.horizon_days).map_err(bad)?;
    let [p, mu, sigma] = facts.prior;
    let unit = |unit: f64| (1e-9..=1e12).contains(&unit);
    let sound = unit(facts.unit)
        && unit(facts.target_unit)
        && (0.0..=1.0).contains(&p)
        && mu.abs() <= 100.0
        && (0.0..=100.0).contains(&sigma)
        && (1..=CUTS_MAX as usize).contains(&facts.cuts.len())
        && facts.members.len() == terms.ensemble as usize
        && facts.members.iter().all(|member| member.validation.is_finite());
    if sound { Ok(()) } else { Err(bad("its facts are none")) }
}

fn read(tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>, BadBytes> {
    let tensor = tensors.tensor(name).map_err(bad)?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
        return Err(bad(format!("{name} is not f32 of {shape:?}")));
    }
    let (words, _) = tensor.data().as_chunks::<4>();
    let numbers: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    match numbers.iter().all(|x| x.abs() <= WEIGHT_MAX) {
        true => Ok(numbers),
        false => Err(bad(format!("{name} has a number that is none, or beyond 1e6"))),
    }
}
