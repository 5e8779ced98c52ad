//! The common parts of charts with axes: the size, a light grid, and a horizontal axis.

use maud::{Markup, Render, html};

use super::scale::Scale;
use super::{Unit, at};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 260.0;
/// The y coordinate of the highest value …
pub(super) const TOP: f64 = 12.0;
/// … and the lowest, where the axis is.
pub(super) const BASELINE: f64 = 226.0;

/// The x range of the plot; the labels are outside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) left: f64,
    pub(super) right: f64,
}

impl Field {
    /// The grid: a line for each level, and what it means.
    pub(super) fn levels(self, levels: &[f64], up: &Scale, unit: Unit) -> Markup {
        let step = levels.get(1).zip(levels.first()).map_or(1.0, |(second, first)| second - first);
        html! {
            @for level in levels {
                line.grid x1=(at(self.left)) x2=(at(self.right)) y1=(at(up.at(*level))) y2=(at(up.at(*level))) {}
                text.tick.end x=(at(self.left - 6.0)) y=(at(up.at(*level) + 4.0)) { (unit.write(*level, step)) }
            }
        }
    }

    /// The axis itself.
    pub(super) fn axis(self) -> Markup {
        html! {
            line.axis x1=(at(self.left)) x2=(at(self.right)) y1=(at(BASELINE)) y2=(at(BASELINE)) {}
        }
    }
}

/// The scale of heights for these values.
pub(super) fn up(values: (f64, f64)) -> Scale {
    Scale { values, coordinates: (BASELINE, TOP) }
}

/// The text below the axis, with the CSS classes that place it.
pub(super) fn below(classes: &str, x: f64, text: impl Render) -> Markup {
    html! { text class=(classes) x=(at(x)) y=(at(BASELINE + 16.0)) { (text) } }
}

/// The whole drawing; the title is for screen readers.
pub(super) fn drawing(title: &str, content: &Markup) -> Markup {
    html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) { (content) }
    }
}
