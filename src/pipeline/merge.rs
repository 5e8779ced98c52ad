//! Unites catalogs: takes in what other machines made of videos, rows and clip files together, video by video. Killed at
//! any moment and started again, it goes on.

use std::collections::HashSet;

use crate::catalog::{Catalog, merge, tombstones};
use crate::clock::Stop;
use crate::failure::{Failure, Reason};
use crate::progress::{Event, Reporter};
use crate::store::Store;

pub(crate) use crate::catalog::merge::Taken;

const TASK: &str = "merge";

/// What became of one catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merged {
    /// It was taken in.
    Now(Taken),
    /// In this state it was taken in before, milliseconds since 1970.
    Before(i64),
}

/// Takes one catalog in. Of two that have the same video with the same revision the first one counts: both made the same
/// of it. What was taken in before is taken once more only where its clips were lost since.
pub(crate) async fn merge(
    (into, store): (&Catalog, &Store),
    (from, source): (&Catalog, &Store),
    stop: &Stop,
    reporter: &dyn Reporter,
) -> Result<Merged, Failure> {
    let finished = merge::finished(from).await?;
    let fingerprint = merge::fingerprint(&finished);
    let lost = merge::lost(into).await?;
    let is_lost = |video: &merge::FinishedVideo| lost.contains(&(video.site.clone(), video.site_id.clone()));
    let before = merge::seen(into, &fingerprint).await?;
    match before {
        Some(at_ms) if !finished.iter().any(is_lost) => return Ok(Merged::Before(at_ms)),
        _ => {}
    }
    let here: HashSet<_> =
        merge::finished(into).await?.into_iter().map(|it| (it.site, it.site_id, it.rev)).collect();
    let mut taken = Taken { videos: finished.len() as u64, ..Taken::default() };
    let total = Some(taken.videos);
    reporter.report(&Event::Began { task: TASK.to_owned(), total, unit: "videos".to_owned() });
    for (done, video) in (1..).zip(&finished) {
        if stop.is_asked() {
            return Err(Failure::transient(Reason::Interrupted, "interrupted while merging"));
        }
        let is_here = here.contains(&(video.site.clone(), video.site_id.clone(), video.rev.clone()));
        if !is_here && (before.is_none() || is_lost(video)) {
            take(into, store, from, source, video, &mut taken).await?;
        }
        reporter.report(&Event::Advanced { task: TASK.to_owned(), done, note: video.site_id.clone() });
    }
    reporter
        .report(&Event::Ended { task: TASK.to_owned(), note: format!("{} videos taken in", taken.taken) });
    merge::note(into, &source.root().display().to_string(), &fingerprint, taken).await?;
    Ok(Merged::Now(taken))
}

/// Files first, then rows, in one transaction: who is killed between leaves a file for `gc`, never a row without one. Of
/// what must not come back neither is taken.
async fn take(
    into: &Catalog,
    store: &Store,
    from: &Catalog,
    source: &Store,
    video: &merge::FinishedVideo,
    taken: &mut Taken,
) -> Result<(), Failure> {
    if tombstones::stands(into, &video.site, &video.site_id).await? {
        return Ok(());
    }
    let made = merge::read(from, video).await?;
    for clip in &made.clips {
        let path = clip.stored.path.to_string_lossy();
        if !store.adopt(&source.absolute(&path), &path, &clip.stored.sha256)? {
            let detail = format!("{} is not what its row says", source.absolute(&path).display());
            return Err(Failure::permanent(Reason::Catalog, detail)
                .with_hint("`webemotion check --repair` in that data folder, then `webemotion clips`"));
        }
    }
    let mut tx = into.begin().await?;
    if merge::take(&mut tx, video, &made).await? {
        tx.commit().await?;
        taken.taken += 1;
        taken.clips += made.clips.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::catalog::{jobs, samples, videos};
    use crate::clock::Clock;
    use crate::progress::Silent;

    /// A data folder with a catalog.
    async fn place(folder: &Path) -> (Store, Catalog) {
        let store = Store::open(folder).unwrap();
        let catalog = Catalog::open(&store.catalog(), &Clock::fixed(1_000_000)).await.unwrap();
        (store, catalog)
    }

    /// One video that is finished, with one clip and its file.
    async fn finish(store: &Store, catalog: &Catalog) {
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        samples::tests::fill(&mut tx, id, 2).await;
        let done = jobs::MergedEnd { state: "done".to_owned(), reason: None, detail: None };
        for stage in ["scan", "cut"] {
            jobs::settle(&mut tx, stage, id.0, "1", &done).await.unwrap();
        }
        tx.commit().await.unwrap();
        std::fs::create_dir_all(store.absolute("clips")).unwrap();
        std::fs::write(store.absolute("clips/1.mp4"), b"a face").unwrap();
    }

    /// What `check --repair` does when a clip is lost and its source was discarded.
    async fn lose(store: &Store, catalog: &Catalog) {
        std::fs::remove_file(store.absolute("clips/1.mp4")).unwrap();
        let mut tx = catalog.begin().await.unwrap();
        jobs::await_source(&mut tx, "cut", &[1], "its clips are cut again once it is fetched").await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_video_whose_clips_are_lost_is_not_given_and_is_healed_by_a_node_that_has_them() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (broken, broken_rows) = place(folders[0].path()).await;
        let (sound, sound_rows) = place(folders[1].path()).await;
        finish(&broken, &broken_rows).await;
        lose(&broken, &broken_rows).await;
        let (one, other) = ((&broken_rows, &broken), (&sound_rows, &sound));
        let given = merge(other, one, &Stop::default(), &Silent).await.unwrap();
        assert_eq!(given, Merged::Now(Taken::default()));

        finish(&sound, &sound_rows).await;
        assert!(merge::finished(&broken_rows).await.unwrap().is_empty(), "it is not passed over");
        let listed = merge::finished(&sound_rows).await.unwrap();
        merge::note(&broken_rows, "sound", &merge::fingerprint(&listed), Taken::default()).await.unwrap();
        // The clip that stands there is not what its row says: it was looked at, though it was taken in before.
        let refused = merge(one, other, &Stop::default(), &Silent).await.unwrap_err();
        assert!(refused.detail.contains("clips/1.mp4"), "{refused}");
        let finished = &listed[0];
        let made = merge::read(&sound_rows, finished).await.unwrap();
        let mut tx = broken_rows.begin().await.unwrap();
        assert!(merge::take(&mut tx, finished, &made).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(jobs::get(&broken_rows, "cut", 1).await.unwrap().unwrap().state, "done");
    }

    #[tokio::test]
    async fn of_a_forgotten_video_not_even_the_files_come_back() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (source, from) = place(folders[0].path()).await;
        let (store, into) = place(folders[1].path()).await;
        finish(&source, &from).await;
        let mut tx = into.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "a", "asked for").await.unwrap();
        tx.commit().await.unwrap();
        let merged = merge((&into, &store), (&from, &source), &Stop::default(), &Silent).await.unwrap();
        assert_eq!(merged, Merged::Now(Taken { videos: 1, taken: 0, clips: 0 }));
        assert!(store.files().unwrap().is_empty());
    }
}
