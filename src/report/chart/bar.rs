//! One horizontal bar, as wide as its place: rows of a table set them side by side.

use maud::{Markup, html};

use super::{Tone, at};

/// A stretch of a bar.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Part {
    /// Share of the bar's whole width, 0 to 1.
    pub(in super::super) share: f64,
    /// Its colour.
    pub(in super::super) tone: Tone,
}

/// Draws the parts one after the other on a faint ground; what passes the end is cut off.
pub(in super::super) fn bar(parts: &[Part]) -> Markup {
    html! {
        svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.ground width="100" height="10" {}
            @for (part, start) in parts.iter().zip(starts(parts)) {
                rect.fill.(part.tone.class()) x=(at(start)) width=(at(width(part))) height="10" {}
            }
        }
    }
}

fn width(part: &Part) -> f64 {
    if part.share.is_finite() { part.share.clamp(0.0, 1.0) * 100.0 } else { 0.0 }
}

fn starts(parts: &[Part]) -> Vec<f64> {
    let before = |end: &mut f64, part: &Part| {
        let start = *end;
        *end += width(part);
        Some(start)
    };
    parts.iter().scan(0.0, before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other() {
        let parts = [(0.25, Tone::Blue), (0.5, Tone::Orange)].map(|(share, tone)| Part { share, tone });
        let drawn = bar(&parts).into_string();
        assert!(drawn.contains(r#"x="0" width="25""#) && drawn.contains(r#"x="25" width="50""#), "{drawn}");
    }
}
