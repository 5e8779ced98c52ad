//! The `video` table: the videos that were found, and their files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError, Result, Transaction, number, tombstones};
use crate::types::{Emotion, VideoId};

/// A video as its site describes it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NewVideo {
    /// `youtube` or `local`.
    pub site: String,
    /// The site's id; for `local` the sha256 of the file.
    pub site_id: String,
    /// The address of its page; for `local` the path.
    pub url: String,
    /// Its title.
    pub title: Option<String>,
    /// Its channel.
    pub channel_id: Option<String>,
    /// Its channel's name.
    pub channel_name: Option<String>,
    /// Its duration according to the site, milliseconds.
    pub promised_duration_ms: Option<i64>,
    /// Its licence, as the site words it.
    pub licence: Option<String>,
}

impl NewVideo {
    /// The source by which it gets its split: its channel, else the video itself.
    fn source(&self) -> String {
        match &self.channel_id {
            Some(channel) => format!("channel:{channel}"),
            None => format!("video:{}:{}", self.site, self.site_id),
        }
    }
}

/// A file in the data folder, probed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoFile {
    /// Relative to the data folder.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// Its hash, in hex.
    pub sha256: String,
    /// Container, as FFmpeg names it.
    pub container: String,
    /// Codec, as FFmpeg names it.
    pub video_codec: String,
    /// Width of the picture in pixels, rotation applied.
    pub width: u32,
    /// Height of the picture in pixels, rotation applied.
    pub height: u32,
    /// Measured duration.
    pub duration_ms: i64,
    /// Mean frames a second.
    pub frame_rate: f64,
}

/// A video as the catalog has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// Its row.
    pub id: VideoId,
    /// What the site says of it.
    pub found: NewVideo,
    /// The source by which it gets its split.
    pub source: String,
    /// Its file, while there is one.
    pub file: Option<VideoFile>,
}

/// Stores or updates a video that was found. None when it has a tombstone.
pub async fn upsert(tx: &mut Transaction, video: &NewVideo) -> Result<Option<VideoId>> {
    if tombstones::stands_in(tx, &video.site, &video.site_id).await? {
        return Ok(None);
    }
    let (source, now_ms) = (video.source(), tx.now_ms());
    let id = sqlx::query_file_scalar!(
        "queries/catalog/video/upsert.sql",
        video.site,
        video.site_id,
        video.url,
        video.title,
        video.channel_id,
        video.channel_name,
        source,
        video.promised_duration_ms,
        video.licence,
        now_ms
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Some(VideoId(id)))
}

