//! Finds the names of videos in texts, and removes them. Reads no table.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Match, Regex, RegexBuilder};

use super::videos::NewVideo;
use super::{CatalogError, Result, json};

/// What replaces a name.
const NOBODY: &str = "(forgotten)";
/// Size limit of a compiled regex for many names; the names of ten thousand videos take a tenth of it.
pub(super) const LARGEST_BYTES: usize = 1 << 28;

/// A string in a JSON text, and the colon after it if it is a key.
static STRING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"("(?:[^"\\]|\\.)*")(\s*:)?"#).expect("the pattern is a constant, and a test uses it")
});

/// The names of videos: ids at their sites, titles, and for files on disk the path and the file name.
#[derive(Debug, Clone, Default)]
pub struct Names {
    in_answers: Vec<String>,
    in_texts: BTreeSet<String>,
    finder: Option<Regex>,
}

impl Names {
    /// The names of these videos.
    pub fn of(videos: &[NewVideo]) -> Result<Self> {
        let mut names = Self::default();
        for video in videos {
            names.in_answers.push(video.site_id.clone());
            names.in_texts.insert(video.site_id.clone());
            names.in_texts.extend(video.title.clone().filter(|title| is_telling(title)));
            if video.site == "local" && !video.url.is_empty() {
                names.in_answers.push(json(&video.url)?);
                let file = Path::new(&video.url).file_name().unwrap_or_default().to_string_lossy();
                names.in_texts.extend([video.url.clone(), file.into_owned()]);
            }
        }
        names.in_texts.remove("");
        names.finder = finder(&names.in_texts)?;
        Ok(names)
    }

    /// The same names, also as each of `ways` writes them, such as with escapes.
    pub fn written(&self, ways: &[fn(&str) -> String]) -> Result<Self> {
        let mut names = self.clone();
        names.in_texts.extend(self.in_texts.iter().flat_map(|name| ways.iter().map(move |way| way(name))));
        names.finder = finder(&names.in_texts)?;
        Ok(names)
    }

    /// The names as raw pages of answers contain them: ids, and for a file on disk its path as a JSON string, with
    /// quotes, so that a longer path with the same beginning does not match.
    pub(super) fn in_answers(&self) -> &[String] {
        &self.in_answers
    }

    /// Whether a text contains one of them as a whole word.
    pub fn are_in(&self, text: &str) -> bool {
        self.found_in(text).next().is_some()
    }

    /// A text with them replaced; borrowed if it has none.
    pub fn out_of<'a>(&self, text: &'a str) -> Cow<'a, str> {
        replaced(text, self.found_in(text).map(|found| (found.range(), NOBODY.to_owned())))
    }

    /// A JSON text with every string replaced that contains one, since the rest of the string is about the same video. Keys
    /// stay.
    pub fn out_of_json<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let strings = STRING.captures_iter(text).filter(|found| found.get(2).is_none());
        let naming = strings.filter_map(|found| {
            let string = found.get(1)?;
            let says = serde_json::from_str::<String>(string.as_str()).ok()?;
            self.are_in(&says).then(|| (string.range(), format!("\"{NOBODY}\"")))
        });
        replaced(text, naming)
    }

    fn found_in<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Match<'a>> {
        let found = self.finder.iter().flat_map(|finder| finder.find_iter(text));
        found.filter(|found| stands_alone(text, found))
    }
}

/// Whether a title identifies a video. One plain word, a number or a few letters occur in any text.
fn is_telling(title: &str) -> bool {
    let is_word = title.chars().all(|letter| letter.is_ascii_alphabetic());
    title.len() > 5 && title.chars().any(char::is_alphabetic) && !is_word
}

/// A regex that finds any of these names; none if there is no name.
fn finder(names: &BTreeSet<String>) -> Result<Option<Regex>> {
    if names.is_empty() {
        return Ok(None);
    }
    // In reverse, so that of two with the same beginning the longer one is tried first.
    let escaped: Vec<String> = names.iter().rev().map(|name| regex::escape(name)).collect();
    let finder = RegexBuilder::new(&escaped.join("|")).size_limit(LARGEST_BYTES).build();
    finder.map(Some).map_err(|error| CatalogError::Damaged { detail: error.to_string() })
}

