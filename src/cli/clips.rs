//! `webemotion clips`: scans downloaded videos and cuts clips of one face each. Its flags and its usual work; `--explain`
//! and `--recrop` have a file each.

mod explain;
mod recrop;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use serde_json::{Value, json};

use crate::catalog::{clips as cut_clips, funnel, jobs, splits, videos};
use crate::clock::Stop;
use crate::config::{Hwaccel, MOST_WORKERS};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::cpu::Cpu;
use crate::pipeline::cut::CutStage;
use crate::pipeline::discard::{self, Discarded};
use crate::pipeline::scan::{self, ScanStage};
use crate::pipeline::{Driven, duplicates, shard};
use crate::progress::Event;
use crate::words::{bytes, plural, read_span};

use super::drive::{Limits, drive, exit, local_patience, local_wait_ms, outlook};
use super::{Global, Session, say};

/// How often files are discarded while videos are cut.
const DISCARD_EVERY: Duration = Duration::from_secs(1);

/// Flags of `clips`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Examples:\n  webemotion clips --workers 2 --max-runtime 8h\n  \
    webemotion --data /local/node clips --shard shard-00003-of-00016.jsonl\n  \
    webemotion clips --discard-videos --max-runtime 8h\n  \
    webemotion clips --recrop --side 112 --margin 1.3\n  \
    webemotion clips --explain dQw4w9WgXcQ\n\n\
    Several terminals and processes may work on one data folder: no two get the same video.")]
pub(crate) struct ClipsArgs {
    /// Worker processes [default: from the settings, one for every core]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(0..=MOST_WORKERS))]
    workers: Option<usize>,
    /// What decodes videos: the processor, or an NVIDIA card where there is one and it takes the film [setting:
    /// workers.hwaccel]
    #[arg(long, value_enum)]
    hwaccel: Option<Hwaccel>,
    /// Look at no more than this many videos
    #[arg(long, value_name = "N")]
    max_videos: Option<u64>,
    /// Begin nothing new after this time, such as 90s, 30m or 8h
    #[arg(long, value_name = "TIME", value_parser = read_span)]
    max_runtime: Option<i64>,
    /// Remove a video's file once its clips are in the catalog; its row and all that was seen stay [setting: keep.videos]
    #[arg(long)]
    discard_videos: bool,
    /// Work on a list of `webemotion shard`, into a data folder of this machine's own
    #[arg(long, value_name = "FILE")]
    shard: Option<PathBuf>,
    /// Where the list's data folder lies on this machine [default: where it lay when the list was written]
    #[arg(long, value_name = "DIR", requires = "shard")]
    videos: Option<PathBuf>,
    /// Make the samples' pictures again from what is stored of their faces, without looking for them; what is new after
    /// that comes as the settings say
    #[arg(long, conflicts_with_all = ["max_videos", "max_runtime", "discard_videos", "shard"])]
    recrop: bool,
    /// Side of the pictures, pixels [default: clips.sample_side_px]
    #[arg(long, value_name = "PX", requires = "recrop", value_parser = clap::value_parser!(u32).range(16..=2048))]
    side: Option<u32>,
    /// How many times as much they show as the template of aligned faces, across and down [default: 1]
    #[arg(long, value_name = "FACTOR", requires = "recrop", value_parser = margin)]
    margin: Option<f32>,
    /// Only say what was seen in a video, and which rule kept what of it from becoming clips: a video's id or address on
    /// YouTube, its number in the catalog, or its file
    #[arg(long, value_name = "VIDEO", allow_hyphen_values = true, conflicts_with_all = ["workers", "hwaccel", "max_videos", "max_runtime", "discard_videos", "shard", "recrop"])]
    explain: Option<String>,
}

impl ClipsArgs {
    /// The defaults, with a limit on when new work begins, milliseconds from the start.
    pub(super) fn within(max_runtime: Option<i64>) -> Self {
        Self { max_runtime, ..Self::default() }
    }

    /// The session, with the settings that these flags override.
    fn in_force(&self, mut session: Session) -> Session {
        let workers = &mut session.config.workers;
        workers.hwaccel = self.hwaccel.unwrap_or(workers.hwaccel);
        session
    }
}

pub(crate) async fn run(args: ClipsArgs, global: &Global) -> anyhow::Result<Exit> {
    if let Some(word) = &args.explain {
        return explain::run(&Session::reading(global).await?, word).await;
    }
    if args.recrop {
        return recrop::run(&args.in_force(Session::existing(global).await?), &args).await;
    }
    let Some(list) = &args.shard else {
        return clips(&args.in_force(Session::existing(global).await?), &args).await;
    };
    let head = shard::head(list)?;
    let mut session = args.in_force(Session::create(global).await?);
    // All nodes must scan with the list's settings: only then can their catalogs be merged.
    session.config.clips = head.clips;
    let taken = shard::take_in(&session.catalog, &session.store, list, args.videos.as_deref()).await?;
    if taken.missing > 0 {
        let videos = plural(taken.missing, "video");
        let text = format!("{}: {videos} passed over, for their files are not there", list.display());
        session.reporter.report(&Event::Said { text });
    }
    clips(&session, &args).await
}

