use super::*;

const FRAME_MS: i64 = 40;

/// A textured scene that drifts `speed` pixels a frame.
fn scene(seed: u32, frame: i64, speed: i64) -> RgbImage {
    RgbImage::from_fn(48, 27, |x, y| {
        let x = x + (frame * speed) as u32;
        let wave = |k: u32| {
            let phase = f64::from(x * (1 + seed % 3) + y * 2) / 9.0 + f64::from(k * seed);
            (128.0 + 90.0 * phase.sin()) as u8
        };
        image::Rgb([wave(1), wave(2), wave(3)])
    })
}

fn blend(a: &RgbImage, b: &RgbImage, share: f64) -> RgbImage {
    let mix = |(a, b): (&u8, &u8)| (f64::from(*a) * (1.0 - share) + f64::from(*b) * share).round() as u8;
    let bytes = a.as_raw().iter().zip(b.as_raw()).map(mix).collect();
    RgbImage::from_raw(a.width(), a.height(), bytes).unwrap()
}

/// A person who sways and talks before a brick wall; another person and wall for each seed.
fn person(seed: u32, t_ms: i64) -> RgbImage {
    let s = t_ms as f64 / 1000.0;
    let phase = f64::from(seed);
    let (middle, height) = (24.0 + 3.0 * (2.3 * s + phase).sin(), 14.0 + 2.0 * (3.1 * s + 2.0 * phase).cos());
    RgbImage::from_fn(48, 27, |x, y| {
        let brick = (x / 6 * (5 + seed) + y / 5 * (3 + 2 * seed) + seed * 4) % 9;
        let wall = [0, 10, 20].map(|more| 40 + brick * (12 + 4 * seed) + more * seed);
        let (across, down) = (f64::from(x) - middle, f64::from(y) - height);
        let is_mouth = across.abs() < 4.0 && (down - 5.0).abs() < 1.0 + (9.0 * s).sin();
        let skin = if is_mouth { [90, 20, 30] } else { [225 - 50 * seed, 170 - 45 * seed, 140 - 40 * seed] };
        let is_head = (across / 8.0).powi(2) + (down / 10.0).powi(2) < 1.0;
        image::Rgb(if is_head { skin } else { wall }.map(|byte| byte.min(255) as u8))
    })
}

/// Progress at `t_ms` of something that begins and ends at the other two times, 0 to 1.
fn progress(t_ms: i64, from_ms: i64, to_ms: i64) -> f64 {
    ((t_ms - from_ms) as f64 / (to_ms - from_ms) as f64).clamp(0.0, 1.0)
}

fn shots_of(frames: impl IntoIterator<Item = (i64, RgbImage)>) -> Vec<Span> {
    shots_beside(&[], frames)
}

/// The shots of frames on which these faces are tracked.
fn shots_beside(tracked: &[FaceBox], frames: impl IntoIterator<Item = (i64, RgbImage)>) -> Vec<Span> {
    let mut finder = ShotFinder::new(&ClipRecipe::default());
    let (mut times_ms, mut placed) = (Vec::new(), Vec::new());
    for (t_ms, frame) in frames {
        times_ms.push(t_ms);
        finder.push(t_ms, frame);
        placed.extend(std::iter::from_fn(|| finder.place_next(tracked)));
    }
    finder.end();
    placed.extend(std::iter::from_fn(|| finder.place_next(tracked)));
    let placed_ms: Vec<i64> = placed.iter().map(|placed| placed.t_ms).collect();
    assert_eq!(placed_ms, times_ms, "every frame is placed once, in order");
    let end_ms = times_ms.last().unwrap() + FRAME_MS;
    let shots = finder.shots(end_ms);
    assert_eq!(shots.last().unwrap().end_ms, end_ms);
    assert!(shots.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms), "{shots:?}");
    shots
}

/// The shots of frames at these times, each drawn by its time.
fn shots_drawn(times_ms: impl Iterator<Item = i64>, draw: impl Fn(i64) -> RgbImage) -> Vec<Span> {
    shots_of(times_ms.map(|t_ms| (t_ms, draw(t_ms))))
}

fn starts_of(frames: impl IntoIterator<Item = RgbImage>) -> Vec<i64> {
    let frames = (0..).map(|at: i64| at * FRAME_MS).zip(frames);
    shots_of(frames).iter().map(|shot| shot.start_ms).collect()
}

