//! `webemotion adopt`: puts the labels that a training run changed in force, or takes them back. No relabel row changes;
//! only the run is marked as adopted or not.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use crate::catalog::relabels::{self, LabelInForce};
use crate::catalog::runs::{self, Run, RunState};
use crate::catalog::samples::{self, TrainingSample};
use crate::failure::{Exit, Failure, Reason};
use crate::report::Table;
use crate::types::{Emotion, SampleId};
use crate::words::wall_clock;

use super::{Global, Session, is_coloured, named, say};

/// Flags of `adopt`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    webemotion adopt scn-1 --dry-run\n  \
    webemotion adopt scn-1 && webemotion train\n  \
    webemotion adopt scn-1 --undo\n\n\
    Where several adopted runs changed a sample's label, the run that was adopted last counts. Samples that no \
    adopted run changed have the emotion that their video was searched for.")]
pub(crate) struct AdoptArgs {
    /// A run that is done; `webemotion status` shows the last ones
    #[arg(value_name = "RUN")]
    run: String,
    /// Take its labels back
    #[arg(long)]
    undo: bool,
    /// Only say which labels would change
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: AdoptArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let changed = adopt(&session, &args).await?;
    close(&session, &args, &changed);
    Ok(Exit::Done)
}

/// The label changes of samples in use.
#[derive(Debug, PartialEq)]
struct Changed {
    /// Samples in use.
    samples: usize,
    /// How many labels go from one emotion to another.
    labels: BTreeMap<(Emotion, Emotion), u64>,
}

impl Changed {
    fn of(samples: &[TrainingSample], before: &[LabelInForce], after: &[LabelInForce]) -> Self {
        let (before, after) = (by_sample(before), by_sample(after));
        let mut labels = BTreeMap::new();
        for sample in samples {
            let label = |in_force: &HashMap<SampleId, Emotion>| {
                in_force.get(&sample.sample).copied().unwrap_or(sample.emotion)
            };
            let (from, to) = (label(&before), label(&after));
            if from != to {
                *labels.entry((from, to)).or_default() += 1;
            }
        }
        Self { samples: samples.len(), labels }
    }

    fn total(&self) -> u64 {
        self.labels.values().sum()
    }
}

/// The labels in force that are emotions; training ignores others.
fn by_sample(in_force: &[LabelInForce]) -> HashMap<SampleId, Emotion> {
    in_force.iter().filter_map(|label| Some((label.sample, label.class.parse().ok()?))).collect()
}

async fn adopt(session: &Session, args: &AdoptArgs) -> Result<Changed, Failure> {
    let run = find(session, args).await?;
    let samples = samples::for_training(&session.catalog).await?;
    let mut tx = session.catalog.begin().await?;
    let before = relabels::in_force_in(&mut tx).await?;
    runs::set_adopted(&mut tx, run.id, !args.undo).await?;
    let after = relabels::in_force_in(&mut tx).await?;
    if !args.dry_run {
        tx.commit().await?;
    }
    Ok(Changed::of(&samples, &before, &after))
}

/// The named run, if it can be adopted or taken back.
async fn find(session: &Session, args: &AdoptArgs) -> Result<Run, Failure> {
    let all = runs::list(&session.catalog).await?;
    let run = named::run(session, &all, &args.run)?;
    match (args.undo, run.adopted_at) {
        (true, None) => {
            let detail = format!("the labels of {} are not in force", run.name);
            return Err(Failure::permanent(Reason::NothingToDo, detail));
        }
        (false, Some(since)) => {
            let detail = format!("the labels of {} are in force since {}", run.name, wall_clock(since));
            let hint = "undone and adopted again, it counts before runs that were adopted since";
            return Err(Failure::permanent(Reason::NothingToDo, detail).with_hint(hint));
        }
        _ => {}
    }
    if let Some(noise) = run.noise.as_ref().filter(|_| !args.undo) {
        let detail = format!("run {} is of labels that were made wrong on purpose: {noise}", run.name);
        let hint = "adopt a run that was begun without --noise and --noisy-labels";
        return Err(Failure::permanent(Reason::Usage, detail).with_hint(hint));
    }
    if !args.undo && run.state != RunState::Done {
        let detail = format!("run {} has not come to its end: it is {}", run.name, run.state);
        let hint = "`webemotion train` with the same flags goes on with a run that was cut off";
        return Err(Failure::permanent(Reason::Usage, detail).with_hint(hint));
    }
    Ok(run.clone())
}

