//! Taking in what another catalog made of the same videos: its looks, tracks, clips and samples, as they are. Knows rows
//! of two catalogs; the files are moved by who calls it.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::jobs::{self, MergedEnd};
use super::tracks::MeasuredTrack;
use super::{
    Catalog, CatalogError, Result, Transaction, answers, clips, crops, evidence, integer, listed, number,
    recipes, samples, scans, searches, tracks, videos, word,
};
use crate::failure::Reason;
use crate::files::hex;
use crate::types::{Clip, CropStyle, JobState, Sample, StageName, VideoId};

/// A video of another catalog that nothing is left to be done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedVideo {
    /// Its row there.
    pub id: VideoId,
    /// Its site.
    pub site: String,
    /// The site's id.
    pub site_id: String,
    /// The revision of its look.
    pub rev: String,
    /// How the look ended.
    pub look: MergedEnd,
    /// How the cut ended; none when the look led to none.
    pub cut: Option<MergedEnd>,
    /// When its file was fetched there, if it was; milliseconds since 1970.
    pub fetched_at: Option<i64>,
    /// How many parts of it lists mean there.
    pub parts: u64,
}

impl FinishedVideo {
    /// Whether the work came to its own end: it was not given up, and its file was not missing.
    pub(crate) fn has_verdict(&self) -> bool {
        let is_verdict =
            |end: &MergedEnd| end.state != JobState::Dead && end.reason != Some(Reason::SourceGone);
        is_verdict(&self.look) && self.cut.as_ref().is_none_or(is_verdict)
    }
}

/// Everything that another catalog made of one video.
#[derive(Debug)]
pub struct MadeOfVideo {
    video: videos::NewVideo,
    found: Vec<(searches::Search, evidence::Evidence)>,
    listed: Vec<listed::Listed>,
    recipe: Option<String>,
    scan: Option<scans::StoredScan>,
    tracks: Vec<MeasuredTrack>,
    /// Its clips with the place of their track, and their samples with pictures. Their files are to stand in their places
    /// before [`take`].
    pub clips: Vec<MadeClip>,
}

/// One clip of another catalog.
#[derive(Debug)]
pub struct MadeClip {
    track: usize,
    /// Its row there.
    pub stored: clips::StoredClip,
    samples: Vec<(Sample, Option<Reason>)>,
    style: CropStyle,
}

/// The finished videos of a catalog, by site and id.
pub async fn finished(catalog: &Catalog) -> Result<Vec<FinishedVideo>> {
    let rows =
        sqlx::query_file!("queries/catalog/merged/list_finished.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            let end = |state: &str, reason: Option<String>, detail: Option<String>| {
                let (state, reason) = (word(state)?, reason.as_deref().map(word).transpose()?);
                Result::Ok(MergedEnd { state, reason, detail })
            };
            let look = end(&row.look_state, row.look_reason, row.look_detail)?;
            let cut = match row.cut_state {
                Some(state) if look.state == JobState::Done => {
                    Some(end(&state, row.cut_reason, row.cut_detail)?)
                }
                _ => None,
            };
            Ok(FinishedVideo {
                id: VideoId(row.video_id),
                site: row.site,
                site_id: row.site_id,
                rev: row.rev,
                look,
                cut,
                fetched_at: row.fetched_at,
                parts: number(row.parts)?,
            })
        })
        .collect()
}

/// The videos, by site and id, whose clips are lost until their files are fetched again.
pub async fn lost(catalog: &Catalog) -> Result<HashSet<(String, String)>> {
    let rows = sqlx::query_file!("queries/catalog/merged/list_lost.sql").fetch_all(&catalog.reader).await?;
    Ok(rows.into_iter().map(|row| (row.site, row.site_id)).collect())
}

/// One hash for all that a catalog has to give: equal hashes, nothing new.
pub fn fingerprint(finished: &[FinishedVideo]) -> String {
    let mut hash = Sha256::new();
    for video in finished {
        let cut = video.cut.as_ref().map_or("", |cut| cut.state.as_str());
        let look = video.look.state.as_str();
        let line = [&*video.site, &*video.site_id, &*video.rev, look, cut].join("\t");
        let parts = if video.parts > 0 { format!("\t{}", video.parts) } else { String::new() };
        hash.update(line + &parts + "\n");
    }
    hex(&hash.finalize())
}

