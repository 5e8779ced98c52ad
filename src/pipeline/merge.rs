//! Unites catalogs: takes in what other machines made of videos, rows and clip files together, video by video. Killed at
//! any moment and started again, it goes on.

use std::collections::{HashMap, HashSet};

use crate::catalog::merge::{self, FinishedVideo};
use crate::catalog::{Catalog, tombstones};
use crate::clock::Stop;
use crate::failure::{Failure, Reason};
use crate::progress::{Event, Reporter};
use crate::store::Store;

use super::fetch;

pub(crate) use crate::catalog::merge::{Taken, take_tombstones};

const TASK: &str = "merge";

/// What became of one catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merged {
    /// It was taken in.
    Now(Taken),
    /// In this state it was taken in before, milliseconds since 1970.
    Before(i64),
}

/// A video by its site and the site's id.
type Name = (String, String);

/// How things stand here with the videos that a catalog has to give.
struct OwnWork<'a> {
    /// The revision of scans with the settings in force.
    rev: &'a str,
    /// Those that nothing is left to be done with.
    finished: HashMap<Name, FinishedVideo>,
    /// Those whose clips are lost.
    lost: HashSet<Name>,
    /// When the catalog's work was taken in before, if it was; milliseconds since 1970.
    before: Option<i64>,
}

impl<'a> OwnWork<'a> {
    async fn read(into: &Catalog, rev: &'a str, before: Option<i64>) -> Result<Self, Failure> {
        let finished = merge::finished(into).await?.into_iter().map(|video| (name(&video), video)).collect();
        Ok(Self { rev, finished, lost: merge::lost(into).await?, before })
    }

    /// Whether a video is to be taken in. What is finished here gives way only to what counts more, or as much and of more
    /// parts. What is not is to be done once more where it was taken in before, unless its clips were lost.
    fn wants(&self, video: &FinishedVideo) -> bool {
        match self.finished.get(&name(video)) {
            Some(own) => (self.worth(video), video.parts) > (self.worth(own), own.parts),
            None => self.before.is_none() || self.lost.contains(&name(video)),
        }
    }

    /// How much the work at a video counts: most with the settings in force, and nothing without a verdict.
    fn worth(&self, video: &FinishedVideo) -> u8 {
        match (video.has_verdict(), video.rev == self.rev) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        }
    }

    /// Whether other evidence of a video is known here.
    fn has_other_evidence(&self, video: &FinishedVideo) -> bool {
        self.finished.get(&name(video)).is_none_or(|own| own.evidence != video.evidence)
    }

    /// Whether a video is finished here with another revision.
    fn differs(&self, video: &FinishedVideo) -> bool {
        self.finished.get(&name(video)).is_some_and(|own| own.rev != video.rev)
    }
}

fn name(video: &FinishedVideo) -> Name {
    (video.site.clone(), video.site_id.clone())
}

