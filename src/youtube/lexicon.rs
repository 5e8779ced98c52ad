//! The search words: a TOML file of emotion words, countries and age words, and the searches that follow from it. It
//! knows nothing of providers.

mod check;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use toml::Spanned;

use crate::types::Emotion;

/// A checked lexicon.
#[derive(Debug, Clone, PartialEq)]
pub struct Lexicon {
    name: String,
    language: Option<String>,
    join: String,
    emotions: Vec<(Emotion, Vec<String>)>,
    countries: Vec<String>,
    age_words: Vec<String>,
    minor_age_words: Vec<String>,
}

/// One search of a lexicon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSearch {
    /// The emotion whose evidence its results are.
    pub emotion: Emotion,
    /// The text that is searched for.
    pub text: String,
    /// The emotion word in it.
    pub word: String,
    /// The country in it.
    pub country: Option<String>,
    /// The age word in it.
    pub age_word: Option<String>,
    /// ISO 639-1 code of the language that results should prefer.
    pub language: Option<String>,
    /// Its age word mostly finds minors: it is asked only on request.
    pub surfaces_minors: bool,
}

/// All that is wrong with a lexicon file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct LexiconError {
    /// The file's name.
    pub name: String,
    /// Each problem with its one-based line.
    pub problems: Vec<(usize, String)>,
}

impl fmt::Display for LexiconError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.problems.iter().map(|(line, problem)| format!("{}:{line}: {problem}", self.name));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// The file as written; every value has its position.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    language: Option<Spanned<String>>,
    join: Spanned<String>,
    emotions: Spanned<BTreeMap<Spanned<String>, Spanned<Words>>>,
    #[serde(default)]
    countries: BTreeMap<String, Spanned<Words>>,
    #[serde(default)]
    age_words: Vec<Spanned<String>>,
    #[serde(default)]
    minor_age_words: Vec<Spanned<String>>,
}

type Words = Vec<Spanned<String>>;

impl Lexicon {
    /// Reads a lexicon; `name` stands for the file in error messages.
    ///
    /// # Errors
    /// All problems at once, each with its line.
    pub fn parse(text: &str, name: &str) -> Result<Self, LexiconError> {
        check::read(text).map_err(|problems| LexiconError { name: name.to_owned(), problems })
    }

    /// The lexicon that replicates WebEmotion: 40 words, 45 countries, 6 age words, 10,800 searches.
    pub fn builtin() -> Self {
        let text = include_str!("../../queries/youtube/webemotion.toml");
        Self::parse(text, "webemotion.toml").expect("a test reads this file")
    }

    /// The name it gives itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many searches it plans.
    pub fn count(&self) -> usize {
        let words: usize = self.emotions.iter().map(|(_, words)| words.len()).sum();
        words
            * self.choices("{country}", &self.countries).len()
            * self.choices("{age_word}", &self.age_words).len()
    }

    /// Every search, always in the same order: by emotion, word, country, age word.
    pub fn searches(&self) -> impl Iterator<Item = PlannedSearch> + '_ {
        let countries = self.choices("{country}", &self.countries);
        let age_words = self.choices("{age_word}", &self.age_words);
        let words =
            self.emotions.iter().flat_map(|(emotion, words)| words.iter().map(|word| (*emotion, word)));
        words.flat_map(move |(emotion, word)| {
            let age_words = age_words.clone();
            let pairs = countries.clone().into_iter().flat_map(move |country| {
                age_words.clone().into_iter().map(move |age_word| (country, age_word))
            });
            pairs.map(move |(country, age_word)| self.planned(emotion, word, country, age_word))
        })
    }

    fn planned(
        &self,
        emotion: Emotion,
        word: &str,
        country: Option<&str>,
        age_word: Option<&str>,
    ) -> PlannedSearch {
        let joined = self.join.replace("{country}", country.unwrap_or(""));
        let joined = joined.replace("{age_word}", age_word.unwrap_or("")).replace("{word}", word);
        PlannedSearch {
            emotion,
            text: joined.split_whitespace().collect::<Vec<_>>().join(" "),
            word: word.to_owned(),
            country: country.map(str::to_owned),
            age_word: age_word.map(str::to_owned),
            language: self.language.clone(),
            surfaces_minors: age_word
                .is_some_and(|age| self.minor_age_words.iter().any(|minor| minor == age)),
        }
    }

    /// The values of a placeholder: each word of its list, or a single none if the join has no such placeholder.
    fn choices<'a>(&self, place: &str, list: &'a [String]) -> Vec<Option<&'a str>> {
        if self.join.contains(place) {
            list.iter().map(|word| Some(word.as_str())).collect()
        } else {
            vec![None]
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_builtin_lexicon_is_the_papers_product() {
        let lexicon = Lexicon::builtin();
        assert_eq!(lexicon.emotions.len(), 8);
        assert!(lexicon.emotions.iter().all(|(_, words)| words.len() == 5));
        assert_eq!((lexicon.countries.len(), lexicon.age_words.len()), (45, 6));
        let texts: HashSet<String> = lexicon.searches().map(|search| search.text).collect();
        assert_eq!((texts.len(), lexicon.count()), (10_800, 10_800));
        assert!(texts.contains("happy France old man"));
        let published = ["happy", "funny", "ecstatic", "smug", "kawaii"];
        assert!(published.iter().all(|word| lexicon.searches().any(|search| search.word == *word)));
    }

    #[test]
    fn only_the_lists_that_the_join_names_are_multiplied() {
        let text = "name='t'\njoin='{word} face'\nage_words=['man']\n[emotions]\nfear=['scared','afraid']\n";
        let searches: Vec<PlannedSearch> = Lexicon::parse(text, "t.toml").unwrap().searches().collect();
        assert_eq!(searches.len(), 2);
        assert_eq!(searches[0].text, "scared face");
        assert_eq!((searches[0].country.as_deref(), searches[0].age_word.as_deref()), (None, None));
    }

    #[test]
    fn searches_that_surface_minors_say_so() {
        let minors = Lexicon::builtin().searches().filter(|search| search.surfaces_minors).count();
        assert_eq!(minors, 1_800);
    }
}
