//! The valid range of every setting.

use super::{ClipRecipe, Config, CrawlConfig, MOST_WORKERS, RunConfig, WorkerConfig};

/// Whether a rule holds, and the message if it does not, which begins with the setting's name.
type Rule = (bool, &'static str);

/// The longest time, seconds; far longer ones would overflow when counted in milliseconds.
const YEAR_S: u64 = 366 * 24 * 3_600;

impl Config {
    /// Fails with the message of the first rule that does not hold.
    pub(super) fn check(&self) -> Result<(), String> {
        let times = crawl_times(&self.crawl).into_iter().chain(worker_rules(&self.workers));
        let clips = tracking_rules(&self.clips).into_iter().chain(clip_rules(&self.clips));
        let mut rules =
            crawl_rules(&self.crawl).into_iter().chain(times).chain(clips).chain(run_rules(&self.run));
        rules.find(|(holds, _)| !holds).map_or(Ok(()), |(_, complaint)| Err(complaint.to_owned()))
    }
}

fn crawl_rules(crawl: &CrawlConfig) -> [Rule; 6] {
    [
        (crawl.max_duration_s > 0, "crawl.max_duration_s must be at least 1"),
        (crawl.results_per_search > 0, "crawl.results_per_search must be at least 1"),
        (crawl.videos_per_hour > 0, "crawl.videos_per_hour must be at least 1"),
        (crawl.at_once > 0, "crawl.at_once must be at least 1"),
        (crawl.max_file_bytes > 0, "crawl.max_file_bytes must be at least 1"),
        (
            crawl.region.as_ref().is_none_or(|code| is_country(code)),
            "crawl.region must be two capital letters, such as FR",
        ),
    ]
}

fn crawl_times(crawl: &CrawlConfig) -> [Rule; 4] {
    [
        ((0.0..=86_400.0).contains(&crawl.pause_s), "crawl.pause_s must lie between 0 and 86400"),
        (crawl.rate_limited_pause_s <= YEAR_S, "crawl.rate_limited_pause_s must be at most a year"),
        (crawl.retry_pause_s <= YEAR_S, "crawl.retry_pause_s must be at most a year"),
        (
            (1..=YEAR_S).contains(&crawl.download_timeout_s),
            "crawl.download_timeout_s must be at least 1, and at most a year",
        ),
    ]
}

fn tracking_rules(clips: &ClipRecipe) -> [Rule; 9] {
    [
        (
            clips.scout_fps > 0.0 && clips.scout_fps <= 240.0,
            "clips.scout_fps must be above 0, and at most 240",
        ),
        (
            (12.0..=4_096.0).contains(&clips.min_face_px),
            "clips.min_face_px must be at least 12, the P-net's window, and at most 4096",
        ),
        (
            clips.detector_thresholds.iter().all(|threshold| (0.0..=1.0).contains(threshold)),
            "clips.detector_thresholds must lie between 0 and 1",
        ),
        (clips.cut_ratio > 0.0 && clips.cut_ratio.is_finite(), "clips.cut_ratio must be a number above 0"),
        (
            (0.0..=255.0).contains(&clips.cut_min_difference),
            "clips.cut_min_difference must lie between 0 and 255",
        ),
        (clips.min_shot_ms >= 0, "clips.min_shot_ms must not be negative"),
        (clips.shot_guard_ms >= 0, "clips.shot_guard_ms must not be negative"),
        (clips.max_gap_ms >= 0, "clips.max_gap_ms must not be negative"),
        ((0.0..=1.0).contains(&clips.min_iou), "clips.min_iou must lie between 0 and 1"),
    ]
}

fn clip_rules(clips: &ClipRecipe) -> [Rule; 11] {
    [
        (clips.min_clip_ms > 0, "clips.min_clip_ms must be above 0"),
        (clips.max_clip_ms >= clips.min_clip_ms, "clips.max_clip_ms must not be below clips.min_clip_ms"),
        ((0.0..=1.0).contains(&clips.min_coverage), "clips.min_coverage must lie between 0 and 1"),
        (
            (0.0..=4_096.0).contains(&clips.min_clip_face_px),
            "clips.min_clip_face_px must lie between 0 and 4096",
        ),
        (
            (16..=2_048).contains(&clips.clip_side_px) && clips.clip_side_px.is_multiple_of(2),
            "clips.clip_side_px must be even and lie between 16 and 2048",
        ),
        (
            clips.clip_margin > 0.0 && clips.clip_margin.is_finite(),
            "clips.clip_margin must be a number above 0",
        ),
        (clips.sample_every_ms > 0, "clips.sample_every_ms must be above 0"),
        ((16..=2_048).contains(&clips.sample_side_px), "clips.sample_side_px must lie between 16 and 2048"),
        ((1..=100).contains(&clips.jpeg_quality), "clips.jpeg_quality must lie between 1 and 100"),
        (
            (0.0..=1_000_000.0).contains(&clips.min_sharpness),
            "clips.min_sharpness must lie between 0 and a million",
        ),
        ((0.0..=180.0).contains(&clips.max_yaw_deg), "clips.max_yaw_deg must lie between 0 and 180"),
    ]
}

fn worker_rules(workers: &WorkerConfig) -> [Rule; 4] {
    [
        (workers.count as u64 <= MOST_WORKERS, "workers.count must be at most 256"),
        (
            (1..=YEAR_S).contains(&workers.silence_timeout_s),
            "workers.silence_timeout_s must be at least 1, and at most a year",
        ),
        (
            (1..=YEAR_S).contains(&workers.task_timeout_s),
            "workers.task_timeout_s must be at least 1, and at most a year",
        ),
        (workers.max_attempts > 0, "workers.max_attempts must be at least 1"),
    ]
}

fn run_rules(run: &RunConfig) -> [Rule; 4] {
    [
        (!run.commands.is_empty(), "run.commands must name at least one command"),
        (
            run.source == "youtube" || run.source.starts_with("local:"),
            "run.source must be \"youtube\" or \"local:DIR\"",
        ),
        (run.max_runtime_s <= YEAR_S, "run.max_runtime_s must be at most a year"),
        ((0.0..=1.0).contains(&run.training_share), "run.training_share must lie between 0 and 1"),
    ]
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        Config::default().check().unwrap();
    }

    #[test]
    fn a_value_that_makes_little_sense_is_not_refused() {
        let config: Config = toml::from_str("[clips]\nclip_margin = 0.9\ncut_ratio = 0.5\n").unwrap();
        config.check().unwrap();
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_by_name() {
        for (section, setting, values) in [
            ("crawl", "pause_s", "-1.0 inf nan 1e300"),
            ("crawl", "download_timeout_s", "0 9000000000000000000"),
            ("clips", "scout_fps", "0.0 inf nan"),
            ("clips", "cut_ratio", "nan inf -1.0"),
            ("clips", "detector_thresholds", "[nan,0.7,0.7] [0.6,0.7,1.5]"),
            ("clips", "max_gap_ms", "-5"),
            ("clips", "min_iou", "7.0 nan"),
            ("clips", "min_coverage", "3.0"),
            ("clips", "clip_margin", "0.0 -3.0 inf"),
            ("clips", "min_sharpness", "nan -1.0"),
            ("workers", "count", "257 5000"),
            ("workers", "silence_timeout_s", "0"),
            ("workers", "task_timeout_s", "0"),
            ("run", "max_runtime_s", "9000000000000000000"),
        ] {
            for value in values.split(' ') {
                let config: Config = toml::from_str(&format!("[{section}]\n{setting} = {value}\n")).unwrap();
                let complaint = config.check().expect_err(value);
                assert!(complaint.starts_with(&format!("{section}.{setting} ")), "{value}: {complaint}");
            }
        }
    }
}
