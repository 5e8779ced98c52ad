//! Removes a person's data: all rows of a video, which get a tombstone instead, and its names in other rows.

use std::borrow::Cow;
use std::path::PathBuf;

use super::names::Names;
use super::{Catalog, Result, Transaction, answers, tombstones};
use crate::types::VideoId;

/// Summaries of rounds read at a time.
const BATCH: u32 = 100;

/// Removes videos with everything derived from them, and adds their tombstones: evidence, the raw answers that led to
/// them, jobs, scans, tracks, clips, samples, crops, and the runs' rows about them. Their names in other rows are left to
/// [`redact`].
pub async fn remove(tx: &mut Transaction, ids: &[VideoId], reason: &str) -> Result<()> {
    for id in ids {
        remove_one(tx, *id, reason).await?;
    }
    Ok(())
}

async fn remove_one(tx: &mut Transaction, id: VideoId, reason: &str) -> Result<()> {
    sqlx::query_file!("queries/catalog/answer/redact.sql", id.0).execute(tx.connection()).await?;
    sqlx::query_file!("queries/catalog/job/delete.sql", id.0).execute(tx.connection()).await?;
    let gone =
        sqlx::query_file!("queries/catalog/video/delete.sql", id.0).fetch_optional(tx.connection()).await?;
    let Some(gone) = gone else { return Ok(()) };
    tombstones::insert(tx, &gone.site, &gone.site_id, reason).await?;
    sqlx::query_file!("queries/catalog/split/delete.sql", gone.source).execute(tx.connection()).await?;
    Ok(())
}

/// Removes names from rows that belong to no video: raw answers, details of pauses and of failed searches that contain one
/// are emptied, and summaries of rounds lose the strings that contain one. Ended pauses are deleted.
pub async fn redact(tx: &mut Transaction, names: &Names) -> Result<()> {
    answers::redact(tx, names.in_answers()).await?;
    redact_rounds(tx, names).await?;
    redact_searches(tx, names).await?;
    let now_ms = tx.now_ms();
    sqlx::query_file!("queries/catalog/pause/delete_ended.sql", now_ms).execute(tx.connection()).await?;
    let pauses =
        sqlx::query_file!("queries/catalog/pause/list_details.sql").fetch_all(tx.connection()).await?;
    for pause in pauses.iter().filter(|pause| names.are_in(&pause.detail)) {
        sqlx::query_file!("queries/catalog/pause/redact.sql", pause.stage).execute(tx.connection()).await?;
    }
    Ok(())
}

/// A site's error, on which a search failed or broke off, may name a video.
async fn redact_searches(tx: &mut Transaction, names: &Names) -> Result<()> {
    let jobs =
        sqlx::query_file!("queries/catalog/job/list_search_details.sql").fetch_all(tx.connection()).await?;
    for job in jobs.iter().filter(|job| names.are_in(&job.detail)) {
        sqlx::query_file!("queries/catalog/job/redact.sql", job.id).execute(tx.connection()).await?;
    }
    let attempts = sqlx::query_file!("queries/catalog/attempt/list_search_details.sql")
        .fetch_all(tx.connection())
        .await?;
    for attempt in attempts.iter().filter(|attempt| names.are_in(&attempt.detail)) {
        sqlx::query_file!("queries/catalog/attempt/redact.sql", attempt.id).execute(tx.connection()).await?;
    }
    Ok(())
}

async fn redact_rounds(tx: &mut Transaction, names: &Names) -> Result<()> {
    let mut last = 0;
    loop {
        let some = sqlx::query_file!("queries/catalog/round/list_summaries.sql", last, BATCH)
            .fetch_all(tx.connection())
            .await?;
        let Some(newest) = some.last() else { return Ok(()) };
        last = newest.id;
        for round in &some {
            if let Cow::Owned(summary) = names.out_of_json(&round.summary) {
                sqlx::query_file!("queries/catalog/round/redact.sql", round.id, summary)
                    .execute(tx.connection())
                    .await?;
            }
        }
    }
}

/// Every file of a video, relative to the data folder.
pub async fn files(catalog: &Catalog, id: VideoId) -> Result<Vec<PathBuf>> {
    let files = sqlx::query_file_scalar!("queries/catalog/video/list_files.sql", id.0)
        .fetch_all(&catalog.reader)
        .await?;
    Ok(files.into_iter().map(PathBuf::from).collect())
}