#[test]
fn a_hard_cut_is_found_at_its_frame() {
    let frames = (0..100).map(|at| if at < 37 { scene(1, at, 1) } else { scene(2, at, 1) });
    assert_eq!(starts_of(frames), [0, 37 * FRAME_MS]);
}

#[test]
fn fast_motion_is_not_a_cut() {
    assert_eq!(starts_of((0..100).map(|at| scene(1, at, 9))), [0]);
}

#[test]
fn motion_with_every_frame_repeated_is_not_a_cut() {
    assert_eq!(starts_of((0..100).map(|at| scene(1, at / 2, 5 + at % 7))), [0]);
}

#[test]
fn a_flash_is_not_a_cut() {
    let white = RgbImage::from_pixel(48, 27, image::Rgb([255; 3]));
    let frames = (0..80).map(|at| if at == 40 { white.clone() } else { scene(1, at, 0) });
    assert_eq!(starts_of(frames), [0]);
}

#[test]
fn two_cuts_may_be_five_frames_apart() {
    let frames = (0..80).map(|at| match at {
        0..30 => scene(1, at, 0),
        30..35 => scene(2, at, 0),
        _ => scene(4, at, 0),
    });
    assert_eq!(starts_of(frames), [0, 30 * FRAME_MS, 35 * FRAME_MS]);
}

/// The picture with something at its right edge that moves on every frame.
fn with_neighbour(mut picture: RgbImage, at: i64) -> RgbImage {
    for (x, _, pixel) in picture.enumerate_pixels_mut() {
        if x >= 40 {
            *pixel = image::Rgb([if at % 2 > 0 { 120 } else { 129 }; 3]);
        }
    }
    picture
}

#[test]
fn motion_in_repeated_frames_beside_something_that_moves_is_not_a_cut() {
    let of_frame = |at: i64| scene(3, at / 2 + if at < 40 { 0 } else { 2 }, 1);
    assert_eq!(starts_of((0..80).map(|at| with_neighbour(of_frame(at), at))), [0]);
    let cut = |at: i64| scene(if at < 40 { 1 } else { 2 }, 0, 0);
    assert_eq!(starts_of((0..80).map(|at| with_neighbour(cut(at), at))), [0, 40 * FRAME_MS]);
}

#[test]
fn a_film_with_every_frame_repeated_eight_times_is_one_shot() {
    let drift = |at: i64| if at < 16 { at * at / 8 } else { 32 + 4 * (at - 16) };
    let frames = (0..400).map(|at| (at * 1000 / 60, scene(3, drift(at / 8), 1)));
    assert_eq!(shots_of(frames).len(), 1);
}

#[test]
fn a_fade_through_black_begins_a_shot_where_the_fade_in_is_complete() {
    let black = RgbImage::new(48, 27);
    let frames = (0..100).map(|at| match at {
        0..30 => scene(1, 0, 0),
        30..45 => blend(&scene(1, 0, 0), &black, f64::from(at - 29) / 15.0),
        45..60 => blend(&black, &scene(2, 0, 0), f64::from(at - 44) / 15.0),
        _ => scene(2, 0, 0),
    });
    let starts = starts_of(frames);
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert!((44 * FRAME_MS..=50 * FRAME_MS).contains(&starts[1]), "{starts:?}");
}

#[test]
fn frames_of_a_fade_in_belong_to_no_shot() {
    let black = RgbImage::new(48, 27);
    let fade_in = |t_ms| blend(&black, &person(1, t_ms), progress(t_ms, 1_000, 3_000));
    let shots = shots_drawn((0..120).map(|at| at * FRAME_MS), fade_in);
    let [dark, light] = shots[..] else { panic!("{shots:?}") };
    assert!(dark.end_ms < light.start_ms && light.start_ms < 1_800, "{shots:?}");
}

#[test]
fn a_dark_scene_after_black_belongs_to_a_shot_whatever_follows_it() {
    let black = RgbImage::new(48, 27);
    let shots = shots_drawn((0..300).map(|at| at * FRAME_MS), |t_ms| match t_ms {
        ..1_000 => black.clone(),
        1_000..9_000 => blend(&black, &person(1, t_ms), 22.0 / mean_luma(&person(1, t_ms))),
        _ => person(2, t_ms),
    });
    let is_in_a_shot = |t_ms: i64| shots.iter().any(|shot| shot.contains(t_ms));
    assert!([1_500, 5_000, 8_900].into_iter().all(is_in_a_shot), "{shots:?}");
}

