//! `webemotion measure-train` (hidden): runs benchmarks for `scripts/bench`, one JSON object a line each way, so that the
//! script can alternate between this program and another one.

use std::io::BufRead;

use super::say;
use crate::failure::{Exit, Failure, Reason};
use crate::train::measure::{self, Benchmark};

/// Reads benchmarks from standard input until it ends, and prints the timings of each.
pub(crate) fn run() -> anyhow::Result<Exit> {
    for line in std::io::stdin().lock().lines() {
        let benchmark: Benchmark = serde_json::from_str(&line?)
            .map_err(|error| Failure::permanent(Reason::Usage, format!("no such measure: {error}")))?;
        let timings = measure::measure(&benchmark).map_err(|error| error.failure())?;
        say(serde_json::to_string(&timings)?);
    }
    Ok(Exit::Done)
}
