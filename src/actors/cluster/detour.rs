//! How a handler of a request says that another node is to answer it: what it asks for is in a shard that is not
//! here. Whoever runs the handler looks, after it has given up, and sends the whole request there.

use std::cell::Cell;

use tokio::task::futures::TaskLocalFuture;

use crate::models::cluster::shard::Shard;

tokio::task_local! {
    static WANTED: Cell<Option<Shard>>;
}

/// Runs a handler whose detours are looked at by [`wanted`], inside of it.
pub fn watched<F: Future>(work: F) -> TaskLocalFuture<Cell<Option<Shard>>, F> {
    WANTED.scope(Cell::new(None), work)
}

/// The request is to be answered where this shard is. Outside of a request nobody hears of it.
pub fn want(shard: Shard) {
    // Of a request that needs several, the first stands for all.
    let _ = WANTED.try_with(|wanted| wanted.set(wanted.get().or(Some(shard))));
}

/// The shard that was asked for and is not here.
pub fn wanted() -> Option<Shard> {
    WANTED.try_with(Cell::get).ok().flatten()
}
