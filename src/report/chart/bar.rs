//! One horizontal bar that fills its container, for rows of a table.

use maud::{Markup, html};

use super::{Tone, at};

/// A segment of a bar.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Segment {
    /// Share of the bar's whole width, 0 to 1.
    pub(in super::super) share: f64,
    /// Its colour.
    pub(in super::super) tone: Tone,
}

/// Draws the segments one after another on a faint background, clipped at the bar's end.
pub(in super::super) fn bar(segments: &[Segment]) -> Markup {
    html! {
        svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.ground width="100" height="10" {}
            @for (segment, start) in segments.iter().zip(starts(segments)) {
                rect.fill.(segment.tone.class()) x=(at(start)) width=(at(width(segment))) height="10" {}
            }
        }
    }
}

fn width(segment: &Segment) -> f64 {
    if segment.share.is_finite() { segment.share.clamp(0.0, 1.0) * 100.0 } else { 0.0 }
}

fn starts(segments: &[Segment]) -> Vec<f64> {
    let before = |end: &mut f64, segment: &Segment| {
        let start = *end;
        *end += width(segment);
        Some(start)
    };
    segments.iter().scan(0.0, before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_follow_each_other() {
        let segments = [(0.25, Tone::Blue), (0.5, Tone::Orange)].map(|(share, tone)| Segment { share, tone });
        let drawn = bar(&segments).into_string();
        assert!(drawn.contains(r#"x="0" width="25""#) && drawn.contains(r#"x="25" width="50""#), "{drawn}");
    }
}
