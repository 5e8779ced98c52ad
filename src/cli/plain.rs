//! The commands that run no net in their own process. `webemotion` is linked with these only.

use clap::Subcommand;

#[cfg(not(feature = "train"))]
use super::run;
use super::{
    Global, adopt, backup, block_on, check, clips, crawl, doctor, forget, gc, manual, merge, refresh, report,
    restore, retry, settings,
};
use super::{shard, status};
use crate::failure::Exit;

#[derive(Debug, Subcommand)]
pub(super) enum Plain {
    /// Search videos by emotion word and download what the policy allows
    #[command(display_order = 1)]
    Crawl(crawl::CrawlArgs),
    /// Cut downloaded videos into clips of one face and take samples
    #[command(display_order = 2)]
    Clips(clips::ClipsArgs),
    /// Do what is due of crawl, clips and report: one round, for a scheduler
    #[cfg(not(feature = "train"))]
    #[command(display_order = 8)]
    Run(run::RunArgs),
    /// Show how far every emotion and stage is, and what stands in the way
    #[command(display_order = 9)]
    Status(status::StatusArgs),
    /// Write the report of a run, or of the catalog, as a page
    #[command(display_order = 10)]
    Report(report::ReportArgs),
    /// Put the labels that a training run changed in force, or take them back
    #[command(display_order = 12)]
    Adopt(adopt::AdoptArgs),
    /// Take up again what was rejected or given up
    #[command(display_order = 12)]
    Retry(retry::RetryArgs),
    /// Ask the site again about videos whose metadata grows old, and find those that are gone
    #[command(display_order = 13)]
    Refresh(refresh::RefreshArgs),
    /// Remove videos with all that came of them, and keep them from coming back
    #[command(display_order = 14)]
    Forget(forget::ForgetArgs),
    /// Remove files that no row names, and what must not be here
    #[command(display_order = 14)]
    Gc(gc::GcArgs),
    /// Say whether every row and file is sound, and have lost files made again
    #[command(display_order = 15)]
    Check(check::CheckArgs),
    /// Copy the catalog while others work on it
    #[command(display_order = 16)]
    Backup(backup::BackupArgs),
    /// Go back to a backup of the catalog
    #[command(display_order = 16)]
    Restore(restore::RestoreArgs),
    /// Write work lists for machines that share no catalog
    #[command(display_order = 17)]
    Shard(shard::ShardArgs),
    /// Unite catalogs that were worked on apart
    #[command(display_order = 18)]
    Merge(merge::MergeArgs),
    /// Say whether all tools are there, and what is old
    #[command(display_order = 20)]
    Doctor(doctor::DoctorArgs),
    /// Show or write the settings
    #[command(display_order = 21)]
    Config(settings::SettingsArgs),
    /// Print what a shell needs to complete commands and flags
    #[command(display_order = 22)]
    Completions(manual::CompletionsArgs),
    /// Write the manual pages
    #[command(display_order = 23)]
    Man(manual::ManArgs),
}

pub(super) fn begin(command: Plain, global: &Global) -> anyhow::Result<Exit> {
    block_on(global, execute(command, global))
}

pub(super) async fn execute(command: Plain, global: &Global) -> anyhow::Result<Exit> {
    match command {
        Plain::Crawl(args) => crawl::run(args, global).await,
        Plain::Clips(args) => clips::run(args, global).await,
        #[cfg(not(feature = "train"))]
        Plain::Run(args) => run::run(args, global).await,
        Plain::Status(args) => status::run(args, global).await,
        Plain::Report(args) => report::run(args, global).await,
        Plain::Adopt(args) => adopt::run(args, global).await,
        Plain::Retry(args) => retry::run(args, global).await,
        Plain::Refresh(args) => refresh::run(args, global).await,
        Plain::Forget(args) => forget::run(args, global).await,
        Plain::Gc(args) => gc::run(args, global).await,
        Plain::Check(args) => check::run(args, global).await,
        Plain::Backup(args) => backup::run(args, global).await,
        Plain::Restore(args) => restore::run(args, global).await,
        Plain::Shard(args) => shard::run(args, global).await,
        Plain::Merge(args) => merge::run(args, global).await,
        Plain::Doctor(args) => doctor::run(args, global).await,
        Plain::Config(args) => settings::run(&args, global),
        Plain::Completions(args) => manual::completions(&args),
        Plain::Man(args) => manual::man(&args, global.json),
    }
}
