//! Small videos written by [`ClipWriter`] and read back by [`Decoder`].

use std::path::{Path, PathBuf};
use std::process::Command;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::*;
use crate::failure::{FailureKind, Reason};

/// A picture that is red in its top left quarter, and elsewhere of a grey that depends on the frame's number.
fn numbered(width: u32, height: u32, number: u32) -> RgbImage {
    let grey = (40 + 3 * (number % 60)) as u8;
    RgbImage::from_fn(width, height, |x, y| {
        if x < width / 2 && y < height / 2 { Rgb([200, 20, 20]) } else { Rgb([grey, grey, grey]) }
    })
}

fn write(path: &Path, size: (u32, u32), times_ms: &[i64]) -> Written {
    let mut writer = ClipWriter::create(path, size.0, size.1, 25.0).unwrap();
    for (number, &time_ms) in times_ms.iter().enumerate() {
        writer.push(&numbered(size.0, size.1, number as u32), time_ms).unwrap();
    }
    writer.finish().unwrap()
}

fn every_40_ms(frames: i64) -> Vec<i64> {
    (0..frames).map(|number| 40 * number).collect()
}

fn a_video(folder: &TempDir, frames: i64) -> PathBuf {
    let path = folder.path().join("a.mp4");
    write(&path, (64, 48), &every_40_ms(frames));
    path
}

fn times_of(path: &Path, threads: u32) -> Vec<i64> {
    let mut decoder = Decoder::open(path, threads).unwrap();
    std::iter::from_fn(|| decoder.next_frame().unwrap()).map(|frame| frame.time_ms()).collect()
}

fn failure_of<T>(result: Result<T, MediaError>) -> (FailureKind, Reason) {
    let failure = result.err().unwrap().failure();
    (failure.kind, failure.reason)
}

fn check(path: &Path, promised_duration_ms: Option<i64>) -> Result<Probe, MediaError> {
    super::check(path, promised_duration_ms, &mut |_| ())
}

fn is_near(seen: Rgb<u8>, meant: [u8; 3]) -> bool {
    seen.0.iter().zip(meant).all(|(a, b)| a.abs_diff(b) <= 8)
}

#[test]
fn variable_times_come_back_exactly_and_begin_at_zero() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.part");
    let times_ms = [1_000, 1_033, 1_034, 1_100, 1_517, 1_518, 3_000];
    let written = write(&path, (64, 48), &times_ms);
    assert_eq!(written, Written { frames: 7, duration_ms: 2_040 });
    for threads in [1, 2] {
        assert_eq!(times_of(&path, threads), times_ms.map(|time_ms| time_ms - 1_000));
    }
    assert_eq!(probe(&path).unwrap().duration_ms, 2_040);
}

#[test]
fn pictures_come_back_in_their_colours_and_order() {
    let folder = TempDir::new().unwrap();
    let path = a_video(&folder, 50);
    let mut decoder = Decoder::open(&path, 2).unwrap();
    let mut number = 0;
    while let Some(frame) = decoder.next_frame().unwrap() {
        let (meant, seen) = (numbered(64, 48, number), frame.picture().unwrap());
        assert_eq!(seen.dimensions(), (frame.width(), frame.height()));
        for (x, y) in [(8, 8), (50, 40)] {
            let (seen, meant) = (*seen.get_pixel(x, y), meant.get_pixel(x, y).0);
            assert!(is_near(seen, meant), "frame {number}: {seen:?} is not {meant:?}");
        }
        number += 1;
    }
    assert_eq!(number, 50);
}

#[test]
fn a_probe_gives_size_duration_rate_and_codec() {
    let folder = TempDir::new().unwrap();
    let seen = probe(&a_video(&folder, 50)).unwrap();
    assert_eq!((seen.width, seen.height, seen.rotation_deg), (64, 48, 0));
    assert_eq!((seen.duration_ms, seen.has_audio), (2_000, false));
    assert!((seen.frame_rate - 25.0).abs() < 0.01);
    assert!(seen.container.contains("mp4"));
    assert!(["h264", "mpeg4"].contains(&seen.video_codec.as_str()));
}

