//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What is printed for `--help`.
pub(crate) const USAGE: &str = "\
usage: nginx-entry serve --template FILE --out FILE -- COMMAND [ARGUMENT...]
       nginx-entry healthcheck URL";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// Fill the template, then become the command.
    Serve(Serve),
    /// Ask this URL once.
    Healthcheck(String),
    /// Explain the usage.
    Help,
}

/// The arguments of `serve`.
#[derive(Debug, PartialEq)]
pub(crate) struct Serve {
    /// The template to read.
    pub template: PathBuf,
    /// The file to write.
    pub out: PathBuf,
    /// The program to become, with its arguments; never empty.
    pub command: Vec<OsString>,
}

/// Reads the arguments that follow the program's name. Errors are one line, for the person who typed them.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Command, String> {
    let Some((verb, rest)) = arguments.split_first() else {
        return Err(format!("a subcommand is missing\n{USAGE}"));
    };
    match verb.to_str() {
        Some("serve") => parse_serve(rest).map(Command::Serve),
        Some("healthcheck") => match rest {
            [url] => Ok(Command::Healthcheck(url.to_string_lossy().into_owned())),
            _ => Err(format!("healthcheck takes exactly one URL\n{USAGE}")),
        },
        Some("-h" | "--help" | "help") => Ok(Command::Help),
        _ => Err(format!("unknown subcommand {verb:?}\n{USAGE}")),
    }
}

fn parse_serve(arguments: &[OsString]) -> Result<Serve, String> {
    let (mut template, mut out) = (None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let slot = match argument.to_str() {
            Some("--template") => &mut template,
            Some("--out") => &mut out,
            Some("--") => break,
            _ => return Err(format!("serve does not know {argument:?}\n{USAGE}")),
        };
        let value = rest.next().ok_or_else(|| format!("{argument:?} needs a file\n{USAGE}"))?;
        *slot = Some(PathBuf::from(value));
    }
    let command: Vec<OsString> = rest.cloned().collect();
    if command.is_empty() {
        return Err(format!("serve needs a command after --\n{USAGE}"));
    }
    Ok(Serve {
        template: template.ok_or_else(|| format!("serve needs --template FILE\n{USAGE}"))?,
        out: out.ok_or_else(|| format!("serve needs --out FILE\n{USAGE}"))?,
        command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Command, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn serve_keeps_everything_after_the_dashes_for_the_command() {
        let parsed = parse_words(&["serve", "--out", "o", "--template", "t", "--", "nginx", "--out", "--"]);
        assert_eq!(
            parsed,
            Ok(Command::Serve(Serve {
                template: "t".into(),
                out: "o".into(),
                command: vec!["nginx".into(), "--out".into(), "--".into()],
            }))
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for (words, named) in [
            (&["serve", "--out", "o", "--", "x"][..], "--template"),
            (&["serve", "--template", "t", "--", "x"], "--out"),
            (&["serve", "--template", "t", "--out", "o"], "after --"),
            (&["serve", "--template"], "needs a file"),
            (&["healthcheck"], "one URL"),
            (&["dance"], "dance"),
            (&[], "subcommand"),
        ] {
            let message = parse_words(words).expect_err("must be refused");
            assert!(message.contains(named), "{message}");
        }
    }
}
