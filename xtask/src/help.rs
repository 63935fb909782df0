//! Adapts help texts to the program's name and to the repository: its variables and where its files are. The texts in the source
//! are written for Sutra.

use clap::builder::StyledStr;
use clap::{Arg, Command};

use host::layout::Layout;
use host::paths::Repository;
use host::program::{CARGO_XTASK, PROGRAM};
use model::manifest::{DEFAULT_ENV_PREFIX, SUTRA_ENV_PREFIX};
use model::reader;

/// Texts to replace, with their replacements.
pub struct Replacements(Vec<(String, String)>);

impl Replacements {
    /// For the repository around the current folder; outside of any, for a new one.
    pub fn here() -> Replacements {
        let repository = Repository::locate(None).ok();
        let manifest = repository.as_ref().and_then(|repository| reader::load(repository).ok());
        let prefix = manifest.map_or_else(|| DEFAULT_ENV_PREFIX.to_owned(), |manifest| manifest.env_prefix);
        let layout = repository.map_or(Layout::Plain, |repository| repository.layout().clone());
        Replacements::new(&layout, &prefix)
    }

    fn new(layout: &Layout, prefix: &str) -> Replacements {
        let mut all = vec![
            (CARGO_XTASK.to_owned(), PROGRAM.name().to_owned()),
            (format!("${SUTRA_ENV_PREFIX}"), format!("${prefix}")),
        ];
        let files = |layout: &Layout| {
            [layout.state("".as_ref()).display().to_string(), layout.sizes_lock().to_owned()]
        };
        all.extend(files(&Layout::Xtask).into_iter().zip(files(layout)));
        all.retain(|(from, to)| from != to);
        Replacements(all)
    }

    fn apply(&self, text: &StyledStr) -> Option<String> {
        let text = text.ansi().to_string();
        let new = self.0.iter().fold(text.clone(), |text, (from, to)| text.replace(from, to));
        (new != text).then_some(new)
    }

    /// The command line with these texts.
    pub fn adapt(&self, command: Command) -> Command {
        self.texts(command.name(PROGRAM.name()).bin_name(PROGRAM.name()))
    }

    fn texts(&self, mut command: Command) -> Command {
        if let Some(text) = command.get_about().and_then(|text| self.apply(text)) {
            command = command.about(text);
        }
        if let Some(text) = command.get_long_about().and_then(|text| self.apply(text)) {
            command = command.long_about(text);
        }
        if let Some(text) = command.get_after_help().and_then(|text| self.apply(text)) {
            command = command.after_help(text);
        }
        command.mut_args(|arg| self.arg(arg)).mut_subcommands(|command| self.texts(command))
    }

    fn arg(&self, mut arg: Arg) -> Arg {
        if let Some(text) = arg.get_help().and_then(|text| self.apply(text)) {
            arg = arg.help(text);
        }
        match arg.get_long_help().and_then(|text| self.apply(text)) {
            Some(text) => arg.long_help(text),
            None => arg,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_sutra_become_those_of_the_repository() {
        let command = Command::new("x").after_help("cargo xtask x # target/xtask/a.json").subcommand(
            Command::new("y")
                .about("reads xtask/sizes.lock.toml")
                .arg(Arg::new("z").help("Tag [default: $SUTRA_VERSION, else latest]")),
        );
        let adapted = Replacements::new(&Layout::Plain, "ACME_").adapt(command.clone());
        assert_eq!(adapted.get_after_help().unwrap().to_string(), "cargo xtask x # .images/a.json");
        let sub = adapted.find_subcommand("y").unwrap();
        assert_eq!(sub.get_about().unwrap().to_string(), "reads sizes.lock.toml");
        let arg = sub.get_arguments().next().unwrap();
        assert_eq!(arg.get_help().unwrap().to_string(), "Tag [default: $ACME_VERSION, else latest]");
        assert!(
            Replacements::new(&Layout::Xtask, SUTRA_ENV_PREFIX).0.is_empty(),
            "nothing to replace at home"
        );
    }
}