#[test]
fn a_thumbnail_shows_the_same_in_small() {
    let folder = TempDir::new().unwrap();
    let mut decoder = Decoder::open(&a_video(&folder, 3), 1).unwrap();
    let thumbnail = decoder.next_frame().unwrap().unwrap().thumbnail(16).unwrap();
    assert_eq!(thumbnail.dimensions(), (16, 12));
    assert!(is_near(*thumbnail.get_pixel(3, 3), [200, 20, 20]), "{:?}", thumbnail.get_pixel(3, 3));
    assert!(is_near(*thumbnail.get_pixel(13, 10), [40, 40, 40]), "{:?}", thumbnail.get_pixel(13, 10));
}

#[test]
fn a_seek_continues_from_the_key_frame_at_or_before_the_target() {
    let folder = TempDir::new().unwrap();
    let path = a_video(&folder, 250);
    let mut decoder = Decoder::open(&path, 2).unwrap();
    for target_ms in [0, 39, 1_999, 2_000, 5_130, 9_960, 60_000, 3_000] {
        decoder.seek(target_ms).unwrap();
        let first_ms = decoder.next_frame().unwrap().unwrap().time_ms();
        assert!(first_ms <= target_ms && target_ms.min(9_960) - first_ms <= 2_000, "{target_ms}: {first_ms}");
        assert_eq!(decoder.next_frame().unwrap().map(|frame| frame.time_ms()), Some(first_ms + 40));
    }
    decoder.seek(9_900).unwrap();
    assert_eq!(std::iter::from_fn(|| decoder.next_frame().unwrap()).last().unwrap().time_ms(), 9_960);
}

/// The same pictures as a transport stream, whose clock always begins at the same time.
fn as_stream(video: &Path) -> Vec<u8> {
    use ffmpeg_next::{Packet, codec, encoder, format};
    let path = video.with_extension("ts");
    let (mut input, mut output) = (format::input(video).unwrap(), format::output(&path).unwrap());
    let (parameters, base) = input.stream(0).map(|stream| (stream.parameters(), stream.time_base())).unwrap();
    output.add_stream(encoder::find(codec::Id::None)).unwrap().set_parameters(parameters);
    output.write_header().unwrap();
    let target = output.stream(0).unwrap().time_base();
    let mut packet = Packet::empty();
    while packet.read(&mut input).is_ok() {
        packet.rescale_ts(base, target);
        packet.set_position(-1);
        packet.write_interleaved(&mut output).unwrap();
    }
    output.write_trailer().unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn where_the_clock_restarts_a_seek_gives_the_same_frames_and_times_as_decoding() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("joined.ts");
    let parts = [250, 100].map(|frames| as_stream(&a_video(&folder, frames)));
    std::fs::write(&path, parts.concat()).unwrap();
    let seen = |frame: VideoFrame| (frame.time_ms(), frame.picture().unwrap().get_pixel(50, 40)[0]);
    let mut decoder = Decoder::open(&path, 1).unwrap();
    let all: Vec<(i64, u8)> = std::iter::from_fn(|| decoder.next_frame().unwrap()).map(seen).collect();
    assert!(all.last().unwrap().0 > 13_500, "{:?}", all.last());
    for target_ms in [12_000, 6_000, 13_500, 500, 3_000] {
        decoder.seek(target_ms).unwrap();
        let mut frames = std::iter::from_fn(|| decoder.next_frame().unwrap()).map(seen);
        let meant = all.iter().find(|(time_ms, _)| *time_ms >= target_ms).copied();
        assert_eq!(frames.find(|(time_ms, _)| *time_ms >= target_ms), meant, "{target_ms}");
    }
}

#[test]
fn a_picture_may_change_its_size_but_not_its_shape() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("joined.ts");
    let joined = |sizes: [(u32, u32); 2]| {
        let parts = sizes.map(|size| {
            let part = folder.path().join("part.mp4");
            write(&part, size, &every_40_ms(50));
            as_stream(&part)
        });
        std::fs::write(&path, parts.concat()).unwrap();
        Decoder::open(&path, 1).unwrap()
    };
    let mut decoder = joined([(64, 48), (128, 96)]);
    let frames = std::iter::from_fn(|| decoder.next_frame().unwrap());
    let seen: Vec<_> = frames.map(|frame| (frame.time_ms(), frame.picture().unwrap().dimensions())).collect();
    assert!(seen.iter().all(|(_, size)| *size == (64, 48)) && seen.last().unwrap().0 > 3_500);
    let mut decoder = joined([(64, 48), (48, 48)]);
    let end = std::iter::from_fn(|| decoder.next_frame().transpose()).find_map(Result::err).unwrap();
    assert!(end.to_string().contains("undecodable: the picture changes its shape at "), "{end}");
    assert_eq!(end.failure().reason, Reason::Undecodable);
}

