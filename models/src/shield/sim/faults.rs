//! What goes wrong, and when.

use super::store::shard;
use super::world::{BUDGETS, Event, NODES, SECOND, STORE_CLOCK_US, World};
use crate::cluster::node::Incarnation;

impl World {
    pub fn fault_strikes(&mut self) {
        if self.calm {
            return;
        }
        let pause = self.between(SECOND / 5, self.gap_us);
        self.after(pause, Event::Fault);
        let node = self.pick(NODES);
        match self.pick(100) {
            0..22 => self.kill(node),
            22..37 => self.pause(node, false),
            37..45 => self.pause(node, true),
            45..60 => {
                let jump = self.between(-1_800 * SECOND, 1_800 * SECOND);
                self.jumped = true;
                self.nodes[node].wall_offset = if self.chance(50) { 0 } else { jump };
            }
            60..65 => self.move_one(),
            65..75 => self.usurp(),
            75..78 => self.nodes[node].member.leave(),
            78..84 => self.store.down_until = self.t + self.between(SECOND / 10, 5 * SECOND),
            84..88 => {
                // Another database takes over, with another clock.
                self.store.down_until = self.t + self.between(SECOND / 10, 2 * SECOND);
                self.store.clock_us = self.between(-STORE_CLOCK_US, STORE_CLOCK_US);
            }
            88..96 => {
                self.stranded = [false; NODES];
                self.stranded[node] = self.chance(70);
                if self.chance(75) {
                    // It is cut off from the database that takes over.
                    self.store.clock_us = self.between(-STORE_CLOCK_US, STORE_CLOCK_US);
                }
            }
            _ => {
                self.cut = [false; NODES];
                self.cut[node] = self.chance(60);
            }
        }
    }

    pub fn kill(&mut self, node: usize) {
        if !self.nodes[node].up {
            return;
        }
        self.crash(node);
        if self.chance(25) {
            // The machine went down, not only the process: its clock begins anew.
            let n = &mut self.nodes[node];
            n.boot += 1;
            n.mono_offset = n.mono_offset / 2 - 1_000;
        }
        let down = self.between(SECOND / 10, 6 * SECOND);
        self.after(down, Event::Restart { node });
    }

    /// A process that stands still; with `machine`, its monotonic clock stands still as well.
    fn pause(&mut self, node: usize, machine: bool) {
        let n = &self.nodes[node];
        if !n.up || n.paused_until.is_some() {
            return;
        }
        let length = self.between(SECOND / 10, 12 * SECOND);
        if machine && length > 2 * self.limits.drift_max_us {
            self.nodes[node].mono_offset -= length;
        }
        let until = self.t + length;
        self.nodes[node].paused_until = Some(until);
        self.at(until, Event::Resume { node });
    }

    /// An operator has a budget moved.
    fn move_one(&mut self) {
        let (budget, heir) = (self.pick(BUDGETS), self.pick(NODES));
        let owner = self.store.owner(budget);
        let found = self.nodes.iter().position(|n| owner == Some(n.member.incarnation()));
        let Some(node) = found else { return };
        let n = &self.nodes[node];
        if !n.up || n.paused_until.is_some() {
            return;
        }
        let (now, heir) = (n.now(self.t), self.nodes[heir].member.incarnation());
        let mut out = Vec::new();
        self.nodes[node].member.hand_over(now, shard(budget), heir, &mut out);
        self.member_effects(node, out);
    }

    /// A campaign gets another owner while the one that it has is well and knows nothing of it, as it would be if
    /// clocks went wrong by more than any margin. Two believe to own it then; its money has to be right, as what an
    /// authority gives is durable first. Of the account's window that is not so: what was booked elsewhere is
    /// counted in memory, and one owner at a time is what leases are for.
    fn usurp(&mut self) {
        let (budget, node) = (1 + self.pick(BUDGETS - 1), self.pick(NODES));
        let me = Incarnation(self.nodes[node].incarnation);
        if self.nodes[node].up && self.store.owner(budget) != Some(me) {
            self.usurped.insert((budget, self.store.epoch(budget)));
            self.store.register.usurp(me, shard(budget));
        }
    }

    /// The faults are over: everything is mended.
    pub fn calm_down(&mut self) {
        self.calm = true;
        self.cut = [false; NODES];
        self.stranded = [false; NODES];
        self.store.down_until = 0;
        for node in 0..NODES {
            self.nodes[node].wall_offset = 0;
        }
    }
}
