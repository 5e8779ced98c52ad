//! Decides what a round does, and why, without doing anything. Used by `run`, `run --dry-run`, `status` and the round's
//! report, so that they all agree.

use crate::config::{Config, Leg};
use crate::pipeline::{cut, fetch, scan, search};
use crate::report::RoundStep;
use crate::types::StageName;
use crate::words::{are, bytes, noun, plural};

use super::standing::Standing;

/// One command of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The command.
    pub(crate) leg: Leg,
    /// Whether it has anything to do.
    pub(crate) is_due: bool,
    /// Why, or why not.
    pub(crate) why: String,
}

impl Step {
    /// As the round's report shows what is next.
    pub(crate) fn outlook(&self) -> RoundStep {
        RoundStep {
            command: self.leg.as_str().to_owned(),
            outcome: if self.is_due { "due" } else { "not due" }.to_owned(),
            why: self.why.clone(),
            took_ms: None,
        }
    }
}

/// How many more videos may be downloaded before clips must catch up; 0 while the disk is low.
pub(crate) fn room(standing: &Standing, config: &Config) -> u64 {
    if is_disk_low(standing, config) {
        0
    } else {
        config.run.max_waiting_videos.saturating_sub(standing.waiting + standing.unseen_files)
    }
}

/// Whether less disk space is free than downloads require.
pub(crate) fn is_disk_low(standing: &Standing, config: &Config) -> bool {
    standing.free_bytes < config.crawl.min_free_bytes
}

/// The stages that the commands of a round drive.
pub(crate) fn stages(config: &Config) -> Vec<StageName> {
    let of = |leg: &Leg| match leg {
        Leg::Crawl if config.run.source == "youtube" => vec![search::NAME, fetch::NAME],
        Leg::Crawl => vec![fetch::NAME],
        Leg::Clips => vec![scan::NAME, cut::NAME],
        Leg::Train | Leg::Report => Vec::new(),
    };
    config.run.commands.iter().flat_map(of).collect()
}

/// The commands of a round, in order.
pub(crate) fn agenda(standing: &Standing, config: &Config) -> Vec<Step> {
    let legs = Leg::ALL.into_iter().filter(|leg| config.run.commands.contains(leg));
    let mut steps: Vec<Step> = Vec::new();
    for leg in legs {
        let (is_due, why) = match leg {
            Leg::Crawl => crawl(standing, config),
            Leg::Clips => clips(standing, steps.iter().any(|step| step.leg == Leg::Crawl && step.is_due)),
            Leg::Train => train(standing, config),
            Leg::Report => (true, "every round leaves a page and a summary".to_owned()),
        };
        steps.push(Step { leg, is_due, why });
    }
    steps
}

fn crawl(standing: &Standing, config: &Config) -> (bool, String) {
    let (may_download, note) = downloads(standing, config);
    if config.run.source != "youtube" {
        return (may_download, format!("{} is looked through for new videos{note}", config.run.source));
    }
    let searching = match standing.pause_of(search::NAME) {
        Some(reason) => Err(format!("searching is paused ({reason})")),
        None if !standing.is_planned => Ok("the lexicon's searches are to be planned".to_owned()),
        None => Ok(due(standing.searches, "searches")),
    };
    let downloading = due(standing.downloads, "downloads") + &note;
    let has_downloads = may_download && standing.downloads > 0;
    match searching {
        Ok(words) => {
            let has_searches = !standing.is_planned || standing.searches > 0;
            // Only planning shows whether the lexicon changed. It is cheap, and done every time.
            let words = if has_searches || has_downloads {
                words
            } else {
                "no search is due, unless the lexicon changed".to_owned()
            };
            (true, format!("{words}; {downloading}"))
        }
        Err(words) => (has_downloads, format!("{words}; {downloading}")),
    }
}

/// Jobs that are due: "9 downloads are due".
fn due(number: u64, nouns: &str) -> String {
    format!("{number} {} {} due", noun(number, nouns), are(number))
}

/// Whether downloads may go on, and what blocks them.
fn downloads(standing: &Standing, config: &Config) -> (bool, String) {
    if let Some(reason) = standing.pause_of(fetch::NAME) {
        (false, format!(", but downloading is paused ({reason})"))
    } else if !standing.may_download {
        (false, ", but the site's terms are not accepted: metadata only".to_owned())
    } else if is_disk_low(standing, config) {
        let (free, least) = (bytes(standing.free_bytes), bytes(config.crawl.min_free_bytes));
        (false, format!(", but the disk is low: {free} free, {least} must stay (crawl.min_free_bytes)"))
    } else if room(standing, config) == 0 {
        let waiting = standing.waiting + standing.unseen_files;
        let most = config.run.max_waiting_videos;
        let videos = plural(waiting, "video") + if waiting == 1 { " waits" } else { " wait" };
        (false, format!(", but {videos} to be cut (run.max_waiting_videos {most}): clips first"))
    } else {
        (true, String::new())
    }
}

