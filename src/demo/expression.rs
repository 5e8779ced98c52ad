//! How each emotion moves a drawn face, as continuous numbers. Knows nothing of identity and of drawing.

use rand::Rng;

use super::chance::{Purpose, chance};
use crate::types::Emotion;

/// The state of a face's movable parts. Zero everywhere is a face at rest, but for the eyes, which are then closed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Expression {
    /// Brows raised (1) or lowered (-1).
    pub(super) brow_raise: f32,
    /// Inner ends of the brows up (1) or down (-1).
    pub(super) brow_slant: f32,
    /// Eyes open: 0 shut, 1 at rest, 1.6 wide.
    pub(super) eye_open: f32,
    /// Lower lids raised, 0 to 1.
    pub(super) squint: f32,
    /// Mouth corners up (1) or down (-1).
    pub(super) mouth_curve: f32,
    /// Mouth width, 1 at rest.
    pub(super) mouth_width: f32,
    /// Mouth opening, 0 to 1.
    pub(super) mouth_open: f32,
    /// Teeth shown, 0 to 1.
    pub(super) teeth: f32,
    /// Upper lip raised, 0 to 1.
    pub(super) lip_raise: f32,
    /// Nose wrinkled, 0 to 1.
    pub(super) nose_wrinkle: f32,
    /// One mouth corner (and brow) raised alone, -1 (image left) to 1.
    pub(super) asymmetry: f32,
}

const COUNT: usize = 11;

