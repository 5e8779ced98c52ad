//! `webemotion completions` and `webemotion man`: shell completions and manual pages, generated from the flags.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::failure::{Exit, Failure};

use super::{Cli, say};

/// Flags of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion completions bash > ~/.local/share/bash-completion/completions/webemotion\n  \
    webemotion completions zsh > ~/.zfunc/_webemotion\n  \
    webemotion completions fish > ~/.config/fish/completions/webemotion.fish"
)]
pub(crate) struct CompletionsArgs {
    /// Whose
    #[arg(value_enum)]
    shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  webemotion man ~/.local/share/man/man1 && man webemotion-crawl")]
pub(crate) struct ManArgs {
    /// The folder to write a page for every command to
    folder: PathBuf,
}

pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "webemotion", &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Done)
}

pub(crate) fn man(args: &ManArgs, json: bool) -> anyhow::Result<Exit> {
    let folder = &args.folder;
    // The pager wraps long lines, and hidden commands have no page.
    let command = Cli::command().term_width(0);
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.map_err(|error| Failure::unwritable(folder, &error))?;
    if json {
        say(json!({"event": "manual", "folder": folder}));
    } else {
        say(format_args!("man: pages in {}", folder.display()));
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command and its subcommands, without hidden ones and clap's own `help`.
    fn commands(of: &clap::Command) -> Vec<&clap::Command> {
        let shown = of.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help");
        shown.flat_map(|it| std::iter::once(it).chain(commands(it))).collect()
    }

    #[test]
    fn every_command_has_a_description_and_an_example() {
        let program = Cli::command();
        for command in commands(&program) {
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{name} shows no example");
            assert!(help.contains("webemotion"), "{name}'s example is not one to type");
            assert!(command.get_about().is_some(), "{name} does not say what it does");
            for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()) {
                let is_said = flag.get_help().is_some() || flag.get_id() == "help";
                assert!(is_said, "{name} --{} says nothing", flag.get_id());
            }
        }
    }

    #[test]
    fn a_file_instead_of_a_folder_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = man(&ManArgs { folder: file.path().to_owned() }, false).unwrap_err();
        assert_eq!(refused.downcast::<Failure>().unwrap().exit(), Exit::Usage);
    }

    #[test]
    fn every_command_has_a_page_and_a_completion() {
        let folder = tempfile::tempdir().unwrap();
        man(&ManArgs { folder: folder.path().to_owned() }, false).unwrap();
        let page = std::fs::read_to_string(folder.path().join("webemotion-crawl.1")).unwrap();
        assert!(page.contains(".TH") && page.contains("accept"));
        assert!(!folder.path().join("webemotion-worker.1").exists());
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "webemotion", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("max-runtime") && script.contains("backup"), "{shell}");
        }
    }
}