fn clips(standing: &Standing, crawls: bool) -> (bool, String) {
    let cuts = match standing.scans_and_cuts {
        1 => "1 scan or cut is due".to_owned(),
        cuts => format!("{cuts} scans and cuts are due"),
    };
    match (standing.scans_and_cuts, standing.unseen_files) {
        (0, 0) if crawls => (true, "whatever crawl brings".to_owned()),
        (0, 0) => (false, "no video waits".to_owned()),
        (_, 0) => (true, cuts),
        (_, files) => {
            (true, format!("{cuts}; not yet scanned with these settings: {}", plural(files, "file")))
        }
    }
}

fn train(standing: &Standing, config: &Config) -> (bool, String) {
    let (new, wanted) = (standing.new_samples, config.train.when.new_samples);
    match &standing.cut_off {
        Some(run) => (true, format!("run {run} was cut off and goes on")),
        None if wanted == 0 => (false, "train.when.new_samples is 0: never".to_owned()),
        None => {
            let why = format!("{new} new samples, {wanted} are wanted (train.when.new_samples)");
            (new >= wanted, why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    fn standing() -> Standing {
        Standing {
            is_planned: true,
            may_download: true,
            downloads: 7,
            free_bytes: 1 << 40,
            ..Standing::default()
        }
    }

    #[test]
    fn the_stages_of_a_round_are_those_of_its_commands() {
        let mut config = Config::default();
        assert_eq!(stages(&config), StageName::ALL);
        config.run.source = "local:films".to_owned();
        config.run.commands = vec![Leg::Crawl, Leg::Report];
        assert_eq!(stages(&config), [StageName::Fetch]);
    }

    fn step(standing: &Standing, leg: Leg) -> (bool, String) {
        let steps = agenda(standing, &Config::default());
        let step = steps.into_iter().find(|step| step.leg == leg).unwrap();
        (step.is_due, step.why)
    }

    #[test]
    fn nothing_is_downloaded_while_clips_lag_behind_or_the_disk_is_low() {
        let config = Config::default();
        assert_eq!(room(&standing(), &config), 200);
        let lagging = Standing { waiting: 150, unseen_files: 60, ..standing() };
        assert_eq!(room(&lagging, &config), 0);
        assert!(step(&lagging, Leg::Crawl).1.contains("210 videos wait"));
        let full = Standing { free_bytes: 1_000_000, ..standing() };
        assert_eq!(room(&full, &config), 0);
        assert!(step(&full, Leg::Crawl).1.contains("1.0 MB free"));
    }

    #[test]
    fn one_job_is_due_and_more_are() {
        let of = |searches, downloads| step(&Standing { searches, downloads, ..standing() }, Leg::Crawl).1;
        assert_eq!(of(1, 1), "1 search is due; 1 download is due");
        assert_eq!(of(2, 0), "2 searches are due; 0 downloads are due");
        assert_eq!(step(&Standing { scans_and_cuts: 1, ..standing() }, Leg::Clips).1, "1 scan or cut is due");
    }

    #[test]
    fn a_paused_stage_is_named_with_its_reason() {
        let paused = vec![(StageName::Search, Reason::Quota), (StageName::Fetch, Reason::RateLimited)];
        let (is_due, why) = step(&Standing { paused, ..standing() }, Leg::Crawl);
        assert!(!is_due && why.contains("quota") && why.contains("rate-limited"), "{why}");
    }

    #[test]
    fn training_waits_for_enough_samples_but_an_interrupted_run_is_resumed() {
        assert!(!step(&Standing { new_samples: 999, ..standing() }, Leg::Train).0);
        assert!(step(&Standing { new_samples: 1_000, ..standing() }, Leg::Train).0);
        let (is_due, why) = step(&Standing { cut_off: Some("scn-2".to_owned()), ..standing() }, Leg::Train);
        assert!(is_due && why.contains("scn-2"));
    }

    #[test]
    fn only_the_wanted_commands_are_listed_in_order() {
        let mut config = Config::default();
        config.run.commands = vec![Leg::Train, Leg::Clips];
        let legs: Vec<Leg> = agenda(&standing(), &config).iter().map(|step| step.leg).collect();
        assert_eq!(legs, [Leg::Clips, Leg::Train]);
        assert!(!agenda(&standing(), &config)[0].is_due, "nobody crawls, nothing waits");
    }
}
