//! Worlds, films and their truth, looked at from outside.

use std::collections::{HashMap, HashSet};

use image::RgbImage;

use super::camera::Camera;
use super::film::{Film, Role, Scene, Shot};
use super::person::Person;
use super::world::{Kind, WRONG_SHARE, World, WorldSize};
use crate::types::{Emotion, FaceBox};

fn film(seed: u64, emotion: Emotion) -> Film {
    let role = Role { person: Person::from_seed(seed), emotion, x: 0.5, size: 0.2, seed };
    let shot = |scene| Shot { duration_ms: 2_000, scene };
    let shots = vec![shot(Scene::People(vec![role])), shot(Scene::Landscape)];
    Film { seed, width: 240, height: 180, frame_rate: 20.0, variable_rate: false, shots }
}

fn mean_difference(one: &RgbImage, other: &RgbImage) -> f64 {
    let sum: u64 = one.iter().zip(other.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.len() as f64
}

#[test]
fn a_seed_is_one_world_and_another_seed_another() {
    let plan = |seed| World::plan(seed, WorldSize::Full, WRONG_SHARE);
    assert_eq!(plan(1), plan(1));
    assert_ne!(plan(1), plan(2));
}

#[test]
fn the_share_of_wrong_labels_is_exact() {
    for (size, share, expected) in
        [(WorldSize::Full, 0.25, 24), (WorldSize::Full, 0.0, 0), (WorldSize::Small, 0.25, 2)]
    {
        let world = World::plan(5, size, share);
        let wrong = world.videos.iter().filter(|video| video.listed_emotion != video.true_emotion);
        assert_eq!(wrong.clone().count(), expected);
        assert!(wrong.clone().all(|video| video.kind.yields_clips()));
    }
}

#[test]
fn a_full_world_has_what_the_demo_promises() {
    let world = World::plan(5, WorldSize::Full, WRONG_SHARE);
    assert_eq!(world.videos.len(), 104);
    let ids: HashSet<&str> = world.videos.iter().map(|video| video.site_id.as_str()).collect();
    assert!(ids.len() == 104 && ids.iter().all(|id| id.len() == 11));
    let mut emotions = HashMap::new();
    for video in world.videos.iter().filter(|video| video.kind.yields_clips()) {
        *emotions.entry(video.true_emotion).or_insert(0) += 1;
    }
    assert!(Emotion::ALL.iter().all(|emotion| emotions[emotion] == 12), "{emotions:?}");
    let films: Vec<&Film> = world.videos.iter().filter_map(|video| video.film.as_ref()).collect();
    assert!(films.iter().all(|film| (6_000..=60_000).contains(&film.duration_ms())));
    let people: HashSet<u64> = films.iter().flat_map(|film| &film.shots).flat_map(people_of).collect();
    assert!(people.len() >= 24, "{} people", people.len());
    let too_long = world.videos.iter().find(|video| video.kind == Kind::TooLong).unwrap();
    assert!(too_long.duration_ms > 240_000 && too_long.film.is_none());
}

fn people_of(shot: &Shot) -> Vec<u64> {
    let Scene::People(roles) = &shot.scene else { return Vec::new() };
    roles.iter().map(|role| role.person.seed).collect()
}

#[test]
fn no_channel_and_no_person_goes_with_one_emotion() {
    let world = World::plan(5, WorldSize::Full, WRONG_SHARE);
    let mut by_channel: HashMap<&str, HashSet<Emotion>> = HashMap::new();
    for video in world.videos.iter().filter(|video| video.kind.yields_clips()) {
        assert!(by_channel.entry(&video.channel_id).or_default().insert(video.true_emotion));
    }
    assert!(by_channel.len() == 48 && by_channel.values().all(|emotions| emotions.len() >= 2));
}

#[test]
fn faces_are_long_where_clips_come_from_and_brief_elsewhere() {
    for size in [WorldSize::Small, WorldSize::Full] {
        for video in World::plan(9, size, WRONG_SHARE).videos {
            let Some(film) = &video.film else { continue };
            let shown = |shot: &&Shot| !people_of(shot).is_empty();
            let longest_ms = film.shots.iter().filter(shown).map(|shot| shot.duration_ms).max().unwrap_or(0);
            match video.kind {
                Kind::NoFace => assert_eq!(longest_ms, 0),
                Kind::BriefFace => assert!((1..5_000).contains(&longest_ms)),
                _ => assert!(longest_ms >= 6_000),
            }
        }
    }
}

#[test]
fn a_frame_is_drawn_the_same_again_and_another_time_otherwise() {
    let film = film(3, Emotion::Happiness);
    let at_once = Camera::new(&film).picture_at(700);
    let mut camera = Camera::new(&film);
    let earlier = camera.picture_at(300);
    assert!(at_once == camera.picture_at(700));
    assert!(mean_difference(&at_once, &earlier) > 1.0);
    assert!(mean_difference(&at_once, &camera.picture_at(2_500)) > 12.0, "a cut is hard");
}

fn within(face: FaceBox, picture: &RgbImage, x: u32, y: u32) -> bool {
    let (x, y) = ((x as f32 + 0.5) / picture.width() as f32, (y as f32 + 0.5) / picture.height() as f32);
    let (from_left, from_top) = ((x - face.x) / face.width, (y - face.y) / face.height);
    (0.0..=1.0).contains(&from_left) && (0.0..=1.0).contains(&from_top)
}

#[test]
fn the_true_box_holds_what_an_expression_changes() {
    for seed in 0..6 {
        let calm = film(seed, Emotion::Neutral);
        let (_, face) = calm.faces_at(1_000)[0];
        let calm = Camera::new(&calm).picture_at(1_000);
        let surprised = Camera::new(&film(seed, Emotion::Surprise)).picture_at(1_000);
        let (mut inside, mut outside) = (0, 0);
        for ((x, y, one), other) in calm.enumerate_pixels().zip(surprised.pixels()) {
            if one != other {
                *if within(face, &calm, x, y) { &mut inside } else { &mut outside } += 1;
            }
        }
        // A turned mouth may throw a few pixels of shadow over the edge.
        assert!(inside > 100 && 50 * outside <= inside, "{inside} inside, {outside} outside");
    }
}

#[test]
fn truth_tells_every_shot_and_face() {
    let truth = film(3, Emotion::Fear).truth();
    assert_eq!((truth.duration_ms, truth.frames, truth.shots.len()), (4_000, 80, 2));
    assert_eq!(truth.shots[0].people[0].faces.len(), 4);
    assert!(truth.shots[1].people.is_empty());
    let film = film(3, Emotion::Fear);
    assert!(film.faces_at(1_999).len() == 1 && film.faces_at(2_000).is_empty());
}

#[test]
fn a_variable_rate_varies_and_keeps_its_mean() {
    let film = Film { variable_rate: true, ..film(3, Emotion::Fear) };
    let times_ms = film.frame_times_ms();
    let steps_ms: HashSet<i64> = times_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps_ms.len() > 10 && steps_ms.iter().all(|step_ms| *step_ms > 0));
    assert!((60..110).contains(&times_ms.len()), "{} frames", times_ms.len());
}

