//! Small videos with squares for faces: encoded, scanned and cut.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};

use super::cut::cut_within;
use super::{FaceSink, Unwatched, Watch, cut_clips, faces_of_video, recrop_video, scan_video};
use crate::config::ClipRecipe;
use crate::face::fake_detector::FakeDetector;
use crate::face::select::{ClipPlan, select};
use crate::failure::{Failure, Reason};
use crate::media::{ClipWriter, Decoder, EncoderOptions, Preset};
use crate::pipeline::cpu::{CutTask, FacesTask, Recrop};
use crate::pipeline::inspection::FollowedFace;
use crate::pipeline::staged_clips::{self, StagedClip};
use crate::types::{Clip, CropStyle, Scan, SeenFace, Span};

const FRAME_MS: i64 = 40;

/// Face-coloured squares on a grey background; each square is its left edge and its green value.
fn scene(grey: u8, squares: &[(u32, u8)]) -> RgbImage {
    RgbImage::from_fn(160, 120, |x, y| {
        let hit = squares.iter().find(|(left, _)| (*left..left + 60).contains(&x) && (30..90).contains(&y));
        hit.map_or(Rgb([grey, grey / 2 + (y / 2) as u8, grey]), |(_, green)| Rgb([255, *green, 40]))
    })
}

/// Encodes a video of this many frames.
fn film(folder: &Path, frames: i64, picture: impl Fn(i64) -> RgbImage) -> PathBuf {
    let times = (0..frames).map(|at| at * FRAME_MS);
    film_at(folder, times, EncoderOptions::default(), picture)
}

/// Encodes a video with a frame at each of these times.
fn film_at(
    folder: &Path,
    times_ms: impl Iterator<Item = i64>,
    options: EncoderOptions,
    picture: impl Fn(i64) -> RgbImage,
) -> PathBuf {
    let path = folder.join("film.mp4");
    let mut writer = ClipWriter::create_with(&path, (160, 120), 25.0, options).unwrap();
    for (at, time_ms) in (0..).zip(times_ms) {
        writer.push(&picture(at), time_ms).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// Stops the work after `most` frames.
struct FrameLimit {
    seen: u32,
    most: u32,
}

impl Watch for FrameLimit {
    fn frame(&mut self, _done_ms: i64, _total_ms: i64) -> ControlFlow<()> {
        self.seen += 1;
        if self.seen > self.most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn recipe() -> ClipRecipe {
    // Squares appear and vanish within one frame, which must not count as cuts.
    let cut_min_difference = 60.0;
    ClipRecipe {
        min_clip_face_px: 20.0,
        clip_side_px: 64,
        sample_side_px: 64,
        cut_min_difference,
        ..ClipRecipe::default()
    }
}

fn scan(path: &Path, detector: &mut FakeDetector) -> Scan {
    scan_video(path, &recipe(), detector, None, &mut Unwatched).unwrap()
}

fn spans(scan: &Scan) -> Vec<(usize, i64, i64)> {
    scan.tracks.iter().map(|track| (track.shot, track.span.start_ms, track.span.end_ms)).collect()
}

/// No face is in two tracks at the same time, and no track lacks its face for longer than the recipe allows.
fn assert_sound(scan: &Scan) {
    for (at, track) in scan.tracks.iter().enumerate() {
        let gaps_ms = track.faces.windows(2).map(|pair| pair[1].t_ms - pair[0].t_ms);
        assert!(gaps_ms.max().unwrap_or(0) <= recipe().max_gap_ms, "{:?}", track.span);
        for other in &scan.tracks[at + 1..] {
            let shared = track.faces.iter().find(|seen| {
                let overlaps = |face: &SeenFace| face.face.face_box.iou(&seen.face.face_box) > 0.6;
                other.faces.iter().any(|face| face.t_ms == seen.t_ms && overlaps(face))
            });
            assert_eq!(shared, None, "in {:?} and {:?}", track.span, other.span);
        }
    }
}

#[test]
fn a_track_begins_and_ends_on_the_frame_between_two_looks() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        film(folder.path(), 100, |at| scene(90, if (13..=58).contains(&at) { &[(40, 30)] } else { &[] }));
    let scan = scan(&path, &mut FakeDetector::default());
    assert_eq!(scan.shots, [Span { start_ms: 0, end_ms: 100 * FRAME_MS }]);
    assert_eq!(spans(&scan), [(0, 13 * FRAME_MS, 59 * FRAME_MS)]);
}

#[test]
fn tracks_end_exactly_at_a_cut_and_begin_exactly_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), 90, |at| match at {
        ..38 => scene(40, &[(40, 30)]),
        _ => scene(200, &[(40, 200)]),
    });
    let scan = scan(&path, &mut FakeDetector::default());
    let cut_ms = 38 * FRAME_MS;
    assert_eq!(scan.shots.iter().map(|shot| shot.start_ms).collect::<Vec<_>>(), [0, cut_ms]);
    assert_eq!(spans(&scan), [(0, 0, cut_ms), (1, cut_ms, 90 * FRAME_MS)]);
}

