//! Decodes the needed stretches of a file, and seeks over what lies between them where that is faster.

use crate::media::{Decoder, MediaError, VideoFrame};

/// A stretch that is not needed but shorter than this is decoded: seeking would not be faster.
const WORTH_A_JUMP_MS: i64 = 3_000;

/// A decoder that seeks forward, but never to the same place twice: where key frames are far apart, that would gain
/// nothing.
pub(super) struct Jumper {
    decoder: Decoder,
    /// Time of the last frame.
    now_ms: i64,
    /// Target of the last seek.
    sought_ms: i64,
    /// A seek must skip more than this.
    worth_ms: i64,
}

impl Jumper {
    /// Begins at the decoder's first frame.
    pub(super) fn new(decoder: Decoder) -> Self {
        Self { decoder, now_ms: 0, sought_ms: 0, worth_ms: WORTH_A_JUMP_MS }
    }

    /// The next frame, or `None` at the end. Frames before `wanted_ms` are not needed and may be skipped; after a seek,
    /// earlier frames may come again.
    ///
    /// # Errors
    /// As for [`Decoder::seek`] and [`Decoder::next_frame`].
    pub(super) fn next_frame(&mut self, wanted_ms: Option<i64>) -> Result<Option<VideoFrame>, MediaError> {
        let farthest_ms = self.now_ms.max(self.sought_ms).saturating_add(self.worth_ms);
        let target_ms = wanted_ms.filter(|wanted_ms| *wanted_ms > farthest_ms);
        if let Some(target_ms) = target_ms {
            self.decoder.seek(target_ms)?;
            self.sought_ms = target_ms;
        }
        let frame = self.decoder.next_frame()?;
        if let Some(frame) = &frame {
            if target_ms.is_some() && frame.time_ms() <= self.now_ms {
                // The seek went back to an earlier key frame: they are so rare that only longer seeks save time.
                self.worth_ms = self.worth_ms.saturating_mul(2);
            }
            self.now_ms = frame.time_ms();
        }
        Ok(frame)
    }
}
