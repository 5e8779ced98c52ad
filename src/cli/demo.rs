//! `webemotion demo`: makes a small world that answers like YouTube on loopback, and runs the commands of the whole data
//! flow in it. Only settings differ from real use: host, certificate and pace. The world's true labels are used for the
//! closing table only.

mod kept;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;
use serde_json::json;

use crate::catalog::runs::{ListedSample, Run};
use crate::catalog::{relabels, runs, samples, videos};
use crate::clock::Stop;
use crate::config::Config;
use crate::demo::site::{FoundBy, Site, SiteAnswer, SiteLicence, SiteVideo};
use crate::demo::studio;
use crate::demo::world::{Kind, World, WorldVideo};
use crate::failure::{Exit, Failure, Reason};
use crate::progress::Event;
use crate::report::{self, Gathering, MethodResult};
use crate::store::{self, StoreError};
use crate::types::{Emotion, SampleId, Split};

use super::{Cli, Command, Global, Session, nets, plain, report as pages, say, session};
use kept::{WorldFlags, keep_world};

/// Flags of `demo`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  webemotion demo\n  webemotion demo --small --data /tmp/small\n  \
    webemotion demo --serve       keeps answering, so that you can type the commands yourself\n\n\
    A data folder keeps the world that was made in it: what is left out of --small, --seed and --wrong is as it was then.")]
pub(crate) struct DemoArgs {
    /// A dozen short videos instead of a hundred, and a short training: for tests
    #[arg(long)]
    small: bool,
    /// Decides people, films and which labels are wrong [default: 1]
    #[arg(long)]
    seed: Option<u64>,
    /// Share of videos that searches find for a wrong emotion [default: 0.25]
    #[arg(long)]
    wrong: Option<f64>,
    /// Only make the world and answer like YouTube, until Ctrl-C
    #[arg(long)]
    serve: bool,
}

/// The default data folder of the demo.
const DATA: &str = "webemotion-demo";

/// The file with the true labels of the world, in the data folder; written before the catalog is created.
const TRUTH: &str = "demo/truth.json";

/// The first line of the settings that the demo writes, by which it recognises them.
const NOTE: &str = "# Written by `webemotion demo`: its small world answers on loopback while the demo runs.";

/// The demo's search words; a video is found by those of the emotion it is listed under.
const WORDS: [(Emotion, [&str; 2]); 8] = [
    (Emotion::Neutral, ["calm", "serious"]),
    (Emotion::Happiness, ["happy", "funny"]),
    (Emotion::Surprise, ["surprised", "astonished"]),
    (Emotion::Sadness, ["sad", "grief"]),
    (Emotion::Anger, ["angry", "furious"]),
    (Emotion::Disgust, ["disgusted", "revolted"]),
    (Emotion::Fear, ["scared", "terrified"]),
    (Emotion::Contempt, ["smug", "scornful"]),
];

pub(crate) async fn run(args: DemoArgs, global: &Global) -> anyhow::Result<Exit> {
    if let Some(wrong) = args.wrong.filter(|wrong| !(0.0..=1.0).contains(wrong)) {
        let detail = format!("--wrong is {wrong}, but must be 0 to 1");
        return Err(Failure::permanent(Reason::Usage, detail).into());
    }
    let data = global.data.clone().unwrap_or_else(|| PathBuf::from(DATA));
    refuse_what_is_not_ours(&data)?;
    if !args.serve {
        must_have_tools()?;
    }
    let folder = store::demo_in(&data);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let flags = WorldFlags::of(&args, &data);
    let world = flags.plan();
    keep_world(&world, flags, &data)?;
    film(&world, &folder, global).await?;
    let site = Site::start(world.videos.iter().map(|video| listing(video, &folder)).collect(), &folder)
        .await
        .context("cannot start the site on loopback")?;
    write_settings(&data, &folder, &site, flags.small)?;
    if args.serve {
        return serve(&site, &data, global).await;
    }
    for line in walk(flags.small) {
        let exit = type_in(&data, &line, global).await?;
        if exit == Exit::Interrupted {
            return Ok(exit);
        }
    }
    let exit = close(&world, global, &data).await?;
    if flags.small && !global.json {
        say("a dozen videos are too few to learn from: these accuracies mean nothing");
    }
    Ok(exit)
}

/// Fails early if a tool is missing. The demo's own settings name no tool.
fn must_have_tools() -> Result<(), Failure> {
    let tools = Config::resolve(None)?.config.tools;
    tools.find_ytdlp()?;
    tools.find_mtcnn()?;
    Ok(())
}

/// Refuses a data folder that was not made by the demo, which writes settings and true labels.
fn refuse_what_is_not_ours(data: &Path) -> Result<(), Failure> {
    let settings = store::settings_in(data);
    let refused = |what: String| {
        Failure::permanent(Reason::Usage, what)
            .with_hint("name a folder of its own with --data, which also goes before WEBEMOTION_DATA")
    };
    if settings.exists() && !is_ours(&settings) {
        return Err(refused(format!(
            "{} was not written by demo, which would replace it",
            settings.display()
        )));
    }
    let catalog = store::catalog_in(data).map_err(StoreError::of_named_folder)?;
    if catalog.is_some() && !data.join(TRUTH).exists() {
        return Err(refused(format!("{} holds a catalog that is not the demo's", data.display())));
    }
    Ok(())
}

