//! Removes a person's data: all rows of a video or channel, and a tombstone in their place.

use std::path::PathBuf;

use super::{Catalog, Result, Transaction, tombstones};
use crate::types::VideoId;

/// Removes a video with all that came of it: evidence, raw answers that name it, jobs, scans, tracks, clips, samples,
/// crops and what runs said of them. Returns the files, relative to the data folder, to delete after the commit.
pub async fn video(tx: &mut Transaction, id: VideoId, reason: &str) -> Result<Vec<PathBuf>> {
    let files = sqlx::query_file_scalar!("queries/catalog/video/list_files.sql", id.0)
        .fetch_all(tx.connection())
        .await?;
    sqlx::query_file!("queries/catalog/answer/redact.sql", id.0).execute(tx.connection()).await?;
    sqlx::query_file!("queries/catalog/job/delete.sql", id.0).execute(tx.connection()).await?;
    let gone =
        sqlx::query_file!("queries/catalog/video/delete.sql", id.0).fetch_optional(tx.connection()).await?;
    if let Some(gone) = gone {
        tombstones::insert(tx, &gone.site, &gone.site_id, reason).await?;
        sqlx::query_file!("queries/catalog/split/delete.sql", gone.source).execute(tx.connection()).await?;
    }
    Ok(files.into_iter().map(PathBuf::from).collect())
}

/// Removes all videos of a channel that are known today; returns their files.
pub async fn channel(tx: &mut Transaction, channel_id: &str, reason: &str) -> Result<Vec<PathBuf>> {
    let ids = sqlx::query_file_scalar!("queries/catalog/video/list_of_channel.sql", channel_id)
        .fetch_all(tx.connection())
        .await?;
    let mut files = Vec::new();
    for id in ids {
        files.extend(video(tx, VideoId(id), reason).await?);
    }
    Ok(files)
}

/// Videos that have a tombstone and are here all the same, as after a merge by hand, each with the tombstone's reason.
pub async fn tombstoned(catalog: &Catalog) -> Result<Vec<(VideoId, String)>> {
    let rows =
        sqlx::query_file!("queries/catalog/video/list_tombstoned.sql").fetch_all(&catalog.reader).await?;
    Ok(rows.into_iter().map(|row| (VideoId(row.id), row.reason)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{jobs, samples, splits, tests::empty, videos};
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

    #[tokio::test]
    async fn forgetting_removes_everything_of_a_video_and_nothing_of_another() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let mut ids = vec![];
        for name in ["a", "b"] {
            let id = videos::upsert(&mut tx, &videos::tests::some(name, Some(name))).await.unwrap().unwrap();
            samples::tests::hit(&mut tx, id, Emotion::Fear, 1).await;
            samples::tests::fill(&mut tx, id, 2).await;
            jobs::enqueue(&mut tx, "fetch", "1", 0, id.0).await.unwrap();
            ids.push(id);
        }
        tx.commit().await.unwrap();
        splits::assign(&catalog).await.unwrap();

        let mut tx = catalog.begin().await.unwrap();
        let files = channel(&mut tx, "a", "asked by mail").await.unwrap();
        assert_eq!(files, [PathBuf::from("clips/1.mp4")]);
        assert!(videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().is_none());
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
}
