//! The output of `clips --explain` as text for a terminal. Knows no catalog.

use crate::report::{Table, plain};
use crate::types::JobState;
use crate::words::plural;

use super::explain::{Explained, TrackSeen};

/// The whole page: the video, its rules, its tracks.
pub(super) fn draw(explained: &Explained, is_coloured: bool) -> String {
    let mut parts = vec![head(explained)];
    if !explained.tracks.is_empty() {
        parts.push(rules(explained).render(is_coloured));
        parts.push(tracks(&explained.tracks).render(is_coloured));
    }
    parts.push(tail(explained));
    parts.join("\n").trim_end().to_owned()
}

fn head(explained: &Explained) -> String {
    let Explained { video, site, width, height, frames_decoded, frames_detected, recipe, .. } = explained;
    let (length, took) = (seconds(explained.duration_ms), seconds(explained.elapsed_ms));
    let (site_id, shots) = (plain(&explained.site_id), explained.shots.len());
    let source = explained.file.as_deref().map_or_else(|| "its file is gone".to_owned(), plain);
    format!(
        "video {video} ({site} {site_id}), {source}\n{width}×{height}, {length} s, {shots} shots; {frames_decoded} frames \
         decoded in {took} s, {frames_detected} of them searched whole for faces, the looks between where a face was; \
         recipe {recipe}\n"
    )
}

fn rules(explained: &Explained) -> Table {
    let row = |rule: &super::explain::Rule| {
        vec![
            rule.reason.to_string(),
            rule.keeps.clone(),
            format!("{} {}", rule.asked, rule.of),
            rule.removed.to_string(),
        ]
    };
    Table {
        head: ["rule", "what is kept, at least", "asked of", "removed"].map(str::to_owned).to_vec(),
        rows: explained.rules.iter().map(row).collect(),
    }
}

fn tracks(tracks: &[TrackSeen]) -> Table {
    let row = |(at, track): (usize, &TrackSeen)| {
        let verdict = match (track.reason, track.clips) {
            (Some(reason), _) => reason.to_string(),
            (None, 0) => "no clip".to_owned(),
            (None, clips) => plural(clips, "clip"),
        };
        vec![
            (at + 1).to_string(),
            (track.shot + 1).to_string(),
            seconds(track.start_ms),
            seconds(track.end_ms),
            seconds(track.end_ms - track.start_ms),
            track.looks.to_string(),
            format!("{:.0}", track.face_px),
            format!("{:.3}", track.coverage),
            verdict,
        ]
    };
    let head = ["track", "shot", "from s", "to s", "length s", "looks", "face px", "coverage", "verdict"];
    Table { head: head.map(str::to_owned).to_vec(), rows: tracks.iter().enumerate().map(row).collect() }
}

fn tail(explained: &Explained) -> String {
    let kept = explained.tracks.iter().filter(|track| track.reason.is_none()).count();
    let cut = match (explained.cut, explained.cut_reason) {
        (JobState::Done, _) => String::new(),
        (state, Some(reason)) => format!("; the cut is {state} ({reason})"),
        (state, None) => format!("; the cut is {state}"),
    };
    let mut text = format!(
        "{}, {kept} pass, {} planned, {} in the catalog with {}, {} of them in use{cut}\n",
        plural(explained.tracks.len(), "track"),
        plural(explained.clips_planned, "clip"),
        explained.clips,
        plural(explained.samples, "sample"),
        explained.samples_in_use
    );
    if let Some(other) = &explained.in_force {
        text += &format!(
            "the settings in force are others (recipe {}): of the same tracks {} would pass, for {}\n",
            other.recipe,
            other.tracks_kept,
            plural(other.clips_planned, "clip")
        );
    }
    text
}

fn seconds(ms: i64) -> String {
    format!("{:.2}", ms as f64 / 1_000.0)
}