fn is_ours(settings: &Path) -> bool {
    std::fs::read_to_string(settings).is_ok_and(|text| text.lines().next() == Some(NOTE))
}

/// The commands of the whole data flow.
fn walk(small: bool) -> Vec<Vec<&'static str>> {
    let training: &[&str] = if small {
        &["--epochs", "3", "--image-size", "48", "--batch-size", "16"]
    } else {
        &["--epochs", "5", "--image-size", "48", "--batch-size", "32"]
    };
    let train = |method| [&["train", "--method", method], training].concat();
    vec![vec!["crawl", "--wait"], vec!["clips"], train("baseline"), train("scn")]
}

async fn film(world: &World, folder: &Path, global: &Global) -> anyhow::Result<()> {
    let (world, folder, reporter) = (world.clone(), folder.to_owned(), session::reporter(global));
    let stop = Stop::default();
    session::listen_for_signals(&stop);
    tokio::task::spawn_blocking(move || {
        let task = || "film".to_owned();
        let began = std::sync::Once::new();
        let on_progress = |done, total| {
            began.call_once(|| {
                reporter.report(&Event::Began {
                    task: task(),
                    total: Some(total),
                    unit: "frames".to_owned(),
                });
            });
            if done % 25 == 0 || done == total {
                reporter.report(&Event::Advanced {
                    task: task(),
                    done,
                    note: String::new(),
                    throughput: None,
                });
            }
        };
        studio::film_world(&world, &folder, &stop, &on_progress)?;
        reporter.report(&Event::Ended { task: task(), note: format!("{} videos", world.videos.len()) });
        anyhow::Ok(())
    })
    .await?
}

fn listing(video: &WorldVideo, folder: &Path) -> SiteVideo {
    let words = WORDS
        .iter()
        .find(|(emotion, _)| *emotion == video.listed_emotion)
        .map_or(["", ""], |(_, words)| *words);
    SiteVideo {
        site_id: video.site_id.clone(),
        title: video.title.clone(),
        channel_id: video.channel_id.clone(),
        channel_name: video.channel.clone(),
        duration_s: u32::try_from(video.duration_ms.div_euclid(1_000)).unwrap_or(u32::MAX),
        licence: if video.creative_commons { SiteLicence::CreativeCommons } else { SiteLicence::Standard },
        file: folder.join(video.file_name()),
        answer: match video.kind {
            Kind::Private => SiteAnswer::Private,
            Kind::Removed => SiteAnswer::Removed,
            Kind::RateLimitedOnce => SiteAnswer::RateLimitedOnce,
            _ => SiteAnswer::Plays,
        },
        found_by: words.iter().map(|word| FoundBy::word(word, 1)).collect(),
    }
}

