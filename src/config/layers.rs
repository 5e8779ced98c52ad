//! Settings in layers: defaults, then a file, then `WEBEMOTION_*`. Records the origin of every value, and names the line or
//! the variable of a wrong one. The template defines which settings there are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::{Config, TEMPLATE, wrong};
use crate::failure::Failure;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is the default.
    Default,
    /// A settings file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment { name } => f.write_str(name),
        }
    }
}

/// The settings in force and where each came from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The settings.
    pub config: Config,
    /// Every setting by its full name, such as `crawl.pause_s`.
    pub origins: BTreeMap<String, Origin>,
}

/// Settings that are paths: in a file they are relative to that file.
const PATHS: [&str; 5] = ["crawl.lexicon", "crawl.youtube_ca", "tools.ytdlp", "tools.mtcnn", "run.metrics"];
/// Variables with a shorter name than their setting.
const SHORT: [(&str, &str); 2] = [("WEBEMOTION_YTDLP", "tools.ytdlp"), ("WEBEMOTION_MTCNN", "tools.mtcnn")];
const PREFIX: &str = "WEBEMOTION_";

/// Lays a file and the environment over the defaults; checks every name, type and value.
pub(super) fn resolve(
    file: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Resolved, Failure> {
    let known = known();
    let mut layers = Layers {
        values: Table::new(),
        origins: known.keys().map(|name| (name.clone(), Origin::Default)).collect(),
    };
    if let Some(path) = file {
        layers.lay_file(path, &known)?;
    }
    let mut variables: Vec<_> =
        environment.filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    variables.sort();
    for (name, value) in variables {
        layers.lay_variable(&name, &value, &known)?;
    }
    let Layers { values, origins } = layers;
    let config: Config =
        values.try_into().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
    config.check().map_err(|complaint| {
        let name = complaint.split_whitespace().next().unwrap_or_default();
        match origins.get(name) {
            Some(origin) if *origin != Origin::Default => wrong(format!("{origin}: {complaint}")),
            _ => wrong(format!("the settings: {complaint}")),
        }
    })?;
    Ok(Resolved { config, origins })
}

struct Layers {
    values: Table,
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    fn lay_file(&mut self, path: &Path, known: &BTreeMap<String, Value>) -> Result<(), Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))?;
        let at = |error: toml::de::Error| wrong(format!("{}: {error}", path.display()));
        let document = DeTable::parse(&text).map_err(at)?;
        let mut places = Vec::new();
        collect_places(document.get_ref(), "", &mut places);
        for (name, offset) in places {
            let line = text[..offset].matches('\n').count() + 1;
            if !known.contains_key(&name) {
                return Err(unknown(&format!("{} line {line}", path.display()), &name, known));
            }
            self.origins.insert(name, Origin::File { path: path.to_owned(), line });
        }
        // The whole text, since this error shows the line with a value of the wrong type.
        let _: Config = toml::from_str(&text).map_err(at)?;
        self.values = toml::from_str(&text).map_err(at)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for name in PATHS {
            if let Some(Value::String(file)) = find(&mut self.values, name) {
                *file = folder.join(&*file).display().to_string();
            }
        }
        if let Some(Value::String(source)) = find(&mut self.values, "run.source")
            && let Some(("local", place)) = source.split_once(':')
        {
            *source = format!("local:{}", folder.join(place).display());
        }
        Ok(())
    }

    fn lay_variable(
        &mut self,
        variable: &str,
        text: &OsString,
        known: &BTreeMap<String, Value>,
    ) -> Result<(), Failure> {
        let short =
            SHORT.iter().find(|(name, _)| *name == variable).map(|(_, setting)| (*setting).to_owned());
        let named = || known.keys().find(|setting| variable_of(setting) == variable).cloned();
        let Some(setting) = short.or_else(named) else {
            return match meant_by(variable, known) {
                Some(meant) => Err(unknown(variable, &meant, known)),
                None => Ok(()),
            };
        };
        let Some(text) = text.to_str() else { return Err(wrong(format!("{variable} is not UTF-8"))) };
        let value = known.get(&setting).and_then(|example| read(text, example));
        let Some(value) = value else {
            let kind = known.get(&setting).map_or("value", Value::type_str);
            return Err(wrong(format!("{variable}: '{text}' is no {kind}, as {setting} is")));
        };
        let mut layer = Table::new();
        put(&mut layer, &setting, value.clone());
        // Alone, so that an error is about this variable.
        let alone: Result<Config, _> = layer.try_into();
        alone.map_err(|error: toml::de::Error| wrong(format!("{variable}: {}", error.message())))?;
        put(&mut self.values, &setting, value);
        self.origins.insert(setting, Origin::Environment { name: variable.to_owned() });
        Ok(())
    }
}

