//! Merges another catalog: copies its finished videos with their scans, tracks, clips and samples, unchanged. Moves no
//! files; the caller does.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::jobs::{self, MergedEnd};
use super::tracks::MeasuredTrack;
use super::{
    Catalog, CatalogError, Result, Transaction, answers, clips, crops, evidence, integer, listed, number,
    recipes, samples, scans, searches, tombstones, tracks, videos, word,
};
use crate::failure::Reason;
use crate::files::hex;
use crate::types::{Clip, CropStyle, JobState, Sample, StageName, VideoId};

/// The recorded source of the evidence that a merge adds.
const TOLD_BY: &str = "merge";

/// A video of another catalog whose scan and cut have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedVideo {
    /// Its row there.
    pub id: VideoId,
    /// Its site.
    pub site: String,
    /// The site's id.
    pub site_id: String,
    /// The revision of its scan.
    pub rev: String,
    /// How the scan ended.
    pub scan: MergedEnd,
    /// How the cut ended; none when the scan led to no cut.
    pub cut: Option<MergedEnd>,
    /// When its file was fetched there, if it was; milliseconds since 1970.
    pub fetched_at: Option<i64>,
    /// How many parts of it are listed there.
    pub parts: u64,
    /// A hash of its evidence there; empty when there is none.
    pub evidence: String,
}

impl FinishedVideo {
    /// Whether the work reached a result: it was not given up, and the file was not missing.
    pub(crate) fn has_verdict(&self) -> bool {
        let is_verdict =
            |end: &MergedEnd| end.state != JobState::Dead && end.reason != Some(Reason::SourceGone);
        is_verdict(&self.scan) && self.cut.as_ref().is_none_or(is_verdict)
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
    /// Its clips, each with its track and its samples. Their files must be in place before [`take`].
    pub clips: Vec<MadeClip>,
}

/// One clip of another catalog.
#[derive(Debug)]
pub struct MadeClip {
    /// Index into [`MadeOfVideo::tracks`].
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
    let mut evidence = evidence_hashes(catalog).await?;
    rows.into_iter()
        .map(|row| {
            let end = |state: &str, reason: Option<String>, detail: Option<String>| {
                let (state, reason) = (word(state)?, reason.as_deref().map(word).transpose()?);
                Result::Ok(MergedEnd { state, reason, detail })
            };
            let scan = end(&row.look_state, row.look_reason, row.look_detail)?;
            let cut = match row.cut_state {
                Some(state) if scan.state == JobState::Done => {
                    Some(end(&state, row.cut_reason, row.cut_detail)?)
                }
                _ => None,
            };
            Ok(FinishedVideo {
                id: VideoId(row.video_id),
                site: row.site,
                site_id: row.site_id,
                rev: row.rev,
                scan,
                cut,
                fetched_at: row.fetched_at,
                parts: number(row.parts)?,
                evidence: evidence.remove(&VideoId(row.video_id)).unwrap_or_default(),
            })
        })
        .collect()
}

/// A hash of the evidence of each video that has any.
async fn evidence_hashes(catalog: &Catalog) -> Result<HashMap<VideoId, String>> {
    let rows =
        sqlx::query_file!("queries/catalog/merged/list_evidence.sql").fetch_all(&catalog.reader).await?;
    let mut hashes: HashMap<VideoId, Sha256> = HashMap::new();
    for row in rows {
        let line = [&*row.provider, &*row.emotion, &*row.text, &row.rank.to_string()].join("\t");
        hashes.entry(VideoId(row.video_id)).or_default().update(line + "\n");
    }
    Ok(hashes.into_iter().map(|(video, hash)| (video, hex(&hash.finalize()))).collect())
}

/// The videos, as site and id, whose clips are lost until their files are fetched again.
pub async fn lost(catalog: &Catalog) -> Result<HashSet<(String, String)>> {
    let rows = sqlx::query_file!("queries/catalog/merged/list_lost.sql").fetch_all(&catalog.reader).await?;
    Ok(rows.into_iter().map(|row| (row.site, row.site_id)).collect())
}

/// A hash of all finished videos of a catalog: two catalogs with equal fingerprints have the same to offer.
pub fn fingerprint(finished: &[FinishedVideo]) -> String {
    hash_of(finished, |video| &video.evidence)
}

/// The same without the evidence: whether the work was merged before. Earlier releases recorded only this.
pub fn fingerprint_of_work(finished: &[FinishedVideo]) -> String {
    hash_of(finished, |_| "")
}

fn hash_of(finished: &[FinishedVideo], evidence: impl Fn(&FinishedVideo) -> &str) -> String {
    let mut hash = Sha256::new();
    for video in finished {
        let cut = video.cut.as_ref().map_or("", |cut| cut.state.as_str());
        let scan = video.scan.state.as_str();
        let mut line = [&*video.site, &*video.site_id, &*video.rev, scan, cut].join("\t");
        if video.parts > 0 {
            line += &format!("\t{}", video.parts);
        }
        let evidence = evidence(video);
        if !evidence.is_empty() {
            line += &format!("\tevidence {evidence}");
        }
        hash.update(line + "\n");
    }
    hex(&hash.finalize())
}

/// When a catalog with this fingerprint was merged, if it was; milliseconds since 1970.
pub async fn seen(catalog: &Catalog, fingerprint: &str) -> Result<Option<i64>> {
    Ok(sqlx::query_file_scalar!("queries/catalog/merged/get.sql", fingerprint)
        .fetch_optional(&catalog.reader)
        .await?)
}

/// What a merge took from one catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Taken {
    /// Finished videos in it.
    pub videos: u64,
    /// Of these, those that were copied.
    pub taken: u64,
    /// Clips of the copied videos.
    pub clips: u64,
    /// Finished videos that stay as they are here, although they were made with other settings there.
    pub kept: u64,
    /// Evidence that is new here, of videos that were not copied.
    pub evidence: u64,
}

