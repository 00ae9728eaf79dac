//! What the run went through, as a thin band with words.

use maud::{Markup, html};

use super::axis::{Axis, at};
use crate::report::format::clock;
use crate::report::model::Phase;

pub const HEIGHT: f64 = 16.0;
/// Of a character on average, at most.
const CHARACTER: f64 = 6.3;

pub fn lane(phases: &[Phase], axis: Axis, top: f64) -> Markup {
    html! {
        @if !phases.is_empty() {
            text class="lane" x="0" y=(at(top + 12.0)) { "Phase" }
        }
        @for phase in phases {
            @let to = phase.to_s.unwrap_or(axis.seconds);
            @let (left, width) = (axis.x(phase.from_s), axis.x(to) - axis.x(phase.from_s));
            g {
                title { (phase.name) ", " (clock(phase.from_s)) " to " (clock(to)) }
                rect class="phase" x=(at(left)) y=(at(top)) width=(at(width.max(1.0))) height=(at(HEIGHT)) {}
                // A word that has no room is told by hovering, and stands in no other's.
                @if let Some(word) = fits(&phase.name, width) {
                    text x=(at(left + 5.0)) y=(at(top + 12.0)) { (word) }
                }
            }
        }
    }
}

/// The name, or its first word, where there is room for it.
fn fits(name: &str, width: f64) -> Option<&str> {
    let room = |text: &&str| text.chars().count() as f64 * CHARACTER + 8.0 <= width;
    [Some(name), name.split(' ').next()].into_iter().flatten().find(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_within_their_part_of_the_band() {
        assert_eq!(fits("second hypothesis", 150.0), Some("second hypothesis"));
        assert_eq!(fits("second hypothesis", 60.0), Some("second"));
        assert_eq!(fits("second hypothesis", 20.0), None);
    }
}
