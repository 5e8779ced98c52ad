//! The names by which texts tell of videos: found in them, and taken out. Knows what a video is called, and no table.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Match, Regex, RegexBuilder};

use super::videos::NewVideo;
use super::{CatalogError, Result, json};

/// What stands in a name's place.
const NOBODY: &str = "(forgotten)";
/// So large may the search for many names at once become; the names of ten thousand videos take a tenth of it.
pub(super) const LARGEST_BYTES: usize = 1 << 28;

/// A string of a JSON text, and the colon after it where it is a key.
static STRING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"("(?:[^"\\]|\\.)*")(\s*:)?"#).expect("the pattern is a constant, and a test uses it")
});

/// The names of videos: their ids at their sites, their titles, and of files on disk the path and the file's name.
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

    /// The same names, also as they stand where they are written in other ways.
    pub fn written(&self, ways: &[fn(&str) -> String]) -> Result<Self> {
        let mut names = self.clone();
        names.in_texts.extend(self.in_texts.iter().flat_map(|name| ways.iter().map(move |way| way(name))));
        names.finder = finder(&names.in_texts)?;
        Ok(names)
    }

    /// How the raw pages of answers have them: ids, and of a file on disk the path as JSON, the whole of it, so that of
    /// paths that begin alike only this one is meant.
    pub(super) fn in_answers(&self) -> &[String] {
        &self.in_answers
    }

    /// Whether a text has one of them as a word of its own.
    pub fn are_in(&self, text: &str) -> bool {
        self.found_in(text).next().is_some()
    }

    /// A text without them; borrowed where it has none.
    pub fn out_of<'a>(&self, text: &'a str) -> Cow<'a, str> {
        replaced(text, self.found_in(text).map(|found| (found.range(), NOBODY.to_owned())))
    }

    /// A JSON text without the strings that have one: what stands beside a name tells of the same video. Keys stay.
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

/// A title that is one plain word, a number or a few letters stands in texts about anything, and names nobody.
fn is_telling(title: &str) -> bool {
    let is_word = title.chars().all(|letter| letter.is_ascii_alphabetic());
    title.len() > 5 && title.chars().any(char::is_alphabetic) && !is_word
}

/// What finds one of these names; nothing where there are none.
fn finder(names: &BTreeSet<String>) -> Result<Option<Regex>> {
    if names.is_empty() {
        return Ok(None);
    }
    // Backwards: of two that begin alike the longer one comes first.
    let escaped: Vec<String> = names.iter().rev().map(|name| regex::escape(name)).collect();
    let finder = RegexBuilder::new(&escaped.join("|")).size_limit(LARGEST_BYTES).build();
    finder.map(Some).map_err(|error| CatalogError::Damaged { detail: error.to_string() })
}

/// Whether what was found is not a part of a longer word.
fn stands_alone(text: &str, found: &Match<'_>) -> bool {
    let is_word =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let (before, after) = (&text[..found.start()], &text[found.end()..]);
    let (first, last) = (found.as_str().chars().next(), found.as_str().chars().next_back());
    let goes_on_before = is_word(before.chars().next_back()) && is_word(first);
    let goes_on_after = is_word(last) && is_word(after.chars().next());
    !goes_on_before && !goes_on_after
}

/// A text with others in these places, which ascend.
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
    fn a_name_is_taken_out_where_it_is_a_word_of_its_own() {
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
    fn of_a_json_text_the_strings_that_have_one_go_and_it_stays_json() {
        let text = "{\n  \"c0ffee\": 1.50,\n  \"why\": \"\\nJane \\\"Doe\\\" cries\",\n  \"rest\": [\"\\\\\", \"x\"]\n}";
        let left = "{\n  \"c0ffee\": 1.50,\n  \"why\": \"(forgotten)\",\n  \"rest\": [\"\\\\\", \"x\"]\n}";
        assert_eq!(names().out_of_json(text), left);
        assert!(matches!(names().out_of_json(left), Cow::Borrowed(_)));
    }

    #[test]
    fn a_name_is_found_as_it_is_written_elsewhere_too() {
        let html = |name: &str| name.replace('"', "&quot;");
        let names = names().written(&[html]).unwrap();
        assert_eq!(names.out_of("<code>Jane &quot;Doe&quot; cries</code>"), "<code>(forgotten)</code>");
    }
}
