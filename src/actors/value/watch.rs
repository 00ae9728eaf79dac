//! `/value/watch`: whether what comes in, and how wrong forecasts are, is still what it was when each
//! version was fitted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::loaded::{Loaded, Serving};
use super::metrics;
use super::nodes::Homes;
use super::nodes::samples::Samples;
use super::shared::Shared;
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::actors::shield::{Rows, Written};
use crate::clock;
use crate::models::cluster::shard::Shard;
use crate::models::value::drift::watch::{Signal, Watch, WatchReport, WatchTerms};
use crate::store::{LtvDriftRow, Put, StoreError};

/// The name of the watch over errors.
pub const ERROR: &str = "error";
/// Versions that are watched at a time, those that serve and shadows of all accounts.
const VERSIONS_MAX: usize = 1_024;
/// After the store did not answer, samples do not ask it again for so long.
const STORE_REST_US: i64 = 1_000_000;
const SEND_EVERY: Duration = Duration::from_secs(2);
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// How often the windows are compared with their references.
const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// The first errors are what later ones are compared with.
const ERRORS_OF_REFERENCE: usize = 200;
/// An input that has drifted is told of once in this time.
const TOLD_AGAIN_US: i64 = 86_400_000_000;

pub type Name = (Arc<str>, Arc<str>);

pub enum Msg {
    /// Inputs of a question, in the order of the version's features.
    Observe {
        loaded: Arc<Loaded>,
        features: Vec<f64>,
    },
    /// A forecast and what came true, in units of the currency.
    Erred {
        account: Arc<str>,
        model: Arc<str>,
        predicted: f64,
        actual: f64,
    },
    Compare,
    Save,
    /// Samples of accounts that are at home elsewhere go there.
    Send,
    /// The accounts of a shard go to another node; what is known of them is saved, unless it is there already.
    Leave {
        home: Shard,
        save: bool,
        reply: Reply<()>,
    },
    /// What is known of a version. `None`: the store did not answer.
    Report {
        account: Arc<str>,
        model: Arc<str>,
        reply: Reply<Option<Vec<FeatureReport>>>,
    },
}

/// One input, or the error.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FeatureReport {
    pub feature: String,
    /// Values seen since the version began, those in the window, and those that were none.
    pub values: u64,
    pub window: u64,
    pub refused: u64,
    /// Population stability index: below 0.1 stable, below 0.25 moderate, beyond it major.
    pub psi: Option<f64>,
    pub shift: Option<String>,
    /// Kolmogorov-Smirnov distance, and how likely chance makes one as large.
    pub ks_d: Option<f64>,
    pub ks_p: Option<f64>,
    /// The distance is large, and no chance.
    pub drifted: bool,
    /// Times that each detector of the stream fired.
    pub adwin_cuts: u64,
    pub page_hinkley_alarms: u64,
}

impl FeatureReport {
    fn of(feature: &str, report: &WatchReport) -> FeatureReport {
        let shift = report.shift.and_then(|shift| serde_json::to_value(shift).ok());
        FeatureReport {
            feature: feature.to_owned(),
            values: report.values,
            window: report.window,
            refused: report.refused,
            psi: report.psi,
            shift: shift.and_then(|shift| shift.as_str().map(str::to_owned)),
            ks_d: report.ks.map(|ks| ks.d),
            ks_p: report.ks.map(|ks| ks.p_value),
            drifted: report.drifted,
            adwin_cuts: report.adwin_cuts,
            page_hinkley_alarms: report.page_hinkley_alarms,
        }
    }
}

/// The watches of one version.
#[derive(Default)]
struct OfVersion {
    features: BTreeMap<String, Watch>,
    /// Errors until there are enough of them to compare with.
    errors: Vec<f64>,
    /// When each was told of (wall).
    told: HashMap<String, i64>,
    changed: bool,
    used_us: i64,
    /// Of the account's shard, when it was read: in another one somebody else may have gone on with it.
    epoch: i64,
}

#[derive(Clone, Default, Serialize)]
pub struct View {
    versions: usize,
    observed: u64,
    /// Samples that were left out because the store did not answer.
    dropped: u64,
    signals: u64,
    drifted: u64,
    last_error: Option<String>,
}

pub struct WatchActor {
    shared: Arc<Shared>,
    versions: HashMap<Name, OfVersion>,
    /// Where accounts are at home, of those that were asked for.
    homes: Homes,
    /// Of accounts that are at home elsewhere.
    samples: Samples,
    /// Samples do not ask the store before (monotonic).
    store_rests_until_us: i64,
    view: View,
}

/// How wrong a forecast was, on a scale on which large customers do not rule: the difference of the
/// logarithms of both and one.
fn error(predicted: f64, actual: f64) -> f64 {
    actual.max(0.0).ln_1p() - predicted.max(0.0).ln_1p()
}

/// What a version does that is watched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Champion,
    /// It answers a share of the customers, or forecasts in the champion's shadow.
    Tried,
}

