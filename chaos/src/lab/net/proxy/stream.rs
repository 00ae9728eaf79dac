//! One connection through a proxy: two directions, each by the rule of its pair.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::Pair;
use super::super::path::Fate;
use super::Lines;

const PIECE: usize = 16 * 1024;
/// Pieces of one direction that wait for their time. Beyond them nothing is read, and the sender feels it.
const PIECES_MAX: usize = 256;
/// How soon a piece is tried again that found the line full: a stream loses nothing.
const AGAIN: Duration = Duration::from_millis(1);

/// Why a direction ended.
enum End {
    /// The sender has said all.
    Over,
    /// Both ends have to hear that the connection is gone.
    Gone,
}

/// Closes these with RST.
pub fn reset<'a>(lines: &Lines, streams: impl IntoIterator<Item = &'a TcpStream>) {
    for stream in streams {
        if let Err(error) = stream.set_zero_linger() {
            lines.troubled(format!("a connection cannot be reset: {error}"));
        }
    }
}

/// Passes on what both say, until both have said all or the connection is gone.
pub async fn run(lines: &Lines, caller: TcpStream, called: TcpStream, pair: Pair) {
    for stream in [&caller, &called] {
        if let Err(error) = stream.set_nodelay(true) {
            lines.troubled(format!("a connection holds small pieces back: {error}"));
        }
    }
    let (mut read_caller, mut write_caller) = caller.into_split();
    let (mut read_called, mut write_called) = called.into_split();
    let ended = {
        let there = one_way(lines, &mut read_caller, &mut write_called, pair);
        let back = one_way(lines, &mut read_called, &mut write_caller, (pair.1, pair.0));
        tokio::pin!(there, back);
        let both = async {
            tokio::select! {
                end = &mut there => match end {
                    End::Gone => End::Gone,
                    End::Over => back.await,
                },
                end = &mut back => match end {
                    End::Gone => End::Gone,
                    End::Over => there.await,
                },
            }
        };
        tokio::select! {
            end = both => end,
            () = ordered(lines, pair) => End::Gone,
        }
    };
    if let End::Gone = ended {
        let streams = [write_caller.as_ref(), write_called.as_ref()];
        reset(lines, streams);
        // Dropped, they would first say that all was said.
        write_caller.forget();
        write_called.forget();
    }
}

/// Waits until a reset is ordered.
async fn ordered(lines: &Lines, pair: Pair) {
    let mut changed = lines.changed.subscribe();
    loop {
        for pair in [pair, (pair.1, pair.0)] {
            if lines.rule(pair).reset {
                lines.path(pair, |path| path.counts.reset += 1);
                return;
            }
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

async fn one_way(
    lines: &Lines,
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    pair: Pair,
) -> End {
    let (put, mut take) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let reading = async move {
        // When nothing more is read, the writer writes what waits, and then ends.
        let put = put;
        loop {
            let mut piece = vec![0; PIECE];
            match from.read(&mut piece).await {
                Ok(0) => return End::Over,
                Ok(length) => piece.truncate(length),
                Err(_) => return End::Gone,
            }
            let due = due(lines, pair, piece.len()).await;
            if put.send((due, piece)).await.is_err() {
                return End::Gone;
            }
        }
    };
    let writing = async {
        while let Some((due, piece)) = take.recv().await {
            tokio::time::sleep_until(due).await;
            standing(lines, pair).await;
            if to.write_all(&piece).await.is_err() {
                return End::Gone;
            }
        }
        standing(lines, pair).await;
        // Whoever has gone already hears nothing.
        match to.shutdown().await {
            Ok(()) => End::Over,
            Err(_) => End::Gone,
        }
    };
    tokio::pin!(reading, writing);
    tokio::select! {
        end = &mut writing => end,
        end = &mut reading => match end {
            End::Gone => End::Gone,
            End::Over => writing.await,
        },
    }
}

/// When a piece may go on. It waits for room on a line that is full, and for the end of a partition.
async fn due(lines: &Lines, pair: Pair, bytes: usize) -> Instant {
    loop {
        standing(lines, pair).await;
        match lines.fate(pair, bytes) {
            (Fate::Pass { due: Some(due), .. }, began) => return began + due,
            (Fate::Pass { due: None, .. }, _) => return Instant::now(),
            // Whoever orders a reset ends this connection from outside.
            (Fate::Lost | Fate::Reset, _) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Waits while nothing may pass.
async fn standing(lines: &Lines, pair: Pair) {
    let mut changed = lines.changed.subscribe();
    if lines.rule(pair).partition {
        lines.path(pair, |path| path.counts.partitioned += 1);
    }
    while lines.rule(pair).partition {
        if changed.changed().await.is_err() {
            return;
        }
    }
}
