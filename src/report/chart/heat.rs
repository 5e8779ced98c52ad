//! The confusion matrix as a heat map: shares of each row, the larger the darker, with each row's recall at the right.

use maud::{Markup, html};

use crate::words;

use super::super::epochs::Confusion;
use super::at;

const LEFT: f64 = 84.0;
const TOP: f64 = 70.0;
const CELL: f64 = 46.0;
const RECALL: f64 = 74.0;
/// Cells darker than this have light text.
const DARK: f64 = 0.55;

/// Draws rows as given labels, columns as predictions, per cent of the row in each cell, and each row's recall.
pub(in super::super) fn heat(confusion: &Confusion) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "a handful of classes")]
    let side = confusion.classes.len() as f64 * CELL;
    let (width, height) = (LEFT + side + RECALL, TOP + side + 6.0);
    let label = format!("confusion matrix: rows are {}, columns are predictions", confusion.rows_are);
    html! {
        svg.chart.heat viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(label)
            style=(format!("max-width: {width}px")) {
            text.tick x=(at(LEFT)) y="12" { "predicted →" }
            text.tick.middle x=(at(LEFT + side + RECALL / 2.0)) y=(at(TOP - 10.0)) { "recall" }
            @for (place, class) in confusion.classes.iter().enumerate() {
                (names(place, class))
                (row(confusion, place))
            }
        }
    }
}

fn along(place: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a handful of classes")]
    let along = place as f64 * CELL;
    along
}

fn names(place: usize, class: &str) -> Markup {
    let middle = along(place) + CELL / 2.0;
    let (x, y) = (at(LEFT + middle - 6.0), at(TOP - 8.0));
    html! {
        text.class x=(x) y=(y) transform=(format!("rotate(-35 {x} {y})")) { (class) }
        text.class.end x=(at(LEFT - 8.0)) y=(at(TOP + middle + 4.0)) { (class) }
    }
}

fn row(confusion: &Confusion, row: usize) -> Markup {
    let y = TOP + along(row);
    let recall = confusion.recall(row);
    let end = LEFT + along(confusion.classes.len());
    html! {
        @for (column, predicted) in confusion.classes.iter().enumerate() {
            (cell(confusion, (row, column), predicted))
        }
        text.recall.middle x=(at(end + RECALL / 2.0)) y=(at(y + CELL / 2.0 + 4.5)) {
            (recall.map_or("–".to_owned(), words::share))
        }
    }
}

fn cell(confusion: &Confusion, (row, column): (usize, usize), predicted: &str) -> Markup {
    let share = confusion.share(row, column);
    let count = confusion.counts.get(row).and_then(|counts| counts.get(column)).copied().unwrap_or(0);
    let (x, y) = (LEFT + along(column), TOP + along(row));
    let given = confusion.classes.get(row).map_or("", String::as_str);
    let tone = if share.unwrap_or(0.0) > DARK { "middle on" } else { "middle off" };
    html! {
        g {
            title { (given) " taken for " (predicted) ": " (words::count(count)) }
            rect.ground x=(at(x + 1.0)) y=(at(y + 1.0)) width=(at(CELL - 2.0)) height=(at(CELL - 2.0)) {}
            @if let Some(share) = share.filter(|share| *share > 0.0) {
                rect.hot x=(at(x + 1.0)) y=(at(y + 1.0)) width=(at(CELL - 2.0)) height=(at(CELL - 2.0))
                    fill-opacity=(format!("{:.3}", share.max(0.04))) {}
                text class=(tone) x=(at(x + CELL / 2.0)) y=(at(y + CELL / 2.0 + 4.5)) {
                    (format!("{:.0}", share * 100.0))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_carry_per_cent_of_their_row() {
        let confusion = Confusion {
            rows_are: "validation labels".to_owned(),
            classes: vec!["anger".to_owned(), "fear".to_owned()],
            counts: vec![vec![3, 1], vec![0, 0]],
        };
        let drawn = heat(&confusion).into_string();
        assert!(drawn.contains(">75</text>") && drawn.contains(">25</text>"), "{drawn}");
        assert!(drawn.contains("75.0 %") && drawn.contains('–'), "{drawn}");
        assert!(drawn.contains("anger taken for fear: 1"), "{drawn}");
    }
}
