//! Which videos may be taken: pure verdicts over what is known, before the download and again just before its first
//! byte. It sends no request.

use super::search::FoundVideo;
use super::ytdlp::Extracted;
use crate::config::{CrawlConfig, LicencePolicy};
use crate::failure::Reason;

/// Judges a search's hit; `None` lets it pass.
///
/// What a provider cannot know (a keyless search knows no licence) passes here. [`judge_extracted`] judges again and refuses
/// what has no known length and, where one is asked for, no known licence. An unknown age limit passes there too, and only
/// this judges made-for-kids and region, which the Data API alone tells.
pub fn judge(video: &FoundVideo, crawl: &CrawlConfig) -> Option<Reason> {
    let named = Named {
        title: Some(&video.title),
        channel_id: video.channel_id.as_deref(),
        channel_name: video.channel_name.as_deref(),
    };
    if judge_named(named, crawl).is_some() {
        return Some(Reason::Blocklisted);
    }
    if video.live {
        return Some(Reason::Live);
    }
    if video.duration_ms.is_some_and(|duration_ms| duration_ms >= i64::from(crawl.max_duration_s) * 1_000) {
        return Some(Reason::TooLong);
    }
    if video.age_restricted == Some(true) {
        return Some(Reason::AgeRestricted);
    }
    if video.made_for_kids == Some(true) {
        return Some(Reason::MadeForKids);
    }
    if video.in_region == Some(false) {
        return Some(Reason::Geo);
    }
    let refused = video.licence.as_deref().is_some_and(|licence| !allows(crawl.licence, Some(licence)));
    refused.then_some(Reason::Licence)
}

/// What block lists look at.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The title, while it is known.
    pub title: Option<&'a str>,
    /// The channel's id.
    pub channel_id: Option<&'a str>,
    /// The channel's name, while it is known.
    pub channel_name: Option<&'a str>,
}

/// Says which entry of the block lists a video's names meet, if any. Lists may have grown since a search found it.
pub fn judge_named(video: Named<'_>, crawl: &CrawlConfig) -> Option<String> {
    let title = video.title.unwrap_or_default();
    if let Some(words) = crawl.blocked_titles.iter().find(|words| contains(title, words)) {
        return Some(format!("its title contains '{words}', which crawl.blocked_titles lists"));
    }
    let name = video.channel_name.map(str::to_lowercase);
    let is_channel = |listed: &&String| {
        video.channel_id == Some(listed.as_str()) || name.as_ref() == Some(&listed.to_lowercase())
    };
    let channel = crawl.blocked_channels.iter().find(is_channel)?;
    Some(format!("its channel is '{channel}', which crawl.blocked_channels lists"))
}

/// Whether a title contains words, in any letter case: as whole words, but anywhere in writing that does not part them.
fn contains(title: &str, words: &str) -> bool {
    if words.chars().any(is_unparted) {
        return title.to_lowercase().contains(&words.trim().to_lowercase());
    }
    let words = spaced(words);
    !words.trim().is_empty() && spaced(title).contains(&words)
}

/// A letter of writing without blanks between words: Thai, Lao, Burmese, Khmer, kana, Han. Korean has blanks, but glues
/// particles to its nouns.
fn is_unparted(letter: char) -> bool {
    matches!(letter,
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1100}'..='\u{11ff}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{a9e0}'..='\u{a9ff}'
        | '\u{aa60}'..='\u{aa7f}'
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ffdc}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Lower case, words apart from punctuation, one blank between them and at both ends: whole words are contained.
fn spaced(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    format!(" {} ", words.join(" "))
}

