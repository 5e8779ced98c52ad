//! Tracks over faces that the tests place.

use image::RgbImage;

use super::*;
use crate::face::fake::face_at;

const LOOK_MS: i64 = 200;
const ONE_SHOT: [Span; 1] = [Span { start_ms: 0, end_ms: i64::MAX }];

fn tracker() -> Tracker {
    Tracker::new(&ClipRecipe::default(), 40)
}

/// The tracks of the faces of these looks.
fn tracks(looks: &[Vec<Face>]) -> Vec<Track> {
    let mut tracker = tracker();
    for (at, faces) in looks.iter().enumerate() {
        tracker.see(at as i64 * LOOK_MS, faces);
    }
    tracker.finish(&ONE_SHOT)
}

fn still_at(t_ms: i64) -> SeenFace {
    SeenFace { t_ms, face: still() }
}

fn still() -> Face {
    face_at(0.4, 0.4, 0.2, 0.2)
}

#[test]
fn a_still_face_is_one_track_that_ends_after_its_last_frame() {
    let found = tracks(&vec![vec![still()]; 10]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].span, Span { start_ms: 0, end_ms: 9 * LOOK_MS + 40 });
    assert_eq!(found[0].faces.len(), 10);
}

#[test]
fn a_gap_of_half_a_second_is_bridged_and_a_longer_one_is_not() {
    let with_gap = |missing: usize| {
        let looks: Vec<Vec<Face>> =
            (0..12).map(|at| if (4..4 + missing).contains(&at) { vec![] } else { vec![still()] }).collect();
        tracks(&looks).len()
    };
    assert_eq!(with_gap(1), 1);
    assert_eq!(with_gap(2), 2);
}

#[test]
fn no_track_crosses_a_shot() {
    let mut tracker = tracker();
    for at in 0..10 {
        if at == 5 {
            tracker.begin_shot(1);
        }
        tracker.see(at * LOOK_MS, &[still()]);
    }
    let found =
        tracker.finish(&[Span { start_ms: 0, end_ms: 1_000 }, Span { start_ms: 1_000, end_ms: 2_000 }]);
    assert_eq!(
        found.iter().map(|track| (track.shot, track.faces.len())).collect::<Vec<_>>(),
        [(0, 5), (1, 5)]
    );
}

#[test]
fn two_people_who_pass_each_other_are_never_one_track() {
    // The left one walks right and the right one left; in the middle one face hides the other. Heights tell
    // them apart: the first person's face is 0.2 high, the second's 0.24.
    let looks: Vec<Vec<Face>> = (0..21)
        .map(|at| {
            let x = 0.1 + 0.03 * at as f32;
            let first = face_at(x, 0.4, 0.2, 0.2);
            let second = face_at(0.7 - 0.03 * at as f32, 0.4, 0.2, 0.24);
            if first.face_box.iou(&second.face_box) > 0.4 { vec![first] } else { vec![second, first] }
        })
        .collect();
    let found = tracks(&looks);
    for track in &found {
        let heights: Vec<f32> = track.faces.iter().map(|seen| seen.face.face_box.height).collect();
        assert!(heights.iter().all(|height| (height - heights[0]).abs() < 1e-6), "{heights:?}");
    }
    assert!(found.len() >= 4, "both end where one hides the other: {}", found.len());
}

#[test]
fn a_false_detection_beside_a_face_does_not_end_its_track() {
    let false_face = face_at(0.45, 0.5, 0.15, 0.15);
    let looks: Vec<Vec<Face>> =
        (0..10).map(|at| if at == 5 { vec![still(), false_face] } else { vec![still()] }).collect();
    assert_eq!(tracks(&looks).iter().map(|track| track.faces.len()).collect::<Vec<_>>(), [10, 1]);
}

#[test]
fn two_faces_that_overlap_but_are_always_seen_keep_their_tracks() {
    let looks: Vec<Vec<Face>> = (0..20)
        .map(|at| {
            let sway = 0.02 * (at % 3) as f32;
            vec![face_at(0.2 + sway, 0.4, 0.2, 0.2), face_at(0.38 - sway, 0.42, 0.2, 0.2)]
        })
        .collect();
    let found = tracks(&looks);
    assert_eq!(found.iter().map(|track| track.faces.len()).collect::<Vec<_>>(), [20, 20]);
}

#[test]
fn no_frame_gives_a_track_two_faces_and_no_face_two_tracks() {
    // Four faces at pseudo-random places.
    let looks: Vec<Vec<Face>> = (0..60_u32)
        .map(|at| {
            let place = |k: u32| {
                ((at * 7 + k * 31).wrapping_mul(2_654_435_761).wrapping_mul(k + 1) % 97) as f32 / 97.0
            };
            (0..4).map(|k| face_at(place(k) * 0.7, place(k + 9) * 0.7, 0.25, 0.25)).collect()
        })
        .collect();
    let found = tracks(&looks);
    assert_eq!(found.iter().map(|track| track.faces.len()).sum::<usize>(), 240);
    for track in &found {
        assert!(track.faces.windows(2).all(|pair| pair[0].t_ms < pair[1].t_ms));
    }
}

#[test]
fn a_track_is_extended_only_outwards() {
    let mut tracker = tracker();
    assert_eq!(tracker.see(400, &[still()]), Changes { began: vec![0], missed: vec![] });
    assert!(tracker.extend_back(0, still_at(320)) && !tracker.extend_back(0, still_at(360)));
    assert_eq!(tracker.see(600, &[]), Changes { began: vec![], missed: vec![0] });
    assert!(tracker.extend(0, still_at(440)) && !tracker.extend(0, still_at(420)));
    let times: Vec<i64> = tracker.finish(&ONE_SHOT)[0].faces.iter().map(|seen| seen.t_ms).collect();
    assert_eq!(times, [320, 400, 440]);
}