/// Scans and cuts all videos that are due.
pub(crate) async fn clips(session: &Session, args: &ClipsArgs) -> anyhow::Result<Exit> {
    let (cpu, workers) = workers(session, args)?;
    session.config.tools.find_mtcnn()?;
    let restored = scan::restore_earlier(&session.catalog, &session.config.clips).await?;
    enqueue_scans(session).await?;
    let limits = Limits {
        max_jobs: args.max_videos,
        deadline_ms: args.max_runtime.map(|runtime_ms| session.clock.now_ms().saturating_add(runtime_ms)),
        wait_ms: local_wait_ms(session.config.workers.max_attempts),
        slots: workers,
        patience: local_patience(),
        ..Limits::default()
    };
    let (store, recipe) = (session.store.clone(), session.config.clips.clone());
    let scanning = ScanStage { store: store.clone(), cpu: cpu.clone(), recipe: recipe.clone() };
    let cutting = CutStage { store, cpu: cpu.clone(), recipe };
    let discards = args.discard_videos || !session.config.keep.videos;
    let stages = Stages { scanning, cutting };
    let done = Done { restored, ..run_stages(session, &stages, &limits, discards).await? };
    cpu.close().await;
    duplicates::mark(&session.catalog, session.config.keep.duplicates).await?;
    splits::assign(&session.catalog).await?;
    print_summary(session, &done).await?;
    Ok(match exit(session, &[&done.scanned, &done.cut]) {
        Exit::NothingToDo if done.discarded.videos + done.restored > 0 => Exit::Done,
        exit => exit,
    })
}

/// The pool of worker processes that flags and settings give, and its size.
fn workers(session: &Session, args: &ClipsArgs) -> anyhow::Result<(Cpu, usize)> {
    let workers = args.workers.unwrap_or(session.config.workers.count);
    let workers = if workers == 0 { super::cores() } else { workers };
    let missing = || {
        Failure::permanent(Reason::ToolMissing, "this program was built without FFmpeg or libtorch")
            .with_hint("build it with its default features")
    };
    Ok((super::cpu(session, workers)?.ok_or_else(missing)?, workers))
}

fn margin(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(margin) if (0.5..=4.0).contains(&margin) => Ok(margin),
        _ => Err("must be a number from 0.5 to 4".to_owned()),
    }
}

struct Stages {
    scanning: ScanStage,
    cutting: CutStage,
}

/// What a command did.
struct Done {
    /// Videos whose earlier scans with these settings are in force again.
    restored: u64,
    scanned: Driven,
    cut: Driven,
    discarded: Discarded,
}

/// Scans, cuts and discards concurrently: clips that were cut during a scan are in the catalog soon after it, and their
/// source can be discarded. When cutting fails, scanning stops.
async fn run_stages(
    session: &Session,
    Stages { scanning, cutting }: &Stages,
    limits: &Limits,
    discards: bool,
) -> Result<Done, Failure> {
    let (all_scanned, all_cut, no_more_claims) = (Stop::default(), Stop::default(), Stop::default());
    let scans = async {
        let limits = Limits { no_more_claims: Some(no_more_claims.clone()), ..limits.clone() };
        let scanned = drive(session, scanning, &limits).await;
        all_scanned.ask();
        scanned
    };
    let cuts = async {
        let limits = Limits { max_jobs: None, upstream_ended: Some(all_scanned.clone()), ..limits.clone() };
        let cut = drive(session, cutting, &limits).await;
        all_cut.ask();
        if cut.is_err() {
            no_more_claims.ask();
        }
        cut
    };
    let discarding =
        async { if discards { discard_until(session, &all_cut).await } else { Ok(Discarded::default()) } };
    let (scanned, cut, discarded) = tokio::join!(scans, cuts, discarding);
    Ok(Done { restored: 0, scanned: scanned?, cut: cut?, discarded: discarded? })
}

/// Discards the files of videos that are cut, every `DISCARD_EVERY` until all are.
async fn discard_until(session: &Session, all_cut: &Stop) -> Result<Discarded, Failure> {
    let mut total = Discarded::default();
    let mut is_last = all_cut.is_asked();
    loop {
        let some = discard::discard(&session.catalog, &session.store).await?;
        total.videos += some.videos;
        total.bytes += some.bytes;
        if is_last {
            return Ok(total);
        }
        is_last = tokio::time::timeout(DISCARD_EVERY, all_cut.asked()).await.is_ok();
    }
}

