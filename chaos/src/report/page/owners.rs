//! Who owned what: ticks where shards came to other nodes, and bars of the budgets that moved.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::axis::{Axis, LEFT, at};
use crate::report::format::{clock, count};
use crate::report::model::{Owned, Ownership, RunReport};

const TICKS: f64 = 20.0;
const ROW: f64 = 19.0;
const BAR: f64 = 14.0;
/// Of a character on average, at most.
const CHARACTER: f64 = 6.3;
/// Characters of a budget's name beside its bar.
const NAME_MAX: usize = 17;
/// Colours that can be told apart; more nodes than these share them, and are told by their names.
const COLOURS: usize = 8;

/// Every node that owned anything that is drawn, in the order of its colour.
pub fn nodes(run: &RunReport) -> Vec<&str> {
    let by = run.owned.iter().flat_map(|it| it.by.iter().map(|it| it.owner.as_str()));
    let names: BTreeSet<&str> = by.chain(run.owners.iter().map(|it| it.owner.as_str())).collect();
    names.into_iter().collect()
}

/// The class of a node's colour.
pub fn class(nodes: &[&str], node: &str) -> String {
    let at = nodes.iter().position(|it| *it == node).unwrap_or_default();
    format!("node{}", at % COLOURS)
}

pub fn height(run: &RunReport) -> f64 {
    let rows = run.owned.len() + usize::from(run.owned_more > 0);
    TICKS + rows as f64 * ROW
}

pub fn lane(run: &RunReport, axis: Axis, top: f64) -> Markup {
    let nodes = nodes(run);
    let below = |row: usize| top + TICKS + row as f64 * ROW;
    html! {
        text class="lane" x="0" y=(at(top + 13.0)) { "Ownership" }
        @if run.owners.is_empty() {
            text x=(LEFT) y=(at(top + 13.0)) { "no changes" }
        }
        @for change in &run.owners {
            @let x = at(axis.x(change.at_s));
            // More shards, a longer tick: between half and all of the lane.
            @let part = 0.5 + 0.5 * (f64::from(change.shards) / 96.0).min(1.0);
            g {
                title { (clock(change.at_s)) ": " (change.shards) " shards to " (change.owner) }
                line class=(format!("tick {}", class(&nodes, &change.owner))) x1=(x) x2=(x)
                    y1=(at(top + TICKS - 2.0)) y2=(at(top + TICKS - 2.0 - (TICKS - 4.0) * part)) {}
            }
        }
        @for (row, owned) in run.owned.iter().enumerate() {
            text x=(LEFT - 8.0) y=(at(below(row) + 11.0)) text-anchor="end" { (name(&owned.campaign)) }
            @for by in &owned.by {
                (bar(owned, by, axis, below(row), &class(&nodes, &by.owner)))
            }
        }
        @if run.owned_more > 0 {
            text x=(LEFT) y=(at(below(run.owned.len()) + 11.0)) { "and " (count(run.owned_more)) " more budgets moved" }
        }
    }
}

fn bar(owned: &Owned, by: &Ownership, axis: Axis, top: f64, class: &str) -> Markup {
    let to = by.to_s.unwrap_or(axis.seconds);
    let (left, width) = (axis.x(by.from_s), axis.x(to) - axis.x(by.from_s));
    let fits = by.owner.chars().count() as f64 * CHARACTER + 10.0 <= width;
    html! {
        g {
            title { (owned.campaign) " of " (owned.account) ": " (by.owner) ", " (clock(by.from_s)) " to " (clock(to)) }
            rect class=(class) x=(at(left)) y=(at(top)) width=(at((width - 1.0).max(1.0))) height=(at(BAR)) rx="2" {}
            @if fits { text class="on" x=(at(left + 5.0)) y=(at(top + 11.0)) { (by.owner) } }
        }
    }
}

/// The end of a name says more than its beginning.
fn name(campaign: &str) -> String {
    let over = campaign.chars().count().saturating_sub(NAME_MAX);
    let end: String = campaign.chars().skip(over).collect();
    if over > 0 { format!("…{end}") } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_told_by_its_end() {
        assert_eq!(name("kc-a0-c1"), "kc-a0-c1");
        assert_eq!(name("kc-7-1770000000-a0-c1"), "…-1770000000-a0-c1");
    }

    #[test]
    fn nodes_have_colours_of_their_own_as_long_as_there_are_any() {
        let nodes = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let all: BTreeSet<String> = nodes[..8].iter().map(|it| class(&nodes, it)).collect();
        assert_eq!((all.len(), class(&nodes, "i")), (8, "node0".to_owned()));
    }
}
