//! Runs on the catalog: which one is gone on with, and what is written down of it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::args::tests::parse;
use super::*;
use crate::catalog::{clips, crops, forget, videos};
use crate::cli::train::folder::RunFolder;
use crate::types::CropStyle;

/// Two samples of a new video.
async fn add(session: &Session, name: &str, emotion: Emotion) -> VideoId {
    let mut tx = session.catalog.begin().await.unwrap();
    let video = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
    samples::tests::hit(&mut tx, video, emotion, 1).await;
    samples::tests::fill(&mut tx, video, 2).await;
    tx.commit().await.unwrap();
    video
}

/// Enough videos of two emotions to have all splits.
async fn fill(session: &Session, numbers: Range<u32>) -> Vec<VideoId> {
    let mut videos = Vec::new();
    for number in numbers {
        let emotion = if number % 2 == 0 { Emotion::Fear } else { Emotion::Anger };
        videos.push(add(session, &format!("video {number}"), emotion).await);
    }
    videos
}

#[tokio::test]
async fn a_run_that_lost_its_samples_does_not_block_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::still(folder.path()).await;
    let args = parse(&["--validation", "0"]);
    let recipe = args.recipe();
    let videos = fill(&session, 0..20).await;
    let first = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
    assert!(cut_off(&session, &args, &recipe).await.unwrap().is_some(), "it was killed at once");
    let same = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
    assert_eq!((first.run.name.as_str(), same.run.name.as_str()), ("scn-1", "scn-1"));

    let mut tx = session.catalog.begin().await.unwrap();
    forget::remove(&mut tx, &videos, "asked for").await.unwrap();
    tx.commit().await.unwrap();
    fill(&session, 20..40).await;
    assert!(cut_off(&session, &args, &recipe).await.unwrap().is_none());
    let next = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
    assert_eq!((next.run.name.as_str(), next.set.len(), next.positions.len()), ("scn-2", 40, 40));
}

#[tokio::test]
async fn a_run_that_lost_the_catalog_is_resumed_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::still(folder.path()).await;
    let args = parse(&["--validation", "0"]);
    fill(&session, 0..20).await;
    let begun = CatalogRun::begin(&session, &args, &args.recipe()).await.unwrap();
    let caller = Caller { reporter: session.reporter.clone(), stop: session.stop.clone() };
    let rows = begun.rows(&session.catalog, &caller);
    let end = async |failure: Failure| {
        rows.end(&begun.run.name, Err(failure)).await.unwrap_err();
        cut_off(&session, &args, &args.recipe()).await.unwrap().map(|run| run.state)
    };
    let held = Failure::transient(Reason::Catalog, "database is locked");
    assert_eq!(end(held).await, Some(RunState::Stopped));
    assert_eq!(end(Failure::permanent(Reason::Usage, "the loss became NaN")).await, None);
}

#[tokio::test]
async fn runs_that_begin_simultaneously_have_different_names() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (Session::still(folder.path()).await, Session::still(folder.path()).await);
    fill(&one, 0..20).await;
    let begin = async |session: &Session, seed: &str| {
        let args = parse(&["--validation", "0", "--seed", seed]);
        CatalogRun::begin(session, &args, &args.recipe()).await.unwrap().run.name
    };
    let (one, other) = tokio::join!(begin(&one, "1"), begin(&other, "2"));
    let mut names = [one, other];
    names.sort();
    assert_eq!(names, ["scn-1", "scn-2"]);
}

#[tokio::test]
async fn a_run_of_a_data_set_on_disk_keeps_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::still(folder.path()).await;
    fill(&session, 0..20).await;
    std::fs::create_dir_all(folder.path().join("runs/scn-1")).unwrap();
    let args = parse(&["--validation", "0"]);
    let begun = CatalogRun::begin(&session, &args, &args.recipe()).await.unwrap();
    assert_eq!((begun.run.name.as_str(), begun.run.folder.as_str()), ("scn-2", "runs/scn-2"));
}

async fn end(session: &Session, run: &Run) {
    let mut tx = session.catalog.begin().await.unwrap();
    runs::end(&mut tx, run.id, RunState::Done, None).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn noisy_labels_are_frozen_and_the_noise_is_added_once() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::still(folder.path()).await;
    fill(&session, 0..20).await;
    let begin = async |flags: &[&str]| {
        let args = parse(&[&["--validation", "0"], flags].concat());
        CatalogRun::begin(&session, &args, &args.recipe()).await
    };
    let noisy = begin(&["--noise", "0.4"]).await.unwrap();
    let list = listed(&session.catalog, &noisy.run).await.unwrap();
    let labels: Vec<usize> = list.iter().map(|line| line.frozen.label).collect();
    assert_eq!(labels, noisy.set.labels);
    let clean = list.iter().map(|line| line.frozen.clean_label.unwrap_or(line.frozen.label));
    assert!(labels != *noisy.set.truth.as_ref().unwrap() && clean.eq(noisy.set.truth.clone().unwrap()));
    let words = noisy.run.noise.as_ref().map(ToString::to_string);
    assert_eq!(words.as_deref(), Some("40.0 % of each class, symmetric"));

    let again = begin(&["--noise", "0.4"]).await.unwrap();
    assert_eq!((&again.run.name, &again.set.labels), (&noisy.run.name, &labels));
    let refused = begin(&["--resume", "scn-1"]).await.err().unwrap();
    assert!(refused.detail.ends_with("scn-1 is a run of another list of labels"), "{refused}");
    let plain = begin(&[]).await.unwrap();
    assert_eq!((plain.run.name.as_str(), plain.run.noise.clone()), ("scn-2", None));

    let unseen = async || samples::count_unseen(&session.catalog, "scn").await.unwrap();
    end(&session, &noisy.run).await;
    assert_eq!(unseen().await, 40, "wrong labels say nothing of the samples");
    end(&session, &plain.run).await;
    assert_eq!(unseen().await, 0);
}