/// Replaces the display matrix in the track header by a quarter turn clockwise.
fn turn_in_container(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let header = bytes.windows(4).position(|word| word == b"tkhd").unwrap() + 4;
    let matrix: Vec<u8> = [0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30]
        .iter()
        .flat_map(|number: &i32| number.to_be_bytes())
        .collect();
    bytes[header + 40..header + 76].copy_from_slice(&matrix);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_rotated_video_is_displayed_upright() {
    let folder = TempDir::new().unwrap();
    let path = a_video(&folder, 3);
    turn_in_container(&path);
    let mut decoder = Decoder::open(&path, 1).unwrap();
    let probe = decoder.probe();
    assert_eq!((probe.width, probe.height, probe.rotation_deg), (48, 64, 90));
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!((frame.width(), frame.height()), (48, 64));
    let picture = frame.picture().unwrap();
    assert!(is_near(*picture.get_pixel(40, 8), [200, 20, 20]), "{:?}", picture.get_pixel(40, 8));
    assert!(is_near(*picture.get_pixel(8, 8), [40, 40, 40]), "{:?}", picture.get_pixel(8, 8));
    assert_eq!(frame.thumbnail(12).unwrap().dimensions(), (12, 16));
    let part = frame.part(Rect { left: 30, top: 2, width: 17, height: 20 }, 1).unwrap();
    assert_eq!(part, image::imageops::crop_imm(&picture, 30, 2, 17, 20).to_image());
}

#[test]
fn a_shrunk_part_shows_the_same_also_rotated() {
    let folder = TempDir::new().unwrap();
    let path = a_video(&folder, 3);
    for turned in [false, true] {
        if turned {
            turn_in_container(&path);
        }
        let frame = Decoder::open(&path, 1).unwrap().next_frame().unwrap().unwrap();
        for shrink in SHRINKS {
            let part = Rect { left: 1, top: 1, width: 4, height: 5 };
            let small = frame.part(part, shrink).unwrap();
            assert_eq!(small.dimensions(), (4, 5));
            let whole = Rect {
                left: shrink,
                top: shrink,
                width: frame.width() - shrink,
                height: frame.height() - shrink,
            };
            let whole = frame.part(whole, 1).unwrap();
            let mut compared = 0;
            for (x, y, pixel) in small.enumerate_pixels() {
                let middle = whole.get_pixel(x * shrink + shrink / 2, y * shrink + shrink / 2);
                // Not at the edge of the red quarter, where both colours mix.
                if whole.get_pixel(x * shrink, y * shrink)
                    == whole.get_pixel((x + 1) * shrink - 1, (y + 1) * shrink - 1)
                {
                    assert!(
                        is_near(*pixel, middle.0),
                        "{turned} 1/{shrink} at {x}, {y}: {pixel:?} {middle:?}"
                    );
                    compared += 1;
                }
            }
            assert!(compared > 0, "1/{shrink}: no pixel is of one colour");
        }
    }
}

#[test]
fn of_odd_sides_the_last_row_and_column_are_dropped() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("odd.mp4");
    write(&path, (65, 49), &[0, 40]);
    let probe = probe(&path).unwrap();
    assert_eq!((probe.width, probe.height), (64, 48));
}

#[test]
fn the_same_pictures_give_the_same_bytes_with_the_index_first() {
    let folder = TempDir::new().unwrap();
    let bytes = std::fs::read(a_video(&folder, 30)).unwrap();
    assert!(bytes == std::fs::read(a_video(&folder, 30)).unwrap());
    let moov = bytes.windows(4).position(|word| word == b"moov").unwrap();
    assert!(moov < bytes.windows(4).position(|word| word == b"mdat").unwrap(), "the index must come first");
}

#[test]
fn garbage_empty_files_web_pages_and_playlists_are_not_videos() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mp4");
    let garbage: Vec<u8> = (0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let page = b"<!DOCTYPE html><html><body>Sorry</body></html>".to_vec();
    let list = b"#EXTM3U\n#EXTINF:10,\na.mp4\n#EXT-X-ENDLIST\n".to_vec();
    for bytes in [garbage, Vec::new(), page, list] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(failure_of(probe(&path)), (FailureKind::Rejected, Reason::NotAVideo));
    }
}