/// Prints what was done, and what the catalog has now.
async fn print_summary(session: &Session, done: &Done) -> Result<(), Failure> {
    let Done { restored, scanned, cut, discarded } = done;
    let counts = funnel::emotions(&session.catalog).await?;
    let clips: u64 = counts.iter().map(|count| count.clips).sum();
    let samples: u64 = counts.iter().map(|count| count.samples).sum();
    let duplicates = cut_clips::count_duplicates(&session.catalog).await?;
    let left_behind = videos::count_left_behind(&session.catalog, &scan::rev(&session.config.clips)).await?;
    if session.json {
        say(
            json!({"event": "clipped", "scanned": numbers(scanned), "cut": numbers(cut), "clips": clips, "samples": samples,
            "discarded": discarded.videos, "freed_bytes": discarded.bytes, "duplicates": duplicates, "left_behind": left_behind,
            "restored": restored}),
        );
        return Ok(());
    }
    say(format_args!(
        "clips: {}; the catalog has {} and {}",
        in_words(session, scanned, cut),
        plural(clips, "clip"),
        plural(samples, "sample")
    ));
    print_notes(session, done, duplicates, left_behind);
    Ok(())
}

/// Prints a line for each of these that there is anything of.
fn print_notes(
    session: &Session,
    Done { restored, discarded, .. }: &Done,
    duplicates: u64,
    left_behind: u64,
) {
    if *restored > 0 {
        say(format_args!(
            "clips: {} with the clips and labels that these settings made before, not scanned again",
            plural(*restored, "video")
        ));
    }
    if duplicates > 0 {
        let which = if session.config.keep.duplicates { "kept" } else { "rejected" };
        say(format_args!(
            "clips: {} of footage of an older video, {which} (setting keep.duplicates)",
            plural(duplicates, "clip")
        ));
    }
    if discarded.videos > 0 {
        let videos = plural(discarded.videos, "video");
        say(format_args!("clips: the files of {videos} were discarded ({})", bytes(discarded.bytes)));
    }
    if left_behind > 0 {
        say(format_args!(
            "clips: what earlier settings made of {} stays, for the files were discarded; \
             `webemotion retry --reason source-gone` has them fetched again",
            plural(left_behind, "video")
        ));
    }
}

/// What scanning and cutting came to, and why either is paused.
fn in_words(session: &Session, scanned: &Driven, cut: &Driven) -> String {
    let is_said_already = scanned.paused.is_none() && cut.paused.is_none() && scanned.next_due_ms.is_some();
    format!(
        "{} scanned{}, {} cut{}, {} without a clip, {} given up",
        plural(scanned.done, "video"),
        outlook(session, scanned),
        cut.done,
        if is_said_already { String::new() } else { outlook(session, cut) },
        scanned.rejected + cut.rejected,
        scanned.dead + cut.dead
    )
}

fn numbers(driven: &Driven) -> Value {
    let pause = driven.paused.as_ref();
    json!({"done": driven.done, "rejected": driven.rejected, "dead": driven.dead,
        "paused": pause.map(|pause| pause.reason), "resume_at_ms": pause.and_then(|pause| pause.resume_at),
        "next_due_ms": driven.next_due_ms})
}

/// Enqueues a scan with the current recipe for every video with a file that has none.
async fn enqueue_scans(session: &Session) -> Result<(), Failure> {
    let ids: Vec<i64> = videos::with_file(&session.catalog).await?.iter().map(|id| id.0).collect();
    let mut tx = session.catalog.begin().await?;
    jobs::enqueue_all(&mut tx, scan::NAME, &scan::rev(&session.config.clips), 0, &ids).await?;
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::pauses::Pause;
    use crate::types::StageName;

    #[tokio::test]
    async fn a_pause_of_cutting_is_told_as_one_of_scanning_is() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let resume_at = Some(session.clock.now_ms() + 60_000);
        let (reason, detail) = (Reason::Disk, String::new());
        let pause = Pause { stage: StageName::Cut, reason, detail, since: 0, resume_at };
        let cut = Driven { paused: Some(pause), ..Driven::default() };
        let said = in_words(&session, &Driven::default(), &cut);
        assert!(said.contains("0 cut; paused (disk), come back in"), "{said}");
        assert_eq!(numbers(&cut)["resume_at_ms"], serde_json::json!(resume_at));
    }

    #[test]
    fn an_id_may_begin_with_a_hyphen() {
        let words = ["--explain", "-aaWNWnojH2"].map(str::to_owned);
        let args: ClipsArgs = super::super::typed("clips", &words).unwrap();
        assert_eq!(args.explain.as_deref(), Some("-aaWNWnojH2"));
    }
}
