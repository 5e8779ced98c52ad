//! Upright columns over a straight axis: counts per epoch, histograms.

use maud::{Markup, html};

use super::axis::{self, BASELINE, Field, below};
use super::scale::{Scale, ticks};
use super::{Tone, Unit, at};

const FIELD: Field = Field { left: 52.0, right: 466.0 };

/// A chart of counts side by side.
pub(in super::super) struct ColumnChart<'a> {
    /// Its title, for screen readers.
    pub(in super::super) title: &'a str,
    /// The columns' heights, left to right.
    pub(in super::super) counts: &'a [u64],
    /// The labels below the first column's left edge and the last column's right edge …
    pub(in super::super) ends: (String, String),
    /// … and the title of the horizontal axis.
    pub(in super::super) across: &'a str,
    /// The columns' colour.
    pub(in super::super) tone: Tone,
}

/// Draws the chart, or nothing when there are no columns.
pub(in super::super) fn columns(chart: &ColumnChart<'_>) -> Option<Markup> {
    let highest = *chart.counts.iter().max()?;
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let (highest, wanted) = (highest as f64, chart.counts.len() as f64);
    let levels: Vec<f64> =
        ticks(0.0, highest.max(1.0), 4.0).into_iter().filter(|tick| tick.fract().abs() < 1e-9).collect();
    let up = axis::up((0.0, *levels.last()?));
    let slot = (FIELD.right - FIELD.left) / wanted;
    let gap = (slot * 0.16).min(4.0);
    let content = html! {
        (FIELD.levels(&levels, &up, Unit::Count))
        @for (left, height) in edges(chart.counts, slot, &up) {
            rect.fill.(chart.tone.class()) x=(at(left + gap / 2.0)) y=(at(BASELINE - height))
                width=(at(slot - gap)) height=(at(height)) {}
        }
        (FIELD.axis())
        (below("tick", FIELD.left, &chart.ends.0))
        (below("tick middle", (FIELD.left + FIELD.right) / 2.0, chart.across))
        (below("tick end", FIELD.right, &chart.ends.1))
    };
    Some(axis::drawing(chart.title, &content))
}

/// Each column's left edge and height.
fn edges(counts: &[u64], slot: f64, up: &Scale) -> Vec<(f64, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let edge = |(place, count): (usize, &u64)| {
        (FIELD.left + place as f64 * slot, up.coordinates.0 - up.at(*count as f64))
    };
    counts.iter().enumerate().map(edge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_column_reaches_the_top_tick_and_zero_has_no_height() {
        // Ticks for 4 are 0..4, over 226..12: 214 high; the slot is (480 - 52 - 14) / 2 = 207.
        let up = Scale { values: (0.0, 4.0), coordinates: (226.0, 12.0) };
        assert_eq!(edges(&[4, 0], 207.0, &up), [(52.0, 214.0), (259.0, 0.0)]);
    }

    #[test]
    fn zeros_still_have_an_axis_and_no_columns_have_no_chart() {
        let chart = |counts| ColumnChart {
            title: "relabels",
            counts,
            ends: ("1".to_owned(), "2".to_owned()),
            across: "epoch",
            tone: Tone::Blue,
        };
        assert!(columns(&chart(&[0, 0])).is_some());
        assert!(columns(&chart(&[])).is_none());
    }
}