#[test]
fn a_tracked_face_is_mostly_followed_and_a_new_one_is_traced_back_to_its_first_looks() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        film(folder.path(), 125, |at| scene(90, if at >= 57 { &[(10, 30), (90, 200)] } else { &[(10, 30)] }));
    let mut detector = FakeDetector::default();
    let scan = scan(&path, &mut detector);
    assert!(detector.detected <= 8, "five seconds were searched {} times", detector.detected);
    assert_eq!(scan.frames_detected, detector.detected as u64);
    let found = spans(&scan);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], (0, 0, 125 * FRAME_MS));
    assert!((found[1].1 - 57 * FRAME_MS).abs() <= 200, "{found:?}");
}

#[test]
fn a_face_that_jumps_is_found_nearby_without_a_search_of_the_whole_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), 95, |at| scene(90, &[(if at < 58 { 10 } else { 28 }, 30)]));
    let mut detector = FakeDetector { follows_to_iou: 0.6, ..FakeDetector::default() };
    let scan = scan(&path, &mut detector);
    assert_eq!(spans(&scan), [(0, 0, 95 * FRAME_MS)]);
    assert_eq!((scan.frames_detected, detector.detected), (1, 2));
}

#[test]
fn another_picture_around_a_face_ends_its_track_though_it_is_no_cut_of_the_whole_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), 95, |at| {
        let mut picture = scene(90, &[(40, 30)]);
        let around = |x, y| (30..110).contains(&x) && (20..100).contains(&y);
        for (x, _, pixel) in picture.enumerate_pixels_mut().filter(|(x, y, p)| around(*x, *y) && p[0] < 250) {
            *pixel = Rgb([if (x / 12 % 2 == 0) == (at < 58) { 20 } else { 180 }; 3]);
        }
        picture
    });
    let recipe = ClipRecipe { cut_min_difference: 30.0, ..recipe() };
    let scan = scan_video(&path, &recipe, &mut FakeDetector::default(), None, &mut Unwatched).unwrap();
    assert_eq!(scan.shots.len(), 1);
    assert_eq!(spans(&scan), [(0, 0, 58 * FRAME_MS), (0, 60 * FRAME_MS, 95 * FRAME_MS)]);
}

#[test]
fn a_pause_ends_a_track_and_the_next_one_begins_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let times = (0..76).map(|at| at * FRAME_MS).chain((0..76).map(|at| 3_740 + at * FRAME_MS));
    let path = film_at(folder.path(), times, EncoderOptions::default(), |_| scene(90, &[(40, 30)]));
    let scan = scan(&path, &mut FakeDetector::default());
    assert_eq!(spans(&scan), [(0, 0, 3_040), (0, 3_740, 6_780)]);
    assert_sound(&scan);
}