/// Takes one catalog in. Of two that worked on the same video with the same revision the first one counts: both made the
/// same of it, but for parts that lists mean, which add up. Of two revisions `rev` counts, that of scans with the settings
/// in force; else the first one. What was taken in before is taken once more only where it is gone. Evidence adds
/// up, whichever work counts.
pub(crate) async fn merge(
    (into, store): (&Catalog, &Store),
    (from, source): (&Catalog, &Store),
    rev: &str,
    stop: &Stop,
    reporter: &dyn Reporter,
) -> Result<Merged, Failure> {
    let finished = merge::finished(from).await?;
    let fingerprint = merge::fingerprint(&finished);
    let before = merge::seen(into, &fingerprint).await?;
    let of_work = merge::fingerprint_of_work(&finished);
    let work_before = match before {
        None => merge::seen(into, &of_work).await?,
        before => before,
    };
    let own_work = OwnWork::read(into, rev, work_before).await?;
    match before {
        Some(at_ms) if !finished.iter().any(|video| own_work.wants(video)) => {
            return Ok(Merged::Before(at_ms));
        }
        _ => {}
    }
    let mut taken = Taken { videos: finished.len() as u64, ..Taken::default() };
    let total = Some(taken.videos);
    reporter.report(&Event::Began { task: TASK.to_owned(), total, unit: "videos".to_owned() });
    for (done, video) in (1..).zip(&finished) {
        if stop.is_asked() {
            return Err(Failure::transient(Reason::Interrupted, "interrupted while merging"));
        }
        if own_work.wants(video) {
            take(into, store, from, source, video, &mut taken).await?;
        } else {
            taken.kept += u64::from(own_work.differs(video));
            if video.parts > 0 {
                merge::take_lists(into, from, video).await?;
            }
            if own_work.has_other_evidence(video) {
                taken.evidence += merge::take_evidence(into, from, video).await?;
            }
        }
        reporter.report(&Event::Advanced {
            task: TASK.to_owned(),
            done,
            note: video.site_id.clone(),
            throughput: None,
        });
    }
    reporter
        .report(&Event::Ended { task: TASK.to_owned(), note: format!("{} videos taken in", taken.taken) });
    // Its work alone too: evidence that is found later does not make that new.
    for (fingerprint, taken) in [(&fingerprint, taken), (&of_work, Taken::default())] {
        merge::record(into, &source.root().display().to_string(), fingerprint, taken).await?;
    }
    Ok(Merged::Now(taken))
}

