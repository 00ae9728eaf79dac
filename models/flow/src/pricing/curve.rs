//! How often a bid wins: what auctions read.

use std::sync::Arc;

use super::grid::{CELLS, cell, edges};

/// G(b), the probability that a bid of b wins, as a campaign has learned it, for each value: a snapshot, and
/// cloning it shares it. A distribution of the market price over a scale, which is 1 or goes with the value,
/// piecewise linear between the steps of the grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WinCurve(Option<Arc<Table>>);

#[derive(Debug, PartialEq)]
struct Table {
    /// β and ln of the value at which the scale is 1.
    exponent: f64,
    ln_value: f64,
    /// P(price < lower end of the cell), never falling, 0 to 1; prices over their scale.
    win: [f64; CELLS + 1],
    /// E[price; price < lower end of the cell], in micros over the scale.
    cost: [f64; CELLS + 1],
}

/// The scale of a value: its ratio to the first one, to the power of β.
fn scale(exponent: f64, ln_ratio: f64) -> f64 {
    if exponent == 0.0 { 1.0 } else { (exponent * ln_ratio).clamp(-40.0, 40.0).exp() }
}

impl WinCurve {
    /// Nothing is known.
    pub fn unknown() -> WinCurve {
        WinCurve(None)
    }

    /// From the share of prices in each cell; the shares are above or at 0 and their sum is at most 1.
    pub(super) fn of(shares: &[f64; CELLS], exponent: f64, ln_value: f64) -> WinCurve {
        let edges = edges();
        let (win, cost) = ([0.0; CELLS + 1], [0.0; CELLS + 1]);
        let mut table = Table { exponent, ln_value, win, cost };
        let (mut win, mut cost) = (0.0f64, 0.0);
        for (at, share) in shares.iter().enumerate() {
            win = (win + share).min(1.0);
            cost += share * (edges[at] + edges[at + 1]) / 2.0;
            (table.win[at + 1], table.cost[at + 1]) = (win, cost);
        }
        WinCurve(Some(Arc::new(table)))
    }

    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// The scale of prices for a value above 0.
    pub(super) fn scale(&self, value: f64) -> f64 {
        self.0.as_ref().map_or(1.0, |table| match table.exponent {
            0.0 => 1.0,
            exponent => scale(exponent, value.ln() - table.ln_value),
        })
    }

    /// G(bid) for a value above 0, 0 to 1; `None`: nothing is known. The bid is in micros.
    pub fn win(&self, bid: f64, value: f64) -> Option<f64> {
        self.scaled_win(bid / self.scale(value))
    }

    /// P(price < the cell's middle), prices over their scale.
    pub(super) fn cell_win(&self, cell: usize) -> Option<f64> {
        let table = self.0.as_ref()?;
        Some((table.win.get(cell)? + table.win.get(cell + 1)?) / 2.0)
    }

    fn scaled_win(&self, bid: f64) -> Option<f64> {
        self.0.as_ref().map(|table| between(&table.win, bid))
    }

    /// E[price; price ≤ bid] for a value above 0: what a bid pays on average in a second-price auction, wins or
    /// not, in micros; 0 where nothing is known.
    pub fn cost(&self, bid: f64, value: f64) -> f64 {
        let scale = self.scale(value);
        self.0.as_ref().map_or(0.0, |table| scale * between(&table.cost, bid / scale))
    }

    /// argmax (worth − b) G(b) over floor ≤ b ≤ top; `None` where nothing is known, or nothing wins there. All
    /// amounts are over the scale.
    ///
    /// Exact for the piecewise linear G: within a cell the surplus is a parabola. From the top down, until
    /// no lower bid can do better, since (worth − b) G(b) ≤ worth G(b).
    pub(super) fn shade(&self, worth: f64, floor: f64, top: f64) -> Option<f64> {
        let table = self.0.as_ref()?;
        let edges = edges();
        let (mut best, mut bid) = (0.0, None);
        let lowest = cell(floor);
        for at in (lowest..=cell(top)).rev() {
            let (g0, g1) = (table.win[at], table.win[at + 1]);
            if worth * g1 <= best {
                break;
            }
            let (b0, b1) = (edges[at], edges[at + 1]);
            let slope = (g1 - g0) / (b1 - b0);
            let peak = if slope > 0.0 { (worth + b0 - g0 / slope) / 2.0 } else { b0 };
            let b = peak.clamp(b0, b1).clamp(floor, top);
            let surplus = (worth - b) * (g0 + slope * (b - b0)).clamp(0.0, 1.0);
            if surplus > best {
                (best, bid) = (surplus, Some(b));
            }
        }
        bid
    }
}

/// A table's value at an amount, linear between the steps.
fn between(table: &[f64; CELLS + 1], amount: f64) -> f64 {
    let at = cell(amount);
    let (low, high) = (edges()[at], edges()[at + 1]);
    let part = ((amount - low) / (high - low)).clamp(0.0, 1.0);
    table[at] + part * (table[at + 1] - table[at])
}
