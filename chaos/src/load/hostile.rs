//! Clients that mean no good: connections that never finish a request, and connections in numbers. Both are bounded, and
//! end when they are told to.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Most connections that are held open, and most that are opened a second, whatever is asked for: what a few machines
/// could do.
pub const OPEN_MAX: u32 = 2_000;
pub const RATE_MAX: u32 = 2_000;
const CONNECT: Duration = Duration::from_secs(2);
/// Before a connection that was refused is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a connection of a storm stays.
const STAY: Duration = Duration::from_millis(500);

/// What became of hostile connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Storm {
    pub opened: u64,
    pub refused: u64,
    /// Those that the other side closed.
    pub closed: u64,
    /// Those for which there was no room among the open ones.
    pub not_opened: u64,
}

/// Keeps so many connections open on which a head is sent byte by byte, one in each `every`, and never ends; one that is
/// closed is opened again.
pub async fn slow_loris(
    address: &str,
    connections: u32,
    every: Duration,
    stop: watch::Receiver<bool>,
) -> Storm {
    let mut all = JoinSet::new();
    for _ in 0..connections.min(OPEN_MAX) {
        all.spawn(drip(address.to_owned(), every, stop.clone()));
    }
    let mut sum = Storm::default();
    while let Some(one) = all.join_next().await {
        let one = one.unwrap_or_default();
        sum.opened += one.opened;
        sum.refused += one.refused;
        sum.closed += one.closed;
    }
    sum
}

async fn drip(address: String, every: Duration, mut stop: watch::Receiver<bool>) -> Storm {
    let mut seen = Storm::default();
    while !*stop.borrow() && stop.has_changed().is_ok() {
        let one = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            one = timeout(CONNECT, TcpStream::connect(&address)) => one,
        };
        let Ok(Ok(mut stream)) = one else {
            seen.refused += 1;
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        seen.opened += 1;
        let dripping = async {
            stream.write_all(b"POST /api/v1/check HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ").await?;
            loop {
                tokio::time::sleep(every).await;
                stream.write_all(b"a").await?;
            }
        };
        let ended: std::io::Result<()> = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            ended = dripping => ended,
        };
        seen.closed += u64::from(ended.is_err());
    }
    seen
}

/// Opens so many connections a second that say nothing and leave after half a second, `most` of them open at a time.
pub async fn storm(address: &str, rate: u32, most: u32, mut stop: watch::Receiver<bool>) -> Storm {
    let (rate, most) = (rate.clamp(1, RATE_MAX), most.min(OPEN_MAX) as usize);
    let mut tick = interval(Duration::from_secs(1) / rate);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut open: JoinSet<bool> = JoinSet::new();
    let mut seen = Storm::default();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            _ = tick.tick() => {
                if open.len() >= most {
                    seen.not_opened += 1;
                    continue;
                }
                let address = address.to_owned();
                open.spawn(async move {
                    let began = Instant::now();
                    let stream = timeout(CONNECT, TcpStream::connect(&address)).await;
                    let Ok(Ok(stream)) = stream else { return false };
                    tokio::time::sleep(STAY.saturating_sub(began.elapsed())).await;
                    drop(stream);
                    true
                });
            }
            Some(ended) = open.join_next() => count(&mut seen, ended.unwrap_or(false)),
        }
    }
    while let Some(ended) = open.join_next().await {
        count(&mut seen, ended.unwrap_or(false));
    }
    seen
}

fn count(seen: &mut Storm, opened: bool) {
    *if opened { &mut seen.opened } else { &mut seen.refused } += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_slow_head_comes_byte_by_byte_until_it_is_stopped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (stop, stopped) = watch::channel(false);
        let loris = tokio::spawn(async move { slow_loris(&address, 3, AGAIN, stopped).await });
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(listener.accept().await.expect("a connection").0);
        }
        let mut head = [0; 16];
        streams[0].read_exact(&mut head).await.expect("a head begins");
        assert_eq!(&head, b"POST /api/v1/che");
        stop.send(true).expect("it listens");
        let seen = timeout(CONNECT, loris).await.expect("it ends").expect("it ends well");
        assert_eq!(seen, Storm { opened: 3, ..Storm::default() });
    }

    #[tokio::test]
    async fn a_storm_counts_what_it_opens_and_what_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(async move { storm(&address, 100, OPEN_MAX, stopped).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(listener);
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.send(true).expect("it listens");
        let seen = timeout(CONNECT * 2, running).await.expect("it ends").expect("it ends well");
        assert!(seen.opened >= 10 && seen.refused >= 10, "{seen:?}");
        assert!(seen.opened + seen.refused <= 100, "{seen:?}");
    }
}