/// Files first, then rows, in one transaction: a kill in between leaves a file for `gc`, never a row without a file. Of
/// what must not come back neither is taken.
async fn take(
    into: &Catalog,
    store: &Store,
    from: &Catalog,
    source: &Store,
    video: &FinishedVideo,
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
    if merge::take(&mut tx, video, &made, fetch::REV).await? {
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
    use crate::catalog::{evidence, jobs, listed, samples, videos};
    use crate::clock::Clock;
    use crate::progress::Silent;
    use crate::types::{Emotion, JobState, Span, StageName, VideoId};

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
        let done = jobs::MergedEnd { state: JobState::Done, reason: None, detail: None };
        for stage in [StageName::Scan, StageName::Cut] {
            jobs::record_merged_end(&mut tx, stage, id.0, "1", &done).await.unwrap();
        }
        tx.commit().await.unwrap();
        std::fs::create_dir_all(store.absolute("clips")).unwrap();
        std::fs::write(store.absolute("clips/1.mp4"), b"a face").unwrap();
    }

    /// What `check --repair` does when a clip is lost and its source was discarded.
    async fn lose(store: &Store, catalog: &Catalog) {
        std::fs::remove_file(store.absolute("clips/1.mp4")).unwrap();
        let mut tx = catalog.begin().await.unwrap();
        jobs::await_source(&mut tx, StageName::Cut, &[1], "its clips are cut again once it is fetched")
            .await
            .unwrap();
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
        let given = merge(other, one, "1", &Stop::default(), &Silent).await.unwrap();
        assert_eq!(given, Merged::Now(Taken::default()));

        finish(&sound, &sound_rows).await;
        assert!(merge::finished(&broken_rows).await.unwrap().is_empty(), "it is not passed over");
        let listed = merge::finished(&sound_rows).await.unwrap();
        merge::record(&broken_rows, "sound", &merge::fingerprint(&listed), Taken::default()).await.unwrap();
        // The stored clip differs from its row: it was compared, although it had been taken in before.
        let refused = merge(one, other, "1", &Stop::default(), &Silent).await.unwrap_err();
        assert!(refused.detail.contains("clips/1.mp4"), "{refused}");
        let finished = &listed[0];
        let made = merge::read(&sound_rows, finished).await.unwrap();
        let mut tx = broken_rows.begin().await.unwrap();
        assert!(merge::take(&mut tx, finished, &made, fetch::REV).await.unwrap());
        tx.commit().await.unwrap();
        let cut = jobs::get(&broken_rows, StageName::Cut, 1).await.unwrap().unwrap();
        assert_eq!(cut.state, JobState::Done);
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
        let merged = merge((&into, &store), (&from, &source), "1", &Stop::default(), &Silent).await.unwrap();
        assert_eq!(merged, Merged::Now(Taken { videos: 1, ..Taken::default() }));
        assert!(store.files().unwrap().is_empty());
    }

    /// One video whose scan with a revision ended so, with a file that was fetched.
    async fn reject(catalog: &Catalog, rev: &str, reason: Reason) {
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        assert!(videos::set_elsewhere(&mut tx, id, 7).await.unwrap());
        let end = jobs::MergedEnd { state: JobState::Rejected, reason: Some(reason), detail: None };
        jobs::record_merged_end(&mut tx, StageName::Scan, id.0, rev, &end).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn of_two_revisions_that_of_the_settings_in_force_counts_whichever_came_first() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let sources = [place(folders[0].path()).await, place(folders[1].path()).await];
        for ((_, catalog), rev) in sources.iter().zip(["1", "2"]) {
            reject(catalog, rev, Reason::NoFace).await;
        }
        for (order, in_force) in [([0, 1], "1"), ([1, 0], "1"), ([0, 1], "2"), ([1, 0], "2")] {
            let folder = tempfile::tempdir().unwrap();
            let (store, into) = place(folder.path()).await;
            for (store_there, from) in order.map(|place| &sources[place]) {
                let from = (from, store_there);
                merge((&into, &store), from, in_force, &Stop::default(), &Silent).await.unwrap();
            }
            let stands = merge::finished(&into).await.unwrap();
            assert_eq!(stands[0].rev, in_force, "{order:?}");
        }
    }

    #[tokio::test]
    async fn what_was_taken_in_before_comes_back_once_its_settings_are_in_force_again() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (source, from) = place(folders[0].path()).await;
        let (store, into) = place(folders[1].path()).await;
        reject(&from, "2", Reason::NoFace).await;
        reject(&into, "1", Reason::NoFace).await;
        for (in_force, merged) in [
            ("1", Merged::Now(Taken { videos: 1, kept: 1, ..Taken::default() })),
            ("1", Merged::Before(1_000_000)),
            ("2", Merged::Now(Taken { videos: 1, taken: 1, ..Taken::default() })),
            ("2", Merged::Before(1_000_000)),
        ] {
            let result = merge((&into, &store), (&from, &source), in_force, &Stop::default(), &Silent).await;
            assert_eq!(result.unwrap(), merged);
        }
    }

    /// A list that means a part of the video.
    async fn mean(catalog: &Catalog, list: &str) {
        let span = Some(Span { start_ms: 0, end_ms: 500 });
        let (list, emotion) = (list.to_owned(), Emotion::Anger);
        let row = listed::Listed { list, line: 1, emotion, span, face: None, sha256: None };
        let mut tx = catalog.begin().await.unwrap();
        listed::insert(&mut tx, VideoId(1), &row).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn parts_that_lists_mean_in_either_catalog_add_up_whichever_came_first() {
        for (own, due, taken) in [(None, None, 1), (Some("b.csv"), Some(JobState::Open), 0)] {
            let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let (source, from) = place(folders[0].path()).await;
            let (store, into) = place(folders[1].path()).await;
            for (catalog, list) in [(&from, Some("a.csv")), (&into, own)] {
                reject(catalog, "1", Reason::NoFace).await;
                if let Some(list) = list {
                    mean(catalog, list).await;
                }
            }
            if own.is_some() {
                let mut tx = into.begin().await.unwrap();
                let done = jobs::MergedEnd { state: JobState::Done, reason: None, detail: None };
                jobs::record_merged_end(&mut tx, StageName::Cut, 1, "1", &done).await.unwrap();
                tx.commit().await.unwrap();
            }
            let merged = merge((&into, &store), (&from, &source), "1", &Stop::default(), &Silent).await;
            assert_eq!(merged.unwrap(), Merged::Now(Taken { videos: 1, taken, ..Taken::default() }));
            let rows = listed::of_video(&into, VideoId(1)).await.unwrap();
            assert_eq!(rows.len(), 1 + usize::from(own.is_some()));
            let cut = jobs::get(&into, StageName::Cut, 1).await.unwrap();
            assert_eq!(cut.map(|cut| cut.state), due);
        }
    }

    #[tokio::test]
    async fn evidence_of_one_video_in_several_catalogs_adds_up_whichever_came_first() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let sources = [place(folders[0].path()).await, place(folders[1].path()).await];
        for ((_, catalog), (emotion, rank)) in
            sources.iter().zip([(Emotion::Neutral, 10), (Emotion::Fear, 1)])
        {
            reject(catalog, "1", Reason::NoFace).await;
            let mut tx = catalog.begin().await.unwrap();
            samples::tests::hit(&mut tx, VideoId(1), emotion, rank).await;
            tx.commit().await.unwrap();
        }
        let mut known = vec![];
        for order in [[0, 1], [1, 0]] {
            let folder = tempfile::tempdir().unwrap();
            let (store, into) = place(folder.path()).await;
            let mut merged = vec![];
            for (there, from) in [order[0], order[1], order[1]].map(|place| &sources[place]) {
                merged.push(
                    merge((&into, &store), (from, there), "1", &Stop::default(), &Silent).await.unwrap(),
                );
            }
            let first = Merged::Now(Taken { videos: 1, taken: 1, ..Taken::default() });
            let second = Merged::Now(Taken { videos: 1, evidence: 1, ..Taken::default() });
            assert_eq!(merged, [first, second, Merged::Before(1_000_000)]);
            let work = merge::fingerprint_of_work(&merge::finished(&sources[order[1]].1).await.unwrap());
            assert!(merge::seen(&into, &work).await.unwrap().is_some(), "later evidence makes no work new");
            let found = evidence::of_video(&into, VideoId(1)).await.unwrap();
            known.push(found.iter().map(|one| one.evidence.emotion).collect::<Vec<_>>());
        }
        assert_eq!(known, vec![vec![Emotion::Fear, Emotion::Neutral]; 2]);
    }

    #[tokio::test]
    async fn what_was_forgotten_in_another_catalog_must_not_come_back_here() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (_, from) = place(folders[0].path()).await;
        let (_, into) = place(folders[1].path()).await;
        let mut tx = from.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "a", "asked for").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(take_tombstones(&into, &from).await.unwrap(), 1);
        assert_eq!(take_tombstones(&into, &from).await.unwrap(), 0, "twice is harmless");
        assert!(tombstones::stands(&into, "youtube", "a").await.unwrap());
    }

    #[tokio::test]
    async fn what_was_fetched_elsewhere_is_not_fetched_here_unless_its_scan_missed_it() {
        for (reason, due) in [(Reason::NoFace, 0), (Reason::SourceGone, 1)] {
            let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let (source, from) = place(folders[0].path()).await;
            let (store, into) = place(folders[1].path()).await;
            reject(&from, "1", reason).await;
            let mut tx = into.begin().await.unwrap();
            let id = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
            jobs::enqueue(&mut tx, StageName::Fetch, fetch::REV, 0, id.0).await.unwrap();
            tx.commit().await.unwrap();
            merge((&into, &store), (&from, &source), "1", &Stop::default(), &Silent).await.unwrap();
            assert_eq!(jobs::count_due(&into, StageName::Fetch).await.unwrap(), due, "{reason}");
            let fetched_at = merge::finished(&into).await.unwrap()[0].fetched_at;
            assert_eq!(fetched_at, (due == 0).then_some(7));
        }
    }
}
