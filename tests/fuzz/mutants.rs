//! Files that nobody should send: sound films of a second or two, damaged in every way that a seed can think of. The same
//! seed gives the same files.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::HashSet;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use image::{ImageFormat, Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use webemotion::demo::camera::Camera;
use webemotion::demo::film::{Scene, Shot};
use webemotion::demo::world::{World, WorldSize};
use webemotion::media::ClipWriter;

/// A file and what was done to it.
pub struct Mutant {
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// A moving bar on a gradient; no face.
pub fn film(path: &Path, (width, height): (u32, u32), frames: u32) -> Vec<u8> {
    let mut writer = ClipWriter::create(path, width, height, 10.0).unwrap();
    for frame in 0..frames {
        let shade = |x: u32, y: u32| [(x * 255 / width) as u8, (y * 255 / height) as u8, 90];
        let bar = |x, y| if x / 8 == frame { Rgb([240, 200, 40]) } else { Rgb(shade(x, y)) };
        writer.push(&RgbImage::from_fn(width, height, bar), i64::from(frame) * 100).unwrap();
    }
    writer.finish().unwrap();
    fs::read(path).unwrap()
}

/// Six seconds of a drawn face, which is followed and cut.
fn face_film(path: &Path) -> Vec<u8> {
    let shows_people = |shot: &Shot| matches!(shot.scene, Scene::People(_));
    let films = World::plan(5, WorldSize::Small, 0.0).videos.into_iter().filter_map(|video| video.film);
    let mut film = films.into_iter().find(|film| film.shots.iter().any(shows_people)).unwrap();
    film.shots.retain(shows_people);
    film.shots.truncate(1);
    film.shots[0].duration_ms = 6_000;
    let mut camera = Camera::new(&film);
    let mut writer = ClipWriter::create(path, film.width, film.height, 12.5).unwrap();
    for t_ms in (0..6_000).step_by(80) {
        writer.push(&camera.picture_at(t_ms), t_ms).unwrap();
    }
    writer.finish().unwrap();
    fs::read(path).unwrap()
}

/// Sound files to begin from: three of this program's own, one of them with a face, and other containers and codecs where
/// there is an ffmpeg.
pub fn seeds(folder: &Path, with_others: bool) -> Vec<Vec<u8>> {
    let (first, face) = (folder.join("first.mp4"), folder.join("face.mp4"));
    let second = film(&folder.join("second.mp4"), (96, 64), 12);
    let mut seeds = vec![film(&first, (160, 120), 15), second, face_film(&face)];
    let others = [
        (&first, "webm", &["-c:v", "libvpx-vp9", "-b:v", "60k"][..]),
        (&first, "mkv", &["-c:v", "libx265", "-x265-params", "log-level=none"]),
        (&first, "avi", &["-c:v", "mpeg4"]),
        (&first, "ts", &["-c:v", "mpeg2video"]),
        (&first, "flv", &["-c:v", "flv1"]),
        (&first, "mov", &["-c:v", "mjpeg"]),
        (&first, "mkv", &["-c:v", "ffv1"]),
        (&first, "mp4", &["-c:v", "libx264", "-bf", "3", "-movflags", "+frag_keyframe+empty_moov"]),
        (&face, "webm", &["-c:v", "libvpx-vp9", "-b:v", "300k", "-cpu-used", "8"]),
        (&face, "mkv", &["-c:v", "libx265", "-x265-params", "log-level=none"]),
        (&face, "mp4", &["-c:v", "libx264", "-bf", "3", "-video_track_timescale", "90000"]),
    ];
    for (number, (source, extension, codec)) in others.iter().enumerate().filter(|_| with_others) {
        let other = folder.join(format!("other-{number}.{extension}"));
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(source).args(*codec).arg(&other);
        if ffmpeg.status().is_ok_and(|status| status.success()) {
            seeds.push(fs::read(other).unwrap());
        }
    }
    seeds
}

/// So many files: each of the oddities once, and damage for the rest.
pub fn mutants(seeds: &[Vec<u8>], count: usize, seed: u64) -> Vec<Mutant> {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut mutants = oddities(seeds);
    mutants.truncate(count);
    // Damage that changes nothing, or what another file has already, is none.
    let mut known: HashSet<Vec<u8>> = seeds.iter().cloned().collect();
    mutants.retain(|mutant| known.insert(mutant.bytes.clone()));
    for (kind, damage) in DAMAGES.iter().cycle() {
        if mutants.len() >= count {
            break;
        }
        let begin = &seeds[chance.random_range(0..seeds.len())];
        let bytes = damage(begin.clone(), seeds, &mut chance);
        if known.insert(bytes.clone()) {
            mutants.push(Mutant { kind, bytes });
        }
    }
    mutants
}

type Damage = fn(Vec<u8>, &[Vec<u8>], &mut ChaCha8Rng) -> Vec<u8>;

const DAMAGES: [(&str, Damage); 11] = [
    ("bits-flipped", |bytes, _, chance| {
        let flips = chance.random_range(1..64);
        flip(bytes, flips, 1.0, chance)
    }),
    ("bits-of-the-head-flipped", |bytes, _, chance| {
        let flips = chance.random_range(1..8);
        flip(bytes, flips, 0.02, chance)
    }),
    ("truncated", |mut bytes, _, chance| {
        bytes.truncate(chance.random_range(0..bytes.len()));
        bytes
    }),
    ("without-its-head", |mut bytes, _, chance| {
        bytes.drain(..chance.random_range(1..bytes.len() / 2));
        bytes
    }),
    ("zeroed", |mut bytes, _, chance| {
        let (from, to) = stretch(&bytes, chance);
        bytes[from..to].fill(0);
        bytes
    }),
    ("noise", |mut bytes, _, chance| {
        let (from, to) = stretch(&bytes, chance);
        bytes[from..to].iter_mut().for_each(|byte| *byte = chance.random());
        bytes
    }),
    ("stretch-twice", |mut bytes, _, chance| {
        let (from, to) = stretch(&bytes, chance);
        let again = bytes[from..to].to_vec();
        bytes.splice(to..to, again);
        bytes
    }),
    ("stretch-lost", |mut bytes, _, chance| {
        let (from, to) = stretch(&bytes, chance);
        bytes.drain(from..to);
        bytes
    }),
    ("spliced", |mut bytes, seeds, chance| {
        let other = &seeds[chance.random_range(0..seeds.len())];
        bytes.truncate(chance.random_range(1..bytes.len()));
        bytes.extend_from_slice(&other[chance.random_range(0..other.len())..]);
        bytes
    }),
    ("absurd-number", |mut bytes, _, chance| {
        let absurd = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0_u32];
        for _ in 0..chance.random_range(1..4) {
            let at = chance.random_range(0..bytes.len().saturating_sub(4).max(1));
            let value = absurd[chance.random_range(0..absurd.len())].to_be_bytes();
            bytes.iter_mut().skip(at).zip(value).for_each(|(byte, value)| *byte = value);
        }
        bytes
    }),
    ("index-damaged", |bytes, _, chance| {
        const BOXES: [&[u8; 4]; 12] = [
            b"mvhd", b"tkhd", b"mdhd", b"elst", b"stsd", b"avc1", b"avcC", b"stts", b"ctts", b"stsc",
            b"stsz", b"stco",
        ];
        let name = BOXES[chance.random_range(0..BOXES.len())];
        let at = chance.random_range(0..40);
        let value = [0x00, 0x7f, 0x80, 0xff][chance.random_range(0..4)];
        let length = chance.random_range(1..6);
        in_box(bytes, name, at, &vec![value; length])
    }),
];

