//! `webemotion backup`: a consistent copy of the catalog while other processes use it.

use std::path::PathBuf;

use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::words::bytes;

use super::{Global, Session, say};

/// Flags of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    webemotion backup \"/backup/catalog-$(date +%F).sqlite\"\n\n\
    The copy holds all rows and face crops. Videos and clips are files in the data folder, which never change \
    once they stand there: rsync -a --ignore-existing webemotion-data/videos webemotion-data/clips /backup/ \
    `webemotion restore FILE` goes back to one.")]
pub(crate) struct BackupArgs {
    /// Where to; it must not be there yet
    file: PathBuf,
}

pub(crate) async fn run(args: BackupArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::reading(global).await?;
    let size_bytes = session.catalog.back_up(&args.file).await.map_err(Failure::from)?;
    if session.json {
        say(json!({"event": "backed-up", "file": args.file, "size_bytes": size_bytes}));
    } else {
        say(format_args!("backup: {} ({})", args.file.display(), bytes(size_bytes)));
    }
    Ok(Exit::Done)
}
