//! The `sample` table: aligned face crops with their measures. A rejected sample is kept, with its reason. The pictures
//! are in [`super::crops`].

use std::collections::HashMap;

use super::{Catalog, CatalogError, Result, Transaction, crops, json, number, word};
use crate::failure::Reason;
use crate::types::{ClipId, CropStyle, Emotion, Face, Quality, Sample, SampleId, SeenFace, Split, VideoId};

/// A sample that training may use.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSample {
    /// Its row; its picture is in [`super::crops::Crops`].
    pub sample: SampleId,
    /// The clip it belongs to.
    pub clip: ClipId,
    /// The video it comes from.
    pub video: VideoId,
    /// The video's source: its channel, else itself.
    pub source: String,
    /// Its clip's own emotion, else its video's: by best rank, then by most evidence, then in FERPlus order.
    pub emotion: Emotion,
    /// Its part of the data.
    pub split: Split,
}

/// A sample as the catalog has it, without its picture.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSample {
    /// Its row.
    pub id: SampleId,
    /// When, in the source video's own time.
    pub t_ms: i64,
    /// The face in the source video's picture.
    pub face: Face,
    /// Measures of the crop.
    pub quality: Quality,
    /// Why it is not used; none when it is.
    pub reason: Option<Reason>,
}

/// What is the same for all samples of a clip.
#[derive(Debug, Clone, Copy)]
pub struct SampleOrigin {
    /// The clip.
    pub clip: ClipId,
    /// The video.
    pub video: VideoId,
    /// How the pictures are made.
    pub style: CropStyle,
}

/// Stores a sample and its picture.
pub async fn insert(
    tx: &mut Transaction,
    origin: SampleOrigin,
    sample: &Sample,
    reason: Option<Reason>,
) -> Result<SampleId> {
    let (face, reason, now_ms) = (json(&sample.face)?, reason.map(Reason::as_str), tx.now_ms());
    let quality = &sample.quality;
    let id = sqlx::query_file_scalar!(
        "queries/catalog/sample/insert.sql",
        origin.clip.0,
        origin.video.0,
        sample.t_ms,
        face,
        quality.sharpness,
        quality.brightness,
        quality.contrast,
        quality.face_px,
        quality.yaw_deg,
        quality.pitch_deg,
        quality.roll_deg,
        reason,
        now_ms
    )
    .fetch_one(tx.connection())
    .await?;
    let id = SampleId(id);
    crops::insert(tx, id, origin.style, &sample.jpeg).await?;
    Ok(id)
}

/// The samples of a clip, in order of time.
pub async fn of_clip(catalog: &Catalog, clip: ClipId) -> Result<Vec<StoredSample>> {
    let rows = sqlx::query_file!("queries/catalog/sample/list_of_clip.sql", clip.0)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter()
        .map(|row| {
            let face = read_face(row.id, &row.face)?;
            let quality = Quality {
                sharpness: row.sharpness as f32,
                brightness: row.brightness as f32,
                contrast: row.contrast as f32,
                face_px: row.face_px as f32,
                yaw_deg: row.yaw_deg as f32,
                pitch_deg: row.pitch_deg as f32,
                roll_deg: row.roll_deg as f32,
            };
            let reason = row.reason.as_deref().map(word).transpose()?;
            Ok(StoredSample { id: SampleId(row.id), t_ms: row.t_ms, face, quality, reason })
        })
        .collect()
}

/// When each sample was created, milliseconds since 1970. The id of a sample that was removed is given out again; with
/// this it still names one sample.
pub async fn created_at(catalog: &Catalog) -> Result<HashMap<SampleId, i64>> {
    let rows =
        sqlx::query_file!("queries/catalog/sample/list_created.sql").fetch_all(&catalog.reader).await?;
    Ok(rows.into_iter().map(|row| (SampleId(row.id), row.created_at)).collect())
}

/// The faces of all samples of a video, in order of time.
pub async fn faces_of_video(catalog: &Catalog, video: VideoId) -> Result<Vec<(SampleId, SeenFace)>> {
    let mut connection = catalog.reader.acquire().await?;
    read_faces(&mut connection, video).await
}

