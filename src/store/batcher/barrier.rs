//! Which writes are still on their way, and who waits until they are not.

use std::collections::BTreeSet;

use tokio::sync::oneshot;

/// Writes that left the queue and have not ended for certain.
#[derive(Debug, Default)]
pub(super) struct OnTheWay {
    /// The batch that a driver commits now.
    flight: Option<Batch>,
    /// Writes whose end is not known: they may become durable until a fence has passed their shards.
    adrift: Option<Batch>,
    barriers: Vec<(u64, oneshot::Sender<()>)>,
}

#[derive(Debug)]
struct Batch {
    oldest: u64,
    shards: BTreeSet<i64>,
}

impl OnTheWay {
    /// A batch starts. `writes` are their numbers and shards.
    pub fn start(&mut self, writes: impl Iterator<Item = (u64, i64)>) {
        self.flight = Batch::of(writes);
    }

    /// The batch in flight has ended, but for these `unknown` writes of it.
    pub fn end(&mut self, unknown: impl Iterator<Item = (u64, i64)>) {
        self.flight = None;
        self.drift(Batch::of(unknown));
    }

    /// The driver is gone, with whatever was in flight.
    pub fn abandon(&mut self) {
        let lost = self.flight.take();
        self.drift(lost);
    }

    fn drift(&mut self, lost: Option<Batch>) {
        let Some(lost) = lost else { return };
        match &mut self.adrift {
            Some(adrift) => {
                adrift.oldest = adrift.oldest.min(lost.oldest);
                adrift.shards.extend(lost.shards);
            }
            None => self.adrift = Some(lost),
        }
    }

    /// The shards that must be fenced before a barrier can fall.
    pub fn to_fence(&self) -> Option<Vec<i64>> {
        let adrift = self.adrift.as_ref()?;
        let awaited = self.barriers.iter().any(|(until, _)| adrift.oldest < *until);
        awaited.then(|| adrift.shards.iter().copied().collect())
    }

    /// A fence has passed all that was adrift.
    pub fn fenced(&mut self) {
        self.adrift = None;
    }

    /// Asks to be told once every write before number `until` has ended.
    pub fn wait(&mut self, until: u64) -> oneshot::Receiver<()> {
        let (tell, fallen) = oneshot::channel();
        self.barriers.retain(|(_, tell)| !tell.is_closed());
        self.barriers.push((until, tell));
        fallen
    }

    /// Lets those go whose writes have all ended; `queued` is the oldest write that waits.
    pub fn release(&mut self, queued: Option<u64>) {
        let away = self.flight.iter().chain(&self.adrift).map(|batch| batch.oldest).min();
        let oldest = away.into_iter().chain(queued).min().unwrap_or(u64::MAX);
        for (_, tell) in self.barriers.extract_if(.., |(until, _)| *until <= oldest) {
            // one that is gone needs no answer
            let _ = tell.send(());
        }
    }
}

impl Batch {
    fn of(writes: impl Iterator<Item = (u64, i64)>) -> Option<Self> {
        let (numbers, shards): (Vec<u64>, BTreeSet<i64>) = writes.unzip();
        Some(Self { oldest: numbers.into_iter().min()?, shards })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_falls_when_all_before_it_have_ended_whatever_came_after() {
        let mut way = OnTheWay::default();
        let mut early = way.wait(2);
        let mut late = way.wait(4);
        way.start([(0, 7), (2, 8)].into_iter());
        way.release(Some(1));
        assert!(early.try_recv().is_err());
        way.end(std::iter::empty());
        way.release(Some(1));
        assert!(early.try_recv().is_err(), "the second still waits in the queue");
        way.start([(1, 7)].into_iter());
        way.release(Some(3));
        assert!(early.try_recv().is_err());
        way.end(std::iter::empty());
        way.release(Some(3));
        assert!(early.try_recv().is_ok() && late.try_recv().is_err());
        way.release(None);
        assert!(late.try_recv().is_ok());
    }

    #[test]
    fn what_may_still_become_durable_holds_a_barrier_until_a_fence_has_passed() {
        let mut way = OnTheWay::default();
        way.start([(0, 9), (1, 7)].into_iter());
        way.end([(1, 7)].into_iter());
        way.start([(2, 8)].into_iter());
        way.abandon();
        assert_eq!(way.to_fence(), None, "nobody asks");
        let mut before = way.wait(1);
        assert_eq!(way.to_fence(), None);
        way.release(None);
        assert!(before.try_recv().is_ok(), "the first has ended");
        let mut after = way.wait(2);
        way.release(None);
        assert!(after.try_recv().is_err());
        assert_eq!(way.to_fence(), Some(vec![7, 8]));
        way.fenced();
        way.release(None);
        assert!(after.try_recv().is_ok());
    }
}
