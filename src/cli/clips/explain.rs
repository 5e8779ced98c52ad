//! `webemotion clips --explain VIDEO`: what was found in a video, and how many tracks, clips and samples each rule removed.
//! From stored rows alone; the video is not opened. `view` lays it out as text.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::{clips, jobs, recipes, samples, scans, tracks, videos};
use crate::config::ClipRecipe;
use crate::face::parts::{self, Part};
use crate::face::select;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::{cut, scan};
use crate::report::plain;
use crate::types::{JobState, Scan, TrackId, VideoId};

use super::super::{Session, is_coloured, named, say};
use super::view;

/// The object of `--json`. Times are milliseconds of the video.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    event: &'static str,
    pub(super) video: i64,
    pub(super) site: String,
    pub(super) site_id: String,
    /// The source's path below the data folder; `None` when it was discarded.
    pub(super) file: Option<String>,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) duration_ms: i64,
    pub(super) frames_decoded: u64,
    pub(super) frames_detected: u64,
    pub(super) elapsed_ms: i64,
    /// Start and end of each shot.
    pub(super) shots: Vec<[i64; 2]>,
    /// In the order in which they apply.
    pub(super) rules: Vec<Rule>,
    pub(super) tracks: Vec<TrackSeen>,
    pub(super) clips_planned: usize,
    pub(super) clips: usize,
    pub(super) samples: usize,
    pub(super) samples_in_use: usize,
    /// State of the cut job; `open` where there is none.
    pub(super) cut: JobState,
    pub(super) cut_reason: Option<Reason>,
    /// Hash of the scan's recipe.
    pub(super) recipe: String,
    /// What the current settings would make of the same scan; `None` when they are the scan's.
    pub(super) in_force: Option<InForce>,
}

/// One rule: what reached it, and what it removed.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Rule {
    /// The reason that it gives for what it removes.
    pub(super) reason: Reason,
    /// What passes, in words, with the threshold; empty for a rule without one.
    pub(super) keeps: String,
    /// What it applies to: `tracks`, `clips` or `samples`.
    pub(super) of: &'static str,
    /// How many reached this rule.
    pub(super) asked: usize,
    /// How many it removed.
    pub(super) removed: usize,
}

/// One track.
#[derive(Debug, Serialize)]
pub(super) struct TrackSeen {
    pub(super) shot: usize,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// Looks that found the face.
    pub(super) looks: usize,
    /// Median of the shorter side of its boxes, pixels.
    pub(super) face_px: f32,
    /// Share of its looks that found the face, 0 to 1.
    pub(super) coverage: f32,
    /// Clips in the catalog.
    pub(super) clips: usize,
    /// Why it became no clip; `None` when it did or may.
    pub(super) reason: Option<Reason>,
}

/// The same scan with the current settings.
#[derive(Debug, Serialize)]
pub(super) struct InForce {
    pub(super) recipe: String,
    pub(super) tracks_kept: usize,
    pub(super) clips_planned: usize,
}

pub(super) async fn run(session: &Session, word: &str) -> anyhow::Result<Exit> {
    let video = named::video(session, word).await?;
    let explained = gather(session, &video).await?;
    if session.json {
        say(serde_json::to_string(&explained)?);
    } else {
        say(view::draw(&explained, is_coloured(&std::io::stdout())));
    }
    Ok(Exit::Done)
}

