//! The `local_file` table: the files on disk that videos were added from, with their size and time then.

use std::collections::HashMap;

use super::{Catalog, Result, Transaction, integer, number};
use crate::types::VideoId;

/// The size and time of a file. While these are the same, its content is assumed to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its length.
    pub size_bytes: u64,
    /// When it was last written, milliseconds since 1970.
    pub modified_ms: i64,
}

/// A file that a video was added from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Its size and time then.
    pub stamp: Stamp,
    /// Hash of its content, in hexadecimal.
    pub sha256: String,
}

/// Every file that videos were added from, by its absolute path.
pub async fn list(catalog: &Catalog) -> Result<HashMap<String, LocalFile>> {
    let rows = sqlx::query_file!("queries/catalog/local_file/list.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            let stamp = Stamp { size_bytes: number(row.size_bytes)?, modified_ms: row.modified_ms };
            Ok((row.path, LocalFile { stamp, sha256: row.sha256 }))
        })
        .collect()
}

/// The paths at which a video was found.
pub async fn of_video(catalog: &Catalog, video: VideoId) -> Result<Vec<String>> {
    Ok(sqlx::query_file_scalar!("queries/catalog/local_file/list_of_video.sql", video.0)
        .fetch_all(&catalog.reader)
        .await?)
}

/// Records which video a file contains, and the file's size and time.
pub async fn put(tx: &mut Transaction, path: &str, stamp: Stamp, video: VideoId) -> Result<()> {
    let size_bytes = integer(stamp.size_bytes);
    sqlx::query_file!("queries/catalog/local_file/put.sql", path, size_bytes, stamp.modified_ms, video.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::empty;
    use crate::catalog::{forget, videos};

    #[tokio::test]
    async fn paths_of_a_forgotten_video_are_removed() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        for size_bytes in [3, 7] {
            put(&mut tx, "/films/a.mp4", Stamp { size_bytes, modified_ms: 5 }, id).await.unwrap();
        }
        tx.commit().await.unwrap();
        let file = LocalFile { stamp: Stamp { size_bytes: 7, modified_ms: 5 }, sha256: "a".to_owned() };
        assert_eq!(list(&catalog).await.unwrap(), HashMap::from([("/films/a.mp4".to_owned(), file)]));
        let mut tx = catalog.begin().await.unwrap();
        forget::remove(&mut tx, &[id], "asked for").await.unwrap();
        tx.commit().await.unwrap();
        assert!(list(&catalog).await.unwrap().is_empty());
    }
}
