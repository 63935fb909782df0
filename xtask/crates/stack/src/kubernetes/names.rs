//! Object names.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// Maximum length of a name (RFC 1035, label).
const LONGEST: usize = 63;
/// Maximum length of a port's name (`IANA_SVC_NAME`).
const LONGEST_PORT: usize = 15;

/// A valid name for a Service (RFC 1035, label): lower-case letters, digits and dashes, starting with a letter. Other characters become
/// dashes.
pub(super) fn label(text: &str) -> String {
    let lower = text.chars().map(|c| c.to_ascii_lowercase());
    let dashed: String = lower.map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let dashed = dashed.trim_matches('-');
    let whole = match dashed.chars().next() {
        Some(first) if first.is_ascii_lowercase() => dashed.to_owned(),
        _ => format!("x-{dashed}"),
    };
    whole[..whole.len().min(LONGEST)].trim_end_matches('-').to_owned()
}

/// Whether `text` is a valid name.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && label(text) == text
}

/// A valid port name derived from `text`; `None` if `text` has no ASCII letter.
pub(super) fn port(text: &str) -> Option<String> {
    let mut name = label(text);
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    name.truncate(LONGEST_PORT);
    let name = name.trim_end_matches('-').to_owned();
    text.contains(|c: char| c.is_ascii_alphabetic()).then_some(name)
}

/// Object names by the service's name in the Compose file.
///
/// # Errors
/// When two services map to the same name.
pub(super) fn of_services<'s>(
    services: impl Iterator<Item = &'s String>,
) -> Result<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    let mut owners: BTreeMap<String, &String> = BTreeMap::new();
    for service in services {
        let name = label(service);
        if let Some(other) = owners.insert(name.clone(), service) {
            bail!(
                "two services map to the Kubernetes name `{name}`: {other}, {service}\nhelp: rename one of them in the Compose file"
            );
        }
        names.insert(service.clone(), name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rfc_1035() {
        for (text, name) in [
            ("sutra-api", "sutra-api"),
            ("My_Service.2", "my-service-2"),
            ("2fa", "x-2fa"),
            ("_", "x"),
            ("a_", "a"),
        ] {
            assert_eq!(label(text), name, "{text}");
        }
        let long = label(&"a-".repeat(40));
        assert!(long.len() <= LONGEST && long.ends_with('a'), "{long}");
    }

    #[test]
    fn port_names_have_a_letter_and_fifteen_characters() {
        assert_eq!(port("web"), Some("web".to_owned()));
        assert_eq!(port("The_Admin__Interface"), Some("the-admin-inter".to_owned()));
        assert_eq!(port("8080"), None);
    }

    #[test]
    fn two_services_with_one_name_are_an_error() {
        let names = ["a_b".to_owned(), "a-b".to_owned()];
        let error = of_services(names.iter()).unwrap_err().to_string();
        assert!(error.contains("two services map to the Kubernetes name `a-b`: a_b, a-b\nhelp: "), "{error}");
    }
}