fn close(session: &Session, args: &AdoptArgs, changed: &Changed) {
    let AdoptArgs { run, undo, dry_run } = args;
    if session.json {
        let labels: Vec<_> = changed
            .labels
            .iter()
            .map(|((from, to), labels)| json!({"from": from, "to": to, "labels": labels}))
            .collect();
        say(json!({"event": if *undo { "taken-back" } else { "adopted" }, "run": run, "dry_run": dry_run,
            "samples": changed.samples, "changed": changed.total(), "labels": labels}));
        return;
    }
    if changed.labels.is_empty() {
        say(format_args!("adopt: {run} changes none of the labels of {} samples in use", changed.samples));
        return;
    }
    let head = ["from", "to", "labels"].map(str::to_owned).to_vec();
    let row = |((from, to), labels): (&(Emotion, Emotion), &u64)| {
        vec![from.to_string(), to.to_string(), labels.to_string()]
    };
    let table = Table { head, rows: changed.labels.iter().map(row).collect() };
    say(table.render(is_coloured(&std::io::stdout())).trim_end());
    let would = if *dry_run { "would change" } else { "changed" };
    let then = if *undo {
        format!("`webemotion adopt {run}` puts them in force again")
    } else {
        format!("`webemotion adopt {run} --undo` takes them back")
    };
    say(format_args!(
        "adopt: the labels of {} of {} samples in use {would}; the next `webemotion train` uses them, {then}",
        changed.total(),
        changed.samples
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::runs::{FrozenSample, NewRun, Noise};
    use crate::catalog::{recipes, splits, videos};
    use crate::types::{Relabel, Split};

    fn args(run: &str, undo: bool, dry_run: bool) -> AdoptArgs {
        AdoptArgs { run: run.to_owned(), undo, dry_run }
    }

    /// Three samples of fear, and a run that relabels two of them as surprise.
    async fn with_a_run(folder: &std::path::Path, state: RunState) -> Session {
        with_a_run_on(None, folder, state).await
    }

    /// The same with a run on labels that were made wrong on purpose.
    async fn with_a_run_on(noise: Option<&Noise>, folder: &std::path::Path, state: RunState) -> Session {
        let session = Session::still(folder).await;
        let mut tx = session.catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        samples::tests::hit(&mut tx, video, Emotion::Fear, 1).await;
        let ids = samples::tests::fill(&mut tx, video, 3).await;
        let recipe_hash = &recipes::insert(&mut tx, "train", "{}").await.unwrap();
        let classes = [Emotion::Fear, Emotion::Surprise].map(|emotion| emotion.to_string());
        let run = NewRun {
            name: "scn-1",
            method: "scn",
            recipe_hash,
            seed: 1,
            folder: "runs/scn-1",
            classes: &classes,
            device: "cpu",
            noise,
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
        let run = runs::create(&mut tx, &run, &frozen).await.unwrap();
        let relabel = |sample| Relabel {
            sample,
            epoch: 1,
            from: 0,
            to: 1,
            p_max: 0.75,
            p_given: 0.25,
            importance: 0.5,
        };
        relabels::insert(&mut tx, run, &[relabel(0), relabel(2)]).await.unwrap();
        runs::end(&mut tx, run, state, None).await.unwrap();
        tx.commit().await.unwrap();
        splits::assign(&session.catalog).await.unwrap();
        session
    }

    #[tokio::test]
    async fn labels_are_in_force_until_they_are_taken_back_and_a_dry_run_changes_none() {
        let folder = tempfile::tempdir().unwrap();
        let session = with_a_run(folder.path(), RunState::Done).await;
        let in_force = async || relabels::in_force(&session.catalog).await.unwrap().len();
        let there = BTreeMap::from([((Emotion::Fear, Emotion::Surprise), 2)]);
        let back = BTreeMap::from([((Emotion::Surprise, Emotion::Fear), 2)]);
        for (undo, dry_run, labels, left) in [
            (false, true, &there, 0),
            (false, false, &there, 2),
            (true, true, &back, 2),
            (true, false, &back, 0),
        ] {
            let changed = adopt(&session, &args("scn-1", undo, dry_run)).await.unwrap();
            assert_eq!(changed, Changed { samples: 3, labels: labels.clone() });
            assert_eq!(in_force().await, left);
        }
    }

    #[tokio::test]
    async fn a_run_that_cannot_be_adopted_or_is_adopted_already_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let session = with_a_run(folder.path(), RunState::Stopped).await;
        let refusal = async |run, undo| adopt(&session, &args(run, undo, false)).await.unwrap_err();
        let unknown = refusal("scn-7", false).await;
        assert_eq!((unknown.exit(), unknown.hint.as_deref()), (Exit::Usage, Some("runs: scn-1")));
        std::fs::create_dir_all(folder.path().join("runs/scn-2")).unwrap();
        let on_disk = refusal("scn-2", false).await;
        assert!(on_disk.exit() == Exit::Usage && on_disk.hint.unwrap().contains("result.json"));
        let unfinished = refusal("scn-1", false).await;
        assert_eq!(unfinished.exit(), Exit::Usage);
        assert!(unfinished.detail.contains("stopped"), "{unfinished}");
        assert_eq!(refusal("scn-1", true).await.exit(), Exit::NothingToDo);

        let folder = tempfile::tempdir().unwrap();
        let session = with_a_run(folder.path(), RunState::Done).await;
        adopt(&session, &args("scn-1", false, false)).await.unwrap();
        let again = adopt(&session, &args("scn-1", false, false)).await.unwrap_err();
        assert_eq!(again.exit(), Exit::NothingToDo);
    }

    #[tokio::test]
    async fn a_run_on_labels_made_wrong_on_purpose_cannot_be_adopted_but_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let noise = Noise { share: Some(0.4), kind: Some("symmetric".to_owned()), list: None };
        let session = with_a_run_on(Some(&noise), folder.path(), RunState::Done).await;
        let refused = adopt(&session, &args("scn-1", false, true)).await.unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        assert!(refused.detail.ends_with("on purpose: 40.0 % of each class, symmetric"), "{refused}");
        // An earlier release adopted it.
        let run = runs::find(&session.catalog, "scn-1").await.unwrap().unwrap();
        let mut tx = session.catalog.begin().await.unwrap();
        runs::set_adopted(&mut tx, run.id, true).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(adopt(&session, &args("scn-1", true, false)).await.unwrap().total(), 2);
    }
}
