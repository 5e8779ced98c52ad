//! `webemotion report`: writes the page of a run, or of the catalog, and the index of all pages.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::catalog::runs;
use crate::failure::{Exit, Failure, Reason};
use crate::files::write_whole;
use crate::pipeline::takeover;
use crate::report::pages::Form;
use crate::report::{self, Gathering, RunReport};

use super::{Global, Session, named, say};

/// Pages not about a run or a round, with their titles in the index.
const OTHER_PAGES: [(&str, &str); 2] =
    [("catalog", "The catalog"), ("demo", "The demo, beside the truth about its world")];

/// Flags of `report`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion report\n  webemotion report --run scn-1 --out run.md\n  webemotion report --format markdown --out -"
)]
pub(crate) struct ReportArgs {
    /// The run [default: the latest; without any run, the catalog]
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// html, markdown or json [default: what the ending of --out says; without one, html]
    #[arg(long, value_enum)]
    format: Option<Format>,
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

impl ReportArgs {
    fn format(&self) -> Result<Format, Failure> {
        match (self.format, self.out.as_deref()) {
            (Some(format), _) => Ok(format),
            (None, Some(file)) if file.extension().is_some() => Format::of(file).ok_or_else(|| {
                Failure::permanent(Reason::Usage, format!("no format ends as {} does", file.display()))
                    .with_hint("end its name in .html, .md or .json, or say which it is with --format")
            }),
            (None, _) => Ok(Format::Html),
        }
    }
}

impl Format {
    /// The format of a file extension, if it is known.
    fn of(file: &Path) -> Option<Self> {
        Form::of(file).map(|form| match form {
            Form::Html => Self::Html,
            Form::Markdown => Self::Markdown,
            Form::Json => Self::Json,
        })
    }

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

/// Writes the page that the flags ask for.
pub(crate) async fn report(session: &Session, args: &ReportArgs) -> anyhow::Result<Exit> {
    let to_stdout = args.out.as_deref() == Some(Path::new("-"));
    if to_stdout && session.json {
        let failure = Failure::permanent(Reason::Usage, "--out - and --json both want standard output");
        return Err(failure.with_hint("leave one of them out; --format json makes a page of JSON").into());
    }
    let format = args.format()?;
    let all = runs::list(&session.catalog).await.map_err(Failure::from)?;
    let chosen = match &args.run {
        Some(name) => Some(named::run(session, &all, name)?),
        None => all.iter().max_by_key(|run| (run.started_at, run.id)),
    };
    let report = match chosen {
        Some(run) => report::gather_run(&session.catalog, run.id, &Gathering::default()).await,
        None => report::gather_catalog(&session.catalog, "Catalog").await,
    };
    let report = report.map_err(Failure::from)?;
    let name = chosen.map_or("catalog", |run| run.name.as_str());
    let text = format.render(&report);
    if to_stdout {
        say(text.trim_end());
        return Ok(Exit::Done);
    }
    let file = match &args.out {
        Some(file) => write(file, &text).map(|()| file.clone())?,
        None => write_page(session, &format!("{name}.{}", format.extension()), &text)?,
    };
    match (&args.out, chosen) {
        (Some(_), _) => {}
        (None, Some(_)) => write_index(session).await?,
        // The page is the catalog's own.
        (None, None) => write_index_with(session, &report).await?,
    }
    if session.json {
        say(json!({"event": "reported", "run": chosen.map(|run| &run.name), "file": file}));
    } else {
        say(format_args!("report: {}", file.display()));
    }
    Ok(Exit::Done)
}

/// Writes a page to the reports folder; returns its path. The caller then writes the index.
pub(crate) fn write_page(session: &Session, name: &str, text: &str) -> Result<PathBuf, Failure> {
    let file = session.store.reports().join(name);
    write(&file, text)?;
    Ok(file)
}

/// Writes the index of all pages, and the current page of the catalog.
pub(crate) async fn write_index(session: &Session) -> anyhow::Result<()> {
    let catalog = report::gather_catalog(&session.catalog, "Catalog").await.map_err(Failure::from)?;
    write_index_with(session, &catalog).await
}

async fn write_index_with(session: &Session, catalog: &RunReport) -> anyhow::Result<()> {
    let folder = session.store.reports();
    write_page(session, "catalog.html", &report::html(catalog))?;
    let page_of = |name: &str| {
        let page = format!("{name}.html");
        folder.join(&page).is_file().then_some(page)
    };
    let entries = report::gather_index(&session.catalog, &page_of).await.map_err(Failure::from)?;
    let rounds = report::gather_rounds(&session.catalog, &page_of, takeover::is_dead).await;
    let rounds = rounds.map_err(Failure::from)?;
    let others: Vec<(&str, String)> =
        OTHER_PAGES.iter().filter_map(|&(name, title)| Some((title, page_of(name)?))).collect();
    let index = report::index(&rounds, &entries, &others, session.clock.now_ms());
    Ok(write(&folder.join("index.html"), &index)?)
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| write_whole(file, text.as_bytes())).map_err(|error| Failure::unwritable(file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_extension_decides_the_format_unless_a_flag_does() {
        let format = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            crate::cli::typed::<ReportArgs>("report", &words).unwrap().format().ok()
        };
        assert_eq!(format(&[]), Some(Format::Html));
        assert_eq!(format(&["--out", "run.md"]), Some(Format::Markdown));
        assert_eq!(format(&["--out", "run.JSON"]), Some(Format::Json));
        assert_eq!(format(&["--out", "run.md", "--format", "html"]), Some(Format::Html));
        assert_eq!(format(&["--out", "-"]), Some(Format::Html));
        assert_eq!(format(&["--out", "run"]), Some(Format::Html));
        assert_eq!(format(&["--out", "run.txt"]), None);
        assert_eq!(format(&["--out", "run.txt", "--format", "markdown"]), Some(Format::Markdown));
    }

    #[tokio::test]
    async fn the_page_of_the_catalog_is_written_with_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let page = write_page(&session, "catalog.html", "of yesterday").unwrap();
        write_page(&session, "scn-1.html", "a run").unwrap();
        write_index(&session).await.unwrap();
        let shown = std::fs::read_to_string(&page).unwrap();
        assert!(shown.contains("From searches to samples"), "{shown}");
        let index = std::fs::read_to_string(page.with_file_name("index.html")).unwrap();
        assert!(index.contains("./catalog.html"), "{index}");
    }
}
