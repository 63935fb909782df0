//! Build arguments that hold secrets, often filled in by Compose from the environment: no plan, message or error shows their values.

use std::collections::BTreeMap;

use anyhow::Result;

use contents::scan::Scanner;
use contents::scan::names::is_secret;
use engine::bake::Definition;
use host::secrets::Secrets;

const MASK: &str = "***";

/// The definition to print. Arguments show `***` if their name is that of a secret or their value is a credential; the same values
/// are masked elsewhere in the definition, too.
///
/// # Errors
/// When the scanner cannot be made.
pub fn printable(definition: &Definition, secrets: &Secrets) -> Result<String> {
    let scanner = Scanner::new(&[])?;
    register_found(definition, &scanner, secrets);
    let mut shown = definition.clone();
    for target in shown.target.values_mut() {
        without_secrets(&scanner, &mut target.args);
    }
    Ok(secrets.mask(&shown.json()?))
}

/// Registers secret values, so that errors and messages show `***` instead.
///
/// # Errors
/// When the scanner cannot be made.
pub(crate) fn register(definition: &Definition, secrets: &Secrets) -> Result<()> {
    register_found(definition, &Scanner::new(&[])?, secrets);
    Ok(())
}

/// Replaces secret values with `***`.
pub(crate) fn without_secrets(scanner: &Scanner, args: &mut BTreeMap<String, String>) {
    for (name, value) in args {
        if holds_secret(scanner, name, value) {
            MASK.clone_into(value);
        }
    }
}

fn register_found(definition: &Definition, scanner: &Scanner, secrets: &Secrets) {
    for (name, value) in definition.target.values().flat_map(|target| &target.args) {
        // Masking a switch such as `USE_TOKEN=true` everywhere would make other messages unreadable.
        if holds_secret(scanner, name, value) && !["true", "false"].contains(&value.as_str()) {
            secrets.add(value);
        }
    }
}

/// Whether the name is that of a secret, or the value is a token, a private key or a URL with a password.
fn holds_secret(scanner: &Scanner, name: &str, value: &str) -> bool {
    // Under this path the scanner also finds passwords in URLs.
    let path = ".git-credentials";
    !value.is_empty() && (is_secret(name) || !scanner.lines(path, value.as_bytes()).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::bake::Target;

    #[test]
    fn secrets_in_arguments_are_not_shown() {
        let url = format!("https://ci:{}@pip.example/simple", ["Zx81", "qwLm", "77"].concat());
        let token = ["hun", "ter", "2"].concat();
        let args = [
            ("NPM_TOKEN", token.clone()),
            ("INDEX", url.clone()),
            ("USE_TOKEN", "true".to_owned()),
            ("VERSION", "1.2".to_owned()),
        ];
        let mut definition = Definition::default();
        let args = args.map(|(name, value)| (name.to_owned(), value)).into();
        let target = Target { context: "true".to_owned(), args, ..Target::default() };
        definition.target.insert("api".to_owned(), target);
        let secrets = Secrets::default();
        let text = printable(&definition, &secrets).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
        let api = &shown["target"]["api"];
        assert_eq!(api["args"]["NPM_TOKEN"], MASK);
        assert_eq!(api["args"]["INDEX"], MASK);
        assert_eq!(api["args"]["USE_TOKEN"], MASK);
        assert_eq!(api["args"]["VERSION"], "1.2");
        assert_eq!(api["context"], "true");
        assert_eq!(secrets.mask(&format!("failed: {token} {url}")), "failed: *** ***");
        assert!(definition.json().unwrap().contains(&token), "the build itself gets the value");
    }
}
