//! When shards came to other nodes.

use maud::{Markup, html};

use super::axis::{Axis, LEFT, at};
use crate::report::format::clock;
use crate::report::series::OwnerChange;

pub const HEIGHT: f64 = 20.0;

pub fn lane(changes: &[OwnerChange], axis: Axis, top: f64) -> Markup {
    html! {
        text class="lane" x="0" y=(at(top + 13.0)) { "Ownership" }
        @if changes.is_empty() {
            text x=(LEFT) y=(at(top + 13.0)) { "no changes" }
        }
        @for change in changes {
            @let x = at(axis.x(change.at_s));
            // More shards, a longer tick: between half and all of the lane.
            @let part = 0.5 + 0.5 * (f64::from(change.shards) / 96.0).min(1.0);
            g {
                title { (clock(change.at_s)) ": " (change.shards) " shards to " (change.owner) }
                line class="tick" x1=(x) x2=(x) y1=(at(top + HEIGHT - 2.0)) y2=(at(top + HEIGHT - 2.0 - (HEIGHT - 4.0) * part)) {}
            }
        }
    }
}