/// When a catalog of this fingerprint was taken in, if it was; milliseconds since 1970.
pub async fn seen(catalog: &Catalog, fingerprint: &str) -> Result<Option<i64>> {
    Ok(sqlx::query_file_scalar!("queries/catalog/merged/get.sql", fingerprint)
        .fetch_optional(&catalog.reader)
        .await?)
}

/// What was taken in of one catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Taken {
    /// Finished videos in it.
    pub videos: u64,
    /// Of these, new here.
    pub taken: u64,
    /// Their clips.
    pub clips: u64,
    /// Finished videos that stay as they are here, worked on with other settings.
    pub kept: u64,
}

/// Writes a merge into the journal.
pub async fn note(catalog: &Catalog, source: &str, fingerprint: &str, taken: Taken) -> Result<()> {
    let Taken { videos, taken, clips, .. } = taken;
    let (videos, taken, clips) = (integer(videos), integer(taken), integer(clips));
    let now_ms = catalog.clock.now_ms();
    sqlx::query_file!("queries/catalog/merged/insert.sql", source, fingerprint, videos, taken, clips, now_ms)
        .execute(&catalog.writer)
        .await?;
    Ok(())
}

/// Reads what a catalog made of one of its finished videos.
pub async fn read(catalog: &Catalog, finished: &FinishedVideo) -> Result<MadeOfVideo> {
    let video = videos::get(catalog, finished.id).await?.found;
    let found = evidence_of(catalog, finished.id).await?;
    let listed = listed::of_video(catalog, finished.id).await?;
    let is_looked_at = finished.look.state == JobState::Done;
    let scan = if is_looked_at { scans::latest(catalog, finished.id).await? } else { None };
    let (tracks, clips) = (Vec::new(), Vec::new());
    let mut made = MadeOfVideo { video, found, listed, recipe: None, scan, tracks, clips };
    let Some(scan) = &made.scan else { return Ok(made) };
    made.recipe = recipes::get(catalog, &scan.recipe_hash).await?;
    let (ids, measured): (Vec<_>, Vec<_>) = tracks::of_scan(catalog, scan.id).await?.into_iter().unzip();
    made.tracks = measured;
    for stored in clips::of_video(catalog, finished.id).await? {
        // Clips of an earlier look belong to a recipe that is no longer in force.
        let Some(track) = ids.iter().position(|id| *id == stored.track) else { continue };
        made.clips.push(read_clip(catalog, track, stored).await?);
    }
    Ok(made)
}

async fn read_clip(catalog: &Catalog, track: usize, stored: clips::StoredClip) -> Result<MadeClip> {
    let mut found = Vec::new();
    let mut style = CropStyle::plain(0);
    for row in samples::of_clip(catalog, stored.id).await? {
        let (jpeg, made) = crops::get_made(catalog, row.id).await?;
        style = made;
        found.push((Sample { t_ms: row.t_ms, face: row.face, quality: row.quality, jpeg }, row.reason));
    }
    Ok(MadeClip { track, stored, samples: found, style })
}

/// Writes down what another catalog made of a video, in place of what was begun here. False when the video must not
/// come back. The clips' files stand in their places by then. A video whose file was fetched there is not fetched here once
/// more: `fetch_rev` is the revision that says so.
pub async fn take(
    tx: &mut Transaction,
    finished: &FinishedVideo,
    made: &MadeOfVideo,
    fetch_rev: &str,
) -> Result<bool> {
    let Some(id) = known_or_new(tx, made).await? else { return Ok(false) };
    for row in &made.listed {
        listed::insert(tx, id, row).await?;
    }
    if let Some(scan) = &made.scan {
        let body = made.recipe.as_deref().ok_or_else(|| CatalogError::NoRow {
            what: format!("recipe {} of the look at {}", scan.recipe_hash, made.video.site_id),
        })?;
        let hash = recipes::insert(tx, "clips", body).await?;
        let scan_id = scans::insert(tx, id, &hash, &scan.scan, scan.elapsed_ms).await?;
        let mut ids = Vec::new();
        for track in &made.tracks {
            ids.push(tracks::insert(tx, scan_id, id, track).await?);
        }
        for clip in &made.clips {
            take_clip(tx, id, ids[clip.track], clip).await?;
        }
    }
    settle_fetch(tx, id, finished, fetch_rev).await?;
    jobs::settle(tx, StageName::Scan, id.0, &finished.rev, &finished.look).await?;
    if let Some(cut) = &finished.cut {
        jobs::settle(tx, StageName::Cut, id.0, &finished.rev, cut).await?;
    }
    if listed::of_video_in(tx, id).await? != made.listed {
        // Lists mean more of it here than they did there.
        jobs::cut_again(tx, id).await?;
    }
    Ok(true)
}