#[test]
fn a_dark_scene_that_flickers_about_black_is_one_shot() {
    let flicker = |t_ms: i64| {
        let picture = person(1, t_ms);
        let luma = 15.5 + 10.5 * (t_ms as f64 / 170.0).sin();
        blend(&RgbImage::new(48, 27), &picture, luma / mean_luma(&picture))
    };
    assert_eq!(shots_drawn((0..200).map(|at| at * FRAME_MS), flicker).len(), 1);
}

#[test]
fn a_dissolve_between_people_who_move_belongs_to_neither_shot() {
    for (rate, length_ms) in
        [12, 25, 30, 60].into_iter().flat_map(|rate| [200, 500, 1_000, 2_000, 3_000].map(|ms| (rate, ms)))
    {
        let times_ms = (0..(6_000 + length_ms) * rate / 1000).map(|at| at * 1000 / rate);
        let mixed =
            |t_ms| blend(&person(1, t_ms), &person(2, t_ms), progress(t_ms, 3_000, 3_000 + length_ms));
        let shots = shots_drawn(times_ms, mixed);
        let [before, after] = shots[..] else { panic!("{rate}, {length_ms}: {shots:?}") };
        // A share of a tenth or less is not visible; the guard at cuts covers what is missed.
        let (early_ms, late_ms) = (before.end_ms - 3_000, 3_000 + length_ms - after.start_ms);
        assert!((-500..=84).contains(&early_ms), "{rate}, {length_ms}: {shots:?}");
        assert!((-500..=84).contains(&late_ms), "{rate}, {length_ms}: {shots:?}");
    }
}

#[test]
fn a_cut_soon_after_a_dissolve_is_found_too() {
    let frames = |t_ms| match t_ms {
        4_200.. => scene(1, 0, 0),
        _ => blend(&person(1, t_ms), &person(2, t_ms), progress(t_ms, 3_000, 4_000)),
    };
    let shots = shots_drawn((0..180).map(|at| at * FRAME_MS), frames);
    assert_eq!((shots.len(), shots[2].start_ms), (3, 4_200), "{shots:?}");
}

#[test]
fn a_fade_through_white_is_one_border() {
    let white = RgbImage::from_pixel(48, 27, image::Rgb([255; 3]));
    let frames = |t_ms| match t_ms {
        ..3_500 => blend(&person(1, t_ms), &white, progress(t_ms, 3_000, 3_500)),
        _ => blend(&white, &person(2, t_ms), progress(t_ms, 3_500, 4_000)),
    };
    assert_eq!(shots_drawn((0..180).map(|at| at * FRAME_MS), frames).len(), 2);
}

#[test]
fn a_black_picture_or_a_flash_of_at_most_300_ms_ends_no_shot() {
    let (black, white) = (RgbImage::new(48, 27), RgbImage::from_pixel(48, 27, image::Rgb([255; 3])));
    for (flash, count) in [(&black, 1), (&black, 7), (&white, 4), (&white, 7)] {
        let frames = (0..160).map(|at| match at % 50 - 40 {
            other if (0..count).contains(&other) => flash.clone(),
            _ => person(1, at * FRAME_MS),
        });
        assert_eq!(starts_of(frames), [0], "{count} frames of {:?}", flash.get_pixel(0, 0));
    }
    let fading = |t_ms| match t_ms {
        2_000.. => blend(&white, &person(1, t_ms), 0.1 + 0.9 * progress(t_ms, 2_000, 2_250)),
        _ => person(1, t_ms),
    };
    assert_eq!(shots_drawn((0..120).map(|at| at * FRAME_MS), fading).len(), 1);
}

#[test]
fn another_scene_after_a_short_black_or_flash_is_another_shot() {
    for light in [0, 255] {
        let blank = RgbImage::from_pixel(48, 27, image::Rgb([light; 3]));
        let frames = (0..120).map(|at| match at {
            ..40 => person(1, at * FRAME_MS),
            40..46 => blank.clone(),
            _ => person(2, at * FRAME_MS),
        });
        assert_eq!(starts_of(frames).last(), Some(&(46 * FRAME_MS)), "{light}");
    }
}