async fn gather(session: &Session, video: &videos::Video) -> Result<Explained, Failure> {
    let catalog = &session.catalog;
    let Some(stored) = scans::latest(catalog, video.id).await? else {
        return Err(not_scanned(session, video).await?);
    };
    let recipe = recipe_of(session, &stored.recipe_hash).await?;
    let (rows, measured): (Vec<TrackId>, Vec<_>) =
        tracks::of_scan(catalog, stored.id).await?.into_iter().unzip();
    let scan = Scan { tracks: measured.iter().map(|track| track.track.clone()).collect(), ..stored.scan };
    let parts = cut::parts_of(catalog, video.id).await?;
    let (plans, explain) = parts::select(&scan, &recipe, &parts);
    let job = jobs::get(catalog, cut::NAME, video.id.0).await?;
    let cut = job.as_ref().map_or(JobState::Open, |job| job.state);
    let kept = Kept::of(session, video.id, &rows).await?;
    let seen = |(track, row): (&tracks::MeasuredTrack, &TrackId)| {
        TrackSeen::of(track, kept.clips.get(row).copied().unwrap_or(0))
    };
    let in_force = in_force(session, &scan, &parts, &stored.recipe_hash);
    Ok(Explained {
        event: "explained",
        video: video.id.0,
        site: video.found.site.clone(),
        site_id: video.found.site_id.clone(),
        file: video.file.as_ref().map(|file| file.path.display().to_string()),
        width: scan.width,
        height: scan.height,
        duration_ms: scan.duration_ms,
        frames_decoded: scan.frames_decoded,
        frames_detected: scan.frames_detected,
        elapsed_ms: stored.elapsed_ms,
        shots: scan.shots.iter().map(|shot| [shot.start_ms, shot.end_ms]).collect(),
        rules: rules(&explain, &kept, cut == JobState::Done, &recipe),
        tracks: measured.iter().zip(&rows).map(seen).collect(),
        clips_planned: plans.len(),
        clips: kept.clips.values().sum(),
        samples: kept.samples,
        samples_in_use: kept.samples - kept.rejected.values().sum::<usize>(),
        cut,
        cut_reason: job.and_then(|job| job.reason),
        recipe: stored.recipe_hash,
        in_force,
    })
}

impl TrackSeen {
    fn of(measured: &tracks::MeasuredTrack, clips: usize) -> Self {
        let track = &measured.track;
        Self {
            shot: track.shot,
            start_ms: track.span.start_ms,
            end_ms: track.span.end_ms,
            looks: track.faces.len(),
            face_px: measured.median_face_px,
            coverage: track.coverage,
            clips,
            reason: measured.reason,
        }
    }
}

/// The clips and samples of a scan's tracks that are in the catalog.
#[derive(Default)]
struct Kept {
    /// Clips of each track.
    clips: BTreeMap<TrackId, usize>,
    samples: usize,
    /// Counts of rejected samples, by reason.
    rejected: BTreeMap<Reason, usize>,
}

impl Kept {
    async fn of(session: &Session, video: VideoId, tracks: &[TrackId]) -> Result<Self, Failure> {
        let mut kept = Self::default();
        for clip in clips::of_video(&session.catalog, video).await? {
            if !tracks.contains(&clip.track) {
                continue;
            }
            *kept.clips.entry(clip.track).or_default() += 1;
            for sample in samples::of_clip(&session.catalog, clip.id).await? {
                kept.samples += 1;
                if let Some(reason) = sample.reason {
                    *kept.rejected.entry(reason).or_default() += 1;
                }
            }
        }
        Ok(kept)
    }
}

/// Every rule in turn: those for tracks, then, for a video that is cut, those for clips and samples.
fn rules(explain: &select::Explain, kept: &Kept, is_cut: bool, recipe: &ClipRecipe) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut asked = explain.tracks;
    let mut add = |reason: Reason, of, asked: &mut usize, removed: usize| {
        rules.push(Rule { reason, keeps: keeps(reason, recipe), of, asked: *asked, removed });
        *asked -= removed.min(*asked);
    };
    for reason in explain.rules() {
        add(reason, "tracks", &mut asked, explain.removed.get(&reason).copied().unwrap_or(0));
    }
    if is_cut {
        let in_catalog: usize = kept.clips.values().sum();
        let mut planned = explain.clips;
        add(Reason::ClipUnsound, "clips", &mut planned, explain.clips.saturating_sub(in_catalog));
        let mut samples = kept.samples;
        for reason in [Reason::Blurred, Reason::BadLight, Reason::Turned, Reason::NearDuplicate] {
            add(reason, "samples", &mut samples, kept.rejected.get(&reason).copied().unwrap_or(0));
        }
    }
    rules
}

fn keeps(reason: Reason, recipe: &ClipRecipe) -> String {
    match reason {
        Reason::NotListed => "what lists name".to_owned(),
        Reason::FaceTooSmall => format!("faces of {} px", recipe.min_clip_face_px),
        Reason::FaceTooBrief => format!("{} ms", recipe.min_clip_ms),
        Reason::FaceTooPatchy => format!("seen on {:.0} % of its looks", recipe.min_coverage * 100.0),
        Reason::Blurred => format!("sharpness {}", recipe.min_sharpness),
        Reason::Turned => format!("yaw to {}°", recipe.max_yaw_deg),
        _ => String::new(),
    }
}

