//! What long work tells those who wait: rooms send [`Event`]s, and only this room draws them.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::words::{plural, span};

/// One thing that happened during long work.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A task was begun, or its total became known or grew.
    Began {
        /// Names the task; later events repeat it.
        task: String,
        /// How much there is to do, if known.
        total: Option<u64>,
        /// What is counted: videos, frames, epochs …
        unit: String,
    },
    /// So much of a task is done.
    Advanced {
        /// The task.
        task: String,
        /// Units done so far.
        done: u64,
        /// What was just done, or how it goes; may be empty.
        note: String,
        /// How fast it gets on, where that is more than a number of units.
        #[serde(flatten)]
        throughput: Option<Throughput>,
    },
    /// A task came to its end.
    Ended {
        /// The task.
        task: String,
        /// The closing words.
        note: String,
    },
    /// What a part of a task measured, for programs; terminals and logs leave it out.
    Measured {
        /// The task.
        task: String,
        /// Named numbers.
        measures: serde_json::Value,
    },
    /// A line for the reader, not tied to a task.
    Said {
        /// The line.
        text: String,
    },
}

/// How fast videos are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Throughput {
    /// Hours of video an hour.
    pub video_hours_per_hour: f64,
    /// Faces that were followed so far, each as long as it was in sight.
    pub faces: u64,
    /// Seconds until all is done if it goes on so; none while nobody knows how much there is.
    pub eta_s: Option<u64>,
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { video_hours_per_hour, faces, .. } = self;
        write!(f, "{video_hours_per_hour:.1} h of video an hour, {}", plural(*faces, "face"))
    }
}

/// Takes events; shared by threads.
pub trait Reporter: Send + Sync {
    /// Shows, writes or drops one event.
    fn report(&self, event: &Event);
}

/// Drops everything.
#[derive(Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _event: &Event) {}
}

/// When a task that goes on speaks: after 1, 2, 4, 8 … seconds, then every five minutes.
#[derive(Debug)]
struct Pace {
    began: Instant,
    next: Duration,
}

const LONGEST_SILENCE: Duration = Duration::from_secs(300);

impl Pace {
    fn begin() -> Self {
        Self { began: Instant::now(), next: Duration::from_secs(1) }
    }

    /// Whether it speaks after this time; if so, it is silent for a while.
    fn is_due(&mut self, elapsed: Duration) -> bool {
        let is_due = elapsed >= self.next;
        if is_due {
            self.next = elapsed + elapsed.min(LONGEST_SILENCE);
        }
        is_due
    }
}

/// One JSON object a line on standard output. Of a long task the first hundred steps are told one by one, the others as in
/// [`PlainLog`].
#[derive(Debug, Default)]
pub struct JsonLines {
    tasks: Mutex<HashMap<String, (Pace, u32)>>,
}

/// Steps of a task that are told one by one.
const ONE_BY_ONE: u32 = 100;

impl JsonLines {
    fn is_told(&self, event: &Event) -> bool {
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Advanced { task, .. } => {
                let (pace, told) = tasks.entry(task.clone()).or_insert_with(|| (Pace::begin(), 0));
                *told += u32::from(*told <= ONE_BY_ONE);
                *told <= ONE_BY_ONE || pace.is_due(pace.began.elapsed())
            }
            Event::Ended { task, .. } => {
                tasks.remove(task);
                true
            }
            _ => true,
        }
    }
}