#[test]
fn a_missing_file_is_a_missing_source_and_no_disk_error() {
    let missing = Path::new("nowhere/none.mp4");
    assert_eq!(failure_of(probe(missing)), (FailureKind::Permanent, Reason::SourceGone));
}

#[test]
fn a_check_reports_progress_for_every_frame_that_it_decodes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("one-key-frame.mp4");
    let options = EncoderOptions { key_frame_every_s: 60, ..EncoderOptions::default() };
    let mut writer = ClipWriter::create_with(&path, (64, 48), 25.0, options).unwrap();
    for time_ms in every_40_ms(250) {
        writer.push(&numbered(64, 48, 0), time_ms).unwrap();
    }
    writer.finish().unwrap();
    let mut reported = Vec::new();
    super::check(&path, Some(10_000), &mut |done_ms| reported.push(done_ms)).unwrap();
    // From the only key frame to the middle, and again from it to near the end.
    assert!((350..=365).contains(&reported.len()), "{} frames", reported.len());
    let repeated = reported.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    assert!(repeated <= 1 && reported.is_sorted(), "{reported:?}");
}

#[test]
fn a_file_cut_short_ends_early_and_fails_the_check() {
    let folder = TempDir::new().unwrap();
    let path = a_video(&folder, 250);
    assert!(check(&path, Some(10_000)).is_ok());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
    assert_eq!(failure_of(check(&path, Some(10_000))), (FailureKind::Rejected, Reason::Undecodable));
    let mut decoder = Decoder::open(&path, 2).unwrap();
    let (mut frames, mut end) = (0, decoder.next_frame());
    while let Ok(Some(_)) = end {
        frames += 1;
        end = decoder.next_frame();
    }
    assert!((20..250).contains(&frames), "{frames} frames");
    std::fs::write(&path, &bytes[..200]).unwrap();
    assert_eq!(failure_of(probe(&path)), (FailureKind::Rejected, Reason::NotAVideo));
}

/// The same pictures in a Matroska file, beginning at `late_ms`, with `sound_ms` of silence as audio.
fn with_sound(video: &Path, late_ms: i64, sound_ms: i64) -> PathBuf {
    use ffmpeg_next::{ChannelLayout, Packet, codec, encoder, format};
    let path = video.with_extension("mkv");
    let pcm = encoder::find(codec::Id::PCM_S16LE).unwrap();
    let mut sound = codec::Context::new_with_codec(pcm).encoder().audio().unwrap();
    sound.set_rate(8_000);
    sound.set_format(format::Sample::I16(format::sample::Type::Packed));
    sound.set_channel_layout(ChannelLayout::MONO);
    let sound = sound.open_as(pcm).unwrap();
    let (mut input, mut output) = (format::input(video).unwrap(), format::output(&path).unwrap());
    let (parameters, base) = input.stream(0).map(|stream| (stream.parameters(), stream.time_base())).unwrap();
    output.add_stream(encoder::find(codec::Id::None)).unwrap().set_parameters(parameters);
    output.add_stream_with(&sound).unwrap();
    output.write_header().unwrap();
    let mut packet = Packet::empty();
    while packet.read(&mut input).is_ok() {
        packet.rescale_ts(base, (1, 1_000));
        packet.set_pts(packet.pts().map(|pts_ms| pts_ms + late_ms));
        packet.set_dts(packet.dts().map(|dts_ms| dts_ms + late_ms));
        packet.write_interleaved(&mut output).unwrap();
    }
    for start_ms in (0..sound_ms).step_by(100) {
        let mut packet = Packet::copy(&[0; 1_600]);
        packet.set_stream(1);
        packet.set_pts(Some(start_ms));
        packet.set_dts(Some(start_ms));
        packet.set_duration(100);
        packet.write_interleaved(&mut output).unwrap();
    }
    output.write_trailer().unwrap();
    path
}

#[test]
fn pictures_may_begin_after_the_audio_and_end_before_it() {
    let folder = TempDir::new().unwrap();
    let video = a_video(&folder, 150);
    for (late_ms, sound_ms) in [(0, 10_000), (3_900, 9_900), (2_000, 10_000)] {
        let path = with_sound(&video, late_ms, sound_ms);
        let seen = check(&path, None).unwrap();
        assert!(seen.has_audio && (9_800..=10_000).contains(&seen.duration_ms), "{seen:?}");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 8 / 10]).unwrap();
        let cut_short = failure_of(check(&path, None));
        assert_eq!(cut_short, (FailureKind::Rejected, Reason::Undecodable), "{late_ms} {sound_ms}");
    }
}