/// All videos of a channel that are in the catalog.
pub async fn of_channel(catalog: &Catalog, channel_id: &str) -> Result<Vec<VideoId>> {
    let ids = sqlx::query_file_scalar!("queries/catalog/video/list_of_channel.sql", channel_id)
        .fetch_all(&catalog.reader)
        .await?;
    Ok(ids.into_iter().map(VideoId).collect())
}

/// The names of the runs with samples of a video in their lists, whose nets may have been trained on it.
pub async fn runs_on(catalog: &Catalog, id: VideoId) -> Result<Vec<String>> {
    Ok(sqlx::query_file_scalar!("queries/catalog/run/list_of_video.sql", id.0)
        .fetch_all(&catalog.reader)
        .await?)
}

/// The other videos, as `site id`, that have a clip with the same footage as one of a video's: a copy of it, its original,
/// or another copy of this.
pub async fn same_footage(catalog: &Catalog, id: VideoId) -> Result<Vec<String>> {
    let rows = sqlx::query_file!("queries/catalog/clip/list_same_footage.sql", id.0)
        .fetch_all(&catalog.reader)
        .await?;
    Ok(rows.into_iter().map(|row| format!("{} {}", row.site, row.site_id)).collect())
}

/// Videos that are here although they have a tombstone, as after a manual merge.
pub async fn tombstoned(catalog: &Catalog) -> Result<Vec<VideoId>> {
    let ids = sqlx::query_file_scalar!("queries/catalog/video/list_tombstoned.sql")
        .fetch_all(&catalog.reader)
        .await?;
    Ok(ids.into_iter().map(VideoId).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::videos::NewVideo;
    use crate::catalog::{attempts, evidence, jobs, pauses, rounds, samples, splits, tests::empty, videos};
    use crate::failure::{Failure, Reason};
    use crate::types::{Emotion, StageName};

    /// Removes a video, and its names from other rows.
    async fn forget(catalog: &Catalog, id: VideoId) {
        let names = Names::of(&[videos::get(catalog, id).await.unwrap().found]).unwrap();
        let mut tx = catalog.begin().await.unwrap();
        remove(&mut tx, &[id], "asked by mail").await.unwrap();
        redact(&mut tx, &names).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn rows(catalog: &Catalog) -> Vec<(String, i64)> {
        let mut counts = vec![];
        for table in
            ["video", "evidence", "job", "scan", "track", "clip", "sample", "crop", "split", "tombstone"]
        {
            let question = format!("select count(*) from {table}");
            let count = sqlx::query_scalar(&question).fetch_one(&catalog.reader).await.unwrap();
            counts.push((table.to_owned(), count));
        }
        counts
    }

    /// The answers that are not emptied.
    async fn still_raw(catalog: &Catalog) -> Vec<i64> {
        let pages = sqlx::query_scalar("select id from answer where raw is not null order by id");
        pages.fetch_all(&catalog.reader).await.unwrap()
    }

    #[tokio::test]
    async fn forgetting_removes_everything_of_a_video_and_nothing_of_another() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let mut ids = vec![];
        for (rank, name) in (1..).zip(["video-00001", "video-00002"]) {
            let id = videos::upsert(&mut tx, &videos::tests::some(name, Some(name))).await.unwrap().unwrap();
            samples::tests::hit(&mut tx, id, Emotion::Fear, rank).await;
            samples::tests::fill(&mut tx, id, 2).await;
            jobs::enqueue(&mut tx, StageName::Fetch, "1", 0, id.0).await.unwrap();
            ids.push(id);
        }
        tx.commit().await.unwrap();
        splits::assign(&catalog).await.unwrap();

        assert_eq!(files(&catalog, ids[0]).await.unwrap(), [PathBuf::from("clips/1.mp4")]);
        let mut tx = catalog.begin().await.unwrap();
        remove(&mut tx, &ids[..1], "asked by mail").await.unwrap();
        assert!(videos::upsert(&mut tx, &videos::tests::some("video-00001", None)).await.unwrap().is_none());
        tx.commit().await.unwrap();

        for (table, count) in rows(&catalog).await {
            let left = if table == "sample" || table == "crop" { 2 } else { 1 };
            assert_eq!(count, left, "{table}");
        }
        let raw: Vec<Option<Vec<u8>>> = sqlx::query_scalar("select raw from answer order by id")
            .fetch_all(&catalog.reader)
            .await
            .unwrap();
        assert!(raw[0].is_none() && raw[1].is_some());
        assert_eq!(samples::for_training(&catalog).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn every_answer_that_names_a_forgotten_video_is_emptied() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("video-00001", None)).await.unwrap().unwrap();
        samples::tests::hit(&mut tx, id, Emotion::Fear, 1).await;
        tx.commit().await.unwrap();
        let search = evidence::of_video(&catalog, id).await.unwrap()[0].evidence.search;
        let later: [&[u8]; 2] = [b"{\"id\":\"video-00001\"}", b"{\"id\":\"video-00002\"}"];
        // The second page of the answer that found it, then two answers that led to no evidence of it.
        let pages = [(1, &b"{\"title\":\"a name\"}"[..]), (0, later[0]), (0, later[1])];
        for (page, raw) in pages {
            let mut tx = catalog.begin().await.unwrap();
            let (asked_of, tool_version) = ("data-api", "v3");
            let row = answers::NewAnswer { search, asked_of, tool_version, page, hits: 1, raw };
            answers::insert(&mut tx, &row).await.unwrap();
            tx.commit().await.unwrap();
            catalog.clock().advance_ms(1);
        }

        forget(&catalog, id).await;
        assert_eq!(still_raw(&catalog).await, [4]);
    }

    #[tokio::test]
    async fn the_sites_error_is_emptied_but_its_presence_stays_known() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("video-00001", None)).await.unwrap().unwrap();
        samples::tests::hit(&mut tx, id, Emotion::Fear, 1).await;
        tx.commit().await.unwrap();
        let break_off = || sqlx::query("update answer set broke_off = 'video-00001: private'");
        let words = || sqlx::query_scalar::<_, Option<String>>("select broke_off from answer");
        break_off().execute(&catalog.writer).await.unwrap();
        forget(&catalog, id).await;
        assert_eq!(words().fetch_all(&catalog.reader).await.unwrap(), [Some(String::new())]);

        break_off().execute(&catalog.writer).await.unwrap();
        assert_eq!(answers::count_expired(&catalog, i64::MAX).await.unwrap(), 1);
        assert_eq!(answers::expire(&catalog, i64::MAX).await.unwrap(), 1);
        assert_eq!(words().fetch_all(&catalog.reader).await.unwrap(), [Some(String::new())]);
        assert_eq!(answers::count_expired(&catalog, i64::MAX).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn answers_that_name_the_path_or_the_hash_of_a_forgotten_local_file_are_emptied() {
        const PATH: &str = "/films/a \"name\".mp4";
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let local = NewVideo {
            site: "local".to_owned(),
            site_id: "c0ffee".to_owned(),
            url: PATH.to_owned(),
            ..NewVideo::default()
        };
        let id = videos::upsert(&mut tx, &local).await.unwrap().unwrap();
        samples::tests::hit(&mut tx, id, Emotion::Fear, 1).await;
        tx.commit().await.unwrap();
        let search = evidence::of_video(&catalog, id).await.unwrap()[0].evidence.search;
        // Another answer than the one that found it.
        catalog.clock().advance_ms(1);
        let mut tx = catalog.begin().await.unwrap();
        for named in [PATH, "c0ffee", "/films/a \"name\".mp4.mp4"] {
            let raw = serde_json::to_vec(&[named]).unwrap();
            let (asked_of, tool_version) = ("local", "1");
            let row = answers::NewAnswer { search, asked_of, tool_version, page: 0, hits: 1, raw: &raw };
            answers::insert(&mut tx, &row).await.unwrap();
        }
        tx.commit().await.unwrap();

        forget(&catalog, id).await;
        assert_eq!(still_raw(&catalog).await, [4]);
    }

    #[tokio::test]
    async fn no_byte_of_forgotten_data_stays_in_the_catalogs_file() {
        const TITLE: &str = "a title that names a person";
        let (folder, catalog) = empty().await;
        let path = folder.path().join("catalog.db");
        let has_title = |path: &std::path::Path| {
            std::fs::read(path).unwrap().windows(TITLE.len()).any(|bytes| bytes == TITLE.as_bytes())
        };
        // A second open catalog prevents SQLite from checkpointing when the first one is closed.
        let beside = Catalog::open(&path, catalog.clock()).await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        let titled = NewVideo { title: Some(TITLE.to_owned()), ..videos::tests::some("a", None) };
        let id = videos::upsert(&mut tx, &titled).await.unwrap().unwrap();
        pauses::begin(&mut tx, StageName::Fetch, Reason::Blocked, TITLE, None).await.unwrap();
        let round = rounds::begin(&mut tx, "host:1:1").await.unwrap();
        let summary = format!("{{\"failures\": [{{\"example\": \"of {TITLE}, private\"}}]}}");
        rounds::end(&mut tx, round, Some(1), Some(&summary)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(catalog.checkpoint().await.unwrap() && has_title(&path));

        let mut reading = beside.reader.begin().await.unwrap();
        sqlx::query("select count(*) from video").execute(&mut *reading).await.unwrap();
        forget(&catalog, id).await;
        assert!(!catalog.checkpoint().await.unwrap(), "another one reads");
        reading.rollback().await.unwrap();
        assert!(catalog.checkpoint().await.unwrap());
        assert!(!has_title(&path) && !has_title(&folder.path().join("catalog.db-wal")));
    }

    #[tokio::test]
    async fn what_the_site_said_to_a_search_stops_naming_who_was_forgotten() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("iu6mbBBDm7S", None)).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let (naming, other) =
            ("broke off: [youtube] iu6mbBBDm7S: private", "broke off: [youtube] abcdefghijk");
        for (subject, said) in [(1, naming), (2, other)] {
            let mut tx = catalog.begin().await.unwrap();
            jobs::enqueue(&mut tx, StageName::Search, "1", 0, subject).await.unwrap();
            tx.commit().await.unwrap();
            let claim = jobs::Claim { stage: StageName::Search, rev: "1", worker: "w", lease_ms: 10_000 };
            let held = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
            let mut tx = catalog.begin().await.unwrap();
            attempts::insert(&mut tx, &held, &Failure::transient(Reason::Network, said)).await.unwrap();
            let verdict = jobs::Verdict { reason: Reason::Network, detail: said };
            jobs::give_up(&mut tx, &held, verdict).await.unwrap();
            tx.commit().await.unwrap();
        }
        forget(&catalog, id).await;
        let details = "select attempt.detail || '; ' || coalesce(job.detail, '') from attempt
            join job on job.id = job_id order by attempt.id";
        let details: Vec<String> = sqlx::query_scalar(details).fetch_all(&catalog.reader).await.unwrap();
        assert_eq!(details, ["; ".to_owned(), format!("{other}; {other}")]);
    }

    #[tokio::test]
    async fn names_are_removed_from_rounds_and_pauses_and_ended_pauses_are_deleted() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("iu6mbBBDm7S", None)).await.unwrap().unwrap();
        let (naming, other) = ("[youtube] iu6mbBBDm7S: a robot", "[youtube] abcdefghijk: a robot");
        let over = Some(tx.now_ms());
        for (stage, detail, resume_at) in [
            (StageName::Fetch, naming, None),
            (StageName::Search, other, None),
            (StageName::Scan, other, over),
        ] {
            pauses::begin(&mut tx, stage, Reason::Blocked, detail, resume_at).await.unwrap();
        }
        for example in [naming, other] {
            let round = rounds::begin(&mut tx, "host:1:1").await.unwrap();
            let summary = format!("{{\"totals\":{{\"videos\":1}},\"example\":\"{example}\"}}");
            rounds::end(&mut tx, round, Some(1), Some(&summary)).await.unwrap();
        }
        tx.commit().await.unwrap();

        forget(&catalog, id).await;
        let details = sqlx::query_scalar("select stage || ' ' || detail from pause order by stage");
        let details: Vec<String> = details.fetch_all(&catalog.reader).await.unwrap();
        assert_eq!(details, ["fetch ".to_owned(), format!("search {other}")]);
        let summaries: Vec<_> =
            rounds::list(&catalog, 9).await.unwrap().into_iter().map(|it| it.summary).collect();
        let kept = format!("{{\"totals\":{{\"videos\":1}},\"example\":\"{other}\"}}");
        let emptied = "{\"totals\":{\"videos\":1},\"example\":\"(forgotten)\"}".to_owned();
        assert_eq!(summaries, [Some(kept), Some(emptied)]);
    }
}