#[test]
fn a_long_pause_makes_no_track_longer_and_raises_no_coverage() {
    let folder = tempfile::tempdir().unwrap();
    // Every third look finds no face; after eight seconds there is no frame for two minutes.
    let times = (0..200).map(|at| at * FRAME_MS).chain([128_000]);
    let face = |at| scene(90, if at % 15 < 10 { &[(40, 30)] } else { &[] });
    let path = film_at(folder.path(), times, EncoderOptions::default(), face);
    let scan = scan(&path, &mut FakeDetector::default());
    assert_eq!(spans(&scan), [(0, 0, 8_000), (0, 128_000, 128_040)]);
    let verdicts = select(&scan, &recipe()).1.verdicts;
    assert_eq!(verdicts, [Reason::FaceTooPatchy, Reason::FaceTooBrief].map(Some));
}

#[test]
fn faces_that_pass_each_other_in_a_video_with_pauses_keep_separate_tracks() {
    let folder = tempfile::tempdir().unwrap();
    // Three pauses of 0.7 s.
    let times = (0..320).map(|at| at * FRAME_MS + at / 90 * 700);
    let path = film_at(folder.path(), times, EncoderOptions::default(), |at| {
        let walker = (at * 3 % 100) as u32;
        let squares = if at % 110 < 80 { vec![(walker, 30), (90, 200)] } else { vec![(90, 200)] };
        scene(90, &squares)
    });
    let scan = scan(&path, &mut FakeDetector::default());
    assert!(scan.tracks.len() > 4, "{:?}", spans(&scan));
    assert_sound(&scan);
}

fn task(path: &Path, plans: &[ClipPlan], folder: &Path) -> CutTask {
    CutTask { path: path.to_owned(), plans: plans.to_vec(), recipe: recipe(), clips: folder.to_owned() }
}

/// Cuts one plan alone.
fn cut(path: &Path, plan: &ClipPlan, folder: &Path) -> Result<Clip, Failure> {
    let task = task(path, std::slice::from_ref(plan), folder);
    cut_clips(&task, &mut FakeDetector::default(), &mut Unwatched).unwrap();
    staged(folder, plan)
}

/// The clip in the folder, or why it is unsound.
fn staged(folder: &Path, plan: &ClipPlan) -> Result<Clip, Failure> {
    match staged_clips::read(folder, plan).unwrap() {
        StagedClip::Finished(clip) => Ok(clip),
        StagedClip::Unsound(failure) => Err(failure),
        StagedClip::Missing => panic!("no clip of {:?}", plan.span),
    }
}

#[test]
fn a_clip_has_the_planned_frames_and_a_sample_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), 180, |at| scene(90, if at < 20 { &[] } else { &[(40, 30)] }));
    let scan = scan(&path, &mut FakeDetector::default());
    let (plans, explain) = select(&scan, &recipe());
    assert_eq!((plans.len(), explain.clips), (1, 1));
    let clip = cut(&path, &plans[0], folder.path()).unwrap();
    assert_eq!((clip.span.start_ms, clip.span.end_ms, clip.frames), (800, 7_200, 160));
    let times: Vec<i64> = clip.samples.iter().map(|sample| sample.t_ms).collect();
    assert_eq!(times, [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000]);
    let crop = image::load_from_memory(&clip.samples[0].jpeg).unwrap();
    assert_eq!((crop.width(), crop.height()), (64, 64));
    let mut decoder = Decoder::open(&staged_clips::video_path(folder.path(), &plans[0]), 1).unwrap();
    let first = decoder.next_frame().unwrap().unwrap();
    assert_eq!((first.width(), first.height()), (64, 64));
    // The square of 60 pixels in a window of 1.6 times its size: face in the middle, background at the edge.
    let shown = first.picture().unwrap();
    assert!(shown.get_pixel(32, 32)[0] > 220 && shown.get_pixel(3, 3)[0] < 140);
}