#[test]
fn a_short_transition_of_any_form_is_one_border() {
    let white = RgbImage::from_pixel(48, 27, image::Rgb([255; 3]));
    let wipe = |t_ms, share: f64| {
        let (one, other) = (person(1, t_ms), person(2, t_ms));
        RgbImage::from_fn(48, 27, |x, y| {
            *if f64::from(x) < 48.0 * share { &other } else { &one }.get_pixel(x, y)
        })
    };
    let slide = |t_ms, share: f64| {
        let (one, other, moved) = (person(1, t_ms), person(2, t_ms), (27.0 * share) as u32);
        RgbImage::from_fn(48, 27, |x, y| match y + moved {
            y @ ..27 => *one.get_pixel(x, y),
            y => *other.get_pixel(x, y - 27),
        })
    };
    let flash = |t_ms, share: f64| match share {
        ..0.5 => blend(&person(1, t_ms), &white, 2.0 * share),
        _ => blend(&white, &person(2, t_ms), 2.0 * share - 1.0),
    };
    let forms: [&dyn Fn(i64, f64) -> RgbImage; 3] = [&wipe, &slide, &flash];
    for (form, length_ms) in (0..3).flat_map(|form| [200, 400, 600].map(|ms| (form, ms))) {
        let drawn = |t_ms| forms[form](t_ms, progress(t_ms, 3_000, 3_000 + length_ms));
        let shots = shots_drawn((0..160).map(|at| at * FRAME_MS), drawn);
        let [before, after] = shots[..] else { panic!("{form}, {length_ms}: {shots:?}") };
        let middle_ms = 3_000 + length_ms / 2;
        assert!(before.end_ms <= middle_ms && middle_ms <= after.start_ms, "{form}, {length_ms}: {shots:?}");
        assert!(after.start_ms - before.end_ms <= length_ms + 200, "{form}, {length_ms}: {shots:?}");
    }
}

#[test]
fn a_fade_through_black_under_a_title_is_one_border() {
    let black = RgbImage::new(48, 27);
    let titled = |t_ms| {
        let mut picture = match t_ms {
            ..3_250 => blend(&person(1, t_ms), &black, progress(t_ms, 3_000, 3_250)),
            _ => blend(&black, &person(2, t_ms), progress(t_ms, 3_250, 3_500)),
        };
        for (x, y, pixel) in picture.enumerate_pixels_mut() {
            if y > 20 && (6..42).contains(&x) {
                *pixel = image::Rgb([240; 3]);
            }
        }
        picture
    };
    let shots = shots_drawn((0..160).map(|at| at * FRAME_MS), titled);
    let [before, after] = shots[..] else { panic!("{shots:?}") };
    assert!(before.end_ms <= 3_250 && 3_250 <= after.start_ms, "{shots:?}");
}

#[test]
fn a_title_that_comes_and_goes_is_not_a_cut() {
    let titled = |t_ms| {
        let mut picture = person(1, t_ms);
        for (_, y, pixel) in picture.enumerate_pixels_mut() {
            if t_ms / 1_000 % 2 == 1 && y > 21 {
                *pixel = image::Rgb([250; 3]);
            }
        }
        picture
    };
    assert_eq!(shots_drawn((0..160).map(|at| at * FRAME_MS), titled).len(), 1);
}

#[test]
fn a_cut_that_spares_every_tracked_face_begins_no_shot() {
    let page = |at: i64| {
        let (page, speaker) = (scene(1 + (at / 50) as u32, 0, 0), person(1, at * FRAME_MS));
        RgbImage::from_fn(48, 27, |x, y| *if x < 32 { &page } else { &speaker }.get_pixel(x, y))
    };
    let of = |x| FaceBox { x, y: 0.3, width: 0.15, height: 0.4 };
    let starts =
        |tracked: &[FaceBox]| shots_beside(tracked, (0..140).map(|at| (at * FRAME_MS, page(at)))).len();
    assert_eq!([starts(&[of(0.75)]), starts(&[of(0.75), of(0.2)]), starts(&[])], [1, 3, 3]);
}

#[test]
fn light_that_is_turned_up_is_not_a_dissolve() {
    let black = RgbImage::new(48, 27);
    let frames = |t_ms| blend(&black, &person(1, t_ms), 0.35 + 0.65 * progress(t_ms, 2_000, 3_000));
    assert_eq!(shots_drawn((0..150).map(|at| at * FRAME_MS), frames).len(), 1);
}

#[test]
fn of_a_dissolve_that_holds_a_cut_the_longer_part_remains() {
    let span = Span { start_ms: 1_000, end_ms: 2_000 };
    let parts = [900, 1_000, 1_100, 1_800, 2_000].map(|at_ms| longer_part(span, at_ms));
    let spans = parts.map(|part| (part.start_ms, part.end_ms));
    assert_eq!(spans, [(1_000, 2_000), (1_000, 2_000), (1_100, 2_000), (1_000, 1_800), (1_000, 2_000)]);
}