impl Reporter for JsonLines {
    fn report(&self, event: &Event) {
        if !self.is_told(event) {
            return;
        }
        if let Ok(line) = serde_json::to_string(event) {
            // A closed pipe is the reader's wish, not a failure.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }
}

/// Progress bars on a terminal's standard error.
pub struct Bars {
    bars: MultiProgress,
    by_task: Mutex<HashMap<String, ProgressBar>>,
}

impl Default for Bars {
    fn default() -> Self {
        Self { bars: MultiProgress::new(), by_task: Mutex::default() }
    }
}

impl Bars {
    fn bar(&self, task: &str, total: Option<u64>, unit: &str) -> ProgressBar {
        let mut by_task = self.by_task.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let bar = by_task.entry(task.to_owned()).or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::no_length());
            let template =
                "{prefix:>10} {bar:28} {human_pos}/{human_len} {unit}  {elapsed}<{eta}  {wide_msg}";
            let template = template.replace("{unit}", unit);
            bar.set_style(
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_prefix(task.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.clone()
    }
}

impl Reporter for Bars {
    fn report(&self, event: &Event) {
        match event {
            Event::Began { task, total, unit } => {
                let bar = self.bar(task, *total, unit);
                // The same work once more, with another seed or on other data.
                if bar.is_finished() {
                    bar.reset();
                }
            }
            Event::Advanced { task, done, note, .. } => {
                let bar = self.bar(task, None, "");
                bar.set_position(*done);
                bar.set_message(note.clone());
            }
            Event::Ended { task, note } => self.bar(task, None, "").finish_with_message(note.clone()),
            Event::Measured { .. } => {}
            Event::Said { text } => {
                let _ = self.bars.println(text);
            }
        }
    }
}

/// Lines on standard error for logs and batch jobs: a task speaks after 1, 2, 4, 8 … seconds, then every five minutes.
#[derive(Debug)]
pub struct PlainLog {
    tasks: Mutex<HashMap<String, Task>>,
    say: fn(&str),
}

impl Default for PlainLog {
    fn default() -> Self {
        Self::through(|text| {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        })
    }
}

#[derive(Debug)]
struct Task {
    pace: Pace,
    total: Option<u64>,
    unit: String,
}

impl Task {
    /// How far it is. What is repeated counts again: a total that is passed says no more.
    fn far(&self, done: u64) -> String {
        let total = self.total.filter(|total| done <= *total);
        format!("{done}{} {}", total.map_or_else(String::new, |total| format!(" of {total}")), self.unit)
    }
}

/// How much longer a task takes; empty where nobody knows. Bars know it of every task.
fn to_go(throughput: Option<&Throughput>) -> String {
    let eta_s = throughput.and_then(|it| it.eta_s).and_then(|eta_s| i64::try_from(eta_s).ok());
    eta_s.map_or_else(String::new, |eta_s| format!(", {} to go", span(eta_s.saturating_mul(1_000))))
}

impl PlainLog {
    /// The same words, written otherwise.
    pub fn through(say: fn(&str)) -> Self {
        Self { tasks: Mutex::default(), say }
    }
}

impl Reporter for PlainLog {
    fn report(&self, event: &Event) {
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Began { task, total, unit } => {
                let known = tasks.entry(task.clone()).or_insert_with(|| Task {
                    pace: Pace::begin(),
                    total: *total,
                    unit: unit.clone(),
                });
                known.total = *total;
            }
            Event::Advanced { task, done, note, throughput } => {
                let Some(known) = tasks.get_mut(task) else { return };
                let elapsed = known.pace.began.elapsed();
                if known.pace.is_due(elapsed) {
                    let (far, seconds) = (known.far(*done), elapsed.as_secs());
                    let to_go = to_go(throughput.as_ref());
                    (self.say)(&format!("{task}: {far} after {seconds} s{to_go}  {note}"));
                }
            }
            Event::Ended { task, note } => {
                let seconds = tasks.remove(task).map_or(0.0, |it| it.pace.began.elapsed().as_secs_f64());
                (self.say)(&format!("{task}: ended after {seconds:.1} s  {note}"));
            }
            Event::Measured { .. } => {}
            Event::Said { text } => (self.say)(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_speaks_ever_more_rarely_and_at_least_every_five_minutes() {
        let mut pace = Pace::begin();
        let spoke: Vec<u64> = (0..1_000).filter(|second| pace.is_due(Duration::from_secs(*second))).collect();
        assert_eq!(spoke, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 812]);
    }

    #[test]
    fn a_program_hears_of_the_first_steps_and_not_of_every_file_of_a_hundred_thousand() {
        let (lines, task) = (JsonLines::default(), || "check".to_owned());
        let advanced = |done| {
            lines.is_told(&Event::Advanced { task: task(), done, note: String::new(), throughput: None })
        };
        assert!((1..=100).all(advanced));
        let told = (101..=10_000).filter(|done| advanced(*done)).count();
        assert!(told < 100, "{told}");
        assert!(lines.is_told(&Event::Ended { task: task(), note: String::new() }));
        assert!(advanced(1), "a task that begins again is heard again");
    }

    #[test]
    fn what_gets_on_fast_says_so_in_words_and_in_fields() {
        let throughput = Throughput { video_hours_per_hour: 2.449, faces: 1_204, eta_s: Some(605) };
        assert_eq!(throughput.to_string(), "2.4 h of video an hour, 1,204 faces");
        assert_eq!(to_go(Some(&throughput)), ", 10 min 05 s to go");
        assert_eq!(to_go(None), "");
        let advanced = |throughput| {
            let note = String::new();
            serde_json::to_value(Event::Advanced { task: "scan".to_owned(), done: 1, note, throughput })
                .unwrap()
        };
        let told = advanced(Some(throughput));
        assert_eq!((&told["faces"], &told["eta_s"]), (&1_204.into(), &605.into()));
        assert_eq!(advanced(None).as_object().unwrap().len(), 4, "nothing more is said of other work");
    }

    #[test]
    fn a_total_that_is_passed_is_left_out() {
        let task = Task { pace: Pace::begin(), total: Some(1), unit: "searches".to_owned() };
        assert_eq!(task.far(1), "1 of 1 searches");
        assert_eq!(task.far(2), "2 searches");
    }
}