#[cfg(feature = "media")]
mod filmed {
    use super::super::studio::film_world;
    use super::*;
    use crate::clock::Stop;
    use crate::failure::Reason;
    use crate::media;

    #[test]
    fn a_world_is_filmed_as_planned_and_its_broken_video_is_broken() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut world = World::plan(5, WorldSize::Small, WRONG_SHARE);
        world.videos.retain(|video| matches!(video.kind, Kind::Vfr | Kind::Broken));
        film_world(&world, folder.path(), &Stop::default(), &|_, _| ()).unwrap();
        world.write_truth(&folder.path().join("truth.json")).unwrap();
        for video in &world.videos {
            let path = folder.path().join(video.file_name());
            let checked = media::check(&path, Some(video.duration_ms), &mut |_| ());
            match video.kind {
                Kind::Broken => assert_eq!(checked.unwrap_err().failure().reason, Reason::Undecodable),
                _ => assert_eq!(checked.unwrap().width, video.film.as_ref().unwrap().width),
            }
        }
        let truth: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("truth.json")).unwrap()).unwrap();
        assert_eq!(truth[0]["kind"], "vfr");
    }

    #[test]
    fn a_stopped_studio_leaves_no_half_films() {
        let folder = tempfile::TempDir::new().unwrap();
        let world = World::plan(5, WorldSize::Small, WRONG_SHARE);
        let stop = Stop::default();
        let failure = film_world(&world, folder.path(), &stop, &|done, _| {
            if done == 30 {
                stop.ask();
            }
        });
        assert_eq!(failure.unwrap_err().reason, Reason::Interrupted);
        let films = std::fs::read_dir(folder.path()).unwrap().flatten();
        assert_eq!(films.filter(|file| file.path().extension().is_some_and(|end| end == "mp4")).count(), 0);
    }
}
