//! `webemotion shard`: writes work lists for machines that share no catalog.

use std::path::PathBuf;

use serde_json::json;

use crate::failure::Exit;
use crate::pipeline::{scan, shard};
use crate::words::plural;

use super::{Global, Session, say};

/// Flags of `shard`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, for an array of 16 tasks on nodes with a disk of their own:\n  \
    webemotion --data /shared/data shard --count 16 --out /shared/lists\n  \
    webemotion --data /local/node clips --shard /shared/lists/shard-00003-of-00016.jsonl      (on a node)\n  \
    webemotion --data /shared/data merge /shared/nodes/*                                      (at the end)\n\n\
    A list holds the videos whose file is there and that are not cut with the settings in force. Those whose \
    file is gone by the time that a node takes the list are passed over. Writing lists again after a merge lists \
    what is left. scripts/schedule/ has a Slurm array and a Kubernetes job that do all this.")]
pub(crate) struct ShardArgs {
    /// How many lists
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// The folder that they are written to [default: shards/ in the data folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(args: ShardArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let folder = args.out.unwrap_or_else(|| session.store.shards());
    let recipe = &session.config.clips;
    // Earlier work with these settings is put in force again, so that it is not repeated elsewhere.
    scan::restore_earlier(&session.catalog, recipe).await?;
    let videos = shard::write(&session.catalog, &session.store, recipe, args.count, &folder).await?;
    let (all, most): (u64, u64) = (videos.iter().sum(), videos.iter().copied().max().unwrap_or(0));
    if session.json {
        say(json!({"event": "sharded", "folder": folder, "count": args.count, "videos": all, "most": most,
            "lists": (0..args.count).map(|shard| shard::file_name(shard, args.count)).collect::<Vec<_>>()}));
    } else {
        say(format_args!(
            "shard: {} in {} of at most {most}, in {}",
            plural(all, "video"),
            plural(args.count, "list"),
            folder.display()
        ));
    }
    Ok(if all == 0 { Exit::NothingToDo } else { Exit::Done })
}
