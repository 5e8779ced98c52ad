//! The `run`, `run_sample` and `epoch` tables: training runs, each on a sample list that is frozen when it begins.

mod losses;
mod noise;
mod state;

use super::{Catalog, Result, Transaction, json, number, word};
use crate::types::{ClipId, RunId, SampleId, Split, VideoId};

pub use losses::{Losses, losses_of_scan};
pub use noise::Noise;
pub use state::{RunState, UnknownRunState};

/// A run that is about to begin.
#[derive(Debug, Clone)]
pub struct NewRun<'a> {
    /// Its name, unique in the catalog.
    pub name: &'a str,
    /// `baseline`, `scn` …
    pub method: &'a str,
    /// Its recipe, stored before.
    pub recipe_hash: &'a str,
    /// The seed of its random numbers.
    pub seed: u64,
    /// The folder of its checkpoints, relative to the data folder.
    pub folder: &'a str,
    /// Class names, in index order.
    pub classes: &'a [String],
    /// What it runs on.
    pub device: &'a str,
    /// The label noise added on purpose, if any.
    pub noise: Option<&'a Noise>,
}

/// A run as the catalog has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its row.
    pub id: RunId,
    /// Its name.
    pub name: String,
    /// `baseline`, `scn` …
    pub method: String,
    /// Its recipe.
    pub recipe_hash: String,
    /// The seed of its random numbers.
    pub seed: u64,
    /// The folder of its checkpoints, relative to the data folder.
    pub folder: String,
    /// Its state.
    pub state: RunState,
    /// Class names, in index order.
    pub classes: Vec<String>,
    /// What it ran on.
    pub device: Option<String>,
    /// The label noise added on purpose, if any.
    pub noise: Option<Noise>,
    /// Its summary as JSON, once there is one.
    pub summary: Option<String>,
    /// Milliseconds since 1970.
    pub started_at: i64,
    /// Milliseconds since 1970.
    pub finished_at: Option<i64>,
    /// Since when its relabels are in force; none when they are not.
    pub adopted_at: Option<i64>,
}

/// One entry of a run's frozen list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrozenSample {
    /// The sample.
    pub sample: SampleId,
    /// Its part of the data.
    pub split: Split,
    /// Its class at the beginning of the run.
    pub label: usize,
    /// Its class before it was made wrong on purpose; none where it was not.
    pub clean_label: Option<usize>,
    /// The number of its source, which no fold divides; none in lists of earlier releases.
    pub source: Option<u64>,
}

/// An entry of a run's frozen list, with what the catalog knows of it now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListedSample {
    /// Its index in the frozen list, to which relabels refer. A removed sample leaves a gap.
    pub position: usize,
    /// What was frozen.
    pub frozen: FrozenSample,
    /// The split of its source: a run may hold samples of the training part out for validation.
    pub source_split: Split,
    /// Its clip.
    pub clip: ClipId,
    /// Its video.
    pub video: VideoId,
    /// The run's opinion of it, once the run has ended.
    pub opinion: Option<StoredOpinion>,
}

/// What a run predicts for a sample at its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredOpinion {
    /// SCN's α, 0 to 1; none when the method has no importance.
    pub importance: Option<f32>,
    /// The most probable class.
    pub predicted: usize,
    /// Its probability.
    pub p_predicted: f32,
    /// The probability of the label that the sample began with.
    pub p_given: f32,
}

/// Stores a run and its frozen list; a sample's index in the list is its position from now on.
pub async fn create(tx: &mut Transaction, run: &NewRun<'_>, samples: &[FrozenSample]) -> Result<RunId> {
    let (seed, classes, now_ms) = (run.seed.cast_signed(), json(run.classes)?, tx.now_ms());
    let noise = run.noise.map(json).transpose()?;
    let id = sqlx::query_file_scalar!(
        "queries/catalog/run/insert.sql",
        run.name,
        run.method,
        run.recipe_hash,
        seed,
        run.folder,
        classes,
        run.device,
        noise,
        now_ms
    )
    .fetch_one(tx.connection())
    .await?;
    let list: Vec<_> =
        samples.iter().map(|one| (one.sample, one.split, one.label, one.clean_label, one.source)).collect();
    let list = json(&list)?;
    sqlx::query_file!("queries/catalog/run_sample/insert.sql", id, list).execute(tx.connection()).await?;
    Ok(RunId(id))
}

