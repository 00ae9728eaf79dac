//! Clients that mean ill, at the times that the experiment says.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::field::Field;
use crate::experiment::load::Hostile;
use crate::load::{slow_loris, storm};

/// Plays one of them from its start, counted from the beginning of the method, to its end or until `stop` is true.
pub async fn play(
    field: Arc<Field>,
    hostile: Hostile,
    number: usize,
    method: Instant,
    mut stop: watch::Receiver<bool>,
) {
    let (start, duration) = match hostile {
        Hostile::SlowLoris { start, duration, .. }
        | Hostile::ConnectionStorm { start, duration, .. } => (start, duration),
    };
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return,
        () = tokio::time::sleep_until(method + Duration::from(start)) => {}
    }
    let urls = &field.cluster.urls.shield;
    let url = urls.get(number % urls.len().max(1)).map_or("", String::as_str);
    let address = url.split_once("://").map_or(url, |(_, rest)| rest).to_owned();
    let (end, ended) = watch::channel(false);
    let until = async {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(Duration::from(duration)) => {}
        }
        end.send_replace(true);
    };
    let playing = async {
        match hostile {
            Hostile::SlowLoris { connections, byte_every, .. } => {
                slow_loris(&address, connections, byte_every.into(), ended).await
            }
            Hostile::ConnectionStorm { per_second, open_max, .. } => {
                storm(&address, per_second, open_max, ended).await
            }
        }
    };
    let (seen, ()) = futures_util::future::join(playing, until).await;
    let struck = (seen.opened + seen.refused) as f64;
    field.told().struck.insert(format!("hostile-{}", number + 1), struck);
}
