//! Event files for TensorBoard: TFRecord frames around the few protocol buffers that scalars and histograms need
//! (tensorflow/core/util/event.proto and framework/summary.proto).

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::train::metrics::{EpochMetrics, SplitMetrics};

/// Its name must contain `tfevents`. There is one per run, rewritten when the run resumes.
const FILE: &str = "events.out.tfevents.0.webemotion";

/// An open event file.
pub(super) struct EventFile(File);

impl EventFile {
    /// Creates a run's file in `folder`; `now_ms` is since 1970.
    pub(super) fn create(folder: &Path, now_ms: i64) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut file = Self(File::create(folder.join(FILE))?);
        let now_s = now_ms as f64 / 1_000.0;
        file.record(&Message::default().double(1, now_s).bytes(3, b"brain.Event:2").0)?;
        Ok(file)
    }

    /// Adds an epoch that ended at `now_ms`.
    pub(super) fn epoch(&mut self, metrics: &EpochMetrics, now_ms: i64) -> std::io::Result<()> {
        let mut summary = Message::default();
        for (tag, value) in scalars(metrics) {
            let value = Message::default().bytes(1, tag.as_bytes()).float(2, value as f32);
            summary = summary.bytes(1, &value.0);
        }
        if metrics.importance_histogram.iter().any(|&count| count > 0) {
            let histogram = histogram(&metrics.importance_histogram);
            let value = Message::default().bytes(1, b"importance").bytes(5, &histogram.0);
            summary = summary.bytes(1, &value.0);
        }
        let event = Message::default()
            .double(1, now_ms as f64 / 1_000.0)
            .number(2, metrics.epoch.into())
            .bytes(5, &summary.0);
        self.record(&event.0)
    }

    /// Writes a TFRecord: length, its checksum, the bytes, their checksum.
    fn record(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let length = (bytes.len() as u64).to_le_bytes();
        let mut frame = length.to_vec();
        frame.extend(masked_crc(&length).to_le_bytes());
        frame.extend(bytes);
        frame.extend(masked_crc(bytes).to_le_bytes());
        self.0.write_all(&frame)
    }
}

fn scalars(metrics: &EpochMetrics) -> Vec<(String, f64)> {
    let mut scalars = vec![
        ("loss/train".to_owned(), metrics.loss),
        ("loss/cross_entropy".to_owned(), metrics.cross_entropy),
        ("loss/rank".to_owned(), metrics.rank_regularisation),
        ("accuracy/train".to_owned(), metrics.train_accuracy),
        ("accuracy/train_in_force".to_owned(), metrics.train_accuracy_in_force),
        ("relabelled".to_owned(), metrics.relabelled as f64),
        ("learning_rate".to_owned(), metrics.learning_rate),
        ("images_per_s".to_owned(), metrics.images_per_s),
        ("data_wait_share".to_owned(), metrics.data_wait_share),
    ];
    let mut of_split = |name: &str, split: &Option<SplitMetrics>| {
        if let Some(split) = split {
            scalars.push((format!("accuracy/{name}"), split.accuracy));
            scalars.push((format!("mean_class_accuracy/{name}"), split.mean_class_accuracy));
            scalars.push((format!("loss/{name}"), split.loss));
            scalars.push((format!("calibration_error/{name}"), split.calibration_error));
        }
    };
    of_split("validation", &metrics.validation);
    of_split("test", &metrics.test);
    // The share of RR = 0 is meaningless for a method without importance.
    let has_importance = metrics.importance_histogram.iter().any(|&count| count > 0);
    let optional = [
        ("loss/rank_zero_share", Some(metrics.rank_zero_share).filter(|_| has_importance)),
        ("importance/margin_1", metrics.margin_1),
        ("importance/high", metrics.importance_high),
        ("importance/low", metrics.importance_low),
        ("importance/auc", metrics.importance_auc),
        ("labels/fixed", metrics.labels.and_then(|labels| labels.fixed)),
        ("labels/broken", metrics.labels.and_then(|labels| labels.broken)),
        ("labels/left", metrics.labels.map(|labels| labels.left)),
    ];
    scalars.extend(optional.into_iter().filter_map(|(tag, value)| Some((tag.to_owned(), value?))));
    scalars
}