/// Settings that point the commands to the small world, at its pace.
fn write_settings(data: &Path, folder: &Path, site: &Site, small: bool) -> anyhow::Result<()> {
    let how_many = if small { 1 } else { 2 };
    let emotions: BTreeMap<&str, &[&str]> =
        WORDS.iter().map(|(emotion, words)| (emotion.as_str(), &words[..how_many])).collect();
    let lexicon = toml::to_string(&json!({"name": "small-world", "join": "{word}", "emotions": emotions}))?;
    let settings = toml::to_string(&json!({
        "crawl": {
            "lexicon": "demo/words.toml",
            "accept_terms": true,
            "videos_per_hour": 3_600_000,
            "at_once": 2,
            "pause_s": 0.0,
            "rate_limited_pause_s": 2,
            "retry_pause_s": 1,
            "min_free_bytes": 100_000_000,
            "youtube_host": site.youtube_host(),
            "youtube_ca": "demo/site-ca.pem",
            "data_api_url": site.data_api_url(),
        },
        "clips": { "sample_every_ms": 500 },
    }))?;
    for (path, text) in
        [(folder.join("words.toml"), lexicon), (store::settings_in(data), format!("{NOTE}\n{settings}"))]
    {
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

async fn serve(site: &Site, data: &Path, global: &Global) -> anyhow::Result<Exit> {
    let stop = Stop::default();
    session::listen_for_signals(&stop);
    let host = site.youtube_host();
    if global.json {
        say(json!({"event": "serving", "host": host, "data": data}));
    } else {
        say(format_args!("answering at {host}; try: {} crawl", typed(data, global)));
    }
    stop.asked().await;
    Ok(Exit::Done)
}

/// The beginning of a command line on this data folder. If `--config` names other settings, it names those of the demo
/// instead.
fn typed(data: &Path, global: &Global) -> String {
    let settings =
        global.config.as_ref().map(|_| format!(" --config {}", store::settings_in(data).display()));
    format!("webemotion --data {}{}", data.display(), settings.unwrap_or_default())
}

/// Runs one command line as a user would type it.
async fn type_in(data: &Path, line: &[&str], global: &Global) -> anyhow::Result<Exit> {
    let text = format!("$ {} {}", typed(data, global), line.join(" "));
    let (settings, data) = (store::settings_in(data).display().to_string(), data.display().to_string());
    let mut words = vec!["webemotion", "--data", &data, "--config", &settings];
    words.extend(global.json.then_some("--json"));
    words.extend(global.quiet.then_some("--quiet"));
    words.extend(line);
    session::reporter(global).report(&Event::Said { text });
    let cli = Cli::try_parse_from(words)?;
    match cli.command {
        Command::Plain(command) => plain::execute(command, &cli.global).await,
        Command::Nets(command) => Box::pin(nets::execute(command, &cli.global)).await,
    }
}

/// Compares the runs with the truth, writes the page, and prints the closing table.
async fn close(world: &World, global: &Global, data: &Path) -> anyhow::Result<Exit> {
    let own =
        Global { data: Some(data.to_owned()), config: Some(store::settings_in(data)), ..global.clone() };
    let session = Session::existing(&own).await?;
    let truth = truth_of_samples(world, &session).await?;
    let all = runs::list(&session.catalog).await.map_err(Failure::from)?;
    let mut methods = Vec::new();
    for method in ["baseline", "scn"] {
        let run =
            all.iter().rfind(|run| run.method == method).with_context(|| format!("no run of {method}"))?;
        methods.push(measure(&session, run, &truth).await?);
    }
    let scn = all.iter().rfind(|run| run.method == "scn").context("no run of scn")?;
    let gathering = Gathering { truth, ..Gathering::default() };
    let mut page = report::gather_run(&session.catalog, scn.id, &gathering).await.map_err(Failure::from)?;
    if let Some(truth) = &mut page.truth {
        truth.methods = methods;
    }
    let file = pages::write_page(&session, "demo.html", &report::html(&page))?;
    pages::write_index(&session).await?;
    if global.json {
        say(json!({"event": "demo", "report": file, "truth": page.truth}));
    } else {
        say(report::closing(&page, false));
        say(format_args!("report: {}", file.display()));
        say(format_args!("look further: {} status", typed(data, global)));
    }
    Ok(Exit::Done)
}

/// The true emotion of each sample, which is that of its video.
async fn truth_of_samples(world: &World, session: &Session) -> anyhow::Result<HashMap<SampleId, String>> {
    let by_site_id: HashMap<&str, Emotion> =
        world.videos.iter().map(|video| (video.site_id.as_str(), video.true_emotion)).collect();
    let mut truth = HashMap::new();
    let mut by_video = HashMap::new();
    for sample in samples::for_training(&session.catalog).await.map_err(Failure::from)? {
        if let std::collections::hash_map::Entry::Vacant(place) = by_video.entry(sample.video) {
            let video = videos::get(&session.catalog, sample.video).await.map_err(Failure::from)?;
            place.insert(by_site_id.get(video.found.site_id.as_str()).copied());
        }
        if let Some(Some(emotion)) = by_video.get(&sample.video) {
            truth.insert(sample.sample, emotion.to_string());
        }
    }
    Ok(truth)
}

/// A run compared with the truth: accuracy on held-out samples, and the share of wrong training labels in the end.
async fn measure(
    session: &Session,
    run: &Run,
    truth: &HashMap<SampleId, String>,
) -> anyhow::Result<MethodResult> {
    let list = runs::samples(&session.catalog, run.id).await.map_err(Failure::from)?;
    let relabels = relabels::of_run(&session.catalog, run.id).await.map_err(Failure::from)?;
    let last: HashMap<usize, usize> = relabels.iter().map(|relabel| (relabel.sample, relabel.to)).collect();
    let (mut wrong_labels, mut trained_on) = (0, 0);
    // Correct predictions and samples of each emotion; an emotion that is no class of the run is never predicted.
    let mut held_out: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for ListedSample { position, frozen, opinion, .. } in &list {
        let Some(emotion) = truth.get(&frozen.sample) else { continue };
        let label = *last.get(position).unwrap_or(&frozen.label);
        match (frozen.split, opinion) {
            (Split::Train, _) => {
                trained_on += 1;
                wrong_labels += u32::from(run.classes[label] != *emotion);
            }
            (Split::Test, Some(opinion)) => {
                let (right, all) = held_out.entry(emotion).or_default();
                *right += u32::from(run.classes[opinion.predicted] == *emotion);
                *all += 1;
            }
            _ => {}
        }
    }
    let share = |part: u32, whole: u32| (whole > 0).then(|| f64::from(part) / f64::from(whole));
    let recalls: Vec<f64> = held_out.values().filter_map(|&(right, all)| share(right, all)).collect();
    let (hits, held_out) = held_out.values().fold((0, 0), |sum, class| (sum.0 + class.0, sum.1 + class.1));
    Ok(MethodResult {
        method: run.method.clone(),
        accuracy: share(hits, held_out),
        mean_class_accuracy: (!recalls.is_empty())
            .then(|| recalls.iter().sum::<f64>() / recalls.len() as f64),
        noise_after: share(wrong_labels, trained_on),
    })
}