/// A face that moves, is missing in single frames, passes two cuts, and stays long enough for several clips.
fn long_film(folder: &Path) -> PathBuf {
    film(folder, 900, |at| {
        let left = 50 + (40.0 * (at as f64 / 30.0).sin()) as u32;
        let (grey, green) = if (160..180).contains(&at) { (200, 200) } else { (60, 30) };
        let squares = if at % 100 == 50 { vec![] } else { vec![(left, green)] };
        scene(grey, &squares)
    })
}

#[test]
fn clips_cut_during_the_scan_equal_clips_cut_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = long_film(folder.path());
    let during = tempfile::tempdir().unwrap();
    let mut detector = FakeDetector::default();
    let scan = scan_video(&path, &recipe(), &mut detector, Some(during.path()), &mut Unwatched).unwrap();
    let plans = select(&scan, &recipe()).0;
    assert!(plans.len() >= 4, "{:?}", spans(&scan));
    cut_clips(&task(&path, &plans, folder.path()), &mut detector, &mut Unwatched).unwrap();
    for plan in &plans {
        let [one, other] = [during.path(), folder.path()].map(|folder| staged(folder, plan).unwrap());
        assert_eq!(one, other);
        let [one, other] = [during.path(), folder.path()]
            .map(|folder| std::fs::read(staged_clips::video_path(folder, plan)).unwrap());
        assert!(one == other, "the videos of {:?} differ", plan.span);
    }
    let files = std::fs::read_dir(during.path()).unwrap().count();
    assert_eq!(files, 2 * plans.len(), "a video and a record for each plan");
}

#[test]
fn no_clip_is_framed_by_faces_beyond_a_dissolve() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), 700, |at| {
        let left = 50 + (40.0 * (at as f64 / 30.0).sin()) as u32;
        let share = (at - 250).clamp(0, 25) as u32;
        let mut picture = scene(60, &[(left, 30)]);
        for (x, _, pixel) in picture.enumerate_pixels_mut().filter(|(_, _, pixel)| pixel[0] < 255) {
            let [one, other] = if x / 20 % 2 == 0 { [20, 200] } else { [200, 20] };
            *pixel = Rgb([((one * (25 - share) + other * share) / 25) as u8; 3]);
        }
        picture
    });
    let during = tempfile::tempdir().unwrap();
    let mut detector = FakeDetector::default();
    let scan = scan_video(&path, &recipe(), &mut detector, Some(during.path()), &mut Unwatched).unwrap();
    let plans = select(&scan, &recipe()).0;
    let is_cut = |plan| staged_clips::read(during.path(), plan).unwrap() != StagedClip::Missing;
    let cut: Vec<bool> = plans.iter().map(is_cut).collect();
    assert_eq!((scan.shots.len(), cut), (2, vec![false, false, true]), "{:?}", scan.shots);
}

#[test]
fn a_plan_without_its_face_at_the_end_gives_an_unsound_clip() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), 180, |at| scene(90, if at < 130 { &[(40, 30)] } else { &[] }));
    let scan = scan(&path, &mut FakeDetector::default());
    let mut plan = select(&scan, &recipe()).0.remove(0);
    plan.span.end_ms = 7_200;
    let failure = cut(&path, &plan, folder.path()).unwrap_err();
    assert_eq!(failure.reason, Reason::ClipUnsound);
    assert!(failure.detail.contains("last frames"), "{failure}");
    assert!(!staged_clips::video_path(folder.path(), &plan).exists());
}