#[tokio::test]
async fn what_is_held_out_is_frozen_so_and_known_again() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::still(folder.path()).await;
    let added = fill(&session, 0..20).await;
    let mut tx = session.catalog.begin().await.unwrap();
    for id in added {
        let source = videos::get(&session.catalog, id).await.unwrap().source;
        splits::insert(&mut tx, &source, Split::Train).await.unwrap();
    }
    tx.commit().await.unwrap();
    let begin = async |share: &str| {
        let args = parse(&["--validation", share]);
        CatalogRun::begin(&session, &args, &args.recipe()).await.unwrap()
    };
    let begun = begin("0.4").await;
    let list = listed(&session.catalog, &begun.run).await.unwrap();
    let frozen: Vec<Split> = list.iter().map(|line| line.frozen.split).collect();
    assert_eq!(frozen, begun.set.splits);
    assert_eq!(frozen.iter().filter(|split| **split == Split::Validation).count(), 16);

    let recipe = parse(&["--validation", "0.4"]).recipe();
    RunFolder::take(&session.store.absolute(&begun.run.folder), &recipe, &begun.set).unwrap();
    assert_eq!(begin("0.4").await.run.name, "scn-1", "it was cut off");
    assert_eq!(begin("0").await.run.name, "scn-2", "nothing is held out");
    end(&session, &begun.run).await;
    assert_eq!(begin("0.4").await.run.name, "scn-1", "it is done");
}

#[tokio::test]
async fn faces_that_were_cropped_again_are_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::still(folder.path()).await;
    let args = parse(&["--validation", "0"]);
    let recipe = args.recipe();
    fill(&session, 0..20).await;
    let begun = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
    RunFolder::take(&session.store.absolute(&begun.run.folder), &recipe, &begun.set).unwrap();
    end(&session, &begun.run).await;
    let name = async || CatalogRun::begin(&session, &args, &recipe).await.unwrap().run.name;
    assert_eq!(name().await, "scn-1");

    let mut tx = session.catalog.begin().await.unwrap();
    for line in listed(&session.catalog, &begun.run).await.unwrap() {
        crops::replace(&mut tx, line.frozen.sample, CropStyle::plain(96), b"another").await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(name().await, "scn-2");
}

#[test]
fn a_catalog_whose_channels_are_all_held_out_has_nothing_to_train_on_yet() {
    let mut set = crate::train::drawn::shapes(6, 1);
    check_training(&set).unwrap();
    set.splits.fill(Split::Test);
    let failure = check_training(&set).unwrap_err();
    assert_eq!(failure.exit(), crate::failure::Exit::NothingToDo);
    assert!(failure.hint.unwrap().contains("more channels"));
}

#[tokio::test]
async fn videos_of_one_channel_and_copies_of_footage_are_of_one_source() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::still(folder.path()).await;
    let mut tx = session.catalog.begin().await.unwrap();
    let mut videos = Vec::new();
    for (name, channel) in [("a", Some("one")), ("b", Some("one")), ("c", Some("other")), ("d", None)] {
        let video = videos::upsert(&mut tx, &videos::tests::some(name, channel)).await.unwrap().unwrap();
        let emotion = if name == "d" { Emotion::Anger } else { Emotion::Fear };
        samples::tests::hit(&mut tx, video, emotion, 1).await;
        samples::tests::fill(&mut tx, video, 1).await;
        videos.push(video.0.unsigned_abs());
    }
    tx.commit().await.unwrap();
    let numbers = async || {
        let found = samples::for_training(&session.catalog).await.unwrap();
        let numbers = source_numbers(&session.catalog, &found).await.unwrap();
        let videos = found.iter().map(|sample| sample.video.0);
        let by_video: BTreeMap<i64, u64> = videos.zip(numbers).collect();
        by_video.into_values().collect::<Vec<u64>>()
    };
    splits::assign(&session.catalog).await.unwrap();
    assert_eq!(numbers().await, [videos[0], videos[0], videos[2], videos[3]]);
    let [first, copy] = [0, 2].map(|at| VideoId(videos[at].cast_signed()));
    let mut tx = session.catalog.begin().await.unwrap();
    let made = clips::motions(&session.catalog).await.unwrap();
    let of = |video: VideoId| made.iter().find(|clip| clip.video == video).unwrap();
    assert!(clips::set_compared(&mut tx, of(copy), Some(of(first))).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(numbers().await, [videos[0], videos[0], videos[0], videos[3]]);
}