/// Records a merge.
pub async fn record(catalog: &Catalog, source: &str, fingerprint: &str, taken: Taken) -> Result<()> {
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
    let is_scanned = finished.scan.state == JobState::Done;
    let scan = if is_scanned { scans::latest(catalog, finished.id).await? } else { None };
    let (tracks, clips) = (Vec::new(), Vec::new());
    let mut made = MadeOfVideo { video, found, listed, recipe: None, scan, tracks, clips };
    let Some(scan) = &made.scan else { return Ok(made) };
    made.recipe = recipes::get(catalog, &scan.recipe_hash).await?;
    let (ids, measured): (Vec<_>, Vec<_>) = tracks::of_scan(catalog, scan.id).await?.into_iter().unzip();
    made.tracks = measured;
    for stored in clips::of_video(catalog, finished.id).await? {
        // Clips of an earlier scan belong to a recipe that is no longer in force.
        let Some(track) = ids.iter().position(|id| *id == stored.track) else { continue };
        made.clips.push(read_clip(catalog, track, stored).await?);
    }
    Ok(made)
}

async fn read_clip(catalog: &Catalog, track: usize, stored: clips::StoredClip) -> Result<MadeClip> {
    let mut found = Vec::new();
    let mut style = CropStyle::plain(0);
    for row in samples::of_clip(catalog, stored.id).await? {
        let (jpeg, made) = crops::get_with_style(catalog, row.id).await?;
        style = made;
        found.push((Sample { t_ms: row.t_ms, face: row.face, quality: row.quality, jpeg }, row.reason));
    }
    Ok(MadeClip { track, stored, samples: found, style })
}

/// Copies what another catalog made of a video, replacing what was begun here. False when the video has a tombstone.
/// The clips' files must already be in place. A video whose file was fetched there is not fetched again: its fetch is
/// recorded as done with the revision `fetch_rev`.
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
            what: format!("recipe {} of the scan of {}", scan.recipe_hash, made.video.site_id),
        })?;
        let hash = recipes::insert(tx, recipes::CLIPS, body).await?;
        let with = scans::MadeWith { recipe_hash: &hash, rev: &finished.rev };
        let scan_id = scans::insert(tx, id, with, &scan.scan, scan.elapsed_ms).await?;
        let mut ids = Vec::new();
        for track in &made.tracks {
            ids.push(tracks::insert(tx, scan_id, id, track).await?);
        }
        for clip in &made.clips {
            take_clip(tx, id, ids[clip.track], clip).await?;
        }
    }
    record_fetch(tx, id, finished, fetch_rev).await?;
    jobs::record_merged_end(tx, StageName::Scan, id.0, &finished.rev, &finished.scan).await?;
    if let Some(cut) = &finished.cut {
        jobs::record_merged_end(tx, StageName::Cut, id.0, &finished.rev, cut).await?;
    }
    if listed::of_video_in(tx, id).await? != made.listed {
        // Lists name parts here that they did not name there.
        jobs::cut_again(tx, id).await?;
    }
    Ok(true)
}

