//! Everything that runs beside the method: the load, and what looks at the cluster meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::field::{Field, Told};
use super::stage::{self, Played};
use super::stop::Stop;
use super::{POLL, guard, keeper, tail};
use crate::experiment::Plan;
use crate::load::{Journal, Live, LoadSpec, LoadSummary, Writing};

type Task<T> = tokio::task::JoinHandle<T>;

/// Everything that runs beside the method.
pub struct Crew {
    stop_load: watch::Sender<bool>,
    stop_all: watch::Sender<bool>,
    stop_tail: watch::Sender<bool>,
    load: Task<Result<LoadSummary, crate::load::LoadError>>,
    owners: Task<Result<u64, crate::load::LoadError>>,
    tail: Task<std::io::Result<()>>,
    meters: Task<()>,
}

/// What is left when all of it has ended.
pub struct Ended {
    pub told: Told,
    pub field: Field,
    pub broke: Option<String>,
}

impl Crew {
    pub fn start(
        field: &Arc<Field>,
        journal: &Journal,
        spec: &LoadSpec,
        seed: u64,
        history: PathBuf,
    ) -> Crew {
        let (stop_load, load_stopped) = watch::channel(false);
        let (stop_all, stopped) = watch::channel(false);
        let (stop_tail, tail_stopped) = watch::channel(false);
        let tail = tokio::spawn(tail::follow(history, field.tally.clone(), tail_stopped));
        let meters =
            tokio::spawn(field.meters.clone().watch(field.cluster.clone(), stopped.clone()));
        let (urls, lines) = (field.cluster.urls.clone(), journal.clone());
        let owners =
            tokio::spawn(async move { crate::load::watch_owners(&urls, &lines, stopped).await });
        let (urls, journal) = (field.cluster.urls.clone(), journal.clone());
        let (spec, live, venue) =
            (spec.clone(), Arc::new(Live::new()), field.cluster.venue.clone());
        let load = tokio::spawn(async move {
            crate::load::run(&spec, seed, &urls, &journal, &live, &venue, load_stopped).await
        });
        Crew { stop_load, stop_all, stop_tail, load, owners, tail, meters }
    }

    /// Plays the stage. Where the suite itself breaks, why; faults are undone in any case.
    pub async fn play(
        &self,
        field: &Arc<Field>,
        planned: Plan,
        stop: &Stop,
    ) -> (Played, Option<String>) {
        let (tell, aborted) = watch::channel(None);
        let (rest, resting) = watch::channel(false);
        let guard = tokio::spawn(guard::watch(field.clone(), tell, resting));
        let stage = tokio::spawn(stage::play(field.clone(), planned, stop.clone(), aborted)).await;
        rest.send_replace(true);
        let guarded = guard.await;
        keeper::undo_all(field).await;
        let broke = |error| format!("the suite broke: {error}");
        let mut broken = guarded.unwrap_or_else(|error| vec![broke(error)]);
        let played = stage.unwrap_or_else(|error| {
            broken.push(broke(error));
            Played::default()
        });
        (played, (!broken.is_empty()).then(|| broken.join("; ")))
    }

    /// Ends the load and everything that looked at it, and waits until the history is whole.
    pub async fn end(
        self,
        field: Arc<Field>,
        writing: Writing,
        broke: Option<String>,
    ) -> (LoadSummary, Ended) {
        let mut broken: Vec<String> = broke.into_iter().collect();
        field.phase_over();
        field.progress.phase("load ends", None);
        self.stop_load.send_replace(true);
        let summary = match self.load.await {
            Ok(Ok(summary)) => summary,
            Ok(Err(error)) => {
                broken.push(format!("the load ended by itself: {error}"));
                LoadSummary::default()
            }
            Err(error) => {
                broken.push(format!("the load broke: {error}"));
                LoadSummary::default()
            }
        };
        self.stop_all.send_replace(true);
        match self.owners.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => broken.push(format!("owners were not watched: {error}")),
            Err(error) => broken.push(format!("owners were not watched: {error}")),
        }
        if let Err(error) = self.meters.await {
            broken.push(format!("metrics were not watched: {error}"));
        }
        // Nobody else has it any more: tasks that were cut off have been waited for.
        let mut field = field;
        let mut field = loop {
            match Arc::try_unwrap(field) {
                Ok(field) => break field,
                Err(still) => {
                    field = still;
                    tokio::time::sleep(POLL).await;
                }
            }
        };
        let told = std::mem::take(&mut *field.told());
        field.journal = None;
        match writing.finish().await {
            Ok(lines) => tracing::debug!("{lines} lines of history"),
            Err(error) => broken.push(format!("the history was not written: {error}")),
        }
        // Only now every line is in the file.
        self.stop_tail.send_replace(true);
        match self.tail.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => broken.push(format!("the history was not read: {error}")),
            Err(error) => broken.push(format!("the history was not read: {error}")),
        }
        let broke = (!broken.is_empty()).then(|| broken.join("; "));
        (summary, Ended { told, field, broke })
    }
}
