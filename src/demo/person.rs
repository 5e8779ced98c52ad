//! Who a drawn person is: what stays the same in every film. Knows nothing of moods and motion.

use rand::Rng;

use super::canvas::{Colour, blend};
use super::chance::{Purpose, chance};

/// One drawn person; the same seed is the same person. Lengths are in half widths of the head.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Names the person.
    pub seed: u64,
    pub(super) skin: Colour,
    pub(super) hair: HairStyle,
    pub(super) hair_colour: Colour,
    pub(super) clothes: Colour,
    pub(super) iris: Colour,
    pub(super) lips: Colour,
    pub(super) head_height: f32,
    pub(super) jaw_taper: f32,
    pub(super) ear_size: f32,
    pub(super) eye_spacing: f32,
    pub(super) eye_size: f32,
    pub(super) brow_thickness: f32,
    pub(super) nose_width: f32,
    pub(super) nose_length: f32,
    pub(super) mouth_width: f32,
    pub(super) lip_fullness: f32,
    pub(super) beard: f32,
}

/// How the hair is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HairStyle {
    Bald,
    Short,
    SideParting,
    Fringe,
    Long,
    Bun,
    Curly,
}

const SKINS: [Colour; 7] = [
    [246.0, 214.0, 190.0],
    [236.0, 194.0, 164.0],
    [224.0, 178.0, 142.0],
    [205.0, 156.0, 118.0],
    [178.0, 128.0, 92.0],
    [146.0, 102.0, 74.0],
    [116.0, 80.0, 58.0],
];

const HAIRS: [Colour; 7] = [
    [34.0, 28.0, 26.0],
    [62.0, 44.0, 32.0],
    [96.0, 66.0, 42.0],
    [150.0, 104.0, 56.0],
    [206.0, 172.0, 106.0],
    [140.0, 62.0, 34.0],
    [168.0, 166.0, 164.0],
];

const IRISES: [Colour; 5] = [
    [70.0, 44.0, 28.0],
    [98.0, 68.0, 40.0],
    [76.0, 112.0, 140.0],
    [84.0, 116.0, 78.0],
    [110.0, 112.0, 110.0],
];

const STYLES: [HairStyle; 7] = [
    HairStyle::Short,
    HairStyle::Long,
    HairStyle::SideParting,
    HairStyle::Bun,
    HairStyle::Fringe,
    HairStyle::Curly,
    HairStyle::Bald,
];

impl Person {
    /// The person of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut chance = chance(seed, Purpose::Person);
        let skin = {
            let tone = chance.random_range(0.0..(SKINS.len() - 1) as f32);
            blend(SKINS[tone as usize], SKINS[tone as usize + 1], tone.fract())
        };
        let hair = STYLES[chance.random_range(0..STYLES.len())];
        let bearded = chance.random_bool(0.2) && !matches!(hair, HairStyle::Long | HairStyle::Bun);
        // Dark skin rarely goes with fair hair, and the nets should not learn faces from wigs.
        let hairs = if skin[0] < 190.0 { 2 } else { HAIRS.len() };
        Self {
            seed,
            skin,
            hair,
            hair_colour: HAIRS[chance.random_range(0..hairs)],
            clothes: std::array::from_fn(|_| chance.random_range(30.0..210.0)),
            iris: IRISES[chance.random_range(0..IRISES.len())],
            lips: blend(skin, [170.0, 60.0, 66.0], chance.random_range(0.35..0.7)),
            head_height: chance.random_range(1.22..1.42),
            jaw_taper: chance.random_range(0.08..0.24),
            ear_size: chance.random_range(0.8..1.15),
            eye_spacing: chance.random_range(0.37..0.44),
            eye_size: chance.random_range(0.9..1.12),
            brow_thickness: chance.random_range(0.035..0.065),
            nose_width: chance.random_range(0.13..0.2),
            nose_length: chance.random_range(0.3..0.4),
            mouth_width: chance.random_range(0.3..0.37),
            lip_fullness: chance.random_range(0.045..0.08),
            beard: if bearded { chance.random_range(0.35..0.8) } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_person_and_another_seed_another() {
        assert_eq!(Person::from_seed(7), Person::from_seed(7));
        assert_ne!(Person::from_seed(7).skin, Person::from_seed(8).skin);
    }
}
