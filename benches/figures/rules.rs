//! The rule alone, without actor, store or clock: how many bids a second one core can authorise and
//! release from slices that serve.

use std::hint::black_box;

use crate::report::{Bar, PAIRS, figure};
use kiki::models::shield::ask::{Answer, Ask, Ticket};
use kiki::models::shield::budget::Grant;
use kiki::models::shield::effect::Effect;
use kiki::models::shield::entry::{Day, HolderId, Now, Op};
use kiki::models::shield::limits::Limits;
use kiki::models::shield::money::{Micros, Rate};
use kiki::models::shield::purse::{Authorise, Purse};

const ROUNDS: u64 = 4_000_000;
/// Holds that are open at any moment.
const OPEN: u64 = 1_000;

pub fn run() {
    let mut bench = Bench::new();
    bench.run(ROUNDS);
    let rates: Vec<f64> = (0..PAIRS).map(|_| bench.run(ROUNDS)).collect();
    let command = "cargo bench --bench figures -- rules";
    let name = "rule alone: authorise and release, one core";
    figure(name, &rates, "/s", Bar::AtLeast(10_000_000.0), command);
}

struct Bench {
    purse: Purse,
    now: Now,
    next: u64,
    out: Vec<Effect>,
}

impl Bench {
    fn new() -> Bench {
        let mut bench = Bench {
            purse: Purse::new(HolderId(1), Rate::ONE, Limits::default()),
            now: Now { mono_us: 1_000_000, wall_us: 1_700_000_000_000_000 },
            next: 0,
            out: Vec::new(),
        };
        bench.serve();
        for n in 0..OPEN {
            bench.authorise(n);
        }
        bench.next = OPEN;
        bench
    }

    /// Answers the purse as authorities would, with more than it can ever spend.
    fn serve(&mut self) {
        let ask = bid(u64::MAX, self.now);
        self.purse.ask(self.now, Ticket(0), ask, &mut self.out);
        let asks: Vec<Effect> = self.out.drain(..).collect();
        for effect in asks {
            let Effect::Ask { lane, ask: Ask::Take { slice, .. } } = effect else { continue };
            let quota = Micros(i64::MAX / 8);
            let grant = Grant { slice, quota, day: Day(20261121), serves_us: i64::MAX / 8 };
            self.purse.answered(self.now, lane, slice, Answer::Granted(grant), &mut self.out);
        }
        self.purse.release(self.now, Ticket(0), op(u64::MAX), &mut self.out);
        self.out.clear();
    }

    fn authorise(&mut self, n: u64) {
        let ask = bid(n, self.now);
        let held = self.purse.authorise(self.now, &ask);
        assert!(matches!(black_box(held), Ok(Some(_))), "every bid is authorised");
    }

    fn run(&mut self, rounds: u64) -> f64 {
        let began = core_s();
        for n in self.next..self.next + rounds {
            self.now.mono_us += 1;
            self.now.wall_us += 1;
            self.authorise(n);
            self.purse.release(self.now, Ticket(n), op(n - OPEN), &mut self.out);
            black_box(&self.out);
            self.out.clear();
        }
        self.next += rounds;
        assert_eq!(self.purse.open_holds(), OPEN as usize);
        rounds as f64 / (core_s() - began)
    }
}

/// Seconds that this thread has run on a core: others may have it in between.
fn core_s() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// Spread like the hash that it is.
fn op(n: u64) -> Op {
    let word = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Op(u128::from(word) << 64 | u128::from(word.rotate_left(23)))
}

fn bid(n: u64, now: Now) -> Authorise {
    Authorise {
        id: op(n),
        amount: Micros(1_250_000),
        ttl_us: 60_000_000,
        body: n,
        deadline_us: now.mono_us + 1_000_000,
    }
}
