//! Removes a person's data: all rows of a video, and a tombstone in their place.

use std::path::PathBuf;

use super::{Catalog, Result, Transaction, answers, json, tombstones};
use crate::types::VideoId;

/// Removes a video with all that came of it: evidence, raw answers that name it, jobs, scans, tracks, clips, samples,
/// crops and what runs said of them. Returns the files, relative to the data folder, to delete after the commit.
pub async fn video(tx: &mut Transaction, id: VideoId, reason: &str) -> Result<Vec<PathBuf>> {
    videos(tx, &[id], reason).await
}

/// The same with several at once: the raw answers are read through once.
pub async fn videos(tx: &mut Transaction, ids: &[VideoId], reason: &str) -> Result<Vec<PathBuf>> {
    videos_and_names(tx, ids, &[], reason).await
}

/// The same; those of `unknown`, by site and id, are not here: they get their tombstones, and the raw answers that name
/// them all the same are emptied.
pub async fn videos_and_names(
    tx: &mut Transaction,
    ids: &[VideoId],
    unknown: &[(&str, &str)],
    reason: &str,
) -> Result<Vec<PathBuf>> {
    let (mut gone, mut names) = (Vec::new(), Vec::new());
    for id in ids {
        let (of_video, named) = remove(tx, *id, reason).await?;
        gone.extend(of_video);
        names.extend(named);
    }
    for (site, site_id) in unknown {
        tombstones::insert(tx, site, site_id, reason).await?;
        names.push((*site_id).to_owned());
    }
    answers::redact(tx, &names).await?;
    Ok(gone)
}

/// Removes a video and the raw answers that led to it; returns its files, and what further raw answers may name it by.
async fn remove(tx: &mut Transaction, id: VideoId, reason: &str) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let files = files_in(tx.connection(), id).await?;
    sqlx::query_file!("queries/catalog/answer/redact.sql", id.0).execute(tx.connection()).await?;
    sqlx::query_file!("queries/catalog/job/delete.sql", id.0).execute(tx.connection()).await?;
    let gone =
        sqlx::query_file!("queries/catalog/video/delete.sql", id.0).fetch_optional(tx.connection()).await?;
    let Some(gone) = gone else { return Ok((files, Vec::new())) };
    tombstones::insert(tx, &gone.site, &gone.site_id, reason).await?;
    sqlx::query_file!("queries/catalog/split/delete.sql", gone.source).execute(tx.connection()).await?;
    let mut names = vec![gone.site_id];
    if gone.site == "local" {
        // As it stands in the JSON of an answer: the whole of it, so that of paths that begin alike only this one is meant.
        names.push(json(&gone.url)?);
    }
    Ok((files, names))
}

/// Every file that goes with a video, relative to the data folder.
pub async fn files(catalog: &Catalog, id: VideoId) -> Result<Vec<PathBuf>> {
    files_in(&mut *catalog.reader.acquire().await?, id).await
}

async fn files_in(connection: &mut sqlx::SqliteConnection, id: VideoId) -> Result<Vec<PathBuf>> {
    let files =
        sqlx::query_file_scalar!("queries/catalog/video/list_files.sql", id.0).fetch_all(connection).await?;
    Ok(files.into_iter().map(PathBuf::from).collect())
}

/// All videos of a channel that are known today.
pub async fn of_channel(catalog: &Catalog, channel_id: &str) -> Result<Vec<VideoId>> {
    let ids = sqlx::query_file_scalar!("queries/catalog/video/list_of_channel.sql", channel_id)
        .fetch_all(&catalog.reader)
        .await?;
    Ok(ids.into_iter().map(VideoId).collect())
}

/// The names of the runs that have samples of a video in their lists: their nets may have learnt from it.
pub async fn runs_on(catalog: &Catalog, id: VideoId) -> Result<Vec<String>> {
    Ok(sqlx::query_file_scalar!("queries/catalog/run/list_of_video.sql", id.0)
        .fetch_all(&catalog.reader)
        .await?)
}

