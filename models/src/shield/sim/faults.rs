//! What goes wrong, and when.

use super::world::{BUDGETS, Event, NODES, SECOND, World};

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
            60..80 => self.take_over(),
            80..90 => self.store.down_until = self.t + self.between(SECOND / 10, 3 * SECOND),
            _ => {
                self.cut = [false; NODES];
                self.cut[node] = self.chance(60);
            }
        }
    }

    fn kill(&mut self, node: usize) {
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

    fn take_over(&mut self) {
        let (budget, node) = (self.pick(BUDGETS), self.pick(NODES));
        let n = &self.nodes[node];
        if !n.up || n.paused_until.is_some() || self.owner(budget) == node {
            return;
        }
        let incarnation = n.incarnation;
        let shard = &mut self.store.shards[budget];
        shard.owner = node;
        shard.epoch += 1;
        let epoch = shard.epoch;
        self.after(1_000, Event::Load { node, incarnation, budget, epoch });
    }

    /// The faults are over: everything is mended.
    pub fn calm_down(&mut self) {
        self.calm = true;
        self.cut = [false; NODES];
        self.store.down_until = 0;
        for node in 0..NODES {
            self.nodes[node].wall_offset = 0;
        }
    }
}