/// Judges what the site says of a video when its download begins, with the fact that decides: not every search and no
/// list knows title and channel. A missing duration or, under `creative-commons`, a missing licence is refused.
pub fn judge_extracted(video: &Extracted, crawl: &CrawlConfig) -> Option<(Reason, String)> {
    let named = Named {
        title: video.title.as_deref(),
        channel_id: video.channel_id.as_deref(),
        channel_name: video.channel_name.as_deref(),
    };
    if let Some(detail) = judge_named(named, crawl) {
        return Some((Reason::Blocklisted, detail));
    }
    if let Some(status @ ("is_live" | "is_upcoming")) = video.live_status.as_deref() {
        return Some((Reason::Live, format!("its live status is {status}")));
    }
    match video.duration_s {
        None => return Some((Reason::TooLong, "its length is unknown".to_owned())),
        Some(duration_s) if duration_s >= f64::from(crawl.max_duration_s) => {
            let limit_s = crawl.max_duration_s;
            return Some((Reason::TooLong, format!("{duration_s} s long, the limit is {limit_s} s")));
        }
        Some(_) => {}
    }
    if video.age_limit.is_some_and(|years| years >= 18) {
        return Some((Reason::AgeRestricted, "only for adults".to_owned()));
    }
    if !allows(crawl.licence, video.licence.as_deref()) {
        let licence = video.licence.as_deref().unwrap_or("standard or unknown");
        return Some((Reason::Licence, format!("its licence is {licence}")));
    }
    None
}

/// The same rules, but for the block lists, in yt-dlp's own words (`--match-filters`), so that nothing is downloaded
/// against them.
pub(super) fn match_filter(crawl: &CrawlConfig) -> String {
    let max_duration_s = crawl.max_duration_s;
    let rules = format!("!is_live & live_status!=?is_upcoming & duration<{max_duration_s} & age_limit<?18");
    match crawl.licence {
        LicencePolicy::Any => rules,
        LicencePolicy::CreativeCommons => format!("{rules} & license~='(?i)^creative *commons'"),
    }
}