/// All runs, oldest first.
pub async fn list(catalog: &Catalog) -> Result<Vec<Run>> {
    let rows = sqlx::query_file!("queries/catalog/run/list.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Run {
                id: RunId(row.id),
                name: row.name,
                method: row.method,
                recipe_hash: row.recipe_hash,
                seed: row.seed.cast_unsigned(),
                folder: row.folder,
                state: word(&row.state)?,
                classes: serde_json::from_str(&row.classes).unwrap_or_default(),
                device: row.device,
                noise: row.noise.map(|noise| serde_json::from_str(&noise).unwrap_or_default()),
                summary: row.summary,
                started_at: row.started_at,
                finished_at: row.finished_at,
                adopted_at: row.adopted_at,
            })
        })
        .collect()
}

/// The run with a name.
pub async fn find(catalog: &Catalog, name: &str) -> Result<Option<Run>> {
    Ok(list(catalog).await?.into_iter().find(|run| run.name == name))
}

/// A run's frozen list in its order, including samples no longer in use, with the run's opinions once there are any.
pub async fn samples(catalog: &Catalog, run: RunId) -> Result<Vec<ListedSample>> {
    let rows =
        sqlx::query_file!("queries/catalog/run_sample/list.sql", run.0).fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            let frozen = FrozenSample {
                sample: SampleId(row.sample_id),
                split: word(&row.split)?,
                label: number(row.label)?,
                clean_label: row.clean_label.map(number).transpose()?,
                source: row.source.map(i64::cast_unsigned),
            };
            let opinion = |predicted| -> Result<StoredOpinion> {
                Ok(StoredOpinion {
                    importance: row.importance.map(|it| it as f32),
                    predicted: number(predicted)?,
                    p_predicted: row.p_predicted.unwrap_or_default() as f32,
                    p_given: row.p_given.unwrap_or_default() as f32,
                })
            };
            Ok(ListedSample {
                position: number(row.position)?,
                frozen,
                source_split: word(&row.source_split)?,
                clip: ClipId(row.clip_id),
                video: VideoId(row.video_id),
                opinion: row.predicted.map(opinion).transpose()?,
            })
        })
        .collect()
}

