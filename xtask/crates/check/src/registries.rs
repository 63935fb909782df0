//! Where this machine gets Python and npm packages. Asks pip and npm, which know their configuration and defaults.

use host::process::{Cmd, Runner};

/// The JSON API of pip's index, or why it is unknown. Warehouse serves it beside the simple API.
pub(crate) fn python(runner: &Runner) -> Result<String, String> {
    // The help shows the index in use, in one line if that is long enough.
    let help =
        read(&runner.cmd("python3").args(["-m", "pip", "download", "--help"]).env("COLUMNS", "1000"), "pip")?;
    let index =
        index_in(&help).ok_or("pip does not show which index it uses; set it with --source pypi=URL")?;
    let root = index.trim_end_matches('/').strip_suffix("/simple");
    let root = root.ok_or("pip's index does not end in /simple; set its JSON API with --source pypi=URL")?;
    without_password(&format!("{root}/pypi"), "pypi")
}

/// npm's registry, or why it is unknown.
pub(crate) fn npm(runner: &Runner) -> Result<String, String> {
    let registry = read(&runner.cmd("npm").args(["config", "get", "registry"]), "npm")?;
    without_password(registry.trim().trim_end_matches('/'), "npm")
}

fn read(command: &Cmd, program: &str) -> Result<String, String> {
    let output = command.capture().ok().filter(host::process::Output::success);
    let source = if program == "pip" { "pypi" } else { program };
    let unknown = || {
        format!("{program} is not installed, so its registry is unknown; set it with --source {source}=URL")
    };
    output.map(|output| output.stdout).ok_or_else(unknown)
}

/// The default of `--index-url` in the help of a pip command.
fn index_in(help: &str) -> Option<&str> {
    let (_, rest) = help.split_once("--index-url <url>")?;
    let (_, rest) = rest.split_once("(default ")?;
    Some(rest.split_once(')')?.0.trim())
}

/// Locations are printed, and are arguments of curl.
fn without_password(url: &str, source: &str) -> Result<String, String> {
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    match host.contains('@') {
        false => Ok(url.to_owned()),
        true => Err(format!(
            "the registry's URL contains a password; move the password to ~/.netrc and pass the URL without it: --source {source}=URL"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_found_in_pips_help() {
        let help = "  -i, --index-url <url>  Base URL of the Python Package Index (default https://a.example/my-simple/). This \
                    should point\n  --extra-index-url <url>  Extra URLs (default none)";
        assert_eq!(index_in(help), Some("https://a.example/my-simple/"));
        assert_eq!(index_in("  --extra-index-url <url>  Extra URLs"), None);
    }

    #[test]
    fn a_url_with_a_password_is_not_used() {
        assert_eq!(
            without_password("https://a.example/pypi", "pypi"),
            Ok("https://a.example/pypi".to_owned())
        );
        let refused = without_password("https://me:s3cret@a.example/pypi", "pypi").unwrap_err();
        assert!(refused.contains("~/.netrc") && !refused.contains("s3cret"), "{refused}");
    }
}