/// In the order of the fields: brow raise, slant; eye, squint; mouth curve, width, open; teeth, lip, nose; asymmetry.
fn prototype(emotion: Emotion) -> [f32; COUNT] {
    match emotion {
        Emotion::Neutral => [0.0, 0.0, 1.0, 0.1, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        Emotion::Happiness => [0.1, 0.0, 0.8, 0.7, 1.0, 1.4, 0.3, 0.9, 0.1, 0.1, 0.0],
        Emotion::Surprise => [1.0, 0.1, 1.6, 0.0, 0.0, 0.68, 1.0, 0.1, 0.0, 0.0, 0.0],
        Emotion::Sadness => [0.1, 1.0, 0.68, 0.2, -0.95, 0.88, 0.0, 0.0, 0.0, 0.0, 0.0],
        Emotion::Anger => [-0.7, -1.0, 0.9, 0.5, -0.4, 0.92, 0.12, 0.6, 0.0, 0.3, 0.0],
        Emotion::Disgust => [-0.4, -0.35, 0.55, 0.9, -0.6, 1.0, 0.25, 0.3, 1.0, 1.0, 0.0],
        Emotion::Fear => [0.75, 0.9, 1.5, 0.0, -0.45, 1.3, 0.4, 0.8, 0.0, 0.0, 0.0],
        Emotion::Contempt => [0.0, -0.1, 0.8, 0.35, 0.1, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    }
}

/// How far people differ from the prototype, in each number.
const VARIATION: [f32; COUNT] = [0.16, 0.16, 0.1, 0.15, 0.16, 0.08, 0.08, 0.2, 0.1, 0.12, 0.08];

/// The least and the greatest share of a prototype that is shown.
const STRENGTH: std::ops::Range<f32> = 0.6..1.0;

impl Expression {
    /// One person's way to show an emotion at one occasion.
    pub(super) fn of(emotion: Emotion, seed: u64) -> Self {
        Self::at(emotion, seed, 0)
    }

    /// The same after so many changes of the mood: as strong and on the same side, but nobody holds a face for long.
    pub(super) fn at(emotion: Emotion, seed: u64, change: u64) -> Self {
        let mut habit = chance(seed, Purpose::Expression);
        let strength = habit.random_range(STRENGTH);
        let side = if habit.random_bool(0.5) { 1.0 } else { -1.0 };
        let mut chance = chance(seed.wrapping_add(change.wrapping_mul(0x9e37_79b9_7f4a_7c15)), Purpose::Mood);
        let (rest, full) = (prototype(Emotion::Neutral), prototype(emotion));
        let mut numbers: [f32; COUNT] = std::array::from_fn(|at| {
            // The mean of two draws: most people lie near the middle.
            let stray = chance.random_range(-1.0..1.0_f32) + chance.random_range(-1.0..1.0_f32);
            rest[at] + (full[at] - rest[at]) * strength + VARIATION[at] * stray
        });
        numbers[COUNT - 1] *= side;
        Self::from_numbers(numbers)
    }

    /// Part of the way, 0 to 1, to another expression.
    pub(super) fn towards(self, other: Self, share: f32) -> Self {
        let (from, to) = (self.numbers(), other.numbers());
        Self::from_numbers(std::array::from_fn(|at| from[at] + (to[at] - from[at]) * share))
    }

    fn numbers(self) -> [f32; COUNT] {
        [
            self.brow_raise,
            self.brow_slant,
            self.eye_open,
            self.squint,
            self.mouth_curve,
            self.mouth_width,
            self.mouth_open,
            self.teeth,
            self.lip_raise,
            self.nose_wrinkle,
            self.asymmetry,
        ]
    }

    fn from_numbers(numbers: [f32; COUNT]) -> Self {
        let [brow_raise, brow_slant, eye_open, squint, mouth_curve, mouth_width, mouth_open, rest @ ..] =
            numbers;
        let [teeth, lip_raise, nose_wrinkle, asymmetry] = rest.map(|number| number.clamp(-1.2, 1.2));
        Self {
            brow_raise,
            brow_slant,
            eye_open: eye_open.clamp(0.35, 1.75),
            squint: squint.clamp(0.0, 1.0),
            mouth_curve,
            mouth_width: mouth_width.clamp(0.6, 1.5),
            mouth_open: mouth_open.clamp(0.0, 1.1),
            teeth: teeth.clamp(0.0, 1.0),
            lip_raise: lip_raise.clamp(0.0, 1.0),
            nose_wrinkle: nose_wrinkle.clamp(0.0, 1.0),
            asymmetry,
        }
    }

    /// The same face a moment later: it lives a little. `sway` is a slow oscillation from -1 to 1, `lids` is 0 in the
    /// middle of a blink and 1 outside.
    pub(super) fn alive(self, sway: f32, lids: f32) -> Self {
        Self {
            brow_raise: self.brow_raise + 0.06 * sway,
            eye_open: self.eye_open * lids * (1.0 + 0.04 * sway),
            mouth_open: (self.mouth_open * (1.0 + 0.12 * sway)).max(0.0),
            mouth_curve: self.mouth_curve * (1.0 + 0.08 * sway),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(emotion: Emotion, of: impl Fn(Expression) -> f32) -> f32 {
        (0..200).map(|seed| of(Expression::of(emotion, seed))).sum::<f32>() / 200.0
    }

    #[test]
    fn an_expression_repeats_by_seed_and_varies_with_it() {
        assert_eq!(Expression::of(Emotion::Fear, 3), Expression::of(Emotion::Fear, 3));
        assert_ne!(Expression::of(Emotion::Fear, 3), Expression::of(Emotion::Fear, 4));
    }

    #[test]
    fn emotions_differ_where_faces_do() {
        assert!(mean(Emotion::Happiness, |e| e.mouth_curve) > 0.6);
        assert!(mean(Emotion::Sadness, |e| e.mouth_curve) < -0.5);
        assert!(mean(Emotion::Anger, |e| e.brow_slant) < -0.6);
        assert!(mean(Emotion::Surprise, |e| e.mouth_open) > 2.0 * mean(Emotion::Fear, |e| e.mouth_open));
        assert!(mean(Emotion::Contempt, |e| e.asymmetry.abs()) > 0.6);
        assert!(mean(Emotion::Neutral, |e| e.asymmetry.abs()) < 0.15);
    }
}
