//! Lines over epochs: axes, a light grid, and each line's name at its end instead of a legend.

use maud::{Markup, html};

use super::axis::{self, BASELINE, Field, TOP, below};
use super::scale::{Scale, ticks};
use super::{Tone, Unit, at};

/// The right end of the lines; their names are to the right of it.
const FIELD: Field = Field { left: 46.0, right: 362.0 };
/// Minimum vertical distance between two names.
const NAME_HEIGHT: f64 = 16.0;

/// A chart of one or more lines on the same axes.
pub(in super::super) struct LineChart<'a> {
    /// Its title, for screen readers.
    pub(in super::super) title: &'a str,
    /// The title of the horizontal axis.
    pub(in super::super) across: &'a str,
    /// What the vertical axis counts.
    pub(in super::super) unit: Unit,
    /// The lines; those without points are left out.
    pub(in super::super) series: Vec<Series<'a>>,
}

/// One line.
pub(in super::super) struct Series<'a> {
    /// Its name, written at its end.
    pub(in super::super) name: &'a str,
    /// Its colour.
    pub(in super::super) tone: Tone,
    /// Its points, ascending in the first coordinate.
    pub(in super::super) points: Vec<(f64, f64)>,
}

/// Draws the chart, or nothing when no line has a point.
pub(in super::super) fn lines(chart: &LineChart<'_>) -> Option<Markup> {
    let drawn: Vec<&Series<'_>> = chart.series.iter().filter(|series| !series.points.is_empty()).collect();
    let (across, up) = axes(&drawn)?;
    let names = names(&drawn, &up);
    let content = html! {
        (grid(chart, &across, &up))
        @for series in &drawn {
            path.line.(series.tone.class()) d=(path(series, &across, &up)) {}
            @if let Some((x, y)) = series.points.last() {
                circle.dot.(series.tone.class()) cx=(at(across.at(*x))) cy=(at(up.at(*y))) r="3.5" {}
            }
        }
        @for (series, y) in drawn.iter().zip(&names) {
            text.name.(series.tone.class()) x=(at(FIELD.right + 10.0)) y=(at(y + 4.0)) { (series.name) }
        }
    };
    Some(axis::drawing(chart.title, &content))
}

/// Scales that contain every point of every line.
fn axes(drawn: &[&Series<'_>]) -> Option<(Scale, Scale)> {
    let xs = drawn.iter().flat_map(|series| series.points.iter().map(|point| point.0));
    let ys = drawn.iter().flat_map(|series| series.points.iter().map(|point| point.1));
    let (x_values, y_values) = (bounds(xs)?, bounds(ys)?);
    let marks = ticks(y_values.0, y_values.1, 4.0);
    let y_values = (*marks.first()?, *marks.last()?);
    let across = Scale { values: x_values, coordinates: (FIELD.left + 6.0, FIELD.right) };
    Some((across, axis::up(y_values)))
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |bounds, value| {
        let (low, high) = bounds.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

fn grid(chart: &LineChart<'_>, across: &Scale, up: &Scale) -> Markup {
    let levels = ticks(up.values.0, up.values.1, 4.0);
    let (first, last) = across.values;
    let columns: Vec<f64> = ticks(first, last, 5.0)
        .into_iter()
        .filter(|tick| *tick >= first && *tick <= last && tick.fract().abs() < 1e-9)
        .collect();
    html! {
        (FIELD.levels(&levels, up, chart.unit))
        (FIELD.axis())
        @for column in &columns {
            (below("tick middle", across.at(*column), Unit::Count.write(*column, 1.0)))
        }
        (below("tick", FIELD.right + 10.0, chart.across))
    }
}

fn path(series: &Series<'_>, across: &Scale, up: &Scale) -> String {
    let finite = series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    let steps: Vec<String> =
        finite.map(|(x, y)| format!("{} {}", at(across.at(*x)), at(up.at(*y)))).collect();
    format!("M{}", steps.join("L"))
}

/// The y coordinates of the names: at their lines' ends, moved apart where they would overlap.
fn names(drawn: &[&Series<'_>], up: &Scale) -> Vec<f64> {
    let ends = drawn.iter().map(|series| series.points.last().map_or(TOP, |point| up.at(point.1)));
    let mut order: Vec<(usize, f64)> = ends.enumerate().collect();
    order.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut lowest = BASELINE - 4.0;
    for place in (0..order.len()).rev() {
        order[place].1 = order[place].1.min(lowest);
        lowest = order[place].1 - NAME_HEIGHT;
    }
    let mut highest = TOP;
    for entry in &mut order {
        entry.1 = entry.1.max(highest);
        highest = entry.1 + NAME_HEIGHT;
    }
    order.sort_by_key(|entry| entry.0);
    order.into_iter().map(|entry| entry.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(series: Vec<Series<'_>>) -> Option<String> {
        let chart = LineChart { title: "accuracy", across: "epoch", unit: Unit::Share, series };
        lines(&chart).map(|markup| markup.into_string())
    }

    #[test]
    fn points_have_the_coordinates_worked_out_by_hand() {
        // x: 1..3 over 52..362; y: ticks enclose 0..1 over 226..12.
        let drawn = chart(vec![Series {
            name: "train",
            tone: Tone::Blue,
            points: vec![(1.0, 0.0), (2.0, 0.5), (3.0, 1.0)],
        }]);
        let drawn = drawn.unwrap();
        assert!(drawn.contains("M52 226L207 119L362 12"), "{drawn}");
        assert!(drawn.contains("100 %") && drawn.contains("epoch"), "{drawn}");
    }

    #[test]
    fn names_never_overlap_and_stay_on_the_drawing() {
        let series = |name| Series { name, tone: Tone::Blue, points: vec![(1.0, 0.5)] };
        let all = [series("a"), series("b"), series("c")];
        let up = axis::up((0.0, 1.0));
        let mut names = names(&all.iter().collect::<Vec<_>>(), &up);
        names.sort_by(f64::total_cmp);
        assert!(names.windows(2).all(|pair| pair[1] - pair[0] >= NAME_HEIGHT), "{names:?}");
        assert!(names.iter().all(|y| (TOP..BASELINE).contains(y)), "{names:?}");
    }

    #[test]
    fn lines_without_points_draw_nothing() {
        assert_eq!(chart(vec![Series { name: "loss", tone: Tone::Blue, points: vec![] }]), None);
    }
}