/// Copies only the list rows of a video that otherwise stays as it is here. If they name new parts, it is cut again.
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

/// Copies only the evidence of a video that otherwise stays as it is here; returns how much of it is new.
pub async fn take_evidence(into: &Catalog, from: &Catalog, finished: &FinishedVideo) -> Result<u64> {
    let found = evidence_of(from, finished.id).await?;
    let mut tx = into.begin().await?;
    let Some(id) = videos::find_in(&mut tx, &finished.site, &finished.site_id).await? else { return Ok(0) };
    let new = add_evidence(&mut tx, id, &found, TOLD_BY).await?;
    tx.commit().await?;
    Ok(new)
}

/// Copies the tombstones of another catalog; returns how many are new. The caller removes these videos.
pub async fn take_tombstones(into: &Catalog, from: &Catalog) -> Result<u64> {
    let forgotten = tombstones::list(from).await?;
    let mut tx = into.begin().await?;
    let new = tombstones::adopt(&mut tx, &forgotten).await?;
    tx.commit().await?;
    Ok(new)
}

/// Records that the video's file was fetched into the other data folder, as if it had been discarded here. A file that
/// was missing there when it was to be scanned is still wanted.
async fn record_fetch(
    tx: &mut Transaction,
    id: VideoId,
    finished: &FinishedVideo,
    fetch_rev: &str,
) -> Result<()> {
    let is_missed = finished.scan.reason == Some(Reason::SourceGone);
    let Some(fetched_at) = finished.fetched_at.filter(|_| !is_missed) else { return Ok(()) };
    if videos::set_elsewhere(tx, id, fetched_at).await? {
        let done = MergedEnd { state: JobState::Done, reason: None, detail: None };
        jobs::record_merged_end(tx, StageName::Fetch, id.0, fetch_rev, &done).await?;
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

/// The video's row here, a new one where there is none, with the evidence added. None when it has a tombstone.
async fn known_or_new(tx: &mut Transaction, made: &MadeOfVideo) -> Result<Option<VideoId>> {
    let known = videos::find_in(tx, &made.video.site, &made.video.site_id).await?;
    let Some(id) = known else { return introduce(tx, &made.video, &made.found, TOLD_BY).await };
    add_evidence(tx, id, &made.found, TOLD_BY).await?;
    Ok(Some(id))
}

/// Adds a video of another catalog with its evidence; `told_by` is recorded as the source of the answers. None when the
/// video has a tombstone.
pub async fn introduce(
    tx: &mut Transaction,
    video: &videos::NewVideo,
    found: &[(searches::Search, evidence::Evidence)],
    told_by: &str,
) -> Result<Option<VideoId>> {
    let Some(id) = videos::upsert(tx, video).await? else { return Ok(None) };
    add_evidence(tx, id, found, told_by).await?;
    Ok(Some(id))
}

/// Adds the evidence that is not here yet; returns how much was added.
async fn add_evidence(
    tx: &mut Transaction,
    video: VideoId,
    found: &[(searches::Search, evidence::Evidence)],
    told_by: &str,
) -> Result<u64> {
    let mut new = 0;
    for (search, why) in found {
        let search = searches::adopt(tx, search).await?;
        if evidence::stands_in(tx, video, search, why.rank).await? {
            continue;
        }
        let answer = answers::NewAnswer {
            search,
            asked_of: told_by,
            tool_version: env!("CARGO_PKG_VERSION"),
            page: 0,
            hits: 1,
            raw: b"",
        };
        let answer = answers::insert(tx, &answer).await?;
        evidence::insert(tx, video, &evidence::Evidence { search, answer, ..why.clone() }).await?;
        new += 1;
    }
    Ok(new)
}

/// All evidence of a video, each with its search.
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