/// Nothing where it answers nobody.
fn role(serving: &Serving, model: &str) -> Option<Role> {
    let is = |loaded: &Option<Arc<Loaded>>| loaded.as_ref().is_some_and(|l| *l.id == *model);
    match (is(&serving.champion), is(&serving.challenger) && serving.running.is_some()) {
        (true, _) => Some(Role::Champion),
        (false, true) => Some(Role::Tried),
        (false, false) => None,
    }
}

impl WatchActor {
    pub fn new(shared: Arc<Shared>) -> WatchActor {
        let (versions, view) = (HashMap::new(), View::default());
        let (homes, samples) = (Homes::default(), Samples::default());
        WatchActor { shared, versions, homes, samples, store_rests_until_us: 0, view }
    }

    /// Lets go of what is known of a version from another stay of its account here: the epoch of this one.
    fn at_home(&mut self, name: &Name) -> i64 {
        let epoch = self.shared.placement().epoch(self.homes.of(&name.0));
        if self.versions.get(name).is_some_and(|of| of.epoch != epoch) {
            self.versions.remove(name);
        }
        epoch
    }

    /// The watches of a version, read from the store at their first use.
    async fn version(&mut self, name: &Name) -> Result<&mut OfVersion, StoreError> {
        let epoch = self.at_home(name);
        if !self.versions.contains_key(name) {
            if self.versions.len() >= VERSIONS_MAX {
                self.save().await;
                let oldest = self.versions.iter().min_by_key(|(_, of)| of.used_us);
                if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                    self.versions.remove(&oldest);
                }
            }
            let mut of = OfVersion { epoch, ..OfVersion::default() };
            for row in self.shared.writes.store().ltv_drift(&name.0, &name.1).await? {
                match serde_json::from_str::<Watch>(&row.state) {
                    Ok(watch) => drop(of.features.insert(row.feature, watch)),
                    // a watch begins anew rather than not at all
                    Err(error) => {
                        tracing::warn!(%error, "the watch over {} is not understood", row.feature)
                    }
                }
            }
            self.versions.insert(name.clone(), of);
        }
        let of = self.versions.entry(name.clone()).or_default();
        of.used_us = clock::mono_us();
        Ok(of)
    }

    /// The same for a sample: it is left out where the store does not answer, and nobody is the worse
    /// for it.
    async fn sampled(&mut self, name: &Name) -> Option<&mut OfVersion> {
        let now = clock::mono_us();
        self.at_home(name);
        if !self.versions.contains_key(name) {
            if now < self.store_rests_until_us {
                self.view.dropped += 1;
                return None;
            }
            let failed = self.version(name).await.err();
            if let Some(error) = failed {
                self.view.last_error = Some(error.to_string());
                self.view.dropped += 1;
                self.store_rests_until_us = clock::mono_us() + STORE_REST_US;
                return None;
            }
        }
        let of = self.versions.get_mut(name)?;
        of.used_us = now;
        Some(of)
    }

    async fn observe(&mut self, loaded: &Loaded, features: Vec<f64>) {
        if !self.shared.is_here(self.homes.of(&loaded.account)) {
            self.view.dropped += u64::from(!self.samples.add(loaded, features));
            return;
        }
        let name = (Arc::clone(&loaded.account), Arc::clone(&loaded.id));
        let Some(of) = self.sampled(&name).await else { return };
        let mut fired = Vec::new();
        for (feature, value) in loaded.model.features().iter().zip(&features) {
            if !of.features.contains_key(feature.name) {
                let Ok(watch) = Watch::new(&feature.values, WatchTerms::default()) else {
                    continue;
                };
                of.features.insert(feature.name.to_owned(), watch);
            }
            if let Some(watch) = of.features.get_mut(feature.name) {
                fired
                    .extend(watch.observe(*value).into_iter().map(|signal| (feature.name, signal)));
            }
        }
        of.changed = true;
        self.view.observed += 1;
        for (feature, signal) in fired {
            self.fired(&name, feature, signal).await;
        }
    }

    async fn erred(&mut self, name: Name, predicted: f64, actual: f64) {
        let Some(of) = self.sampled(&name).await else { return };
        let value = error(predicted, actual);
        of.changed = true;
        let signals = match of.features.get_mut(ERROR) {
            Some(watch) => watch.observe(value),
            None => {
                of.errors.push(value);
                if of.errors.len() >= ERRORS_OF_REFERENCE
                    && let Ok(watch) = Watch::new(&of.errors, WatchTerms::default())
                {
                    of.features.insert(ERROR.to_owned(), watch);
                    of.errors = Vec::new();
                }
                Vec::new()
            }
        };
        for signal in signals {
            self.fired(&name, ERROR, signal).await;
        }
    }

    async fn fired(&mut self, name: &Name, feature: &str, signal: Signal) {
        // how a version does that answers nobody any more is no alarm
        let serving = self.shared.roster.of(&name.0);
        if serving.is_none_or(|serving| role(&serving, &name.1).is_none()) {
            return;
        }
        let detector = match signal {
            Signal::Adwin(_) => "adwin",
            Signal::PageHinkley(_) => "page_hinkley",
        };
        metrics::drift(detector, feature);
        self.view.signals += 1;
        let detail = crate::json::shown(&signal);
        self.tell(name, feature, detector, detail).await;
    }

    /// Tells of drift, once a day of each input.
    async fn tell(
        &mut self,
        name: &Name,
        feature: &str,
        detector: &str,
        detail: serde_json::Value,
    ) {
        let now = clock::wall_us();
        let Some(of) = self.versions.get_mut(name) else { return };
        if of.told.get(feature).is_some_and(|told| now - told < TOLD_AGAIN_US) {
            return;
        }
        of.told.insert(feature.to_owned(), now);
        let (account, model) = name;
        tracing::warn!(%account, %model, feature, detector, "{feature} has drifted from what {model} was fitted on");
        let payload = json!({
            "model": &**model, "feature": feature, "detector": detector, "detail": detail,
        });
        let events = vec![("ltv.drift", model.to_string(), payload)];
        let rows = Rows { events, ..Rows::default() };
        let told = self.shared.writes.write(account, "@ltv/drift", rows).await;
        if told != Written::Done {
            self.view.last_error = Some(format!("an event of drift: {told:?}"));
        }
    }

    async fn compare(&mut self) {
        let mut found = Vec::new();
        let serving: HashMap<Arc<str>, Arc<Serving>> =
            self.shared.roster.all().into_iter().collect();
        for (name, of) in &self.versions {
            let role = serving.get(&name.0).and_then(|serving| role(serving, &name.1));
            let Some(role) = role else { continue };
            for (feature, watch) in &of.features {
                let report = watch.report();
                if let Some(psi) = report.psi.filter(|_| role == Role::Champion) {
                    metrics::psi(&name.0, feature, psi);
                }
                if report.drifted {
                    found.push((
                        name.clone(),
                        feature.clone(),
                        FeatureReport::of(feature, &report),
                    ));
                }
            }
        }
        self.view.drifted = found.len() as u64;
        for (name, feature, report) in found {
            let detail = crate::json::shown(&report);
            self.tell(&name, &feature, "ks", detail).await;
        }
    }

    /// Lets go of the accounts of a shard: what is here of them may not be saved later.
    async fn leave(&mut self, home: Shard, save: bool) {
        if save {
            self.save().await;
        }
        let WatchActor { versions, homes, .. } = self;
        versions.retain(|(account, _), _| homes.of(account) != home);
    }

    async fn save(&mut self) {
        let now = clock::wall_us();
        let mut failed = None;
        let WatchActor { shared, versions, homes, .. } = self;
        for ((account, model), of) in versions.iter_mut().filter(|(_, of)| of.changed) {
            if of.epoch != shared.placement().epoch(homes.of(account)) {
                // The account went, and came back perhaps: this is of before.
                continue;
            }
            let mut puts: Vec<Put> = Vec::new();
            for (feature, watch) in &of.features {
                let report = FeatureReport::of(feature, &watch.report());
                let (Ok(state), Ok(report)) =
                    (serde_json::to_string(watch), serde_json::to_string(&report))
                else {
                    continue;
                };
                puts.push(Put::from(LtvDriftRow {
                    account: account.to_string(),
                    model: model.to_string(),
                    feature: feature.clone(),
                    state,
                    report,
                    updated_at: now,
                }));
            }
            let written = shared.writes.write(account, "@ltv/drift", puts).await;
            match written {
                Written::Done => of.changed = false,
                other => failed = Some(format!("watches of {model}: {other:?}")),
            }
        }
        self.view.last_error = failed;
    }
}

