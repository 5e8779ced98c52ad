//! `webemotion clips --explain VIDEO`: what was seen in a video, and which rule kept what of it from becoming clips and
//! samples. Told from stored rows alone; the video itself is not opened. Drawn in `view`.

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

/// What became of a video's faces. Times are milliseconds of the video's own time.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    event: &'static str,
    pub(super) video: i64,
    pub(super) site: String,
    pub(super) site_id: String,
    /// What is left of the source: its path below the data folder; none when it was discarded.
    pub(super) file: Option<String>,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) duration_ms: i64,
    pub(super) frames_decoded: u64,
    pub(super) frames_detected: u64,
    pub(super) elapsed_ms: i64,
    /// Start and end of each shot.
    pub(super) shots: Vec<[i64; 2]>,
    /// What every rule was asked of and removed, in the order in which they are asked.
    pub(super) rules: Vec<Rule>,
    pub(super) tracks: Vec<TrackSeen>,
    pub(super) clips_planned: usize,
    pub(super) clips: usize,
    pub(super) samples: usize,
    pub(super) samples_in_use: usize,
    /// How the cut stands; open where nobody asked for it.
    pub(super) cut: JobState,
    pub(super) cut_reason: Option<Reason>,
    /// The recipe of the look.
    pub(super) recipe: String,
    /// What the settings in force would make of the same look, when they are others.
    pub(super) in_force: Option<InForce>,
}

/// One rule.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Rule {
    /// What it says of what it removes.
    pub(super) reason: Reason,
    /// In words, with its threshold; empty where it has none.
    pub(super) keeps: String,
    /// What it is asked of: `tracks`, `clips` or `samples`.
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
    /// Frames on which the face was looked for and seen.
    pub(super) looks: usize,
    /// Median of the shorter side of its boxes, pixels.
    pub(super) face_px: f32,
    /// Share of its looked-at frames that show the face, 0 to 1.
    pub(super) coverage: f32,
    /// Clips in the catalog.
    pub(super) clips: usize,
    /// Why it became no clip; none when it did or may.
    pub(super) reason: Option<Reason>,
}

/// The same look with other thresholds.
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
    let looked = Scan { tracks: measured.iter().map(|track| track.track.clone()).collect(), ..stored.scan };
    let parts = cut::parts_of(catalog, video.id).await?;
    let (pieces, explain) = parts::select(&looked, &recipe, &parts);
    let job = jobs::get(catalog, cut::NAME, video.id.0).await?;
    let cut = job.as_ref().map_or(JobState::Open, |job| job.state);
    let kept = Kept::of(session, video.id, &rows).await?;
    let seen = |(track, row): (&tracks::MeasuredTrack, &TrackId)| {
        TrackSeen::of(track, kept.clips.get(row).copied().unwrap_or(0))
    };
    let in_force = in_force(session, (&looked, &parts), &stored.recipe_hash);
    Ok(Explained {
        event: "explained",
        video: video.id.0,
        site: video.found.site.clone(),
        site_id: video.found.site_id.clone(),
        file: video.file.as_ref().map(|file| file.path.display().to_string()),
        width: looked.width,
        height: looked.height,
        duration_ms: looked.duration_ms,
        frames_decoded: looked.frames_decoded,
        frames_detected: looked.frames_detected,
        elapsed_ms: stored.elapsed_ms,
        shots: looked.shots.iter().map(|shot| [shot.start_ms, shot.end_ms]).collect(),
        rules: rules(&explain, &kept, cut == JobState::Done, &recipe),
        tracks: measured.iter().zip(&rows).map(seen).collect(),
        clips_planned: pieces.len(),
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

/// What is in the catalog of a scan's tracks.
#[derive(Default)]
struct Kept {
    /// Clips of each track.
    clips: BTreeMap<TrackId, usize>,
    samples: usize,
    /// Samples that are not used, by reason.
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

/// Every rule in turn: those that tracks must pass, the checks of finished clips, and those of samples.
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

fn in_force(session: &Session, (looked, parts): (&Scan, &[Part]), hash: &str) -> Option<InForce> {
    let recipe = &session.config.clips;
    let now = scan::recipe_hash(recipe);
    (now != hash).then(|| {
        let explain = parts::select(looked, recipe, parts).1;
        InForce { recipe: now, tracks_kept: explain.kept, clips_planned: explain.clips }
    })
}

/// The recipe that a look was made with.
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
    fn every_rule_is_asked_of_what_the_one_before_left() {
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
    fn where_lists_mean_parts_the_first_rule_is_what_they_name() {
        let removed = BTreeMap::from([(Reason::NotListed, 2)]);
        let explain = select::Explain { tracks: 3, kept: 1, removed, in_parts: true, ..Default::default() };
        let rules = rules(&explain, &Kept::default(), false, &ClipRecipe::default());
        assert_eq!((rules[0].reason, rules[0].asked, rules[0].removed), (Reason::NotListed, 3, 2));
        assert!(rules.iter().all(|rule| rule.reason != Reason::FaceTooBrief), "no length is asked of a part");
    }
}
