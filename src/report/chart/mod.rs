//! Small charts as inline SVG: numbers in, markup out. Colours come from the page's CSS.
//!
//! Drawings have a fixed view box and grow with the page; bars are drawn without one, so that text beside them keeps
//! its size on a phone.

mod axis;
mod bar;
mod columns;
mod heat;
mod line;
mod scale;

pub(super) use bar::{Segment, bar};
pub(super) use columns::{ColumnChart, columns};
pub(super) use heat::heat;
pub(super) use line::{LineChart, Series, lines};
pub(super) use scale::Unit;

/// A colour of the page's palette; safe for the colour-blind in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// The main one.
    Blue,
    /// For a contrast to it.
    Orange,
    /// A third.
    Green,
    /// For context.
    Grey,
}

impl Tone {
    /// The CSS class that sets it.
    fn class(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Orange => "orange",
            Self::Green => "green",
            Self::Grey => "grey",
        }
    }
}

/// A coordinate with one decimal: enough for a screen, and pages stay small.
fn at(coordinate: f64) -> String {
    let text = format!("{coordinate:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
