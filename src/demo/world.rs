//! Plans the demo's videos: what each truly shows, and which emotion searches will find it for. Knows nothing of how
//! videos are drawn and served.

use std::fs;
use std::path::Path;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::chance::{Purpose, chance};
use super::film::{Film, FilmTruth};
use super::script::{Plot, Writer};
use crate::failure::{Failure, Reason};
use crate::types::Emotion;

/// How large a world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorldSize {
    /// For tests: about a dozen videos of 6 to 10 seconds.
    Small,
    /// For the demo: 104 videos of 6 to 60 seconds. Many people in short films: nets must learn expressions, not people.
    Full,
}

/// What is to be learnt from a video, or goes wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One person.
    Normal,
    /// Two people beside each other.
    TwoPeople,
    /// One person, at a variable frame rate.
    Vfr,
    /// One person; the site asks for a pause once before it gives the video.
    RateLimitedOnce,
    /// Nobody.
    NoFace,
    /// Faces, none for five seconds.
    BriefFace,
    /// A file whose frames do not decode.
    Broken,
    /// Private.
    Private,
    /// Removed by its uploader.
    Removed,
    /// Longer than four minutes; there is no file, for nobody should ask for it.
    TooLong,
}

impl Kind {
    /// Whether it yields clips, so that its label matters.
    pub fn yields_clips(self) -> bool {
        matches!(self, Self::Normal | Self::TwoPeople | Self::Vfr | Self::RateLimitedOnce)
    }

    fn plot(self) -> Option<Plot> {
        match self {
            Self::Normal | Self::Vfr | Self::RateLimitedOnce | Self::Broken => Some(Plot::OneAtATime),
            Self::TwoPeople => Some(Plot::TwoPeople),
            Self::NoFace => Some(Plot::Nobody),
            Self::BriefFace => Some(Plot::Brief),
            Self::Private | Self::Removed | Self::TooLong => None,
        }
    }
}

/// One video of the world.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldVideo {
    /// Eleven characters, as on the site.
    pub site_id: String,
    /// What the site shows as its title.
    pub title: String,
    /// The channel's id, as on the site.
    pub channel_id: String,
    /// The channel's name.
    pub channel: String,
    /// Whether its owner allows reuse under Creative Commons.
    pub creative_commons: bool,
    /// The length that the site promises.
    pub duration_ms: i64,
    /// The emotion whose searches find it.
    pub listed_emotion: Emotion,
    /// The emotion that its faces show.
    pub true_emotion: Emotion,
    /// What it is for.
    pub kind: Kind,
    /// Its script; none where nobody can see it.
    pub film: Option<Film>,
}

impl WorldVideo {
    /// The name of its file in the world's folder.
    pub fn file_name(&self) -> String {
        format!("{}.mp4", self.site_id)
    }
}

/// All videos of a demo. The same seed, size and share give the same world.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// In no order that means anything.
    pub videos: Vec<WorldVideo>,
}

/// The share of listed emotions that are wrong, as on the web.
pub const WRONG_SHARE: f64 = 0.25;

const CHANNELS: usize = 48;
/// Everybody is seen in several films, and in another mood in each.
const PEOPLE: usize = 64;
/// Has no divisor in common with the people, so that all take their turns.
const STRIDE: usize = 37;
const TOO_LONG_MS: i64 = 305_000;
const UNSEEN_MS: i64 = 21_000;

/// How many of each kind a world has; those that yield clips come first.
fn counts(size: WorldSize) -> [(Kind, usize); 10] {
    let (normal, two, faceless) = match size {
        WorldSize::Small => (5, 1, 1),
        WorldSize::Full => (92, 2, 2),
    };
    [
        (Kind::Normal, normal),
        (Kind::TwoPeople, two),
        (Kind::Vfr, 1),
        (Kind::RateLimitedOnce, 1),
        (Kind::NoFace, faceless),
        (Kind::BriefFace, faceless),
        (Kind::Broken, 1),
        (Kind::Private, 1),
        (Kind::Removed, 1),
        (Kind::TooLong, 1),
    ]
}

