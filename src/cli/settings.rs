//! `webemotion config`: shows the settings in force and the origin of each, or writes a documented settings file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::{Origin, Resolved, TEMPLATE};
use crate::failure::{Exit, Failure, Reason};
use crate::files::write_whole;

use super::run::Work;
use super::{Global, say, session};

/// Flags of `config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  webemotion config init webemotion.toml\n  webemotion config show\n  \
    WEBEMOTION_CRAWL_PAUSE_S=10 webemotion config show     every setting has such a variable\n  \
    webemotion config show --json | jq .origins\n\n\
    Defaults, then webemotion.toml, then WEBEMOTION_SECTION_SETTING, then flags. Secrets are no settings:\n\
    WEBEMOTION_YOUTUBE_API_KEY, or WEBEMOTION_YOUTUBE_API_KEY_FILE with a file that only its owner may read.")]
pub(crate) struct SettingsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write a file with every setting, its default and what it means
    #[command(after_help = "Example:\n  webemotion config init webemotion-data/webemotion.toml")]
    Init {
        /// Where to
        #[arg(default_value = "webemotion.toml")]
        file: PathBuf,
    },
    /// Print the settings in force, and where each came from
    #[command(after_help = "Example:\n  webemotion --config other.toml config show")]
    Show,
}

pub(crate) fn run(args: &SettingsArgs, global: &Global) -> anyhow::Result<Exit> {
    match &args.what {
        What::Init { file } if file.exists() => {
            let detail = format!("{} exists already", file.display());
            Err(Failure::permanent(Reason::Usage, detail)
                .with_hint("name another file, or move this one")
                .into())
        }
        What::Init { file } => {
            let folder = file.parent().unwrap_or(Path::new(""));
            let written =
                std::fs::create_dir_all(folder).and_then(|()| write_whole(file, TEMPLATE.as_bytes()));
            written.map_err(|error| Failure::unwritable(file, &error))?;
            if global.json {
                say(json!({"event": "configured", "file": file}));
            } else {
                say(format_args!("wrote {}", file.display()));
            }
            Ok(Exit::Done)
        }
        What::Show => {
            let resolved = session::resolve_config(global)?;
            Work::of(&resolved.config)?;
            if global.json {
                let origins: BTreeMap<&String, String> =
                    resolved.origins.iter().map(|(name, origin)| (name, origin.to_string())).collect();
                say(json!({"event": "settings", "settings": resolved.config, "origins": origins}));
            } else {
                say(show(&resolved)?.trim_end());
            }
            Ok(Exit::Done)
        }
    }
}

/// The settings as a file, with the origin of each in a comment; those that are not set are listed at the end.
fn show(resolved: &Resolved) -> anyhow::Result<String> {
    let Resolved { config, origins } = resolved;
    let (mut section, mut shown, mut text) = (String::new(), Vec::new(), String::new());
    for line in toml::to_string(config)?.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        }
        let name = line.split_once(" = ").map(|(key, _)| format!("{section}{key}"));
        match name.and_then(|name| Some((origins.get(&name)?, name))) {
            Some((origin, name)) => {
                text += &format!("{line:<52} # {origin}\n");
                shown.push(name);
            }
            None => text += &format!("{line}\n"),
        }
    }
    let unset = origins.iter().filter(|(name, origin)| **origin == Origin::Default && !shown.contains(name));
    let unset: Vec<&str> = unset.map(|(name, _)| name.as_str()).collect();
    Ok(format!("{text}\n# not set: {}\n", unset.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn every_setting_is_shown_with_its_origin() {
        let resolved = Config::resolve(None).unwrap();
        let text = show(&resolved).unwrap();
        let known: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(known["crawl"]["videos_per_hour"], toml::Value::Integer(200));
        for name in resolved.origins.keys() {
            let key = name.rsplit('.').next().unwrap();
            assert!(text.contains(key), "{name}");
        }
        assert!(text.contains("# not set: crawl.lexicon"), "{text}");
    }
}
