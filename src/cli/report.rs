//! `webemotion report`: writes the page of a run, or of the catalog, and the index of all pages.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use crate::catalog::runs;
use crate::failure::{Exit, Failure, Reason};
use crate::report::{self, Gathering, RunReport};

use super::{Global, Session, say};

/// Pages of no run and no round, and what the index calls them.
const OTHER_PAGES: [(&str, &str); 2] =
    [("catalog", "The catalog"), ("demo", "The demo, beside the truth about its world")];

/// Flags of `report`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion report\n  webemotion report --run scn-1 --format markdown --out run.md"
)]
pub(crate) struct ReportArgs {
    /// The run [default: the latest; without any run, the catalog]
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// html, markdown or json
    #[arg(long, value_enum, default_value = "html")]
    format: Format,
    /// Where to; - is standard output [default: reports/ in the data folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Html,
    Markdown,
    Json,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "md",
            Self::Json => "json",
        }
    }

    fn render(self, report: &RunReport) -> String {
        match self {
            Self::Html => report::html(report),
            Self::Markdown => report::markdown(report),
            Self::Json => report::json(report),
        }
    }
}

pub(crate) async fn run(args: ReportArgs, global: &Global) -> anyhow::Result<Exit> {
    report(&Session::existing(global).await?, &args).await
}

/// Writes the page that the flags mean.
pub(crate) async fn report(session: &Session, args: &ReportArgs) -> anyhow::Result<Exit> {
    let to_stdout = args.out.as_deref() == Some(Path::new("-"));
    if to_stdout && session.json {
        let failure = Failure::permanent(Reason::Usage, "--out - and --json both want standard output");
        return Err(failure.with_hint("leave one of them out; --format json makes a page of JSON").into());
    }
    let all = runs::list(&session.catalog).await.map_err(Failure::from)?;
    let chosen = match &args.run {
        Some(name) => Some(all.iter().find(|run| run.name == *name).ok_or_else(|| unknown(name, &all))?),
        None => all.iter().max_by_key(|run| (run.started_at, run.id)),
    };
    let report = match chosen {
        Some(run) => report::gather_run(&session.catalog, run.id, &Gathering::default()).await,
        None => report::gather_catalog(&session.catalog, "Catalog").await,
    };
    let report = report.map_err(Failure::from)?;
    let name = chosen.map_or("catalog", |run| run.name.as_str());
    let text = args.format.render(&report);
    if to_stdout {
        say(text.trim_end());
        return Ok(Exit::Done);
    }
    let file = match &args.out {
        Some(file) => write(file, &text).map(|()| file.clone())?,
        None => publish(session, &format!("{name}.{}", args.format.extension()), &text).await?,
    };
    if session.json {
        say(json!({"event": "reported", "run": chosen.map(|run| &run.name), "file": file}));
    } else {
        say(format_args!("report: {}", file.display()));
    }
    Ok(Exit::Done)
}

/// Writes a page beside the others and links it from their index. Returns where it is.
pub(crate) async fn publish(session: &Session, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let file = session.store.root().join("reports").join(name);
    write(&file, text)?;
    write_index(session).await?;
    Ok(file)
}

async fn write_index(session: &Session) -> anyhow::Result<()> {
    let folder = session.store.root().join("reports");
    let page_of = |name: &str| {
        let page = format!("{name}.html");
        folder.join(&page).is_file().then_some(page)
    };
    let entries = report::gather_index(&session.catalog, &page_of).await.map_err(Failure::from)?;
    let rounds = report::gather_rounds(&session.catalog, &page_of).await.map_err(Failure::from)?;
    let others: Vec<(&str, String)> =
        OTHER_PAGES.iter().filter_map(|&(name, title)| Some((title, page_of(name)?))).collect();
    let index = report::index(&rounds, &entries, &others, session.clock.now_ms());
    write(&folder.join("index.html"), &index)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn unknown(name: &str, all: &[runs::Run]) -> Failure {
    let names: Vec<&str> = all.iter().map(|run| run.name.as_str()).collect();
    let known = if names.is_empty() { "there is none yet".to_owned() } else { names.join(", ") };
    Failure::permanent(Reason::Usage, format!("no run is called '{name}'"))
        .with_hint(format!("runs: {known}"))
}