#[test]
fn a_track_is_not_extended_over_a_long_gap() {
    let mut tracker = tracker();
    tracker.see(1_000, &[still()]);
    assert!(!tracker.extend_back(0, still_at(499)) && tracker.extend_back(0, still_at(500)));
    assert!(!tracker.extend(0, still_at(1_501)) && tracker.extend(0, still_at(1_500)));
}

#[test]
fn a_track_is_not_extended_by_a_face_that_an_ended_track_has() {
    let mut tracker = tracker();
    tracker.see(0, &[still()]);
    tracker.see(200, &[still()]);
    assert_eq!(tracker.see(701, &[still()]), Changes { began: vec![0], missed: vec![] });
    assert!(tracker.extend_back(0, still_at(400)), "no track has it at that time");
    assert!(!tracker.extend_back(0, still_at(200)));
    let beside = SeenFace { t_ms: 200, face: face_at(0.7, 0.4, 0.2, 0.2) };
    assert!(tracker.extend_back(0, beside), "another face");
    let lengths: Vec<usize> = tracker.finish(&ONE_SHOT).iter().map(|track| track.faces.len()).collect();
    assert_eq!(lengths, [2, 3]);
}

#[test]
fn a_track_may_be_extended_by_a_face_that_a_track_of_another_shot_has() {
    let mut tracker = tracker();
    tracker.see(0, &[still()]);
    tracker.begin_shot(1);
    tracker.see(200, &[still()]);
    assert!(tracker.extend_back(0, still_at(100)));
}

#[test]
fn a_border_that_is_found_afterwards_splits_a_track() {
    let mut tracker = tracker();
    for at in 0..10 {
        let seen = if at == 7 { vec![] } else { vec![still()] };
        tracker.see(at * LOOK_MS, &seen);
    }
    let pieces = tracker.finish(&[Span { start_ms: 0, end_ms: 900 }, Span { start_ms: 900, end_ms: 2_000 }]);
    let spans: Vec<_> =
        pieces.iter().map(|t| (t.shot, t.span.start_ms, t.span.end_ms, t.faces.len())).collect();
    assert_eq!(spans, [(0, 0, 900, 5), (1, 1_000, 1_840, 4)]);
    assert_eq!([pieces[0].coverage, pieces[1].coverage], [1.0, 0.8]);
}

#[test]
fn another_picture_in_the_place_of_a_face_splits_its_track_alone() {
    let (mut tracker, mut cuts) = (tracker(), FaceCuts::new(&ClipRecipe::default()));
    let beside = face_at(0.7, 0.4, 0.2, 0.2);
    for t_ms in (0..50).map(|at| at * 40) {
        let is_light = |x, y| if t_ms < 1_080 || x > 31 { x % 4 < 2 } else { y % 4 < 2 };
        let picture =
            RgbImage::from_fn(48, 27, |x, y| image::Rgb([if is_light(x, y) { 200 } else { 40 }; 3]));
        cuts.push(t_ms, picture);
        tracker.begin_frame(t_ms);
        if t_ms % LOOK_MS == 0 {
            tracker.see(t_ms, &[still(), beside]);
        }
        tracker.split_at(&cuts);
    }
    cuts.end();
    tracker.split_at(&cuts);
    let found = tracker.finish(&ONE_SHOT);
    let spans: Vec<_> =
        found.iter().map(|t| (t.shot, t.span.start_ms, t.span.end_ms, t.faces.len())).collect();
    assert_eq!(spans, [(0, 0, 1_080, 6), (0, 0, 1_840, 10), (0, 1_200, 1_840, 4)]);
}

#[test]
fn a_track_ends_with_its_last_frame_also_before_a_pause() {
    let mut tracker = Tracker::new(&ClipRecipe::default(), 9_000);
    // 0.4 s of frames of 40 ms, two minutes of nothing, and a frame of 10 ms.
    for t_ms in (0..=10).map(|at| at * 40).chain([120_400, 120_410]) {
        assert_eq!(tracker.begin_frame(t_ms), t_ms == 120_400, "{t_ms}");
        if t_ms % LOOK_MS == 0 {
            tracker.see(t_ms, &[still()]);
        }
    }
    let found = tracker.finish(&ONE_SHOT);
    let spans: Vec<_> = found.iter().map(|track| (track.span.start_ms, track.span.end_ms)).collect();
    assert_eq!(spans, [(0, 440), (120_400, 120_410)]);
}

#[test]
fn coverage_is_the_share_of_looks_that_saw_the_face_however_far_they_are_apart() {
    let coverage = |looks_ms: &[i64], misses: &[usize]| {
        let mut tracker = tracker();
        for (at, t_ms) in looks_ms.iter().enumerate() {
            let seen = if misses.contains(&at) { vec![] } else { vec![still()] };
            tracker.see(*t_ms, &seen);
        }
        tracker.finish(&ONE_SHOT)[0].coverage
    };
    assert_eq!(coverage(&[0, 200, 400, 600, 800], &[]), 1.0);
    assert_eq!(coverage(&[0, 200, 400, 600, 800], &[2]), 0.8);
    assert_eq!(coverage(&[0, 200, 400, 600, 800], &[4]), 1.0, "looks after the last face do not count");
    // At three frames a second, throughout and for a while.
    assert_eq!(coverage(&[0, 333, 667, 1_000], &[]), 1.0);
    assert_eq!(coverage(&[0, 200, 400, 733, 1_067], &[1]), 0.8);
}
