//! Changes of a registry, made durable and then taken into use.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::actor::{Live, RegistryActor};
use super::{Declined, load};
use crate::actors::kernel::Fault;
use crate::actors::shield::{Rows, Written};
use crate::actors::value::fit::Fitted;
use crate::actors::value::loaded::{Loaded, Serving, Source};
use crate::actors::value::{metrics, nodes};
use crate::clock;
use crate::models::value::registry::command::{Command, Entry, Event, Reason};
use crate::models::value::registry::version::VersionId;
use crate::models::value::split::Share;
use crate::store::{LtvExperimentRow, LtvModelPartRow, LtvModelRow, LtvRegistryRow, Put};

/// Bytes of a part of a model.
const PART_BYTES: usize = 384 * 1_024;

/// What becomes of a change: durable and in use, or refused with nothing written.
pub type Changed<T> = Result<Result<T, Declined>, Fault>;

impl RegistryActor {
    async fn commit(&self, rows: Rows) -> Changed<()> {
        match self.shared.writes.write(&self.account, "@ltv/registry", rows).await {
            Written::Done => Ok(Ok(())),
            Written::Unavailable => Ok(Err(Declined::Unavailable)),
            // whether it is durable is for the next life to read
            other => Err(Fault::new(format!("a change of the registry: {other:?}"))),
        }
    }

    fn entry_row(&self, entry: &Entry) -> Result<Put, Fault> {
        Ok(Put::from(LtvRegistryRow {
            account: self.account.to_string(),
            seq: i64::try_from(entry.seq)?,
            at: entry.at_us,
            entry: serde_json::to_string(entry)?,
        }))
    }

    /// A version that answers already: it serves on while this actor is not in memory, and what was
    /// counted of it goes on with it.
    fn serves(&self, id: &VersionId) -> Option<Arc<Loaded>> {
        self.shared.roster.of(&self.account)?.find(&id.to_string()).cloned()
    }

    /// A version in memory: one that is there already, or the stored one.
    async fn loaded(&mut self, id: &VersionId) -> Changed<Arc<Loaded>> {
        if let Some(loaded) = self.live()?.models.get(id) {
            return Ok(Ok(Arc::clone(loaded)));
        }
        let loaded = match self.serves(id) {
            Some(loaded) => loaded,
            None => match load::model(&self.shared, &self.account, id).await? {
                Ok(loaded) => loaded,
                Err(declined) => return Ok(Err(declined)),
            },
        };
        self.live()?.models.insert(id.clone(), Arc::clone(&loaded));
        Ok(Ok(loaded))
    }

    /// Swaps who answers. What is in memory of versions that serve no more goes with the last request
    /// that they answer.
    pub(super) async fn publish(&mut self) -> Result<(), Fault> {
        let live = self.live()?;
        let champion = live.registry.champion().map(|version| version.id.clone());
        let challenger = live.registry.challenger().map(|version| version.id.clone());
        let former = live.registry.former().cloned();
        let keep = [&champion, &challenger, &former];
        live.models.retain(|id, _| keep.iter().any(|kept| kept.as_ref() == Some(id)));
        let mut of = [None, None];
        for (place, id) in of.iter_mut().zip([&champion, &challenger]) {
            let Some(id) = id else { continue };
            match self.loaded(id).await? {
                Ok(loaded) => *place = Some(loaded),
                // the rule of thumb answers, and says so, rather than nobody
                Err(declined) => tracing::error!(account = %self.account, "{declined}"),
            }
        }
        let ([champion, challenger], tried) = (of, challenger);
        let live = self.live()?;
        let running = load::running(live.experiment.as_ref(), tried.as_ref());
        let serving = Serving { currency: live.currency, champion, challenger, running };
        let source = Source::Registry(self.epoch);
        self.shared.roster.put(&self.account, self.home, Arc::new(serving), source);
        Ok(())
    }

    /// The same after a change, which other nodes are told of.
    async fn changed(&mut self) -> Result<(), Fault> {
        nodes::follow::tell(&self.shared, &self.account);
        self.publish().await
    }

    pub(super) async fn register(
        &mut self,
        fitted: Fitted,
        challenge: bool,
        by: Reason,
    ) -> Changed<Vec<Entry>> {
        let (now, tolerance) = (clock::wall_us(), self.shared.terms.tolerance);
        let live = self.live()?;
        let id = fitted.version.id.clone();
        let mut next = live.registry.as_ref().clone();
        let mut entries = Vec::new();
        let mut commands = vec![Command::Register(Box::new(fitted.version.clone()))];
        if challenge {
            commands.push(Command::Challenge(id.clone()));
        }
        for command in commands {
            match next.decide(command, by.clone(), now, tolerance) {
                Ok(entry) => {
                    next.apply(entry.clone())?;
                    entries.push(entry);
                }
                Err(refusal) => return Ok(Err(refusal.into())),
            }
        }
        let ended = if challenge { ended(live, now) } else { None };
        let (account, model) = (self.account.to_string(), id.to_string());
        let mut parts = 0;
        // parts of a version that nobody knows are nobody's: they may be written before it
        for bytes in fitted.bytes.chunks(PART_BYTES) {
            let part = LtvModelPartRow {
                account: account.clone(),
                model: model.clone(),
                part: parts,
                bytes: STANDARD.encode(bytes),
            };
            if let Err(declined) = self.commit(vec![Put::from(part)].into()).await? {
                return Ok(Err(declined));
            }
            parts += 1;
        }
        let mut puts = vec![Put::from(LtvModelRow {
            account,
            model: model.clone(),
            kind: fitted.version.kind.as_str().to_owned(),
            horizon_days: i64::from(fitted.horizon_days),
            fingerprint: load::sha256(&fitted.bytes),
            parts,
            report: fitted.report.to_string(),
            created_at: now,
        })];
        for entry in &entries {
            puts.push(self.entry_row(entry)?);
        }
        puts.extend(ended.clone().map(Put::from));
        let payload =
            json!({ "model": model, "kind": fitted.version.kind, "challenger": challenge });
        let events = vec![("ltv.model_registered", model.clone(), payload)];
        if let Err(declined) = self.commit(Rows { puts, events, ..Rows::default() }).await? {
            return Ok(Err(declined));
        }
        let loaded = Loaded {
            account: Arc::clone(&self.account),
            id: model.into(),
            model: fitted.model,
            online: Default::default(),
        };
        let live = self.live()?;
        live.registry = Arc::new(next);
        if ended.is_some() {
            live.experiment = None;
        }
        if challenge {
            live.models.insert(id, Arc::new(loaded));
        }
        self.changed().await?;
        Ok(Ok(entries))
    }