#[test]
fn a_clip_that_failed_on_a_full_disk_is_cut_again_once_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), 180, |_| scene(90, &[(40, 30)]));
    let plans = select(&scan(&path, &mut FakeDetector::default()), &recipe()).0;
    let place = staged_clips::video_path(folder.path(), &plans[0]);
    // Every write to this device says that no space is left.
    std::os::unix::fs::symlink("/dev/full", &place).unwrap();
    let cut_all =
        cut_clips(&task(&path, &plans, folder.path()), &mut FakeDetector::default(), &mut Unwatched);
    assert_eq!(cut_all.unwrap_err().reason, Reason::Disk);
    assert_eq!(staged_clips::read(folder.path(), &plans[0]).unwrap(), StagedClip::Missing);
    std::fs::remove_file(place).unwrap();
    cut(&path, &plans[0], folder.path()).unwrap();
}

#[test]
fn a_watcher_can_stop_a_scan_at_any_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), 50, |_| scene(90, &[]));
    let mut watch = FrameLimit { seen: 0, most: 5 };
    let failure = scan_video(&path, &recipe(), &mut FakeDetector::default(), None, &mut watch).unwrap_err();
    assert_eq!((failure.reason, watch.seen), (Reason::Interrupted, 6));
}

/// A still face for 14 seconds; only the first frame is a key frame.
fn film_without_key_frames(folder: &Path) -> PathBuf {
    let options =
        EncoderOptions { key_frame_every_s: 20, preset: Preset::UltraFast, ..EncoderOptions::default() };
    film_at(folder, (0..350).map(|at| at * FRAME_MS), options, |_| scene(90, &[(40, 30)]))
}

#[test]
fn a_clip_far_behind_the_last_key_frame_is_cut_in_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let path = film_without_key_frames(folder.path());
    let scan = scan(&path, &mut FakeDetector::default());
    let plan = ClipPlan::new(0, &scan.tracks[0], Span { start_ms: 8_000, end_ms: 13_000 });
    let mut watch = FrameLimit { seen: 0, most: 350 };
    let task = task(&path, std::slice::from_ref(&plan), folder.path());
    cut_clips(&task, &mut FakeDetector::default(), &mut watch).unwrap();
    assert_eq!(staged(folder.path(), &plan).unwrap().frames, 125);
}

#[test]
fn crops_far_behind_the_last_key_frame_are_made_in_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let path = film_without_key_frames(folder.path());
    let face = scan(&path, &mut FakeDetector::default()).tracks[0].faces[0].face;
    let faces = [0, 5_000, 10_000, 13_960].map(|t_ms| SeenFace { t_ms, face }).to_vec();
    let recrop = Recrop { faces, style: CropStyle::plain(64), jpeg_quality: 90 };
    let mut watch = FrameLimit { seen: 0, most: 355 };
    let crops = recrop_video(&path, &recrop, &mut watch).unwrap();
    assert!(crops.len() == 4 && crops.iter().all(|crop| !crop.jpeg.is_empty()));
}

#[test]
fn a_clip_may_be_shorter_than_its_span_by_a_frame_at_each_end_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    // Fifty frames a second, then four.
    let times = (0..200).map(|at| 20 * at).chain((0..42).map(|at| 4_000 + 240 * at));
    let path = film_at(folder.path(), times, EncoderOptions::default(), |_| scene(90, &[(40, 30)]));
    let scan = scan(&path, &mut FakeDetector::default());
    let plan = |start_ms, end_ms| ClipPlan::new(0, &scan.tracks[0], Span { start_ms, end_ms });
    let clip = cut(&path, &plan(4_481, 10_240), folder.path()).unwrap();
    assert_eq!((clip.span.length_ms(), clip.frames), (5_759, 23));
    let path = film(folder.path(), 180, |_| scene(90, &[(40, 30)]));
    let failure = cut(&path, &plan(0, 7_400), folder.path()).unwrap_err();
    assert_eq!(failure.reason, Reason::ClipUnsound);
    assert!(failure.detail.contains("lasts 7200 ms"), "{failure}");
}

