//! `webemotion retry`: reopens jobs that were rejected or given up, and lifts pauses.

use serde_json::json;

use crate::catalog::{Catalog, jobs, pauses};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::scan;
use crate::types::StageName;
use crate::words::{are, plural};

use super::{Global, Session, say};

/// Flags of `retry`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion retry --reason face-too-small      after lowering clips.min_clip_face_px\n  \
    webemotion retry --reason worker-crashed --stage scan\n  \
    webemotion retry --reason source-gone           fetches discarded videos again that the settings in force ask for\n  webemotion retry --stage fetch                  lifts the stage's pause, and that of searches if the site blocked us"
)]
#[command(group = clap::ArgGroup::new("what").args(["reason", "stage"]).required(true).multiple(true))]
pub(crate) struct RetryArgs {
    /// Of this reason; `webemotion status` lists those that were given
    #[arg(long, value_enum, hide_possible_values = true)]
    reason: Option<Reason>,
    /// Only of this stage: search, fetch, scan or cut. Its pause, if it has one, is lifted; so are those of other stages
    /// for what the site said to all
    #[arg(long, value_enum)]
    stage: Option<StageName>,
}

pub(crate) async fn run(args: RetryArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let lifted = match args.stage {
        Some(stage) => lift(&session.catalog, stage).await?,
        None => Vec::new(),
    };
    let fetched_again = match args.reason {
        Some(Reason::SourceGone) => {
            let rev = scan::rev(&session.config.clips);
            jobs::fetch_again(&session.catalog, &rev).await.map_err(Failure::from)?
        }
        _ => 0,
    };
    let reopened = match args.reason {
        Some(reason) => jobs::retry(&session.catalog, reason, args.stage).await.map_err(Failure::from)?,
        None => 0,
    } + fetched_again;
    if session.json {
        say(json!({"event": "retried", "jobs": reopened, "pause_lifted": !lifted.is_empty(),
            "stages_lifted": lifted}));
    } else {
        let stages: Vec<_> = lifted.iter().map(|stage| stage.as_str()).collect();
        let pauses = match stages.as_slice() {
            [] => String::new(),
            [stage] => format!("; the pause of {stage} is lifted"),
            stages => format!("; the pauses of {} are lifted", stages.join(" and ")),
        };
        say(format_args!("retry: {} {} open again{pauses}", plural(reopened, "job"), are(reopened)));
    }
    Ok(if reopened == 0 && lifted.is_empty() { Exit::NothingToDo } else { Exit::Done })
}

/// Lifts a stage's pause and, if the site refused all requests, those of the other stages for that reason. Returns the
/// stages.
async fn lift(catalog: &Catalog, stage: StageName) -> Result<Vec<StageName>, Failure> {
    let in_force = pauses::in_force(catalog).await?;
    let own = in_force.iter().find(|pause| pause.stage == stage).map(|pause| pause.reason);
    let said = own.filter(|reason| reason.is_of_the_site());
    let alike = in_force.iter().filter(|pause| Some(pause.reason) == said && pause.stage != stage);
    let mut lifted = Vec::new();
    for stage in std::iter::once(stage).chain(alike.map(|pause| pause.stage)) {
        if pauses::lift(catalog, stage).await? {
            lifted.push(stage);
        }
    }
    Ok(lifted)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    #[tokio::test]
    async fn a_refusal_of_all_requests_is_lifted_for_all_stages_and_any_other_pause_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let blocked = [StageName::Fetch, StageName::Search].map(|stage| (stage, Reason::Blocked));
        let full = [StageName::Scan, StageName::Cut].map(|stage| (stage, Reason::Disk));
        let mut tx = session.catalog.begin().await.unwrap();
        for (stage, reason) in blocked.into_iter().chain(full) {
            pauses::begin(&mut tx, stage, reason, "", None).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(
            lift(&session.catalog, StageName::Fetch).await.unwrap(),
            [StageName::Fetch, StageName::Search]
        );
        assert_eq!(lift(&session.catalog, StageName::Cut).await.unwrap(), [StageName::Cut]);
        assert!(lift(&session.catalog, StageName::Fetch).await.unwrap().is_empty());
    }

    #[test]
    fn a_missing_or_unknown_reason_is_refused_with_a_list_of_the_reasons() {
        let refused = |words: &[&str]| Cli::try_parse_from(words).unwrap_err().to_string();
        let nothing = refused(&["webemotion", "retry"]);
        assert!(nothing.contains("--reason") && nothing.contains("--stage"), "{nothing}");
        let unknown = refused(&["webemotion", "retry", "--reason", "sometimes"]);
        assert!(unknown.contains("face-too-small") && unknown.contains("source-gone"), "{unknown}");
        for words in [["--reason", "private"], ["--stage", "fetch"]] {
            assert!(Cli::try_parse_from([&["webemotion", "retry"], &words[..]].concat()).is_ok());
        }
    }
}