fn in_force(session: &Session, scan: &Scan, parts: &[Part], hash: &str) -> Option<InForce> {
    let recipe = &session.config.clips;
    let now = scan::recipe_hash(recipe);
    (now != hash).then(|| {
        let explain = parts::select(scan, recipe, parts).1;
        InForce { recipe: now, tracks_kept: explain.kept, clips_planned: explain.clips }
    })
}

/// The recipe with this hash.
async fn recipe_of(session: &Session, hash: &str) -> Result<ClipRecipe, Failure> {
    let body = recipes::get(&session.catalog, hash).await?.unwrap_or_default();
    serde_json::from_str(&body).map_err(|error| {
        Failure::permanent(Reason::Catalog, format!("the recipe {hash} cannot be read: {error}")).with_hint(
            "it may be that of a later release; `webemotion check` says whether the catalog is sound",
        )
    })
}

async fn not_scanned(session: &Session, video: &videos::Video) -> Result<Failure, Failure> {
    let name = format!("video {} ({})", video.id.0, plain(&video.found.site_id));
    for stage in [scan::NAME, crate::pipeline::fetch::NAME] {
        let Some(job) = jobs::get(&session.catalog, stage, video.id.0).await? else { continue };
        let Some(reason) = job.reason.filter(|_| job.state.is_lost()) else { continue };
        let detail = plain(&job.detail.unwrap_or_default());
        let detail = format!("nobody saw {name}: its {stage} ended {} ({reason}): {detail}", job.state);
        let again = format!("`webemotion retry --reason {reason} --stage {stage}` takes it up again");
        return Ok(Failure::permanent(Reason::NothingToDo, detail).with_hint(again));
    }
    let (what, hint) = match video.file {
        Some(_) => ("is not scanned yet", "`webemotion clips` scans it"),
        None => ("is not downloaded yet", "`webemotion crawl` downloads it, `webemotion clips` scans it"),
    };
    Ok(Failure::permanent(Reason::NothingToDo, format!("{name} {what}")).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_applies_to_what_the_one_before_kept() {
        let removed = BTreeMap::from([(Reason::FaceTooSmall, 3), (Reason::FaceTooPatchy, 1)]);
        let explain = select::Explain { tracks: 7, kept: 3, clips: 5, removed, ..Default::default() };
        let kept = Kept {
            clips: BTreeMap::from([(TrackId(1), 2), (TrackId(2), 2)]),
            samples: 20,
            rejected: BTreeMap::from([(Reason::Blurred, 4), (Reason::NearDuplicate, 6)]),
        };
        let numbers = |rules: Vec<Rule>| -> Vec<(Reason, usize, usize)> {
            rules.into_iter().map(|rule| (rule.reason, rule.asked, rule.removed)).collect()
        };
        let recipe = ClipRecipe::default();
        let tracks =
            [(Reason::FaceTooSmall, 7, 3), (Reason::FaceTooBrief, 4, 0), (Reason::FaceTooPatchy, 4, 1)];
        assert_eq!(numbers(rules(&explain, &kept, false, &recipe)), tracks);
        let after = [
            (Reason::ClipUnsound, 5, 1),
            (Reason::Blurred, 20, 4),
            (Reason::BadLight, 16, 0),
            (Reason::Turned, 16, 0),
            (Reason::NearDuplicate, 16, 6),
        ];
        assert_eq!(numbers(rules(&explain, &kept, true, &recipe)), [&tracks[..], &after].concat());
    }

    #[test]
    fn where_lists_name_parts_the_first_rule_is_not_listed() {
        let removed = BTreeMap::from([(Reason::NotListed, 2)]);
        let explain = select::Explain { tracks: 3, kept: 1, removed, in_parts: true, ..Default::default() };
        let rules = rules(&explain, &Kept::default(), false, &ClipRecipe::default());
        assert_eq!((rules[0].reason, rules[0].asked, rules[0].removed), (Reason::NotListed, 3, 2));
        assert!(rules.iter().all(|rule| rule.reason != Reason::FaceTooBrief), "no length is asked of a part");
    }
}