    pub(super) async fn order(&mut self, command: Command, by: Reason) -> Changed<Entry> {
        let (now, tolerance) = (clock::wall_us(), self.shared.terms.tolerance);
        let live = self.live()?;
        let entry = match live.registry.decide(command, by, now, tolerance) {
            Ok(entry) => entry,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let mut next = live.registry.as_ref().clone();
        next.apply(entry.clone())?;
        // every such change is one of who challenges
        let ended = ended(live, now);
        let (kind, subject, counted) = match &entry.event {
            Event::Promoted { version, forced, .. } => {
                let kind = if forced.is_some() { "forced" } else { "promoted" };
                ("ltv.model_promoted", version.clone(), Some(kind))
            }
            Event::RolledBack { to, .. } => {
                ("ltv.model_rolled_back", to.clone(), Some("rolled_back"))
            }
            Event::Challenged { version, .. } => ("ltv.model_challenged", version.clone(), None),
            Event::ChallengeEnded { version } => ("ltv.challenge_ended", version.clone(), None),
            Event::Registered { version } => ("ltv.model_registered", version.id.clone(), None),
        };
        // who cannot be loaded shall not answer; a challenge by such a one can be ended
        let answers = matches!(
            entry.event,
            Event::Challenged { .. } | Event::Promoted { .. } | Event::RolledBack { .. }
        );
        if answers && let Err(declined) = self.loaded(&subject).await? {
            return Ok(Err(declined));
        }
        let mut puts = vec![self.entry_row(&entry)?];
        puts.extend(ended.clone().map(Put::from));
        let events = vec![(kind, subject.to_string(), serde_json::to_value(&entry)?)];
        if let Err(declined) = self.commit(Rows { puts, events, ..Rows::default() }).await? {
            return Ok(Err(declined));
        }
        let live = self.live()?;
        live.registry = Arc::new(next);
        if ended.is_some() {
            live.experiment = None;
        }
        self.changed().await?;
        if let Some(kind) = counted {
            metrics::promotion(kind);
            self.shared.runs.changed(&self.account, &entry);
        }
        Ok(Ok(entry))
    }

    pub(super) async fn experiment(
        &mut self,
        share: Share,
        shadow: bool,
        by: Reason,
    ) -> Changed<LtvExperimentRow> {
        use crate::models::value::registry::command::Refusal;
        let now = clock::wall_us();
        let account = self.account.to_string();
        let live = self.live()?;
        let Some(challenger) = live.registry.challenger() else {
            return Ok(Err(Refusal::NoChallenger.into()));
        };
        let (share, shadow) = (i64::from(u32::from(share)), i64::from(shadow));
        let row = match &live.experiment {
            // the salt stays, and so does everybody who need not move
            Some(row) => {
                LtvExperimentRow { share, shadow, version: row.version + 1, ..row.clone() }
            }
            None => LtvExperimentRow {
                account,
                experiment: uuid::Uuid::now_v7().simple().to_string(),
                challenger: challenger.id.to_string(),
                share,
                shadow,
                started_by: by.into(),
                started_at: now,
                ended_at: None,
                version: 1,
            },
        };
        let payload = json!({ "experiment": row.experiment, "challenger": row.challenger,
            "share": share as f64 / 1e6, "shadow": shadow != 0 });
        let events = vec![("ltv.experiment_set", row.experiment.clone(), payload)];
        let rows = Rows { puts: vec![Put::from(row.clone())], events, ..Rows::default() };
        if let Err(declined) = self.commit(rows).await? {
            return Ok(Err(declined));
        }
        self.live()?.experiment = Some(row.clone());
        self.changed().await?;
        Ok(Ok(row))
    }

    pub(super) async fn end_experiment(&mut self) -> Changed<LtvExperimentRow> {
        let live = self.live()?;
        let Some(row) = ended(live, clock::wall_us()) else {
            return Ok(Err(Declined::NoExperiment));
        };
        let events = vec![("ltv.experiment_ended", row.experiment.clone(), json!({}))];
        let rows = Rows { puts: vec![Put::from(row.clone())], events, ..Rows::default() };
        if let Err(declined) = self.commit(rows).await? {
            return Ok(Err(declined));
        }
        self.live()?.experiment = None;
        self.changed().await?;
        Ok(Ok(row))
    }
}

/// The experiment that runs, as it ends.
fn ended(live: &Live, now: i64) -> Option<LtvExperimentRow> {
    let row = live.experiment.as_ref()?;
    Some(LtvExperimentRow { ended_at: Some(now), version: row.version + 1, ..row.clone() })
}
