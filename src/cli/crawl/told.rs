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
    let mut parts = Vec::new();
    if let Some(summary) = searched {
        parts.push(format!("{} searches asked{}", summary.done, outlook(session, summary)));
    }
    match fetched {
        Some(summary) => parts.push(format!(
            "{} videos fetched, {} rejected, {} given up{}",
            summary.done,
            summary.rejected,
            summary.dead,
            outlook(session, summary)
        )),
        None => parts.push("metadata only: say --accept-terms to download (see README)".to_owned()),
    }
    say(format_args!("crawl: {}", parts.join("; ")));
}

fn numbers(summary: &RunSummary) -> Value {
    let pause = summary.paused.as_ref();
    json!({"done": summary.done, "rejected": summary.rejected, "dead": summary.dead,
        "paused": pause.map(|pause| pause.reason), "resume_at_ms": pause.and_then(|pause| pause.resume_at),
        "next_due_ms": summary.next_due_ms, "limited": summary.is_limited})
}