/// The same, inside a transaction.
pub async fn faces_of_video_in(tx: &mut Transaction, video: VideoId) -> Result<Vec<(SampleId, SeenFace)>> {
    read_faces(tx.connection(), video).await
}

async fn read_faces(
    connection: &mut sqlx::SqliteConnection,
    video: VideoId,
) -> Result<Vec<(SampleId, SeenFace)>> {
    let rows =
        sqlx::query_file!("queries/catalog/sample/list_faces.sql", video.0).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let face = read_face(row.id, &row.face)?;
            Ok((SampleId(row.id), SeenFace { t_ms: row.t_ms, face }))
        })
        .collect()
}

fn read_face(sample: i64, json: &str) -> Result<Face> {
    serde_json::from_str(json)
        .map_err(|error| CatalogError::Damaged { detail: format!("the face of sample {sample}: {error}") })
}

/// Rejects the samples of duplicate clips, or with `rejected` false accepts them again. Returns how many changed.
pub async fn set_duplicates_rejected(catalog: &Catalog, rejected: bool) -> Result<u64> {
    let done = sqlx::query_file!("queries/catalog/sample/set_duplicates_rejected.sql", rejected)
        .execute(&catalog.writer)
        .await?;
    Ok(done.rows_affected())
}

/// Every sample that training may use: not rejected, of its video's latest scan, and of a source that has a split (see
/// [`super::splits::assign`]); duplicates are in the split of their original. Ordered by the video's id at its site and by
/// time, so that the same data give the same list however the work was distributed.
pub async fn for_training(catalog: &Catalog) -> Result<Vec<TrainingSample>> {
    let rows =
        sqlx::query_file!("queries/catalog/sample/list_for_training.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            Ok(TrainingSample {
                sample: SampleId(row.id),
                clip: ClipId(row.clip_id),
                video: VideoId(row.video_id),
                source: row.source,
                emotion: word(&row.emotion)?,
                split: word(&row.split)?,
            })
        })
        .collect()
}

/// The newest samples in use, not older than `since_ms` (milliseconds since 1970): at most `most` of each emotion, spread
/// over as many clips as possible.
pub async fn newest(catalog: &Catalog, since_ms: i64, most: u32) -> Result<Vec<(SampleId, Emotion)>> {
    let rows = sqlx::query_file!("queries/catalog/sample/list_newest.sql", since_ms, most)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter().map(|row| Ok((SampleId(row.id), word(&row.emotion)?))).collect()
}

