//! The closing line of a crawl: what was done, and when to start it again.

use serde_json::{Value, json};

use crate::pipeline::Driven;
use crate::words::noun;

use super::super::drive::outlook;
use super::super::{Session, say};

/// Prints what was done; `facts` are the command's own numbers.
pub(super) fn close(
    session: &Session,
    mut facts: Value,
    searched: Option<&Driven>,
    fetched: Option<&Driven>,
) {
    if session.json {
        facts["event"] = "crawled".into();
        facts["searched"] = searched.map_or(Value::Null, numbers);
        facts["fetched"] = fetched.map_or(Value::Null, numbers);
        say(facts);
        return;
    }
    let mut parts = Vec::new();
    if let Some(summary) = searched {
        let is_told_below = fetched.is_some_and(|fetched| pauses_alike(summary, fetched));
        let outlook = if is_told_below { String::new() } else { outlook(session, summary) };
        parts.push(part(summary, "searches", "asked") + &outlook);
    }
    match fetched {
        Some(summary) => parts.push(part(summary, "videos", "fetched") + &outlook(session, summary)),
        None => parts.push("metadata only: say --accept-terms to download (see README)".to_owned()),
    }
    say(format_args!("crawl: {}", parts.join("; ")));
}

/// The number of jobs that are done, and the other outcomes.
fn part(summary: &Driven, nouns: &str, done: &str) -> String {
    format!("{} {} {done}{}", summary.done, noun(summary.done, nouns), others(summary))
}

/// Whether two stages are paused for the same reason, until the same time.
fn pauses_alike(one: &Driven, other: &Driven) -> bool {
    let until = |summary: &Driven| {
        let pause = summary.paused.as_ref()?;
        Some((pause.reason, pause.resume_at?))
    };
    until(one).is_some_and(|pause| until(other) == Some(pause))
}

/// The counts of other outcomes, without those that are 0.
fn others(summary: &Driven) -> String {
    [(summary.rejected, "rejected"), (summary.dead, "given up"), (summary.postponed, "put off")]
        .into_iter()
        .filter(|(jobs, _)| *jobs > 0)
        .map(|(jobs, how)| format!(", {jobs} {how}"))
        .collect()
}

fn numbers(summary: &Driven) -> Value {
    let pause = summary.paused.as_ref();
    json!({"done": summary.done, "rejected": summary.rejected, "dead": summary.dead,
        "postponed": summary.postponed, "paused": pause.map(|pause| pause.reason),
        "resume_at_ms": pause.and_then(|pause| pause.resume_at), "next_due_ms": summary.next_due_ms,
        "limited": summary.is_limited})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::pauses::Pause;
    use crate::failure::Reason;
    use crate::types::StageName;

    #[test]
    fn a_pause_of_both_stages_is_reported_once_unless_a_person_has_to_lift_both() {
        let paused = |stage, resume_at| {
            let (reason, detail) = (Reason::RateLimited, String::new());
            let pause = Pause { stage, reason, detail, since: 0, resume_at };
            Driven { paused: Some(pause), ..Driven::default() }
        };
        let alike =
            |one, other| pauses_alike(&paused(StageName::Search, one), &paused(StageName::Fetch, other));
        assert!(alike(Some(5), Some(5)));
        assert!(!alike(Some(5), Some(6)) && !alike(None, None));
    }

    #[test]
    fn other_outcomes_are_reported_unless_they_are_zero() {
        let summary = Driven { done: 4, dead: 2, postponed: 1, ..Driven::default() };
        assert_eq!(others(&summary), ", 2 given up, 1 put off");
        assert_eq!(others(&Driven { done: 4, ..Driven::default() }), "");
        assert_eq!(numbers(&summary)["postponed"], 1);
        let one = Driven { done: 1, ..Driven::default() };
        assert_eq!(part(&one, "searches", "asked"), "1 search asked");
        assert_eq!(part(&summary, "videos", "fetched"), "4 videos fetched, 2 given up, 1 put off");
    }
}
