//! Repeatable chance. Knows nothing of what it decides.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What chances are drawn for; each purpose has a stream of its own, so that one more draw here moves nothing there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Person,
    Expression,
    Motion,
    Blinks,
    FrameTimes,
    Noise,
    Backdrop,
    Script,
    World,
    Mood,
}

/// The chances of a seed for a purpose.
pub(super) fn chance(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    chance.set_stream(purpose as u64);
    chance
}
