//! What `doctor` wants to know of yt-dlp: its version, its age, its JavaScript runtime.

use std::time::Duration;

use jiff::{Timestamp, civil::Date};

use super::YtDlp;
use super::child::{self, Listener};
use crate::clock::{Clock, Stop};
use crate::failure::{Failure, Reason};
use crate::youtube::border;
use crate::youtube::error::YoutubeError;

/// The site changes so often that an older yt-dlp will hardly work; it says so itself at this age.
const OLD_DAYS: i64 = 90;
const WALL_CLOCK: Duration = Duration::from_secs(60);

/// The oldest release that is worth a try: before it, full support of the site's scripts was missing.
const FLOOR: &str = "2026.06.09";

/// What is known of the tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFacts {
    /// As it prints it, for instance `2026.10.26`.
    pub version: String,
    /// Days since that date; `None` if the version is not a date.
    pub age_days: Option<i64>,
    /// The JavaScript runtime that it found and accepts, for instance `deno-2.9.8`.
    pub js_runtime: Option<String>,
}

impl ToolFacts {
    /// Why it cannot be used at all, with the remedy, if so.
    pub fn refusal(&self) -> Option<Failure> {
        let is_below = released(&self.version)? < released(FLOOR)?;
        is_below.then(|| {
            let detail = format!(
                "yt-dlp {} is older than {FLOOR}, the oldest that understands the site",
                self.version
            );
            Failure::permanent(Reason::ToolOutdated, detail)
                .with_hint("run scripts/setup, or upgrade yt-dlp yourself")
        })
    }

    /// What a user should mend: the tool, or its JavaScript runtime.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        match self.age_days {
            Some(days) if days < -1 => warnings.push(format!(
                "yt-dlp {} has a date in the future: is this machine's clock right?",
                self.version
            )),
            Some(days) if days > OLD_DAYS => warnings.push(format!(
                "yt-dlp {} is {days} days old and may no longer understand the site",
                self.version
            )),
            Some(_) => {}
            None => warnings.push(format!("the age of yt-dlp {} is unknown", self.version)),
        }
        if self.js_runtime.is_none() {
            warnings.push("yt-dlp finds no JavaScript runtime and will miss formats".to_owned());
        }
        warnings
    }
}

impl YtDlp {
    /// The version that the program prints.
    ///
    /// # Errors
    /// When it cannot be run, or prints none.
    pub async fn version(&self) -> Result<String, YoutubeError> {
        let (lines, stderr) = self.output_of(&["--version"]).await?;
        let version = border::line(&String::from_utf8_lossy(lines.first().map_or(&[][..], Vec::as_slice)));
        if version.is_empty() {
            let detail = format!("no version; it said: {}", border::message(&stderr));
            return Err(YoutubeError::Unreadable { what: "yt-dlp --version".to_owned(), detail });
        }
        Ok(version)
    }

    /// All that `doctor` shows. Takes about two seconds.
    ///
    /// # Errors
    /// When it cannot be run, or prints no version.
    pub async fn facts(&self, clock: &Clock) -> Result<ToolFacts, YoutubeError> {
        let version = self.version().await?;
        // Without an address it prints what it found, complains, and ends.
        let (_, stderr) = self.output_of(&["--verbose"]).await?;
        let printed = String::from_utf8_lossy(&stderr);
        Ok(ToolFacts { age_days: age_days(&version, clock), js_runtime: js_runtime(&printed), version })
    }

    async fn output_of(&self, options: &[&str]) -> Result<(Vec<Vec<u8>>, Vec<u8>), YoutubeError> {
        let mut command = self.bare_command();
        command.args(options);
        let mut limits = self.limits.clone();
        limits.wall_clock = limits.wall_clock.min(WALL_CLOCK);
        let mut lines = Lines(Vec::new());
        let ended = child::run(command, &limits, &mut lines, &Stop::default()).await;
        let ended = ended.map_err(|source| self.not_run(source))?;
        Ok((lines.0, ended.stderr))
    }
}

struct Lines(Vec<Vec<u8>>);

impl Listener for Lines {
    fn line(&mut self, line: &[u8]) {
        if self.0.len() < 100 {
            self.0.push(line.to_vec());
        }
    }

    fn downloaded_bytes(&self) -> Option<u64> {
        None
    }

    fn longest_line(&self) -> usize {
        1_000
    }
}

/// Versions are dates: `2026.10.26`, nightly builds add a fourth part.
fn released(version: &str) -> Option<Date> {
    let mut parts = version.split('.').map(str::parse::<i16>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn age_days(version: &str, clock: &Clock) -> Option<i64> {
    let released = released(version)?;
    let now = Timestamp::from_millisecond(clock.now_ms()).ok()?;
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let age = released.until(today).ok()?;
    Some(i64::from(age.get_days()))
}

/// The debug line `JS runtimes: deno-2.9.8, node-20.20.2 (unsupported)`.
fn js_runtime(printed: &str) -> Option<String> {
    let line = printed.lines().find_map(|line| line.split_once("JS runtimes: ").map(|(_, found)| found))?;
    let usable = line.split(',').map(str::trim);
    usable
        .filter(|name| !name.is_empty() && *name != "none" && !name.contains("unsupported"))
        .map(border::line)
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_of_ninety_one_days_is_warned_of() {
        let released = "2026-10-26T12:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        let clock = Clock::fixed(released + 90 * 86_400_000);
        let mut facts = ToolFacts {
            version: "2026.10.26".into(),
            age_days: age_days("2026.10.26", &clock),
            js_runtime: Some("deno-2.9.8".into()),
        };
        assert_eq!(facts.age_days, Some(90));
        assert!(facts.warnings().is_empty());
        clock.advance_ms(86_400_000);
        facts.age_days = age_days("2026.10.26.123456.dev0", &clock);
        assert_eq!(facts.warnings().len(), 1);
        assert_eq!(age_days("unknown", &clock), None);
    }

    #[test]
    fn a_tool_below_the_floor_is_refused() {
        let facts = |version: &str| ToolFacts { version: version.into(), age_days: None, js_runtime: None };
        assert!(facts("2023.03.04").refusal().unwrap().detail.contains("2023.03.04"));
        assert!(facts("2026.06.09").refusal().is_none());
        assert!(facts("2026.10.26.123456.dev0").refusal().is_none());
        assert!(facts("built by hand").refusal().is_none());
    }

    #[test]
    fn only_a_runtime_that_ytdlp_accepts_counts() {
        assert_eq!(js_runtime("[debug] JS runtimes: deno-2.9.8\n"), Some("deno-2.9.8".into()));
        assert_eq!(js_runtime("[debug] JS runtimes: node-20.20.2 (unsupported)"), None);
        assert_eq!(js_runtime("[debug] JS runtimes: none"), None);
    }
}
