//! The runs' rows that are lost when the samples of a scan are replaced.

use super::super::{Result, Transaction, number};
use crate::types::{ScanId, VideoId};

/// Counts of samples that are removed together with the runs' rows about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Losses {
    /// Samples in the lists of runs.
    pub listed: u64,
    /// Samples whose label an adopted run changed.
    pub adopted: u64,
}

impl Losses {
    /// Logs a warning, if there are any.
    pub fn warn(&self, video: VideoId) {
        let Self { listed, adopted } = self;
        if *listed > 0 {
            tracing::warn!(
                "the clips of video {} are made again: {listed} samples leave the lists of runs, {adopted} of them with a \
                 label that was adopted",
                video.0
            );
        }
    }
}

/// What is lost when a scan's clips are deleted.
pub async fn losses_of_scan(tx: &mut Transaction, scan: ScanId) -> Result<Losses> {
    let row = sqlx::query_file!("queries/catalog/run_sample/count_of_scan.sql", scan.0)
        .fetch_one(tx.connection())
        .await?;
    Ok(Losses { listed: number(row.listed)?, adopted: number(row.adopted)? })
}