impl Actor for WatchActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "drift_watch";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        cx.send_after(SAVE_EVERY, Msg::Save);
        cx.send_after(COMPARE_EVERY, Msg::Compare);
        cx.send_after(SEND_EVERY, Msg::Send);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Observe { loaded, features } => self.observe(&loaded, features).await,
            Msg::Erred { account, model, predicted, actual } => {
                self.erred((account, model), predicted, actual).await;
            }
            Msg::Compare => {
                self.compare().await;
                cx.send_after(COMPARE_EVERY, Msg::Compare);
            }
            Msg::Save => {
                self.save().await;
                cx.send_after(SAVE_EVERY, Msg::Save);
            }
            Msg::Send => {
                self.samples.send(&self.shared);
                cx.send_after(SEND_EVERY, Msg::Send);
            }
            Msg::Leave { home, save, reply } => {
                self.leave(home, save).await;
                reply.send(());
            }
            Msg::Report { account, model, reply } => {
                let report = |(feature, watch): (&String, &Watch)| {
                    FeatureReport::of(feature, &watch.report())
                };
                let reports = self.version(&(account, model)).await;
                match reports.map(|of| of.features.iter().map(report).collect()) {
                    Ok(reports) => reply.send(Some(reports)),
                    Err(error) => {
                        self.view.last_error = Some(error.to_string());
                        reply.send(None);
                    }
                }
            }
        }
        self.view.versions = self.versions.len();
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        self.save().await;
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Observe { .. } => "Observe",
            Msg::Erred { .. } => "Erred",
            Msg::Compare => "Compare",
            Msg::Save => "Save",
            Msg::Send => "Send",
            Msg::Leave { .. } => "Leave",
            Msg::Report { .. } => "Report",
        }
    }
}
