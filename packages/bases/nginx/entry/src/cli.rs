//! Command-line parsing.

use std::ffi::OsString;
use std::path::PathBuf;

/// The output of `--help`.
pub(crate) const USAGE: &str = "\
usage: nginx-entry serve --template FILE --out FILE -- COMMAND [ARGUMENT...]
       nginx-entry healthcheck URL";

/// A parsed command.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// Fill the template, then run the command in place of this process.
    Serve(Serve),
    /// Send one request to this URL, which may have placeholders.
    Healthcheck(String),
    /// Print the usage.
    Help,
}

/// The arguments of `serve`.
#[derive(Debug, PartialEq)]
pub(crate) struct Serve {
    /// Template file.
    pub template: PathBuf,
    /// Output file.
    pub out: PathBuf,
    /// Program to run, with its arguments; never empty.
    pub command: Vec<OsString>,
}

/// Parses the arguments after the program name. The error includes the usage.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Command, String> {
    let Some((verb, rest)) = arguments.split_first() else {
        return Err(format!("missing subcommand\n{USAGE}"));
    };
    match verb.to_str() {
        Some("serve") => parse_serve(rest).map(Command::Serve),
        Some("healthcheck") => match rest {
            [url] => Ok(Command::Healthcheck(url.to_string_lossy().into_owned())),
            _ => Err(format!("healthcheck needs exactly one URL\n{USAGE}")),
        },
        Some("-h" | "--help" | "help") => Ok(Command::Help),
        _ => Err(format!("unknown subcommand: {verb:?}\n{USAGE}")),
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
            _ => return Err(format!("unknown argument of serve: {argument:?}\n{USAGE}")),
        };
        let value = rest.next().ok_or_else(|| format!("missing file after {argument:?}\n{USAGE}"))?;
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
    fn arguments_after_the_dashes_belong_to_the_command() {
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
    fn errors_name_the_missing_part() {
        for (words, expected) in [
            (&["serve", "--out", "o", "--", "x"][..], "--template"),
            (&["serve", "--template", "t", "--", "x"], "--out"),
            (&["serve", "--template", "t", "--out", "o"], "after --"),
            (&["serve", "--template"], "missing file"),
            (&["healthcheck"], "one URL"),
            (&["dance"], "dance"),
            (&[], "subcommand"),
        ] {
            let message = parse_words(words).expect_err("an error");
            assert!(message.contains(expected), "{message}");
        }
    }
}
