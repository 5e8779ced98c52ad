//! `webemotion measure-train` (hidden): answers the questions of `scripts/bench`, one JSON object a line each way, so
//! that it can be measured by turns with another program.

use std::io::BufRead;

use super::say;
use crate::failure::{Exit, Failure, Reason};
use crate::train::measure::{self, Question};

/// Answers questions on standard input until it ends.
pub(crate) fn run() -> anyhow::Result<Exit> {
    for line in std::io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)
            .map_err(|error| Failure::permanent(Reason::Usage, format!("no such measure: {error}")))?;
        let answer = measure::measure(&question).map_err(|error| error.failure())?;
        say(serde_json::to_string(&answer)?);
    }
    Ok(Exit::Done)
}
