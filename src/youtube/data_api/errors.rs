//! Reads the Data API's refusals. The status comes first, then the words, because shapes and reasons vary.

use serde::Deserialize;

use crate::youtube::border;
use crate::youtube::error::YoutubeError;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    error: Told,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    message: String,
    errors: Vec<Detail>,
    details: Vec<Detail>,
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    reason: String,
    #[serde(rename = "retryDelay")]
    retry_delay: String,
}

const DEFAULT_PAUSE_S: u64 = 60;

/// What an answer with this status and body means; `body` no longer holds the key.
pub(super) fn read(status: u16, retry_after_s: Option<u64>, body: &str) -> YoutubeError {
    // HTML, or cut short: the status still decides.
    let error = serde_json::from_str::<Envelope>(body).unwrap_or_default().error;
    let message = if error.message.is_empty() { body } else { &error.message };
    let said = format!("HTTP {status}: {}", border::line(message));
    let has = |reasons: &[&str]| {
        let mut given = error.errors.iter().chain(&error.details).map(|detail| detail.reason.as_str());
        given.any(|reason| reasons.contains(&reason)) || reasons.contains(&error.status.as_str())
    };
    match status {
        429 if message.contains("per day") => YoutubeError::Quota { bucket: "search calls" },
        429 => {
            YoutubeError::Throttled { pause_s: retry_after_s.or(error.delay_s()).unwrap_or(DEFAULT_PAUSE_S) }
        }
        403 if has(&["quotaExceeded", "dailyLimitExceeded"]) => YoutubeError::Quota { bucket: "units" },
        403 if has(&["rateLimitExceeded", "userRateLimitExceeded"]) => {
            YoutubeError::Throttled { pause_s: retry_after_s.unwrap_or(DEFAULT_PAUSE_S) }
        }
        401 | 403 => YoutubeError::KeyRefused { said },
        400 if message.contains("API key") || has(&["API_KEY_INVALID", "keyInvalid"]) => {
            YoutubeError::KeyRefused { said }
        }
        // The token is the API's own: this one search is at fault, not what all of them ask.
        400 if has(&["invalidPageToken"]) => YoutubeError::BadSearch { said },
        400 => YoutubeError::BadRequest { said },
        _ => YoutubeError::Unanswered { said },
    }
}

impl Told {
    /// `details[].retryDelay` is written as `30s`.
    fn delay_s(&self) -> Option<u64> {
        self.details.iter().find_map(|detail| detail.retry_delay.strip_suffix('s')?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(message: &str, reason: &str) -> String {
        format!(r#"{{"error":{{"code":1,"message":"{message}","errors":[{{"reason":"{reason}"}}]}}}}"#)
    }

    #[test]
    fn the_same_429_ends_the_day_or_asks_for_a_minute() {
        let day =
            envelope("Quota exceeded for limit 'Search Queries per day' of service", "rateLimitExceeded");
        assert!(matches!(read(429, None, &day), YoutubeError::Quota { bucket: "search calls" }));
        let minute = envelope("Quota exceeded for limit 'Queries per minute'", "rateLimitExceeded");
        assert!(matches!(read(429, Some(7), &minute), YoutubeError::Throttled { pause_s: 7 }));
        let delayed = r#"{"error":{"details":[{"reason":"RATE_LIMIT_EXCEEDED","retryDelay":"30s"}]}}"#;
        assert!(matches!(read(429, None, delayed), YoutubeError::Throttled { pause_s: 30 }));
    }

    #[test]
    fn units_keys_and_parameters_are_told_apart() {
        assert!(matches!(
            read(403, None, &envelope("x", "quotaExceeded")),
            YoutubeError::Quota { bucket: "units" }
        ));
        assert!(matches!(
            read(403, None, &envelope("x", "accessNotConfigured")),
            YoutubeError::KeyRefused { .. }
        ));
        let bad_key = envelope("API key not valid. Please pass a valid API key.", "badRequest");
        assert!(matches!(read(400, None, &bad_key), YoutubeError::KeyRefused { .. }));
        let new_style = r#"{"error":{"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
        assert!(matches!(read(400, None, new_style), YoutubeError::KeyRefused { .. }));
        assert!(matches!(
            read(400, None, &envelope("x", "invalidParameter")),
            YoutubeError::BadRequest { .. }
        ));
        assert!(matches!(
            read(400, None, &envelope("x", "invalidPageToken")),
            YoutubeError::BadSearch { .. }
        ));
    }

    #[test]
    fn html_and_cut_bodies_are_read_by_their_status() {
        assert!(
            matches!(read(503, None, "<html>\u{1b}[2J"), YoutubeError::Unanswered { said } if !said.contains('\u{1b}'))
        );
        assert!(matches!(read(403, None, "{\"error\":{\"mess"), YoutubeError::KeyRefused { .. }));
    }
}
