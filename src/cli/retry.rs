//! `webemotion retry`: takes up again what was rejected or given up, and lifts pauses.

use serde_json::json;

use crate::catalog::{jobs, pauses};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::scan;

use super::{Global, Session, say};

/// Flags of `retry`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion retry --reason face-too-small      after lowering clips.min_clip_face_px\n  \
    webemotion retry --reason worker-crashed --stage scan\n  \
    webemotion retry --reason source-gone           fetches discarded videos again that the settings in force ask for\n  webemotion retry --stage fetch                  lifts the stage's pause"
)]
#[command(group = clap::ArgGroup::new("what").args(["reason", "stage"]).required(true).multiple(true))]
pub(crate) struct RetryArgs {
    /// Of this reason; `webemotion status` lists those that were given
    #[arg(long, value_enum, hide_possible_values = true)]
    reason: Option<Reason>,
    /// Only of this stage: search, fetch, scan or cut. Its pause, if it has one, is lifted
    #[arg(long, value_parser = ["search", "fetch", "scan", "cut"])]
    stage: Option<String>,
}

pub(crate) async fn run(args: RetryArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let lifted = match &args.stage {
        Some(stage) => pauses::lift(&session.catalog, stage).await.map_err(Failure::from)?,
        None => false,
    };
    let fetched_again = match args.reason {
        Some(Reason::SourceGone) => {
            let rev = scan::rev(&session.config.clips);
            jobs::fetch_again(&session.catalog, &rev).await.map_err(Failure::from)?
        }
        _ => 0,
    };
    let reopened = match args.reason {
        Some(reason) => {
            jobs::retry(&session.catalog, reason, args.stage.as_deref()).await.map_err(Failure::from)?
        }
        None => 0,
    } + fetched_again;
    if session.json {
        say(json!({"event": "retried", "jobs": reopened, "pause_lifted": lifted}));
    } else {
        let pause = if lifted { "; the pause is lifted" } else { "" };
        say(format_args!("retry: {reopened} jobs are open again{pause}"));
    }
    Ok(if reopened == 0 && !lifted { Exit::NothingToDo } else { Exit::Done })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;

    #[test]
    fn what_is_not_said_and_what_is_no_reason_is_answered_with_what_may_be_said() {
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
