//! Decodes a file from stretch to stretch, and jumps over what nobody asked for where that is worth it. Knows nothing of
//! what the frames are for.

use crate::media::{Decoder, MediaError, VideoFrame};

/// A stretch that nobody asked for and that is shorter than this is decoded rather than jumped over.
const WORTH_A_JUMP_MS: i64 = 3_000;

/// A decoder that jumps forward, but never to the same place twice: where key frames lie far apart, that would gain
/// nothing.
pub(super) struct Jumper {
    decoder: Decoder,
    /// When the last frame was.
    now_ms: i64,
    /// Where the last jump was to lead.
    sought_ms: i64,
    /// A jump must leave out more than this.
    worth_ms: i64,
}

impl Jumper {
    /// One that stands at the decoder's first frame.
    pub(super) fn new(decoder: Decoder) -> Self {
        Self { decoder, now_ms: 0, sought_ms: 0, worth_ms: WORTH_A_JUMP_MS }
    }

    /// The next frame, or none at the end. If `wanted_ms` is given, frames before it are not needed and may be left
    /// out; after a jump, frames that were seen may come once more.
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
                // The jump led back to a key frame: with so few of them, only longer jumps save anything.
                self.worth_ms = self.worth_ms.saturating_mul(2);
            }
            self.now_ms = frame.time_ms();
        }
        Ok(frame)
    }
}
