//! Whether a catalog is sound: SQLite's own checks, and the files that rows name, which the caller compares with those on
//! disk. Read-only.

use std::path::PathBuf;

use super::{Catalog, Result, number};
use crate::types::VideoId;

/// A file as a row describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromisedFile {
    /// `video` or `clip`.
    pub what: String,
    /// The video that it belongs to.
    pub video: VideoId,
    /// Relative to the data folder.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// Its hash, in hex.
    pub sha256: String,
    /// It is a clip of a superseded scan.
    pub is_superseded: bool,
}

/// A video with a sample whose picture is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WithoutCrop {
    /// The video.
    pub video: VideoId,
    /// The sample is of a superseded scan.
    pub is_superseded: bool,
}

/// The problems that SQLite finds in the file and in references between rows; empty when there is none.
pub async fn integrity(catalog: &Catalog) -> Result<Vec<String>> {
    let reader = &catalog.reader;
    let mut problems =
        sqlx::query_file_scalar!("queries/catalog/check/integrity.sql").fetch_all(reader).await?;
    problems.retain(|problem| problem != "ok");
    problems
        .extend(sqlx::query_file_scalar!("queries/catalog/check/foreign_keys.sql").fetch_all(reader).await?);
    Ok(problems)
}

/// Every file that a row names.
pub async fn files(catalog: &Catalog) -> Result<Vec<PromisedFile>> {
    let rows = sqlx::query_file!("queries/catalog/check/list_files.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            Ok(PromisedFile {
                what: row.what,
                video: VideoId(row.video_id),
                path: PathBuf::from(row.file_path),
                size_bytes: number(row.size_bytes)?,
                sha256: row.sha256,
                is_superseded: row.is_superseded,
            })
        })
        .collect()
}

/// Videos with a sample whose picture is missing; twice if this holds for the latest scan and for a superseded one.
pub async fn without_crop(catalog: &Catalog) -> Result<Vec<WithoutCrop>> {
    let rows =
        sqlx::query_file!("queries/catalog/check/list_without_crop.sql").fetch_all(&catalog.reader).await?;
    let one = |video, is_superseded| WithoutCrop { video: VideoId(video), is_superseded };
    Ok(rows.into_iter().map(|row| one(row.video_id, row.is_superseded)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{samples, tests::empty, videos};

    #[tokio::test]
    async fn a_sound_catalog_has_no_problems_and_a_damaged_one_has_them_named() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        let ids = samples::tests::fill(&mut tx, video, 2).await;
        tx.commit().await.unwrap();
        assert!(integrity(&catalog).await.unwrap().is_empty());
        assert!(without_crop(&catalog).await.unwrap().is_empty());
        assert_eq!(files(&catalog).await.unwrap()[0].what, "clip");

        let mut torn = catalog.writer.acquire().await.unwrap();
        sqlx::query("pragma foreign_keys = off").execute(&mut *torn).await.unwrap();
        sqlx::query("delete from crop where sample_id = $1")
            .bind(ids[0].0)
            .execute(&mut *torn)
            .await
            .unwrap();
        sqlx::query("delete from video").execute(&mut *torn).await.unwrap();
        drop(torn);
        let problems = integrity(&catalog).await.unwrap();
        assert!(
            problems.iter().any(|problem| problem.contains("clip row 1 names a row of video")),
            "{problems:?}"
        );
        assert_eq!(without_crop(&catalog).await.unwrap(), [WithoutCrop { video, is_superseded: false }]);
    }
}
