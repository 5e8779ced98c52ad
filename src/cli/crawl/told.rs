//! The closing line of a crawl: what was done, and when to come back.

use serde_json::{Value, json};

use crate::pipeline::RunSummary;

use super::super::drive::outlook;
use super::super::{Session, say};

/// Says what was done; `facts` are the command's own numbers.
pub(super) fn close(
    session: &Session,
    mut facts: Value,
    searched: Option<&RunSummary>,
    fetched: Option<&RunSummary>,
) {
    if session.json {
        facts["event"] = "crawled".into();
        facts["searched"] = searched.map_or(Value::Null, numbers);
        facts["fetched"] = fetched.map_or(Value::Null, numbers);
        say(facts);
        return;
    }
    let part = |what: &str, summary: &RunSummary| {
        format!("{} {what}{}{}", summary.done, others(summary), outlook(session, summary))
    };
    let mut parts = Vec::new();
    if let Some(summary) = searched {
        parts.push(part("searches asked", summary));
    }
    match fetched {
        Some(summary) => parts.push(part("videos fetched", summary)),
        None => parts.push("metadata only: say --accept-terms to download (see README)".to_owned()),
    }
    say(format_args!("crawl: {}", parts.join("; ")));
}

/// How many ended otherwise, as far as some did.
fn others(summary: &RunSummary) -> String {
    [(summary.rejected, "rejected"), (summary.dead, "given up"), (summary.postponed, "put off")]
        .into_iter()
        .filter(|(jobs, _)| *jobs > 0)
        .map(|(jobs, how)| format!(", {jobs} {how}"))
        .collect()
}

fn numbers(summary: &RunSummary) -> Value {
    let pause = summary.paused.as_ref();
    json!({"done": summary.done, "rejected": summary.rejected, "dead": summary.dead,
        "postponed": summary.postponed, "paused": pause.map(|pause| pause.reason),
        "resume_at_ms": pause.and_then(|pause| pause.resume_at), "next_due_ms": summary.next_due_ms,
        "limited": summary.is_limited})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_or_put_off_is_said_and_what_is_none_is_not() {
        let summary = RunSummary { done: 4, dead: 2, postponed: 1, ..RunSummary::default() };
        assert_eq!(others(&summary), ", 2 given up, 1 put off");
        assert_eq!(others(&RunSummary { done: 4, ..RunSummary::default() }), "");
        assert_eq!(numbers(&summary)["postponed"], 1);
    }
}