#[test]
fn a_face_in_a_video_of_few_frames_a_second_becomes_a_clip() {
    for frame_ms in [333, 250, 167, 125] {
        let folder = tempfile::tempdir().unwrap();
        let times = (0..6_500 / frame_ms).map(|at| at * frame_ms);
        let path = film_at(folder.path(), times, EncoderOptions::default(), |_| scene(90, &[(40, 30)]));
        let scan = scan(&path, &mut FakeDetector::default());
        let (plans, explain) = select(&scan, &recipe());
        assert_eq!(plans.len(), 1, "{frame_ms}: {explain:?}");
    }
}

/// Notes every face, and how much of the work was done when it came.
#[derive(Default)]
struct Faces {
    done_ms: i64,
    taken: Vec<(i64, FollowedFace)>,
}

impl Watch for Faces {
    fn frame(&mut self, done_ms: i64, _total_ms: i64) -> ControlFlow<()> {
        self.done_ms = done_ms;
        ControlFlow::Continue(())
    }
}

impl FaceSink for Faces {
    fn face(&mut self, face: FollowedFace) {
        self.taken.push((self.done_ms, face));
    }
}

#[test]
fn a_followed_face_is_handed_over_once_its_crops_are_made() {
    let folder = tempfile::tempdir().unwrap();
    // The first face is there for seven seconds, the second one from 2.4 to 4.4 s.
    let path = film(folder.path(), 175, |at| {
        scene(90, if (60..110).contains(&at) { &[(10, 30), (90, 200)] } else { &[(10, 30)] })
    });
    let task = FacesTask { path, recipe: recipe(), side_px: 64 };
    let mut faces = Faces::default();
    faces_of_video(&task, &mut FakeDetector::default(), &mut faces).unwrap();
    let tracks: Vec<usize> = faces.taken.iter().map(|(_, face)| face.track).collect();
    assert_eq!(tracks, [1, 0]);
    let [(second_ms, second), (first_ms, first)] = &faces.taken[..] else { panic!("two faces") };
    // The second pass counts on from 7 s.
    assert!(*second_ms <= 7_000 + 4_400 && *first_ms > 7_000 + 6_000, "{second_ms} {first_ms}");
    assert_eq!((first.start_s, first.end_s, first.crops.len()), (0.0, 7.0, 16));
    assert!(second.crops.iter().all(|crop| crop.rgb.len() == 3 * 64 * 64));
}

/// How much of the work was done at each frame.
#[derive(Default)]
struct Progress(Vec<i64>);

impl Watch for Progress {
    fn frame(&mut self, done_ms: i64, total_ms: i64) -> ControlFlow<()> {
        assert!(done_ms <= total_ms);
        self.0.push(done_ms);
        ControlFlow::Continue(())
    }
}

#[test]
fn clips_that_overlap_and_take_too_much_memory_are_cut_in_several_passes() {
    let [source, one, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let path = film(source.path(), 180, |_| scene(90, &[(10, 30), (90, 200)]));
    let plans = select(&scan(&path, &mut FakeDetector::default()), &recipe()).0;
    assert_eq!(plans.len(), 2);
    let mut progress = Progress::default();
    let mut cut = |folder: &Path, max_bytes| {
        let mut detector = FakeDetector::default();
        progress.0.clear();
        cut_within(&task(&path, &plans, folder), max_bytes, &mut detector, &mut progress).unwrap();
        assert!(progress.0.is_sorted(), "{:?}", progress.0);
        progress.0.len()
    };
    let [at_once, in_turn] = [cut(one.path(), usize::MAX), cut(other.path(), 1)];
    assert!(at_once <= 181 && in_turn > 350, "{at_once} and {in_turn} frames");
    for plan in &plans {
        assert_eq!(staged(one.path(), plan).unwrap(), staged(other.path(), plan).unwrap());
        let [one, other] = [one.path(), other.path()]
            .map(|folder| std::fs::read(staged_clips::video_path(folder, plan)).unwrap());
        assert!(one == other, "the videos of {:?} differ", plan.span);
    }
}