/// Stores the metrics of an epoch, as JSON. A resumed run replaces those of its last epochs.
pub async fn put_epoch(tx: &mut Transaction, run: RunId, epoch: u32, metrics: &str) -> Result<()> {
    let now_ms = tx.now_ms();
    sqlx::query_file!("queries/catalog/epoch/put.sql", run.0, epoch, metrics, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The epochs of a run with their metrics as JSON, in order.
pub async fn epochs(catalog: &Catalog, run: RunId) -> Result<Vec<(u32, String)>> {
    let rows = sqlx::query_file!("queries/catalog/epoch/list.sql", run.0).fetch_all(&catalog.reader).await?;
    rows.into_iter().map(|row| Ok((number(row.epoch)?, row.metrics))).collect()
}

/// Stores a run's opinions of its samples, each with the sample's position in the frozen list.
pub async fn set_opinions(
    tx: &mut Transaction,
    run: RunId,
    opinions: &[(usize, StoredOpinion)],
) -> Result<()> {
    let row = |(position, it): &(usize, StoredOpinion)| {
        (*position, it.importance, it.predicted, it.p_predicted, it.p_given)
    };
    let list = json(&opinions.iter().map(row).collect::<Vec<_>>())?;
    sqlx::query_file!("queries/catalog/run_sample/set_opinions.sql", run.0, list)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Ends a run; `summary` is JSON.
pub async fn end(tx: &mut Transaction, run: RunId, state: RunState, summary: Option<&str>) -> Result<()> {
    let (state, now_ms) = (state.as_str(), tx.now_ms());
    sqlx::query_file!("queries/catalog/run/end.sql", run.0, state, summary, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Reopens a run that was stopped or failed.
pub async fn reopen(tx: &mut Transaction, run: RunId) -> Result<()> {
    sqlx::query_file!("queries/catalog/run/reopen.sql", run.0).execute(tx.connection()).await?;
    Ok(())
}

/// Puts a run's relabels in force, or with `adopted` false out of force again. No evidence changes.
pub async fn set_adopted(tx: &mut Transaction, run: RunId, adopted: bool) -> Result<()> {
    let at = adopted.then(|| tx.now_ms());
    sqlx::query_file!("queries/catalog/run/set_adopted.sql", run.0, at).execute(tx.connection()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{forget, recipes, relabels, samples as sample_rows, scans, tests::empty, videos};
    use crate::types::Relabel;

    fn relabel(sample: usize, epoch: u32, to: usize) -> Relabel {
        Relabel { sample, epoch, from: 0, to, p_max: 0.75, p_given: 0.25, importance: 0.5 }
    }

    async fn begin(tx: &mut Transaction, name: &str, ids: &[SampleId]) -> RunId {
        let recipe_hash = &recipes::insert(tx, "train", name).await.unwrap();
        let classes = ["calm".to_owned(), "glad".to_owned(), "cross".to_owned()];
        let (method, folder, device) = ("scn", "runs/1", "cpu");
        let run = NewRun {
            name,
            method,
            recipe_hash,
            seed: u64::MAX,
            folder,
            classes: &classes,
            device,
            noise: None,
        };
        let frozen: Vec<_> = ids
            .iter()
            .map(|sample| FrozenSample {
                sample: *sample,
                split: Split::Train,
                label: 0,
                clean_label: None,
                source: None,
            })
            .collect();
        create(tx, &run, &frozen).await.unwrap()
    }

    #[tokio::test]
    async fn the_last_adopted_runs_last_relabels_are_in_force_and_can_be_undone() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        let ids = sample_rows::tests::fill(&mut tx, video, 3).await;
        let first = begin(&mut tx, "first", &ids).await;
        let second = begin(&mut tx, "second", &ids).await;
        let some = [relabel(0, 3, 1), relabel(0, 4, 2), relabel(1, 4, 2)];
        relabels::insert(&mut tx, first, &some).await.unwrap();
        relabels::insert(&mut tx, first, &some).await.unwrap();
        relabels::insert(&mut tx, second, &[relabel(1, 2, 1)]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(relabels::of_run(&catalog, first).await.unwrap(), some);
        assert!(relabels::in_force(&catalog).await.unwrap().is_empty(), "nothing is adopted by itself");

        let labels = async |run, adopted| {
            let mut tx = catalog.begin().await.unwrap();
            set_adopted(&mut tx, run, adopted).await.unwrap();
            tx.commit().await.unwrap();
            catalog.clock().advance_ms(1);
            let in_force = relabels::in_force(&catalog).await.unwrap();
            in_force.into_iter().map(|label| (label.sample, label.class)).collect::<Vec<_>>()
        };
        let cross = || "cross".to_owned();
        assert_eq!(labels(first, true).await, [(ids[0], cross()), (ids[1], cross())]);
        assert_eq!(labels(second, true).await, [(ids[0], cross()), (ids[1], "glad".to_owned())]);
        assert_eq!(labels(second, false).await, [(ids[0], cross()), (ids[1], cross())]);
        assert_eq!(labels(first, false).await, []);
    }

    #[tokio::test]
    async fn samples_of_a_scan_that_goes_are_counted_where_runs_have_them() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        let ids = sample_rows::tests::fill(&mut tx, video, 4).await;
        let run = begin(&mut tx, "first", &ids[..3]).await;
        relabels::insert(&mut tx, run, &[relabel(0, 3, 1), relabel(0, 4, 2), relabel(1, 4, 2)])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let scan = scans::latest(&catalog, video).await.unwrap().unwrap().id;
        for (adopted, expected) in [(false, 0), (true, 2)] {
            let mut tx = catalog.begin().await.unwrap();
            set_adopted(&mut tx, run, adopted).await.unwrap();
            let losses = losses_of_scan(&mut tx, scan).await.unwrap();
            assert_eq!(losses, Losses { listed: 3, adopted: expected });
            tx.commit().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_run_keeps_its_list_its_epochs_and_its_opinions() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        let ids = sample_rows::tests::fill(&mut tx, video, 2).await;
        let run = begin(&mut tx, "one", &[ids[1], ids[0]]).await;
        put_epoch(&mut tx, run, 1, "{\"loss\":2}").await.unwrap();
        put_epoch(&mut tx, run, 1, "{\"loss\":1}").await.unwrap();
        let opinion =
            StoredOpinion { importance: Some(0.5), predicted: 2, p_predicted: 0.75, p_given: 0.125 };
        set_opinions(&mut tx, run, &[(1, opinion)]).await.unwrap();
        end(&mut tx, run, RunState::Done, Some("{}")).await.unwrap();
        tx.commit().await.unwrap();
        let lines = samples(&catalog, run).await.unwrap();
        assert_eq!((lines[0].frozen.sample, lines[0].opinion), (ids[1], None));
        assert_eq!((lines[1].frozen.sample, lines[1].opinion), (ids[0], Some(opinion)));
        assert_eq!(lines[1].video, video);
        assert_eq!(epochs(&catalog, run).await.unwrap(), [(1, "{\"loss\":1}".to_owned())]);
        let found = find(&catalog, "one").await.unwrap().unwrap();
        assert_eq!((found.seed, found.state, found.classes.len()), (u64::MAX, RunState::Done, 3));
    }

    #[tokio::test]
    async fn a_noisy_run_of_an_earlier_release_is_recognised_by_its_summary() {
        let migration = include_str!("../../migrations/20261130000300_note_wrong_labels.sql");
        let mut statements = migration.split(';').map(str::trim);
        let update = statements.find(|statement| statement.starts_with("update run ")).unwrap();
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        for (name, summary) in [
            ("noisy", Some(r#"{"labels": {"fixed": null, "left": 0.25}}"#)),
            ("clean", Some(r#"{"labels": {"fixed": null, "left": null}}"#)),
            ("torn", Some("{\"labels")),
            ("open", None),
        ] {
            let run = begin(&mut tx, name, &[]).await;
            end(&mut tx, run, RunState::Done, summary).await.unwrap();
        }
        sqlx::query(update).execute(tx.connection()).await.unwrap();
        tx.commit().await.unwrap();
        let noisy: Vec<Run> =
            list(&catalog).await.unwrap().into_iter().filter(|run| run.noise.is_some()).collect();
        assert_eq!(
            (noisy.len(), noisy[0].name.as_str(), &noisy[0].noise),
            (1, "noisy", &Some(Noise::default()))
        );
    }

    #[tokio::test]
    async fn a_removed_sample_leaves_a_gap_and_shifts_no_other() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let gone = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        let stays = videos::upsert(&mut tx, &videos::tests::some("b", None)).await.unwrap().unwrap();
        let first = sample_rows::tests::fill(&mut tx, gone, 1).await;
        let ids = sample_rows::tests::fill(&mut tx, stays, 2).await;
        let run = begin(&mut tx, "one", &[first[0], ids[0], ids[1]]).await;
        relabels::insert(&mut tx, run, &[relabel(2, 1, 1)]).await.unwrap();
        forget::remove(&mut tx, &[gone], "asked for").await.unwrap();
        tx.commit().await.unwrap();
        let lines = samples(&catalog, run).await.unwrap();
        let places: Vec<_> = lines.iter().map(|line| (line.position, line.frozen.sample)).collect();
        assert_eq!(places, [(1, ids[0]), (2, ids[1])]);
        assert_eq!(relabels::of_run(&catalog, run).await.unwrap()[0].sample, 2);
    }
}
