//! Progress of long work: other rooms send [`Event`]s, and only this one shows them.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::words::{noun, plural, span};

/// One thing that happened during long work.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A task began, or its total became known or grew.
    Began {
        /// The name of the task, which later events repeat.
        task: String,
        /// Units to do, if known.
        total: Option<u64>,
        /// What is counted: videos, frames, epochs …
        unit: String,
    },
    /// A task made progress.
    Advanced {
        /// The task.
        task: String,
        /// Units done so far.
        done: u64,
        /// What was just done; may be empty.
        note: String,
        /// Its speed, if that is more than a number of units.
        #[serde(flatten)]
        throughput: Option<Throughput>,
    },
    /// A task ended.
    Ended {
        /// The task.
        task: String,
        /// The result.
        note: String,
    },
    /// Measurements of one step of a task, for programs; terminals and logs omit them.
    Measured {
        /// The task.
        task: String,
        /// Numbers by name.
        measures: serde_json::Value,
    },
    /// A message that belongs to no task.
    Said {
        /// The message.
        text: String,
    },
}

/// The speed at which videos are scanned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Throughput {
    /// Hours of video an hour.
    pub video_hours_per_hour: f64,
    /// Face tracks found so far.
    pub faces: u64,
    /// Seconds until all is done at this speed; `None` while the total is unknown.
    pub eta_s: Option<u64>,
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { video_hours_per_hour, faces, .. } = self;
        write!(f, "{video_hours_per_hour:.1} h of video an hour, {}", plural(*faces, "face"))
    }
}

/// Shows or writes events; shared by threads.
pub trait Reporter: Send + Sync {
    /// Shows, writes or drops one event.
    fn report(&self, event: &Event);
}

/// Drops all events.
#[derive(Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _event: &Event) {}
}

/// When the progress of a task is reported: after 1, 2, 4, 8 … seconds, and at least every five minutes.
#[derive(Debug)]
struct Pace {
    began: Instant,
    /// The next report, from the beginning of the task on.
    next: Duration,
}

const MAX_INTERVAL: Duration = Duration::from_secs(300);

impl Pace {
    fn begin() -> Self {
        Self { began: Instant::now(), next: Duration::from_secs(1) }
    }

    /// Whether a report is due at this time since the beginning; if so, schedules the next one.
    fn is_due(&mut self, elapsed: Duration) -> bool {
        let is_due = elapsed >= self.next;
        if is_due {
            self.next = elapsed + elapsed.min(MAX_INTERVAL);
        }
        is_due
    }
}

/// Writes one JSON object a line to standard output. The first hundred steps of a task are all written, later ones at
/// the times of [`PlainLog`].
#[derive(Debug, Default)]
pub struct JsonLines {
    /// For each task, when steps are due, and the number of steps so far, up to one more than [`FIRST_STEPS`].
    tasks: Mutex<HashMap<String, (Pace, u32)>>,
}

/// The number of steps of a task that are all written.
const FIRST_STEPS: u32 = 100;

impl JsonLines {
    /// Whether an event is written.
    fn is_due(&self, event: &Event) -> bool {
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Advanced { task, .. } => {
                let (pace, steps) = tasks.entry(task.clone()).or_insert_with(|| (Pace::begin(), 0));
                *steps += u32::from(*steps <= FIRST_STEPS);
                *steps <= FIRST_STEPS || pace.is_due(pace.began.elapsed())
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
        if !self.is_due(event) {
            return;
        }
        if let Ok(line) = serde_json::to_string(event) {
            // If the reader has closed the pipe, that is no failure.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }
}

/// Draws progress bars on standard error, for terminals.
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
    /// The bar of a task, which is added if there is none.
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
                // A task may begin again, such as training with another seed.
                if bar.is_finished() {
                    bar.reset();
                }
            }
            Event::Advanced { task, done, note, .. } => {
                let bar = self.bar(task, None, "");
                bar.set_position(*done);
                bar.set_message(note.clone());
            }
            Event::Ended { task, note } => {
                let bar = self.bar(task, None, "");
                // Without a length the bar would stay empty.
                if bar.length().is_none() {
                    bar.set_length(bar.position());
                }
                bar.finish_with_message(note.clone());
            }
            Event::Measured { .. } => {}
            Event::Said { text } => {
                let _ = self.bars.println(text);
            }
        }
    }
}