/// Records the file that was fetched.
pub async fn set_file(tx: &mut Transaction, id: VideoId, file: &VideoFile) -> Result<()> {
    let (path, size_bytes, now_ms) = (path_text(&file.path)?, super::integer(file.size_bytes), tx.now_ms());
    sqlx::query_file!(
        "queries/catalog/video/set_file.sql",
        id.0,
        path,
        size_bytes,
        file.sha256,
        file.container,
        file.video_codec,
        file.width,
        file.height,
        file.duration_ms,
        file.frame_rate,
        now_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records that the file is gone; what was derived from it stays.
pub async fn discard_file(tx: &mut Transaction, id: VideoId) -> Result<()> {
    let now_ms = tx.now_ms();
    sqlx::query_file!("queries/catalog/video/discard_file.sql", id.0, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Records that the file was fetched into another data folder, and when (milliseconds since 1970). Does nothing and returns
/// false if the video has a file here.
pub async fn set_elsewhere(tx: &mut Transaction, id: VideoId, fetched_at: i64) -> Result<bool> {
    let now_ms = tx.now_ms();
    let done = sqlx::query_file!("queries/catalog/video/set_elsewhere.sql", id.0, fetched_at, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The file of a video that is no longer needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutSource {
    /// The video.
    pub video: VideoId,
    /// Its file, relative to the data folder.
    pub path: String,
    /// The file's size.
    pub size_bytes: u64,
}

/// Files that are no longer needed: of videos that were scanned, and cut or found to give no clip.
pub async fn finished_sources(tx: &mut Transaction) -> Result<Vec<CutSource>> {
    let rows = sqlx::query_file!("queries/catalog/video/list_cut.sql").fetch_all(tx.connection()).await?;
    rows.into_iter()
        .map(|row| {
            let (video, size_bytes) = (VideoId(row.id), number(row.size_bytes)?);
            Ok(CutSource { video, path: row.file_path, size_bytes })
        })
        .collect()
}

/// The number of videos whose file was discarded before it was scanned with a revision of the scan.
pub async fn count_left_behind(catalog: &Catalog, rev: &str) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/video/count_left_behind.sql", rev)
        .fetch_one(&catalog.reader)
        .await?;
    number(count)
}

/// One video.
pub async fn get(catalog: &Catalog, id: VideoId) -> Result<Video> {
    get_with(&catalog.reader, id).await
}

/// The same within a transaction.
pub async fn get_in(tx: &mut Transaction, id: VideoId) -> Result<Video> {
    get_with(tx.connection(), id).await
}

async fn get_with(executor: impl sqlx::SqliteExecutor<'_>, id: VideoId) -> Result<Video> {
    sqlx::query_file_as!(Row, "queries/catalog/video/get.sql", id.0)
        .fetch_optional(executor)
        .await?
        .ok_or_else(|| CatalogError::NoRow { what: format!("video {}", id.0) })?
        .read()
}

/// The row of a site's video.
pub async fn find(catalog: &Catalog, site: &str, site_id: &str) -> Result<Option<VideoId>> {
    find_with(&catalog.reader, site, site_id).await
}

/// The same within a transaction.
pub(crate) async fn find_in(tx: &mut Transaction, site: &str, site_id: &str) -> Result<Option<VideoId>> {
    find_with(tx.connection(), site, site_id).await
}

async fn find_with(
    executor: impl sqlx::SqliteExecutor<'_>,
    site: &str,
    site_id: &str,
) -> Result<Option<VideoId>> {
    let id = sqlx::query_file_scalar!("queries/catalog/video/find.sql", site, site_id)
        .fetch_optional(executor)
        .await?;
    Ok(id.map(VideoId))
}

/// The video whose file this is; a path relative to the data folder.
pub async fn find_file(catalog: &Catalog, path: &str) -> Result<Option<VideoId>> {
    let id = sqlx::query_file_scalar!("queries/catalog/video/find_file.sql", path)
        .fetch_optional(&catalog.reader)
        .await?;
    Ok(id.map(VideoId))
}

/// The number of an emotion's videos whose download was not rejected or given up.
pub async fn count_of_emotion(tx: &mut Transaction, emotion: Emotion) -> Result<i64> {
    let emotion = emotion.as_str();
    Ok(sqlx::query_file_scalar!("queries/catalog/video/count_of_emotion.sql", emotion)
        .fetch_one(tx.connection())
        .await?)
}

/// The number of videos that [`expire_metadata`] would change.
pub async fn count_expired_metadata(catalog: &Catalog, before_ms: i64) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/video/count_expired.sql", before_ms);
    number(count.fetch_one(&catalog.reader).await?)
}

/// Empties titles and channel names that were last read from the site before a time (milliseconds since 1970); returns the
/// number of videos changed. Ids, evidence and labels stay.
pub async fn expire_metadata(catalog: &Catalog, before_ms: i64) -> Result<u64> {
    let done =
        sqlx::query_file!("queries/catalog/video/expire.sql", before_ms).execute(&catalog.writer).await?;
    Ok(done.rows_affected())
}

/// Videos of YouTube whose metadata is older than `before_ms`, or `missing_before_ms` for those that were missing
/// (milliseconds since 1970), oldest first, with the site's ids.
pub async fn stale(
    catalog: &Catalog,
    before_ms: i64,
    missing_before_ms: i64,
) -> Result<Vec<(VideoId, String)>> {
    let rows = sqlx::query_file!("queries/catalog/video/list_stale.sql", before_ms, missing_before_ms)
        .fetch_all(&catalog.reader)
        .await?;
    Ok(rows.into_iter().map(|row| (VideoId(row.id), row.site_id)).collect())
}

/// Records that the site no longer has a video; its title and its channel's name are emptied.
pub async fn set_missing(tx: &mut Transaction, id: VideoId) -> Result<()> {
    let now_ms = tx.now_ms();
    sqlx::query_file!("queries/catalog/video/set_missing.sql", id.0, now_ms).execute(tx.connection()).await?;
    Ok(())
}

/// Videos that the site no longer has, and whether that is certain: it was asked twice, at least this far apart.
pub async fn missing(catalog: &Catalog, apart_ms: i64) -> Result<Vec<(VideoId, bool)>> {
    let rows = sqlx::query_file!("queries/catalog/video/list_missing.sql", apart_ms)
        .fetch_all(&catalog.reader)
        .await?;
    Ok(rows.into_iter().map(|row| (VideoId(row.id), row.is_certain)).collect())
}

/// All videos that have a file, oldest row first.
pub async fn with_file(catalog: &Catalog) -> Result<Vec<VideoId>> {
    let ids = sqlx::query_file_scalar!("queries/catalog/video/list_with_file.sql")
        .fetch_all(&catalog.reader)
        .await?;
    Ok(ids.into_iter().map(VideoId).collect())
}

/// Every file of a video or clip that a row names, with its SHA-256: for gc and check.
pub async fn files(catalog: &Catalog) -> Result<Vec<(PathBuf, String)>> {
    let rows =
        sqlx::query_file!("queries/catalog/video/list_all_files.sql").fetch_all(&catalog.reader).await?;
    Ok(rows.into_iter().map(|row| (PathBuf::from(row.file_path), row.sha256)).collect())
}

/// A path as the catalog stores it.
pub(super) fn path_text(path: &std::path::Path) -> Result<&str> {
    path.to_str().ok_or_else(|| CatalogError::Damaged { detail: format!("{} is not UTF-8", path.display()) })
}

struct Row {
    id: i64,
    site: String,
    site_id: String,
    url: String,
    title: Option<String>,
    channel_id: Option<String>,
    channel_name: Option<String>,
    source: String,
    promised_duration_ms: Option<i64>,
    licence: Option<String>,
    file_path: Option<String>,
    size_bytes: Option<i64>,
    sha256: Option<String>,
    container: Option<String>,
    video_codec: Option<String>,
    width: Option<i64>,
    height: Option<i64>,
    duration_ms: Option<i64>,
    frame_rate: Option<f64>,
}

impl Row {
    fn read(mut self) -> Result<Video> {
        let file = self.file_path.take().map(|path| self.file(path)).transpose()?;
        Ok(Video {
            id: VideoId(self.id),
            found: NewVideo {
                site: self.site,
                site_id: self.site_id,
                url: self.url,
                title: self.title,
                channel_id: self.channel_id,
                channel_name: self.channel_name,
                promised_duration_ms: self.promised_duration_ms,
                licence: self.licence,
            },
            source: self.source,
            file,
        })
    }

    fn file(&mut self, path: String) -> Result<VideoFile> {
        Ok(VideoFile {
            path: PathBuf::from(path),
            size_bytes: number(self.size_bytes.unwrap_or_default())?,
            sha256: self.sha256.take().unwrap_or_default(),
            container: self.container.take().unwrap_or_default(),
            video_codec: self.video_codec.take().unwrap_or_default(),
            width: number(self.width.unwrap_or_default())?,
            height: number(self.height.unwrap_or_default())?,
            duration_ms: self.duration_ms.unwrap_or_default(),
            frame_rate: self.frame_rate.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::catalog::tests::empty;

    pub(crate) fn some(site_id: &str, channel: Option<&str>) -> NewVideo {
        NewVideo {
            site: "youtube".to_owned(),
            site_id: site_id.to_owned(),
            url: format!("https://example.org/{site_id}"),
            channel_id: channel.map(ToOwned::to_owned),
            ..NewVideo::default()
        }
    }

    #[tokio::test]
    async fn a_video_found_twice_is_one_row_and_keeps_known_values() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let titled = NewVideo { title: Some("a title".to_owned()), ..some("a", None) };
        let first = upsert(&mut tx, &titled).await.unwrap().unwrap();
        let second = upsert(&mut tx, &some("a", Some("c"))).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        assert_eq!(first, second);
        let video = get(&catalog, first).await.unwrap();
        assert_eq!(video.found.title.as_deref(), Some("a title"));
        assert_eq!(video.source, "channel:c");
        assert_eq!(find(&catalog, "youtube", "a").await.unwrap(), Some(first));
    }

    #[tokio::test]
    async fn a_file_is_set_and_discarded_while_the_row_stays() {
        let (_folder, catalog) = empty().await;
        let file = VideoFile {
            path: "videos/a.mp4".into(),
            size_bytes: 5_000,
            sha256: "00".repeat(32),
            container: "mov".to_owned(),
            video_codec: "h264".to_owned(),
            width: 640,
            height: 360,
            duration_ms: 9_000,
            frame_rate: 25.0,
        };
        let mut tx = catalog.begin().await.unwrap();
        let id = upsert(&mut tx, &some("a", None)).await.unwrap().unwrap();
        set_file(&mut tx, id, &file).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(get(&catalog, id).await.unwrap().file, Some(file));
        assert_eq!(with_file(&catalog).await.unwrap(), [id]);
        let mut tx = catalog.begin().await.unwrap();
        discard_file(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(get(&catalog, id).await.unwrap().file, None);
    }
}