#[test]
fn a_frame_of_ten_bits_takes_twice_the_memory_of_one_of_eight() {
    use ffmpeg_next::format::Pixel;
    use ffmpeg_next::frame::Video;
    let size_bytes = |format| ffi::size_bytes(&Video::new(format, 64, 48));
    assert_eq!([Pixel::YUV420P, Pixel::YUV420P10LE].map(size_bytes), [64 * 48 * 3 / 2, 64 * 48 * 3]);
    let folder = TempDir::new().unwrap();
    assert_eq!(probe(&a_video(&folder, 2)).unwrap().frame_bytes, 64 * 48 * 3 / 2);
}

#[test]
fn a_video_without_its_frames_is_undecodable() {
    let folder = TempDir::new().unwrap();
    let path = a_video(&folder, 250);
    let mut bytes = std::fs::read(&path).unwrap();
    let frames = bytes.windows(4).position(|word| word == b"mdat").unwrap() + 4;
    bytes[frames..].fill(0x55);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(failure_of(probe(&path)), (FailureKind::Rejected, Reason::Undecodable));
}

#[test]
fn a_few_broken_packets_are_skipped() {
    let folder = TempDir::new().unwrap();
    let path = a_video(&folder, 100);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    assert!(times_of(&path, 1).len() > 50);
}

#[test]
fn a_duration_far_from_the_promised_one_is_rejected() {
    let folder = TempDir::new().unwrap();
    let path = a_video(&folder, 50);
    assert!(check(&path, Some(3_500)).is_ok());
    assert_eq!(failure_of(check(&path, Some(30_000))), (FailureKind::Rejected, Reason::DurationMismatch));
}

#[test]
fn the_writer_rejects_invalid_sizes_times_and_paths() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.mp4");
    let mut writer = ClipWriter::create(&path, 64, 48, 25.0).unwrap();
    assert_eq!(failure_of(writer.push(&numbered(32, 48, 0), 0)).1, Reason::Bug);
    writer.push(&numbered(64, 48, 0), 10).unwrap();
    assert_eq!(failure_of(writer.push(&numbered(64, 48, 1), 10)).1, Reason::Bug);
    assert_eq!(failure_of(ClipWriter::create(&path, 1, 1, 25.0)).1, Reason::Bug);
    assert_eq!(failure_of(ClipWriter::create(&path, 64, 48, 25.0).unwrap().finish()).1, Reason::Bug);
    let nowhere = folder.path().join("none").join("a.mp4");
    assert_eq!(failure_of(ClipWriter::create(&nowhere, 64, 48, 25.0)).1, Reason::Disk);
}

/// The other codecs of video sites; encoded by the ffmpeg program, as far as it is installed and can.
#[test]
fn videos_of_other_codecs_keep_their_times_to_the_millisecond() {
    let folder = TempDir::new().unwrap();
    let film = a_video(&folder, 10);
    let others = [
        ("av1", "mp4", "-c:v libaom-av1 -cpu-used 8 -crf 20 -b:v 0"),
        ("hevc", "mp4", "-c:v libx265 -crf 16 -x265-params log-level=none"),
        ("vp9", "webm", "-c:v libvpx-vp9 -cpu-used 8 -crf 10 -b:v 0"),
        ("mpeg4", "avi", "-c:v mpeg4 -q:v 2"),
    ];
    for (codec, container, flags) in others {
        let path = folder.path().join(format!("{codec}.{container}"));
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(&film).args(flags.split(' ')).arg(&path);
        if !ffmpeg.status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no ffmpeg here writes {codec}");
            continue;
        }
        assert_eq!(probe(&path).unwrap().video_codec, codec);
        assert_eq!(times_of(&path, 2), every_40_ms(10), "{codec}");
        let picture = Decoder::open(&path, 1).unwrap().next_frame().unwrap().unwrap().picture().unwrap();
        for (x, y, meant) in [(8, 8, [200, 20, 20]), (50, 40, [40, 40, 40])] {
            let seen = *picture.get_pixel(x, y);
            assert!(is_near(seen, meant), "{codec}: {seen:?} is not {meant:?}");
        }
    }
}
