//! What a run leaves beside its checkpoints for people and their tools: `metrics.jsonl`, and TensorBoard's event file.
//! Both are written anew when a run begins or goes on, from all epochs that its checkpoint knows.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::tensorboard::EventFile;
use crate::clock::Clock;
use crate::train::metrics::EpochMetrics;

/// One line an epoch.
const METRICS: &str = "metrics.jsonl";
/// TensorBoard's `--logdir`, or below it.
const BOARD: &str = "tensorboard";

/// A run's open diary.
pub(super) struct Diary {
    lines: File,
    board: EventFile,
    clock: Clock,
}

impl Diary {
    /// Begins it in a run's folder with the epochs that are done.
    pub(super) fn begin(folder: &Path, history: &[EpochMetrics], clock: Clock) -> anyhow::Result<Self> {
        let path = folder.join(METRICS);
        let lines = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let path = folder.join(BOARD);
        let board = EventFile::create(&path, clock.now_ms());
        let board = board.with_context(|| format!("cannot write into {}", path.display()))?;
        let mut diary = Self { lines, board, clock };
        history.iter().try_for_each(|metrics| diary.epoch(metrics))?;
        Ok(diary)
    }

    /// Adds an epoch.
    pub(super) fn epoch(&mut self, metrics: &EpochMetrics) -> anyhow::Result<()> {
        writeln!(self.lines, "{}", serde_json::to_string(metrics)?).context("cannot write metrics.jsonl")?;
        self.board.epoch(metrics, self.clock.now_ms()).context("cannot write TensorBoard's events")
    }
}