impl World {
    /// Plans a world in which `wrong_share` of the videos that yield clips are listed under a wrong emotion.
    pub fn plan(seed: u64, size: WorldSize, wrong_share: f64) -> Self {
        let mut chance = chance(seed, Purpose::World);
        let kinds = counts(size).into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
        let mut videos: Vec<WorldVideo> =
            kinds.enumerate().map(|(index, kind)| plan_video(index, kind, size, &mut chance)).collect();
        mislead(&mut videos, wrong_share, &mut chance);
        Self { videos }
    }

    /// Writes what is true of every video as JSON.
    ///
    /// # Errors
    /// [`Reason::Disk`] if the file cannot be written.
    pub fn write_truth(&self, path: &Path) -> Result<(), Failure> {
        let truth: Vec<VideoTruth> = self.videos.iter().map(VideoTruth::of).collect();
        let text = serde_json::to_vec_pretty(&truth).map_err(|error| Failure::bug(error.to_string()))?;
        let refused = |error| Failure::transient(Reason::Disk, format!("{}: {error}", path.display()));
        fs::write(path, text).map_err(refused)
    }
}

/// One object of `truth.json`.
#[derive(Serialize)]
struct VideoTruth<'a> {
    site_id: &'a str,
    channel_id: &'a str,
    kind: Kind,
    listed_emotion: Emotion,
    true_emotion: Emotion,
    film: Option<FilmTruth>,
}

impl<'a> VideoTruth<'a> {
    fn of(video: &'a WorldVideo) -> Self {
        Self {
            site_id: &video.site_id,
            channel_id: &video.channel_id,
            kind: video.kind,
            listed_emotion: video.listed_emotion,
            true_emotion: video.true_emotion,
            film: video.film.as_ref().map(Film::truth),
        }
    }
}

fn plan_video(index: usize, kind: Kind, size: WorldSize, chance: &mut ChaCha8Rng) -> WorldVideo {
    let emotion = Emotion::ALL[index % Emotion::ALL.len()];
    let round = index / Emotion::ALL.len();
    // Neither a channel nor a person may go with one emotion, or nets would learn who instead of what.
    let channel = (5 * (index % Emotion::ALL.len()) + 4 * round) % CHANNELS;
    let cast = std::array::from_fn(|place| ((3 * index + place) * STRIDE % PEOPLE) as u64);
    let film = kind.plot().map(|plot| {
        let one_minute = size == WorldSize::Full && index == 0;
        let plot = if one_minute { Plot::OneMinute } else { plot };
        Writer::new(chance.random(), size, emotion, cast).write(plot, kind == Kind::Vfr)
    });
    let unseen_ms = if kind == Kind::TooLong { TOO_LONG_MS } else { UNSEEN_MS };
    WorldVideo {
        site_id: random_id(11, chance),
        title: String::new(),
        channel_id: format!("UC{:022}", channel + 1),
        channel: format!("Channel {}", channel + 1),
        creative_commons: true,
        duration_ms: film.as_ref().map_or(unseen_ms, Film::duration_ms),
        listed_emotion: emotion,
        true_emotion: emotion,
        kind,
        film,
    }
}

/// Lists the wrong emotion for exactly so many of the videos that yield clips, then gives all their titles.
fn mislead(videos: &mut [WorldVideo], wrong_share: f64, chance: &mut ChaCha8Rng) {
    let mut labelled: Vec<usize> = (0..videos.len()).filter(|&at| videos[at].kind.yields_clips()).collect();
    let wrong = (labelled.len() as f64 * wrong_share.clamp(0.0, 1.0)).round() as usize;
    labelled.shuffle(chance);
    for &at in &labelled[..wrong] {
        let away = chance.random_range(1..Emotion::ALL.len());
        let index = (videos[at].true_emotion.index() + away) % Emotion::ALL.len();
        videos[at].listed_emotion = Emotion::ALL[index];
    }
    for (number, video) in videos.iter_mut().enumerate() {
        video.title = format!("A moment of {}, part {}", video.listed_emotion, number + 1);
    }
}

fn random_id(length: usize, chance: &mut ChaCha8Rng) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    (0..length).map(|_| char::from(LETTERS[chance.random_range(0..LETTERS.len())])).collect()
}