/// Whether a match is not part of a longer word.
fn stands_alone(text: &str, found: &Match<'_>) -> bool {
    let is_word =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let (before, after) = (&text[..found.start()], &text[found.end()..]);
    let (first, last) = (found.as_str().chars().next(), found.as_str().chars().next_back());
    let goes_on_before = is_word(before.chars().next_back()) && is_word(first);
    let goes_on_after = is_word(last) && is_word(after.chars().next());
    !goes_on_before && !goes_on_after
}

/// A text with these ranges, in ascending order, replaced.
fn replaced(text: &str, places: impl Iterator<Item = (std::ops::Range<usize>, String)>) -> Cow<'_, str> {
    let (mut kept, mut end) = (String::new(), None);
    for (place, other) in places {
        kept += &text[end.unwrap_or(0)..place.start];
        kept += &other;
        end = Some(place.end);
    }
    match end {
        Some(end) => Cow::Owned(kept + &text[end..]),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let youtube = NewVideo {
            site: "youtube".to_owned(),
            site_id: "-u6mbBBDm7S".to_owned(),
            title: Some("Jane \"Doe\" cries".to_owned()),
            ..NewVideo::default()
        };
        let local = NewVideo {
            site: "local".to_owned(),
            site_id: "c0ffee".to_owned(),
            url: "/films/sad/Jane Doe.mp4".to_owned(),
            title: Some("Jane Doe.mp4".to_owned()),
            ..NewVideo::default()
        };
        let plain =
            NewVideo { site_id: "c0ffef".to_owned(), title: Some("Sadness".to_owned()), ..local.clone() };
        let short = NewVideo { title: Some("4K".to_owned()), ..plain.clone() };
        Names::of(&[youtube, local, plain, short]).unwrap()
    }

    #[test]
    fn a_name_is_replaced_where_it_is_a_whole_word() {
        let names = names();
        for (text, left) in [
            ("ERROR: [youtube] -u6mbBBDm7S: private", "ERROR: [youtube] (forgotten): private"),
            ("youtube--u6mbBBDm7S.mp4", "youtube-(forgotten).mp4"),
            ("cannot copy /films/sad/Jane Doe.mp4: no", "cannot copy (forgotten): no"),
            ("see 'Jane Doe.mp4', c0ffee and c0ffee", "see '(forgotten)', (forgotten) and (forgotten)"),
        ] {
            assert_eq!(names.out_of(text), left);
        }
        for text in ["xc0ffee", "c0ffee_1", "Sadness 12", "in 4K", "/films/sad/Jane Doe.mp4s", ""] {
            assert!(matches!(names.out_of(text), Cow::Borrowed(same) if same == text), "{text}");
        }
        assert!(matches!(Names::of(&[]).unwrap().out_of("a text"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_strings_with_a_name_are_replaced_and_keys_stay() {
        let text = "{\n  \"c0ffee\": 1.50,\n  \"why\": \"\\nJane \\\"Doe\\\" cries\",\n  \"rest\": [\"\\\\\", \"x\"]\n}";
        let left = "{\n  \"c0ffee\": 1.50,\n  \"why\": \"(forgotten)\",\n  \"rest\": [\"\\\\\", \"x\"]\n}";
        assert_eq!(names().out_of_json(text), left);
        assert!(matches!(names().out_of_json(left), Cow::Borrowed(_)));
    }

    #[test]
    fn a_name_is_also_found_in_another_notation() {
        let html = |name: &str| name.replace('"', "&quot;");
        let names = names().written(&[html]).unwrap();
        assert_eq!(names.out_of("<code>Jane &quot;Doe&quot; cries</code>"), "<code>(forgotten)</code>");
    }
}
