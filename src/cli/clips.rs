//! `webemotion clips`: looks at downloaded videos and cuts clips of one face each.

use std::path::PathBuf;

use serde_json::json;

use crate::catalog::{jobs, splits, videos};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::cut::CutStage;
use crate::pipeline::scan::{self, ScanStage};
use crate::pipeline::shard;

use super::drive::{Limits, drive, exit, local_patience, local_wait_ms, outlook};
use super::{Global, Session, duration, say};

/// Flags of `clips`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Examples:\n  webemotion clips --workers 2 --max-runtime 8h\n  \
    webemotion --data /local/node clips --shard shard-00003-of-00016.jsonl\n\n\
    Several terminals and processes may work on one data folder: no two get the same video.")]
pub(crate) struct ClipsArgs {
    /// Worker processes [default: from the settings, one for every two cores]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Look at no more than this many videos
    #[arg(long, value_name = "N")]
    max_videos: Option<u64>,
    /// Begin nothing new after this time, such as 90s, 30m or 8h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_runtime: Option<i64>,
    /// Work on a list of `webemotion shard`, into a data folder of this machine's own
    #[arg(long, value_name = "FILE")]
    shard: Option<PathBuf>,
    /// Where the list's data folder lies on this machine [default: where it lay when the list was written]
    #[arg(long, value_name = "DIR", requires = "shard")]
    videos: Option<PathBuf>,
}

pub(crate) async fn run(args: ClipsArgs, global: &Global) -> anyhow::Result<Exit> {
    let Some(list) = &args.shard else { return clips(&Session::existing(global).await?, &args).await };
    let head = shard::head(list)?;
    let mut session = Session::create(global).await?;
    // Every node looks in the way that the list says: only then do their catalogs fit together.
    session.config.clips = head.clips;
    shard::take_in(&session.catalog, &session.store, list, args.videos.as_deref()).await?;
    clips(&session, &args).await
}

/// Scans and cuts whatever is due.
pub(crate) async fn clips(session: &Session, args: &ClipsArgs) -> anyhow::Result<Exit> {
    let workers = args.workers.unwrap_or(session.config.workers.count);
    let workers = if workers == 0 { super::cores().div_ceil(2) } else { workers };
    let Some(cpu) = super::cpu(session, workers)? else {
        return Err(Failure::permanent(
            Reason::ToolMissing,
            "this program was built without FFmpeg or libtorch",
        )
        .with_hint("build it with its default features")
        .into());
    };
    session.config.tools.find_mtcnn()?;
    ask_for_scans(session).await?;
    let limits = Limits {
        max_jobs: args.max_videos,
        deadline_ms: args.max_runtime.map(|runtime_ms| session.clock.now_ms() + runtime_ms),
        wait_ms: local_wait_ms(session.config.workers.max_attempts),
        slots: workers,
        patience: local_patience(),
        ..Limits::default()
    };
    let (store, recipe) = (session.store.clone(), session.config.clips.clone());
    let scan_stage = ScanStage { store: store.clone(), cpu: cpu.clone(), recipe: recipe.clone() };
    let scanned = drive(session, &scan_stage, &limits).await?;
    let cut_stage = CutStage { store, cpu: cpu.clone(), recipe };
    let cut = drive(session, &cut_stage, &Limits { max_jobs: None, ..limits }).await?;
    cpu.close().await;
    splits::assign(&session.catalog).await.map_err(Failure::from)?;
    let counts = crate::catalog::funnel::emotions(&session.catalog).await.map_err(Failure::from)?;
    let clips: u64 = counts.iter().map(|count| count.clips).sum();
    let samples: u64 = counts.iter().map(|count| count.samples).sum();
    if session.json {
        let part = |summary: &crate::pipeline::RunSummary| json!({"done": summary.done, "rejected": summary.rejected, "dead": summary.dead});
        say(json!({"event": "clipped", "scanned": part(&scanned), "cut": part(&cut),
            "clips": clips, "samples": samples}));
    } else {
        say(format_args!(
            "clips: {} videos scanned{}, {} cut, {} without a clip, {} given up; the catalog has {clips} clips and {samples} samples",
            scanned.done,
            outlook(session, &scanned),
            cut.done,
            cut.rejected,
            scanned.dead + cut.dead,
        ));
    }
    Ok(exit(session, &[&scanned, &cut]))
}

/// Every video with a file is to be looked at with the recipe in force; what was is left alone.
async fn ask_for_scans(session: &Session) -> Result<(), Failure> {
    let ids: Vec<i64> = videos::with_file(&session.catalog).await?.iter().map(|id| id.0).collect();
    let mut tx = session.catalog.begin().await?;
    jobs::enqueue_all(&mut tx, scan::NAME, &scan::rev(&session.config.clips), 0, &ids).await?;
    Ok(tx.commit().await?)
}