/// Videos that have a tombstone and are here all the same, as after a merge by hand.
pub async fn tombstoned(catalog: &Catalog) -> Result<Vec<VideoId>> {
    let ids = sqlx::query_file_scalar!("queries/catalog/video/list_tombstoned.sql")
        .fetch_all(&catalog.reader)
        .await?;
    Ok(ids.into_iter().map(VideoId).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{evidence, jobs, samples, splits, tests::empty, videos};
    use crate::types::Emotion;

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

    /// The pages of answers that are not emptied.
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
            jobs::enqueue(&mut tx, "fetch", "1", 0, id.0).await.unwrap();
            ids.push(id);
        }
        tx.commit().await.unwrap();
        splits::assign(&catalog).await.unwrap();

        let mut tx = catalog.begin().await.unwrap();
        let files = video(&mut tx, ids[0], "asked by mail").await.unwrap();
        assert_eq!(files, [PathBuf::from("clips/1.mp4")]);
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
    async fn no_page_of_any_answer_goes_on_naming_who_was_forgotten() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("video-00001", None)).await.unwrap().unwrap();
        samples::tests::hit(&mut tx, id, Emotion::Fear, 1).await;
        tx.commit().await.unwrap();
        let search = evidence::of_video(&catalog, id).await.unwrap()[0].evidence.search;
        let later: [&[u8]; 2] = [b"{\"id\":\"video-00001\"}", b"{\"id\":\"video-00002\"}"];
        // The second page of the asking that found it, then two askings that led to no evidence of it.
        let pages = [(1, &b"{\"title\":\"a name\"}"[..]), (0, later[0]), (0, later[1])];
        for (page, raw) in pages {
            let mut tx = catalog.begin().await.unwrap();
            let (asked_of, tool_version) = ("data-api", "v3");
            let row = answers::NewAnswer { search, asked_of, tool_version, page, hits: 1, raw };
            answers::insert(&mut tx, &row).await.unwrap();
            tx.commit().await.unwrap();
            catalog.clock().advance_ms(1);
        }

        let mut tx = catalog.begin().await.unwrap();
        video(&mut tx, id, "asked by mail").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(still_raw(&catalog).await, [4]);
    }

    #[tokio::test]
    async fn of_a_file_on_disk_no_later_answer_goes_on_naming_its_path_or_its_bytes() {
        const PATH: &str = "/films/a \"name\".mp4";
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let local = videos::NewVideo {
            site: "local".to_owned(),
            site_id: "c0ffee".to_owned(),
            url: PATH.to_owned(),
            ..videos::NewVideo::default()
        };
        let id = videos::upsert(&mut tx, &local).await.unwrap().unwrap();
        samples::tests::hit(&mut tx, id, Emotion::Fear, 1).await;
        tx.commit().await.unwrap();
        let search = evidence::of_video(&catalog, id).await.unwrap()[0].evidence.search;
        // Another asking than the one that found it.
        catalog.clock().advance_ms(1);
        let mut tx = catalog.begin().await.unwrap();
        for named in [PATH, "c0ffee", "/films/a \"name\".mp4.mp4"] {
            let raw = serde_json::to_vec(&[named]).unwrap();
            let (asked_of, tool_version) = ("local", "1");
            let row = answers::NewAnswer { search, asked_of, tool_version, page: 0, hits: 1, raw: &raw };
            answers::insert(&mut tx, &row).await.unwrap();
        }
        tx.commit().await.unwrap();

        let mut tx = catalog.begin().await.unwrap();
        video(&mut tx, id, "asked by mail").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(still_raw(&catalog).await, [4]);
    }

    #[tokio::test]
    async fn of_what_is_forgotten_not_a_byte_stays_in_the_catalogs_file() {
        const TITLE: &str = "a title that names a person";
        let (folder, catalog) = empty().await;
        let path = folder.path().join("catalog.db");
        let has_title = |path: &std::path::Path| {
            std::fs::read(path).unwrap().windows(TITLE.len()).any(|bytes| bytes == TITLE.as_bytes())
        };
        // Who has it open as well keeps the log from being written into the file when the first one lets go.
        let beside = Catalog::open(&path, catalog.clock()).await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        let titled = videos::NewVideo { title: Some(TITLE.to_owned()), ..videos::tests::some("a", None) };
        let id = videos::upsert(&mut tx, &titled).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        assert!(catalog.checkpoint().await.unwrap() && has_title(&path));

        let mut reading = beside.reader.begin().await.unwrap();
        sqlx::query("select count(*) from video").execute(&mut *reading).await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        video(&mut tx, id, "asked for").await.unwrap();
        tx.commit().await.unwrap();
        assert!(!catalog.checkpoint().await.unwrap(), "another one reads");
        reading.rollback().await.unwrap();
        assert!(catalog.checkpoint().await.unwrap());
        assert!(!has_title(&path) && !has_title(&folder.path().join("catalog.db-wal")));
    }
}
