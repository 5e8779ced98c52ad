//! The closing line of a crawl: what was done, and when to come back.

use serde_json::{Value, json};

use crate::pipeline::Driven;

use super::super::drive::outlook;
use super::super::{Session, say};

/// Says what was done; `facts` are the command's own numbers.
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
    let part = |what: &str, summary: &Driven| format!("{} {what}{}", summary.done, others(summary));
    let mut parts = Vec::new();
    if let Some(summary) = searched {
        let is_told_below = fetched.is_some_and(|fetched| pauses_alike(summary, fetched));
        let outlook = if is_told_below { String::new() } else { outlook(session, summary) };
        parts.push(part("searches asked", summary) + &outlook);
    }
    match fetched {
        Some(summary) => parts.push(part("videos fetched", summary) + &outlook(session, summary)),
        None => parts.push("metadata only: say --accept-terms to download (see README)".to_owned()),
    }
    say(format_args!("crawl: {}", parts.join("; ")));
}

/// Whether two stages stand still for one cause, and until the same moment.
fn pauses_alike(one: &Driven, other: &Driven) -> bool {
    let until = |summary: &Driven| {
        let pause = summary.paused.as_ref()?;
        Some((pause.reason, pause.resume_at?))
    };
    until(one).is_some_and(|pause| until(other) == Some(pause))
}

/// How many ended otherwise, as far as some did.
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
    fn a_pause_of_both_stages_is_told_once_unless_a_person_has_to_lift_both() {
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
    fn what_was_given_up_or_put_off_is_said_and_what_is_none_is_not() {
        let summary = Driven { done: 4, dead: 2, postponed: 1, ..Driven::default() };
        assert_eq!(others(&summary), ", 2 given up, 1 put off");
        assert_eq!(others(&Driven { done: 4, ..Driven::default() }), "");
        assert_eq!(numbers(&summary)["postponed"], 1);
    }
}