/// The number of samples in use that no finished run of a method has trained on.
pub async fn count_unseen(catalog: &Catalog, method: &str) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/sample/count_unseen.sql", method)
        .fetch_one(&catalog.reader)
        .await?;
    number(count)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::catalog::tests::empty;
    use crate::catalog::tracks::MeasuredTrack;
    use crate::catalog::{
        answers, clips, evidence, funnel, recipes, scans, searches, splits, tracks, videos,
    };
    use crate::types::{Clip, FaceBox, Scan, Span, Track};

    /// Inserts a scan, a track, a clip and some samples, one a second, for a video.
    pub(crate) async fn fill(tx: &mut Transaction, video: VideoId, samples: u8) -> Vec<SampleId> {
        fill_by("{}", tx, video, samples).await
    }

    /// The same with a given recipe.
    pub(crate) async fn fill_by(
        recipe: &str,
        tx: &mut Transaction,
        video: VideoId,
        samples: u8,
    ) -> Vec<SampleId> {
        let span = Span { start_ms: 0, end_ms: i64::from(samples) * 1_000 };
        let recipe_hash = recipes::insert(tx, recipes::CLIPS, recipe).await.unwrap();
        let scan = Scan {
            width: 640,
            height: 360,
            duration_ms: span.end_ms,
            shots: vec![span],
            tracks: vec![],
            frames_decoded: 100,
            frames_detected: 20,
        };
        let with = scans::MadeWith { recipe_hash: &recipe_hash, rev: &format!("1-{recipe_hash}") };
        let scan = scans::insert(tx, video, with, &scan, 12).await.unwrap();
        let face_box = FaceBox { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };
        let face = Face { face_box, landmarks: [[0.5; 2]; 5], detector_score: 0.875 };
        let track = Track { shot: 0, span, faces: vec![SeenFace { t_ms: 0, face }], coverage: 1.0 };
        let track = MeasuredTrack { track, median_face_px: 90.0, reason: None };
        let track_id = tracks::insert(tx, scan, video, &track).await.unwrap();
        let quality = Quality {
            sharpness: 20.0,
            brightness: 128.0,
            contrast: 40.0,
            face_px: 90.0,
            yaw_deg: -5.0,
            pitch_deg: 2.5,
            roll_deg: 0.5,
        };
        let one =
            |second: u8| Sample { t_ms: i64::from(second) * 1_000, face, quality, jpeg: vec![second; 3] };
        let clip = Clip {
            span,
            side_px: 256,
            frames: 100,
            perceptual_hash: u64::MAX - video.0.unsigned_abs(),
            samples: (0..samples).map(one).collect(),
        };
        let path = format!("clips/{}.mp4", video.0);
        let new = clips::NewClip {
            track: track_id,
            video,
            emotion: None,
            clip: &clip,
            path: path.as_ref(),
            size_bytes: 1_000,
            sha256: "00",
            framing: "union",
            recipe_hash: &recipe_hash,
            motion: &[],
        };
        let clip_id = clips::insert(tx, &new).await.unwrap();
        let origin = SampleOrigin { clip: clip_id, video, style: CropStyle::plain(224) };
        let mut ids = vec![];
        for sample in &clip.samples {
            ids.push(insert(tx, origin, sample, None).await.unwrap());
        }
        ids
    }

    /// Records one hit of one search for an emotion.
    pub(crate) async fn hit(tx: &mut Transaction, video: VideoId, emotion: Emotion, rank: u32) {
        let asked = searches::NewSearch {
            emotion,
            text: format!("{emotion} {rank}"),
            word: emotion.to_string(),
            country: None,
            age_word: None,
            language: None,
        };
        searches::plan(tx, "youtube", &format!("{emotion}{rank}"), &[asked]).await.unwrap();
        let search = crate::types::SearchId(
            sqlx::query_scalar("select max(id) from search").fetch_one(tx.connection()).await.unwrap(),
        );
        let answer = answers::NewAnswer {
            search,
            asked_of: "ytdlp",
            tool_version: "1",
            page: 0,
            hits: 1,
            raw: b"{\"a\":1}",
        };
        let answer = answers::insert(tx, &answer).await.unwrap();
        let hit = evidence::Evidence { search, answer, rank, emotion };
        evidence::insert(tx, video, &hit).await.unwrap();
    }

    #[tokio::test]
    async fn the_best_rank_gives_the_emotion_then_the_number_of_hits_then_the_order() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let cases = [
            ("a", vec![(Emotion::Fear, 2), (Emotion::Neutral, 3), (Emotion::Neutral, 4)], Emotion::Fear),
            ("b", vec![(Emotion::Neutral, 1), (Emotion::Fear, 1), (Emotion::Fear, 9)], Emotion::Fear),
            ("c", vec![(Emotion::Fear, 5), (Emotion::Surprise, 5)], Emotion::Surprise),
        ];
        for (name, hits, _) in &cases {
            let video =
                videos::upsert(&mut tx, &videos::tests::some(name, Some(name))).await.unwrap().unwrap();
            for (emotion, rank) in hits {
                hit(&mut tx, video, *emotion, *rank).await;
            }
            fill(&mut tx, video, 2).await;
        }
        tx.commit().await.unwrap();
        splits::assign(&catalog).await.unwrap();
        let found = for_training(&catalog).await.unwrap();
        let emotions: Vec<_> = found.iter().step_by(2).map(|sample| sample.emotion).collect();
        assert_eq!(emotions, cases.map(|(_, _, emotion)| emotion));
        assert_eq!(found.len(), 6);
    }

    #[tokio::test]
    async fn a_scan_reads_back_as_it_was_stored() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        let first = fill(&mut tx, video, 2).await;
        let again = fill(&mut tx, video, 3).await;
        tx.commit().await.unwrap();
        assert_eq!((first.len(), again.len()), (2, 3));
        let scan = scans::latest(&catalog, video).await.unwrap().unwrap();
        assert_eq!(scan.scan.shots, [Span { start_ms: 0, end_ms: 3_000 }]);
        let tracks = tracks::of_scan(&catalog, scan.id).await.unwrap();
        assert_eq!(tracks[0].1.track.faces[0].face.detector_score, 0.875);
        let clips = clips::of_video(&catalog, video).await.unwrap();
        assert_eq!(clips.len(), 1, "the second scan replaced the first one");
        assert_eq!(clips[0].perceptual_hash, u64::MAX - 1);
        let samples = of_clip(&catalog, clips[0].id).await.unwrap();
        assert_eq!(samples.len(), 3);
        assert_eq!(samples[2].quality.pitch_deg, 2.5);
        assert_eq!(samples[0].face.landmarks, [[0.5; 2]; 5]);
    }

    #[tokio::test]
    async fn rows_of_an_earlier_recipe_are_kept_but_not_counted() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", Some("a"))).await.unwrap().unwrap();
        hit(&mut tx, video, Emotion::Fear, 1).await;
        fill_by("1", &mut tx, video, 5).await;
        let later = fill_by("2", &mut tx, video, 3).await;
        tx.commit().await.unwrap();
        splits::assign(&catalog).await.unwrap();
        let rows = funnel::rows(&catalog).await.unwrap();
        assert_eq!((rows.tracks, rows.clips, rows.samples), (1, 1, 3));
        let fear = funnel::emotions(&catalog).await.unwrap()[Emotion::Fear.index()];
        assert_eq!((fear.clips, fear.samples), (1, 3));
        let trained: Vec<SampleId> =
            for_training(&catalog).await.unwrap().iter().map(|sample| sample.sample).collect();
        assert_eq!(trained, later);
        assert_eq!(
            clips::of_video(&catalog, video).await.unwrap().len(),
            2,
            "a run may have been trained on the first one"
        );

        let mut tx = catalog.begin().await.unwrap();
        fill_by("1", &mut tx, video, 4).await;
        tx.commit().await.unwrap();
        assert_eq!(funnel::rows(&catalog).await.unwrap().samples, 4, "the old recipe is in force again");
        assert_eq!(for_training(&catalog).await.unwrap().len(), 4);
    }

    #[tokio::test]
    async fn the_newest_samples_are_spread_over_as_many_clips_as_possible() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let mut of_clips = vec![];
        for (rank, name) in (1..).zip(["a", "b", "c"]) {
            let video = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            hit(&mut tx, video, Emotion::Fear, rank).await;
            of_clips.push(fill(&mut tx, video, 3).await);
        }
        tx.commit().await.unwrap();
        let ids = async |most| -> Vec<SampleId> {
            newest(&catalog, 0, most).await.unwrap().into_iter().map(|(sample, _)| sample).collect()
        };
        assert_eq!(ids(2).await, [of_clips[1][0], of_clips[2][0]]);
        assert_eq!(ids(4).await, [of_clips[0][0], of_clips[1][0], of_clips[2][0], of_clips[2][1]]);
    }

    #[tokio::test]
    async fn duplicates_are_rejected_only_on_request_and_can_be_accepted_again() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        for name in ["a", "b"] {
            let video = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            fill(&mut tx, video, 2).await;
        }
        tx.commit().await.unwrap();
        let known = clips::motions(&catalog).await.unwrap();
        assert!(known.iter().all(|clip| clip.is_new) && known.len() == 2);
        let mut tx = catalog.begin().await.unwrap();
        clips::set_compared(&mut tx, &known[0], None).await.unwrap();
        clips::set_compared(&mut tx, &known[1], Some(&known[0])).await.unwrap();
        tx.commit().await.unwrap();
        assert!(clips::motions(&catalog).await.unwrap().is_empty(), "nothing is new any more");
        assert_eq!(clips::count_duplicates(&catalog).await.unwrap(), 1);
        for (rejected, changed) in [(false, 0), (true, 2), (true, 0), (false, 2)] {
            assert_eq!(set_duplicates_rejected(&catalog, rejected).await.unwrap(), changed);
            let samples = of_clip(&catalog, known[1].clip).await.unwrap();
            let reason = rejected.then_some(Reason::NearDuplicate);
            assert!(samples.iter().all(|sample| sample.reason == reason));
        }
    }
}