/// Writes lines to standard error, for logs and batch jobs: for each task after 1, 2, 4, 8 … seconds, and at least
/// every five minutes.
#[derive(Debug)]
pub struct PlainLog {
    tasks: Mutex<HashMap<String, Task>>,
    write: fn(&str),
}

impl Default for PlainLog {
    fn default() -> Self {
        Self::with(|text| {
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
    /// Units done, of the total if that is known. Repeated units count again, so more than the total may be done; it is
    /// then omitted.
    fn progress(&self, done: u64) -> String {
        let total = self.total.filter(|total| done <= *total);
        let of = total.map_or_else(String::new, |total| format!(" of {total}"));
        format!("{done}{of} {}", noun(total.unwrap_or(done), &self.unit))
    }
}

/// The time until a task is done; empty if it is unknown or over. (Bars estimate it themselves.)
fn remaining(throughput: Option<&Throughput>) -> String {
    let eta_s = throughput.and_then(|it| it.eta_s).and_then(|eta_s| i64::try_from(eta_s).ok());
    match eta_s {
        None | Some(0) => String::new(),
        Some(few_s @ ..60) => format!(", {few_s} s to go"),
        Some(many_s) => format!(", {} to go", span(many_s.saturating_mul(1_000))),
    }
}

impl PlainLog {
    /// A log whose lines `write` writes.
    pub fn with(write: fn(&str)) -> Self {
        Self { tasks: Mutex::default(), write }
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
                    let (progress, seconds) = (known.progress(*done), elapsed.as_secs());
                    let remaining = remaining(throughput.as_ref());
                    (self.write)(&format!("{task}: {progress} after {seconds} s{remaining}  {note}"));
                }
            }
            Event::Ended { task, note } => {
                let seconds = tasks.remove(task).map_or(0.0, |it| it.pace.began.elapsed().as_secs_f64());
                (self.write)(&format!("{task}: ended after {seconds:.1} s  {note}"));
            }
            Event::Measured { .. } => {}
            Event::Said { text } => (self.write)(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_become_rarer_but_come_at_least_every_five_minutes() {
        let mut pace = Pace::begin();
        let due: Vec<u64> = (0..1_000).filter(|second| pace.is_due(Duration::from_secs(*second))).collect();
        assert_eq!(due, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 812]);
    }

    #[test]
    fn json_lines_hold_the_first_hundred_steps_of_a_task_and_few_later_ones() {
        let (lines, task) = (JsonLines::default(), || "check".to_owned());
        let advanced = |done| {
            lines.is_due(&Event::Advanced { task: task(), done, note: String::new(), throughput: None })
        };
        assert!((1..=100).all(advanced));
        let written = (101..=10_000).filter(|done| advanced(*done)).count();
        assert!(written < 100, "{written}");
        assert!(lines.is_due(&Event::Ended { task: task(), note: String::new() }));
        assert!(advanced(1), "a task that begins again counts from its first step");
    }

    #[test]
    fn throughput_is_reported_in_words_and_in_fields() {
        let throughput = Throughput { video_hours_per_hour: 2.449, faces: 1_204, eta_s: Some(605) };
        assert_eq!(throughput.to_string(), "2.4 h of video an hour, 1,204 faces");
        assert_eq!(remaining(Some(&throughput)), ", 10 min 05 s to go");
        assert_eq!(remaining(None), "");
        let soon = |eta_s| remaining(Some(&Throughput { eta_s: Some(eta_s), ..throughput }));
        assert_eq!([5, 0].map(soon), [", 5 s to go", ""]);
        let advanced = |throughput| {
            let note = String::new();
            serde_json::to_value(Event::Advanced { task: "scan".to_owned(), done: 1, note, throughput })
                .unwrap()
        };
        let fields = advanced(Some(throughput));
        assert_eq!((&fields["faces"], &fields["eta_s"]), (&1_204.into(), &605.into()));
        assert_eq!(advanced(None).as_object().unwrap().len(), 4, "no other fields without throughput");
    }

    #[test]
    fn a_total_that_is_exceeded_is_omitted() {
        let task = Task { pace: Pace::begin(), total: Some(1), unit: "searches".to_owned() };
        assert_eq!(task.progress(1), "1 of 1 search");
        assert_eq!(task.progress(2), "2 searches");
    }
}
