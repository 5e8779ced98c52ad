//! From TOML text to a checked [`Lexicon`], or to every problem with its line. It plans nothing.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;

use super::{File, Lexicon, Words};
use crate::types::Emotion;

/// Longest word of a lexicon, characters: a search text of three of them still fits the site's box.
const LONGEST_WORD: usize = 60;
const PLACES: [&str; 3] = ["{word}", "{country}", "{age_word}"];

/// Reads and checks; problems come with one-based lines, in the order of the file.
pub(super) fn read(text: &str) -> Result<Lexicon, Vec<(usize, String)>> {
    let mut problems = Problems { text, found: Vec::new() };
    let file: File = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        vec![(problems.line_of(start), error.message().trim().to_owned())]
    })?;
    problems.check_join(&file);
    problems.check_language(file.language.as_ref());
    let emotions = problems.emotions(&file);
    let mut seen = HashMap::new();
    let countries =
        file.countries.values().flat_map(|list| problems.words(list.get_ref(), &mut seen)).collect();
    let age_words = problems.words(&file.age_words, &mut HashMap::new());
    let minor_age_words = problems.words(&file.minor_age_words, &mut HashMap::new());
    for minor in file.minor_age_words.iter().filter(|minor| !age_words.contains(&tidy(minor.get_ref()))) {
        problems.add(&minor.span(), format!("'{}' is not among the age words", minor.get_ref()));
    }
    if !problems.found.is_empty() {
        problems.found.sort();
        return Err(problems.found);
    }
    Ok(Lexicon {
        name: tidy(file.name.get_ref()),
        language: file.language.map(Spanned::into_inner),
        join: file.join.into_inner(),
        emotions,
        countries,
        age_words,
        minor_age_words,
    })
}

struct Problems<'a> {
    text: &'a str,
    found: Vec<(usize, String)>,
}

impl Problems<'_> {
    fn line_of(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    fn add(&mut self, span: &Range<usize>, problem: String) {
        self.found.push((self.line_of(span.start), problem));
    }

    fn check_join(&mut self, file: &File) {
        let (join, span) = (file.join.get_ref(), file.join.span());
        if !join.contains("{word}") {
            self.add(&span, "join must contain {word}".to_owned());
        }
        let rest = PLACES.iter().fold(join.clone(), |rest, place| rest.replace(place, ""));
        if rest.contains(['{', '}']) {
            self.add(&span, format!("join knows only {}, not '{}'", PLACES.join(", "), rest.trim()));
        }
        if join.contains("{country}") && file.countries.values().all(|list| list.get_ref().is_empty()) {
            self.add(&span, "join names {country}, but there are no countries".to_owned());
        }
        if join.contains("{age_word}") && file.age_words.is_empty() {
            self.add(&span, "join names {age_word}, but there are no age_words".to_owned());
        }
    }

    fn check_language(&mut self, language: Option<&Spanned<String>>) {
        let Some(language) = language else { return };
        let code = language.get_ref();
        if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_lowercase()) {
            self.add(&language.span(), format!("'{code}' is no two-letter language code"));
        }
    }

    fn emotions(&mut self, file: &File) -> Vec<(Emotion, Vec<String>)> {
        let mut emotions = Vec::new();
        let mut seen = HashMap::new();
        for (noun, list) in file.emotions.get_ref() {
            let words = self.words(list.get_ref(), &mut seen);
            if list.get_ref().is_empty() {
                self.add(&list.span(), format!("'{}' has no words", noun.get_ref()));
            }
            match Emotion::ALL.into_iter().find(|emotion| emotion.as_str() == noun.get_ref()) {
                Some(emotion) => emotions.push((emotion, words)),
                None => {
                    let nouns = Emotion::ALL.map(Emotion::as_str).join(", ");
                    self.add(&noun.span(), format!("'{}' is none of {nouns}", noun.get_ref()));
                }
            }
        }
        if file.emotions.get_ref().is_empty() {
            self.add(&file.emotions.span(), "there are no emotions".to_owned());
        }
        emotions.sort_by_key(|(emotion, _)| *emotion);
        emotions
    }

    /// The tidied words of a list; `seen` maps each word in small letters to its first line.
    fn words(&mut self, list: &Words, seen: &mut HashMap<String, usize>) -> Vec<String> {
        let mut words = Vec::with_capacity(list.len());
        for word in list {
            let (tidied, line) = (tidy(word.get_ref()), self.line_of(word.span().start));
            if tidied.is_empty() {
                self.add(&word.span(), "an empty word".to_owned());
            } else if tidied.chars().any(char::is_control) || tidied.contains(['{', '}']) {
                self.add(&word.span(), format!("{tidied:?} contains a character that no search may"));
            } else if tidied.chars().count() > LONGEST_WORD {
                self.add(&word.span(), format!("a word of more than {LONGEST_WORD} characters"));
            } else if let Some(first) = seen.insert(tidied.to_lowercase(), line) {
                self.add(&word.span(), format!("'{tidied}' stands already on line {first}"));
            } else {
                words.push(tidied);
            }
        }
        words
    }
}

fn tidy(word: &str) -> String {
    word.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(usize, String)> {
        read(text).unwrap_err()
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let text = "name = 't'\njoin = '{word} {place}'\nlanguage = 'english'\nminor_age_words = ['baby']\n\
                    [emotions]\nfear = ['scared', ' ']\njoy = ['glad']\nanger = []\nsadness = [\n  'Scared',\n]\n";
        let found = problems(text);
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 6, 7, 8, 10], "{found:#?}");
        assert!(found[4].1.contains("'joy' is none of neutral"));
        assert!(found[6].1.contains("already on line 6"));
    }

    #[test]
    fn broken_toml_and_unknown_keys_have_lines_too() {
        assert_eq!(problems("name = 't'\njoin = \n").first().map(|(line, _)| *line), Some(2));
        let found = problems("name = 't'\njoin = '{word}'\nages = ['man']\n[emotions]\nfear = ['x']\n");
        assert_eq!(found[0].0, 3, "{found:?}");
    }

    #[test]
    fn a_join_must_not_name_an_empty_list() {
        let found = problems("name='t'\njoin='{word} {country}'\n[emotions]\nfear=['x']\n");
        assert!(found[0].1.contains("no countries"), "{found:?}");
    }

    #[test]
    fn words_that_no_search_may_carry_are_refused() {
        let long = "x".repeat(61);
        let found =
            problems(&format!("name='t'\njoin='{{word}}'\n[emotions]\nfear=[\"a\\u001bb\",\n'{long}']\n"));
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5]);
    }
}