/// Adds what lists name in another catalog of a video that stays as it is here. Where they mean other parts of it, it is
/// cut again.
pub async fn take_lists(into: &Catalog, from: &Catalog, finished: &FinishedVideo) -> Result<()> {
    let rows = listed::of_video(from, finished.id).await?;
    let mut tx = into.begin().await?;
    if let Some(id) = videos::find_in(&mut tx, &finished.site, &finished.site_id).await? {
        for row in &rows {
            listed::insert(&mut tx, id, row).await?;
        }
    }
    tx.commit().await
}

/// The file that served a look there is elsewhere, as one that was discarded. Where the look missed it, it is still wanted.
async fn settle_fetch(
    tx: &mut Transaction,
    id: VideoId,
    finished: &FinishedVideo,
    fetch_rev: &str,
) -> Result<()> {
    let is_missed = finished.look.reason == Some(Reason::SourceGone);
    let Some(fetched_at) = finished.fetched_at.filter(|_| !is_missed) else { return Ok(()) };
    if videos::set_elsewhere(tx, id, fetched_at).await? {
        let done = MergedEnd { state: JobState::Done, reason: None, detail: None };
        jobs::settle(tx, StageName::Fetch, id.0, fetch_rev, &done).await?;
    }
    Ok(())
}

async fn take_clip(
    tx: &mut Transaction,
    video: VideoId,
    track: crate::types::TrackId,
    made: &MadeClip,
) -> Result<()> {
    let stored = &made.stored;
    let clip = Clip {
        span: stored.span,
        side_px: stored.side_px,
        frames: stored.frames,
        perceptual_hash: stored.perceptual_hash,
        samples: Vec::new(),
    };
    let row = clips::NewClip {
        track,
        video,
        emotion: stored.emotion,
        clip: &clip,
        path: &stored.path,
        size_bytes: stored.size_bytes,
        sha256: &stored.sha256,
        framing: &stored.framing,
        recipe_hash: &stored.recipe_hash,
        motion: &stored.motion,
    };
    let clip = clips::insert(tx, &row).await?;
    let origin = samples::SampleOrigin { clip, video, style: made.style };
    for (sample, reason) in &made.samples {
        samples::insert(tx, origin, sample, *reason).await?;
    }
    Ok(())
}

/// The video's row here; one that is not known yet comes with all that speaks for its emotion.
async fn known_or_new(tx: &mut Transaction, made: &MadeOfVideo) -> Result<Option<VideoId>> {
    let known = videos::find_in(tx, &made.video.site, &made.video.site_id).await?;
    if known.is_some() { Ok(known) } else { introduce(tx, &made.video, &made.found, "merge").await }
}

/// Writes down a video of another catalog with the evidence that is known there; `told_by` stands in the ledger of
/// answers. None when it must not come back.
pub async fn introduce(
    tx: &mut Transaction,
    video: &videos::NewVideo,
    found: &[(searches::Search, evidence::Evidence)],
    told_by: &str,
) -> Result<Option<VideoId>> {
    let Some(id) = videos::upsert(tx, video).await? else { return Ok(None) };
    for (search, why) in found {
        let search = searches::adopt(tx, search).await?;
        let answer = answers::NewAnswer {
            search,
            asked_of: told_by,
            tool_version: env!("CARGO_PKG_VERSION"),
            page: 0,
            hits: 1,
            raw: b"",
        };
        let answer = answers::insert(tx, &answer).await?;
        evidence::insert(tx, id, &evidence::Evidence { search, answer, ..why.clone() }).await?;
    }
    Ok(Some(id))
}

/// All evidence of a video with the searches that it stands on.
pub async fn evidence_of(
    catalog: &Catalog,
    video: VideoId,
) -> Result<Vec<(searches::Search, evidence::Evidence)>> {
    let mut found = Vec::new();
    for one in evidence::of_video(catalog, video).await? {
        found.push((searches::get(catalog, one.evidence.search).await?, one.evidence));
    }
    Ok(found)
}