/// Ten equal bins from 0 to 1.
fn histogram(bins: &[u64; 10]) -> Message {
    let middle = |bin: usize| (bin as f64 + 0.5) / 10.0;
    let sum =
        |of: &dyn Fn(usize) -> f64| bins.iter().enumerate().map(|(bin, &count)| count as f64 * of(bin)).sum();
    let limits: Vec<u8> = (1..=10).flat_map(|bin| (f64::from(bin) / 10.0).to_le_bytes()).collect();
    let counts: Vec<u8> = bins.iter().flat_map(|&count| (count as f64).to_le_bytes()).collect();
    Message::default()
        .double(1, 0.0)
        .double(2, 1.0)
        .double(3, sum(&|_| 1.0))
        .double(4, sum(&middle))
        .double(5, sum(&|bin| middle(bin).powi(2)))
        .bytes(6, &limits)
        .bytes(7, &counts)
}

/// An unfinished protocol buffer.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    const NUMBER: u64 = 0;
    const EIGHT_BYTES: u64 = 1;
    const BYTES: u64 = 2;
    const FOUR_BYTES: u64 = 5;

    fn key(mut self, field: u64, wire: u64) -> Self {
        varint(&mut self.0, field << 3 | wire);
        self
    }

    fn number(self, field: u64, value: u64) -> Self {
        let mut message = self.key(field, Self::NUMBER);
        varint(&mut message.0, value);
        message
    }

    fn double(self, field: u64, value: f64) -> Self {
        let mut message = self.key(field, Self::EIGHT_BYTES);
        message.0.extend(value.to_le_bytes());
        message
    }

    fn float(self, field: u64, value: f32) -> Self {
        let mut message = self.key(field, Self::FOUR_BYTES);
        message.0.extend(value.to_le_bytes());
        message
    }

    fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut message = self.key(field, Self::BYTES);
        varint(&mut message.0, value.len() as u64);
        message.0.extend(value);
        message
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// TFRecord's checksum: CRC-32C, masked so that checksums of data that contain checksums stay useful.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with Castagnoli's polynomial, bit by bit: fast enough, since an epoch's event is a kilobyte.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let add = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 })
    };
    !bytes.iter().fold(!0, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4.
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    #[test]
    fn an_epoch_is_one_whole_record_after_the_version() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path(), 0).unwrap();
        let metrics = EpochMetrics {
            epoch: 300,
            loss: 0.5,
            importance_histogram: [0, 0, 0, 0, 0, 0, 0, 0, 3, 5],
            margin_1: Some(0.07),
            ..EpochMetrics::default()
        };
        file.epoch(&metrics, 1_700_000_000_500).unwrap();
        let bytes = std::fs::read(folder.path().join(FILE)).unwrap();
        let (version, rest) = record(&bytes);
        assert!(version.ends_with(b"brain.Event:2"));
        let (event, rest) = record(rest);
        assert!(rest.is_empty());
        assert_eq!(event[..9], [&[0x09][..], &1_700_000_000.5_f64.to_le_bytes()].concat());
        assert_eq!(event[9..12], [0x10, 0xac, 0x02], "step 300");
        let loss = [&[0x0a, 17, 0x0a, 10][..], b"loss/train", &[0x15], &0.5_f32.to_le_bytes()].concat();
        assert!(event.windows(loss.len()).any(|window| window == loss));
        let holds = |tag: &[u8]| event.windows(tag.len()).any(|window| window == tag);
        assert!(holds(b"importance") && holds(b"loss/rank_zero_share") && holds(b"importance/margin_1"));
    }

    fn record(bytes: &[u8]) -> (&[u8], &[u8]) {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(bytes[8..12], masked_crc(&bytes[..8]).to_le_bytes());
        let (record, rest) = bytes[12..].split_at(length);
        assert_eq!(rest[..4], masked_crc(record).to_le_bytes());
        (record, &rest[4..])
    }
}
