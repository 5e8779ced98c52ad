//! `webemotion config`: shows the settings in force, or writes a documented file to begin with.

use std::path::PathBuf;

use anyhow::Context;

use crate::config::TEMPLATE;
use crate::failure::{Exit, Failure, Reason};

use super::{Global, say, session};

/// Flags of `config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  webemotion config init webemotion.toml\n  webemotion config show")]
pub(crate) struct SettingsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write a file with every setting, its default and what it means
    Init {
        /// Where to
        #[arg(default_value = "webemotion.toml")]
        file: PathBuf,
    },
    /// Print the settings in force
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
            std::fs::write(file, TEMPLATE).with_context(|| format!("cannot write {}", file.display()))?;
            say(format_args!("wrote {}", file.display()));
            Ok(Exit::Done)
        }
        What::Show => {
            let config = session::load_config(global)?;
            if global.json {
                say(serde_json::to_string(&config)?);
            } else {
                say(toml::to_string_pretty(&config)?);
            }
            Ok(Exit::Done)
        }
    }
}