fn flip(mut bytes: Vec<u8>, flips: u32, share: f64, chance: &mut ChaCha8Rng) -> Vec<u8> {
    let reach = ((bytes.len() as f64 * share) as usize).clamp(1, bytes.len());
    for _ in 0..flips {
        bytes[chance.random_range(0..reach)] ^= 1 << chance.random_range(0..8);
    }
    bytes
}

fn stretch(bytes: &[u8], chance: &mut ChaCha8Rng) -> (usize, usize) {
    let from = chance.random_range(0..bytes.len() - 1);
    (from, chance.random_range(from..bytes.len().min(from + 2_000)) + 1)
}

/// Writes over what stands so many bytes after the name of a box of an MP4 file; nothing where there is no such box.
fn in_box(mut bytes: Vec<u8>, name: &[u8; 4], after: usize, value: &[u8]) -> Vec<u8> {
    if let Some(at) = bytes.windows(4).position(|word| word == name) {
        bytes.iter_mut().skip(at + 4 + after).zip(value).for_each(|(byte, value)| *byte = *value);
    }
    bytes
}

fn oddities(seeds: &[Vec<u8>]) -> Vec<Mutant> {
    let (first, second) = (&seeds[0], &seeds[1]);
    let picture = |format| {
        let mut bytes = Cursor::new(Vec::new());
        let shade = |x: u32, y: u32| Rgb([x as u8, y as u8, 90]);
        RgbImage::from_fn(160, 120, shade).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let hour_ms = 3_600_000_u32;
    let odd = [
        ("empty", Vec::new()),
        ("one-byte", vec![0]),
        ("text", b"dear diary\n".repeat(100)),
        ("nothing-but-zeros", vec![0; 200_000]),
        ("picture-png", picture(ImageFormat::Png)),
        ("picture-jpeg", picture(ImageFormat::Jpeg)),
        ("sound-wav", wav()),
        // The track says that it is sound.
        ("sound-by-its-header", in_box(first.clone(), b"hdlr", 8, b"soun")),
        ("six-hours-by-its-header", in_box(first.clone(), b"mvhd", 16, &(6 * hour_ms).to_be_bytes())),
        ("six-hours-by-its-track", in_box(first.clone(), b"mdhd", 16, &u32::MAX.to_be_bytes())),
        ("one-frame-of-six-hours", in_box(first.clone(), b"stts", 12, &0x7fff_ffff_u32.to_be_bytes())),
        ("frames-going-back", in_box(first.clone(), b"stts", 12, &0xffff_ff00_u32.to_be_bytes())),
        ("begins-before-zero", in_box(first.clone(), b"elst", 12, &0x7fff_0000_u32.to_be_bytes())),
        ("sixty-thousand-wide", in_box(first.clone(), b"avc1", 24, &[0xff, 0xff, 0xff, 0xff])),
        ("zero-wide", in_box(first.clone(), b"avc1", 24, &[0; 4])),
        ("no-frames", in_box(first.clone(), b"stsz", 8, &[0; 4])),
        ("a-billion-frames", in_box(first.clone(), b"stsz", 8, &[0x3f, 0xff, 0xff, 0xff])),
        ("bare-stream-without-times", annex_b(first)),
        ("bare-stream-of-two-sizes", [annex_b(first), annex_b(second), annex_b(first)].concat()),
        ("header-alone", without_frames(first)),
        ("two-films-in-one", [&first[..], &second[..]].concat()),
    ];
    odd.into_iter().map(|(kind, bytes)| Mutant { kind, bytes }).collect()
}

/// A second of silence.
fn wav() -> Vec<u8> {
    let (rate, bytes) = (8_000_u32, 16_000_u32);
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(rate.to_le_bytes());
    wav.extend((2 * rate).to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(bytes.to_le_bytes());
    wav.resize(wav.len() + bytes as usize, 0);
    wav
}

/// The payload of a box, found by its name.
fn payload<'a>(mp4: &'a [u8], name: &[u8; 4]) -> &'a [u8] {
    let at = mp4.windows(4).position(|word| word == name).unwrap();
    let length = u32::from_be_bytes(mp4[at - 4..at].try_into().unwrap()) as usize;
    &mp4[at + 4..at - 4 + length]
}

fn without_frames(mp4: &[u8]) -> Vec<u8> {
    let frames = payload(mp4, b"mdat");
    let from = mp4.windows(4).position(|word| word == b"mdat").unwrap() + 4;
    [&mp4[..from], &mp4[from + frames.len()..]].concat()
}

/// H.264 as a bare byte stream: no container, no times. The parameter sets of `avcC` come first, then all units of `mdat`.
fn annex_b(mp4: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut unit = |unit: &[u8]| {
        stream.extend([0, 0, 0, 1]);
        stream.extend(unit);
    };
    let config = payload(mp4, b"avcC");
    let sets = u16::from_be_bytes([config[6], config[7]]) as usize;
    unit(&config[8..8 + sets]);
    let pictures = u16::from_be_bytes([config[9 + sets], config[10 + sets]]) as usize;
    unit(&config[11 + sets..11 + sets + pictures]);
    let mut left = payload(mp4, b"mdat");
    while left.len() > 4 {
        let length = u32::from_be_bytes(left[..4].try_into().unwrap()) as usize;
        unit(&left[4..4 + length]);
        left = &left[4 + length..];
    }
    stream
}