/// The watch page says `Creative Commons Attribution license (reuse allowed)`, the Data API `creativeCommon`.
fn allows(policy: LicencePolicy, licence: Option<&str>) -> bool {
    let is_free = |licence: &str| licence.to_ascii_lowercase().replace(' ', "").starts_with("creativecommon");
    policy == LicencePolicy::Any || licence.is_some_and(is_free)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> FoundVideo {
        FoundVideo {
            site_id: "vid00000001".into(),
            url: String::new(),
            title: String::new(),
            channel_id: None,
            channel_name: None,
            duration_ms: Some(239_999),
            licence: None,
            live: false,
            age_restricted: None,
            made_for_kids: None,
            in_region: None,
            rank: 1,
        }
    }

    #[test]
    fn four_minutes_are_too_long_and_a_millisecond_less_is_not() {
        let crawl = CrawlConfig::default();
        assert_eq!(judge(&found(), &crawl), None);
        let long = FoundVideo { duration_ms: Some(240_000), ..found() };
        assert_eq!(judge(&long, &crawl), Some(Reason::TooLong));
        assert_eq!(judge(&FoundVideo { duration_ms: None, ..found() }, &crawl), None);
    }

    #[test]
    fn each_rule_gives_its_own_reason() {
        let crawl = CrawlConfig::default();
        let verdict = |video| judge(&video, &crawl);
        assert_eq!(verdict(FoundVideo { live: true, ..found() }), Some(Reason::Live));
        assert_eq!(
            verdict(FoundVideo { age_restricted: Some(true), ..found() }),
            Some(Reason::AgeRestricted)
        );
        assert_eq!(verdict(FoundVideo { made_for_kids: Some(true), ..found() }), Some(Reason::MadeForKids));
        assert_eq!(verdict(FoundVideo { licence: Some("youtube".into()), ..found() }), Some(Reason::Licence));
        assert_eq!(verdict(FoundVideo { in_region: Some(false), ..found() }), Some(Reason::Geo));
        assert_eq!(verdict(FoundVideo { licence: Some("creativeCommon".into()), ..found() }), None);
    }

    #[test]
    fn block_lists_know_whole_words_and_channels() {
        let crawl = CrawlConfig {
            blocked_titles: vec!["My Child".into(), "ai generated".into(), " ".into()],
            blocked_channels: vec!["UCbad".into(), "Kids TV".into()],
            ..CrawlConfig::default()
        };
        let titled = |title: &str| judge(&FoundVideo { title: title.into(), ..found() }, &crawl);
        assert_eq!(titled("Watch MY child, laughing!"), Some(Reason::Blocklisted));
        assert_eq!(titled("an AI-generated face"), Some(Reason::Blocklisted));
        assert_eq!(titled("my childhood"), None);
        let of = |id: &str, name: &str| {
            judge(
                &FoundVideo { channel_id: Some(id.into()), channel_name: Some(name.into()), ..found() },
                &crawl,
            )
        };
        assert_eq!(of("UCbad", "x"), Some(Reason::Blocklisted));
        assert_eq!(of("UCgood", "kids tv"), Some(Reason::Blocklisted));
        assert_eq!(of("UCgood", "kids"), None);
    }

    #[test]
    fn block_lists_know_words_that_no_blank_parts_and_names_in_any_letters() {
        let is_blocked = |listed: &str, title: &str| {
            let crawl = CrawlConfig { blocked_titles: vec![listed.into()], ..CrawlConfig::default() };
            judge(&FoundVideo { title: title.into(), ..found() }, &crawl).is_some()
        };
        assert!(is_blocked("子供", "かわいい子供の笑顔"));
        assert!(is_blocked(" AI生成 ", "これはai生成です"));
        assert!(is_blocked("เด็ก", "เด็กน่ารักหัวเราะ"));
        assert!(is_blocked("어린이", "웃는 어린이들"));
        assert!(!is_blocked("子供", "大人の笑顔"));
        assert!(is_blocked("ребёнок", "РЕБЁНОК смеётся") && !is_blocked("дети", "детишки"));
        assert!(!is_blocked("!", "wow!") && !is_blocked("!", ""));
        let crawl = CrawlConfig { blocked_channels: vec!["ДЕТИ ТВ".into()], ..CrawlConfig::default() };
        let of = |name: &str| judge(&FoundVideo { channel_name: Some(name.into()), ..found() }, &crawl);
        assert_eq!((of("Дети ТВ"), of("Дети")), (Some(Reason::Blocklisted), None));
    }

    #[test]
    fn block_lists_are_asked_again_when_the_site_names_a_video() {
        let crawl = CrawlConfig {
            licence: LicencePolicy::Any,
            blocked_titles: vec!["child".into()],
            blocked_channels: vec!["Kids TV".into()],
            ..CrawlConfig::default()
        };
        let verdict = |title: &str, channel: &str| {
            let (title, channel_name) = (Some(title.into()), Some(channel.into()));
            let video = Extracted { title, channel_name, duration_s: Some(9.0), ..Extracted::default() };
            judge_extracted(&video, &crawl).map(|(reason, _)| reason)
        };
        assert_eq!(verdict("a child laughs", "someone"), Some(Reason::Blocklisted));
        assert_eq!(verdict("a laugh", "kids tv"), Some(Reason::Blocklisted));
        assert_eq!(verdict("a laugh", "someone"), None);
    }

    #[test]
    fn an_unknown_licence_passes_before_the_download_but_never_at_it() {
        let crawl = CrawlConfig::default();
        let mut video = Extracted { duration_s: Some(10.0), ..Extracted::default() };
        assert_eq!(judge(&found(), &crawl), None);
        assert_eq!(judge_extracted(&video, &crawl).map(|(reason, _)| reason), Some(Reason::Licence));
        video.licence = Some("Creative Commons Attribution license (reuse allowed)".into());
        assert_eq!(judge_extracted(&video, &crawl), None);
        let any = CrawlConfig { licence: LicencePolicy::Any, ..CrawlConfig::default() };
        video.licence = None;
        assert_eq!(judge_extracted(&video, &any), None);
        video.duration_s = None;
        assert_eq!(judge_extracted(&video, &any).map(|(reason, _)| reason), Some(Reason::TooLong));
    }
}