/// The setting that an unknown variable probably means: one whose section exists, or nearly does. Other variables with our
/// prefix are ignored: Kubernetes sets such ones for each of its services.
fn meant_by(variable: &str, known: &BTreeMap<String, Value>) -> Option<String> {
    let meant = variable.strip_prefix(PREFIX)?.to_ascii_lowercase().replacen('_', ".", 1);
    let (section, _) = meant.split_once('.')?;
    let mut sections = known.keys().filter_map(|name| Some(name.split_once('.')?.0));
    sections.any(|there| edits(section, there) * 3 <= there.len()).then_some(meant)
}

/// Every setting of the template with its example value.
fn known() -> BTreeMap<String, Value> {
    let set: String =
        TEMPLATE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    let table: Table = toml::from_str(&set).expect("the template is a constant, and a test reads it");
    let mut known = BTreeMap::new();
    flatten(&table, "", &mut known);
    known
}

fn flatten(table: &Table, above: &str, found: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => flatten(inner, &format!("{above}{key}."), found),
            other => drop(found.insert(format!("{above}{key}"), other.clone())),
        }
    }
}

/// Every key of a document whose value is not a table, with its byte offset.
fn collect_places(table: &DeTable<'_>, above: &str, found: &mut Vec<(String, usize)>) {
    for (key, value) in table {
        let name = format!("{above}{}", key.get_ref());
        match Spanned::get_ref(value) {
            DeValue::Table(inner) if !inner.is_empty() => collect_places(inner, &format!("{name}."), found),
            DeValue::Table(_) => {}
            _ => found.push((name, key.span().start)),
        }
    }
}

/// The environment variable of a setting: `crawl.pause_s` is `WEBEMOTION_CRAWL_PAUSE_S`.
fn variable_of(setting: &str) -> String {
    format!("{PREFIX}{}", setting.to_ascii_uppercase().replace('.', "_"))
}

/// Reads a variable's text as a value of the same type as an example; a list may be separated by commas.
fn read(text: &str, example: &Value) -> Option<Value> {
    let parsed = || toml::from_str::<Table>(&format!("value = {text}")).ok()?.remove("value");
    match example {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Float(_) => Some(Value::Float(text.parse().ok()?)),
        Value::Array(_) if !text.trim_start().starts_with('[') => {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            Some(Value::Array(words.map(|word| Value::String(word.to_owned())).collect()))
        }
        _ => parsed().filter(|value| value.same_type(example)),
    }
}

fn find<'a>(table: &'a mut Table, setting: &str) -> Option<&'a mut Value> {
    match setting.split_once('.') {
        Some((section, rest)) => find(table.get_mut(section)?.as_table_mut()?, rest),
        None => table.get_mut(setting),
    }
}

fn put(table: &mut Table, setting: &str, value: Value) {
    match setting.split_once('.') {
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
        None => drop(table.insert(setting.to_owned(), value)),
    }
}

fn unknown(place: &str, name: &str, known: &BTreeMap<String, Value>) -> Failure {
    let failure = wrong(format!("{place}: there is no setting {name}"));
    match nearest(name, known.keys()) {
        Some(meant) => failure.with_hint(format!("did you mean {meant}?")),
        None => failure,
    }
}

/// The most similar name, if at most a third of its letters differ.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let key = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    // A correct key in the wrong section counts as one edit.
    let apart = |other: &str| edits(name, other).min(1 + edits(&key(name), &key(other)));
    names
        .map(|other| (apart(other), other))
        .min()
        .filter(|(edits, other)| edits * 3 <= other.len())
        .map(|(_, it)| it)
}

/// The Levenshtein distance.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = place + 1;
        for at in 0..other.len() {
            let change = corner + usize::from(letter != other[at]);
            corner = row[at + 1];
            row[at + 1] = change.min(row[at] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, variables: &[(&str, &str)]) -> Result<Resolved, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webemotion.toml");
        std::fs::write(&path, text).unwrap();
        resolve(Some(&path), variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let text = "[crawl]\npause_s = 2.0\nvideos_per_hour = 50\n";
        let variables = [
            ("WEBEMOTION_CRAWL_PAUSE_S", "7"),
            ("WEBEMOTION_RUN_COMMANDS", "crawl, report"),
            ("WEBEMOTION_TRAIN_WHEN_NEW_SAMPLES", "9"),
            ("WEBEMOTION_DATA", "elsewhere"),
        ];
        let Resolved { config, origins } = resolved(text, &variables).unwrap();
        assert_eq!(
            (config.crawl.pause_s, config.crawl.videos_per_hour, config.crawl.max_duration_s),
            (7.0, 50, 240)
        );
        assert_eq!((config.run.commands.len(), config.train.when.new_samples), (2, 9));
        assert_eq!(origins["crawl.pause_s"].to_string(), "WEBEMOTION_CRAWL_PAUSE_S");
        assert!(origins["crawl.videos_per_hour"].to_string().ends_with("webemotion.toml line 3"));
        assert_eq!(origins["crawl.lexicon"], Origin::Default);
    }

    #[test]
    fn a_wrong_name_is_an_error_with_its_place_and_the_right_one() {
        let failure = resolved("[crawl]\n\nmax_durations_s = 3\n", &[]).unwrap_err();
        assert!(
            failure.detail.ends_with("line 3: there is no setting crawl.max_durations_s"),
            "{}",
            failure.detail
        );
        assert_eq!(failure.hint.as_deref(), Some("did you mean crawl.max_duration_s?"));
        let failure = resolved("[clips]\nvideos_per_hour = 3\n", &[]).unwrap_err();
        assert_eq!(failure.hint.as_deref(), Some("did you mean crawl.videos_per_hour?"));
        let failure = resolved("", &[("WEBEMOTION_CRAWL_PAUSES_S", "1")]).unwrap_err();
        assert!(failure.detail.contains("WEBEMOTION_CRAWL_PAUSES_S"), "{}", failure.detail);
        assert_eq!(failure.hint.as_deref(), Some("did you mean crawl.pause_s?"));
    }

    #[test]
    fn a_wrong_value_is_an_error_with_its_line_or_variable() {
        let failure = resolved("[clips]\n\n\nmin_coverage = 3.0\n", &[]).unwrap_err();
        assert!(
            failure.detail.contains("line 4") && failure.detail.contains("min_coverage"),
            "{}",
            failure.detail
        );
        let failure = resolved("[crawl]\npause_s = \"long\"\n", &[]).unwrap_err();
        assert!(failure.detail.contains("line 2"), "{}", failure.detail);
        let failure = resolved("", &[("WEBEMOTION_CRAWL_MAX_DURATION_S", "long")]).unwrap_err();
        assert!(failure.detail.contains("'long' is no integer"), "{}", failure.detail);
        let failure = resolved("", &[("WEBEMOTION_CRAWL_LICENCE", "none")]).unwrap_err();
        assert!(failure.detail.contains("WEBEMOTION_CRAWL_LICENCE"), "{}", failure.detail);
        let failure = resolved("", &[("WEBEMOTION_CLIPS_MIN_COVERAGE", "2")]).unwrap_err();
        assert!(
            failure.detail.starts_with("WEBEMOTION_CLIPS_MIN_COVERAGE: clips.min_coverage"),
            "{}",
            failure.detail
        );
    }

    #[test]
    fn a_variable_with_a_mistyped_section_is_an_error_and_one_of_another_program_is_not() {
        let failure = resolved("", &[("WEBEMOTION_CLIP_MIN_CLIP_MS", "4000")]).unwrap_err();
        assert!(failure.detail.starts_with("WEBEMOTION_CLIP_MIN_CLIP_MS"), "{}", failure.detail);
        assert_eq!(failure.hint.as_deref(), Some("did you mean clips.min_clip_ms?"));
        let own = ["DATA", "YOUTUBE_API_KEY_FILE", "CLOCK_SHIFT_S", "MAX_RUNTIME", "VIDEOS"];
        for name in own.iter().chain(&["SERVICE_HOST", "SERVICE_PORT", "PORT_80_TCP_ADDR"]) {
            resolved("", &[(&format!("{PREFIX}{name}"), "x")]).unwrap();
        }
    }

    #[test]
    fn edits_are_the_levenshtein_distance() {
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("same", "same")), (3, 3, 0));
    }
}
