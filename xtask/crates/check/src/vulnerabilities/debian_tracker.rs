//! Debian's security tracker: all vulnerabilities of source packages, fixed or not, by release.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::vulnerabilities::advisory::Advisory;
use crate::vulnerabilities::component::Component;
use crate::vulnerabilities::debian_version::compare;
use crate::vulnerabilities::severity::Severity;
use crate::vulnerabilities::source::SourceName;

/// The vulnerabilities of one source package by ID.
type Entries = BTreeMap<String, Entry>;

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    description: String,
    #[serde(default)]
    releases: BTreeMap<String, InRelease>,
}

#[derive(Deserialize)]
struct InRelease {
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: String,
}

/// The vulnerabilities of components in the tracker's data.
///
/// # Errors
/// When it is not the tracker's JSON.
pub(super) fn find(json: &[u8], components: &[&Component]) -> Result<Vec<Advisory>> {
    let wanted = Wanted(components.iter().map(|component| component.name.as_str()).collect());
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = wanted.deserialize(&mut reader).context("not the data of Debian's security tracker")?;
    let of_component = |component: &&Component| {
        let entries = found.get(&component.name);
        let advisories = entries.into_iter().flatten();
        let component = (*component).clone();
        advisories.filter_map(move |(id, entry)| advisory(&component, id, entry)).collect::<Vec<_>>()
    };
    Ok(components.iter().flat_map(of_component).collect())
}

fn advisory(component: &Component, id: &str, entry: &Entry) -> Option<Advisory> {
    let state = entry.releases.get(component.release.as_deref()?)?;
    let fixed = state.fixed_version.as_deref();
    let is_vulnerable = match (state.status.as_str(), fixed) {
        // `0`: no version was ever vulnerable.
        (_, Some("0")) => false,
        (_, Some(fixed)) => compare(&component.version, fixed) == Ordering::Less,
        ("resolved", None) => false,
        _ => true,
    };
    is_vulnerable.then(|| Advisory {
        component: component.clone(),
        id: id.to_owned(),
        aliases: Vec::new(),
        severity: severity(&state.urgency),
        fixed_in: fixed.map(str::to_owned).into_iter().collect(),
        summary: entry.description.clone(),
        source: SourceName::DebianTracker,
    })
}

/// Debian's urgency; stars mark those that it has derived from other ratings.
fn severity(urgency: &str) -> Severity {
    match urgency.trim_end_matches('*') {
        "unimportant" => Severity::Info,
        word => Severity::of_rating(word),
    }
}

/// Reads the packages with these names and skips the others: the data has tens of thousands.
struct Wanted<'w>(BTreeSet<&'w str>);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = BTreeMap<String, Entries>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = BTreeMap<String, Entries>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("vulnerabilities by source package")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.0.contains(name.as_str()) {
                found.insert(name, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulnerabilities::component::Ecosystem;

    const DATA: &str = r#"{
        "other": {"CVE-2020-1": {"releases": {"trixie": {"status": "open", "urgency": "high"}}}},
        "openssl": {
            "CVE-2025-1": {"description": "A flaw.", "scope": "remote", "releases": {
                "trixie": {"status": "resolved", "fixed_version": "3.5.1-1+deb13u1", "urgency": "not yet assigned",
                    "repositories": {"trixie": "3.5.1-1"}},
                "sid": {"status": "resolved", "fixed_version": "3.5.4-1", "urgency": "high"}}},
            "CVE-2025-2": {"releases": {"trixie": {"status": "open", "urgency": "unimportant"}}},
            "CVE-2025-3": {"releases": {"trixie": {"status": "resolved", "fixed_version": "0", "urgency": "high"}}},
            "CVE-2025-4": {"releases": {"trixie": {"status": "resolved", "fixed_version": "3.5.1-1", "urgency": "low**"}}},
            "CVE-2025-5": {"releases": {"bookworm": {"status": "open", "urgency": "high"}}},
            "TEMP-1": {"releases": {"trixie": {"status": "undetermined", "urgency": "medium"}}}
        }
    }"#;

    fn openssl(version: &str) -> Component {
        Component {
            ecosystem: Ecosystem::Debian,
            release: Some("trixie".into()),
            name: "openssl".into(),
            version: version.into(),
            binaries: vec![("libssl3t64".into(), version.into())],
        }
    }

    #[test]
    fn what_the_release_has_not_fixed_in_this_version_is_listed() {
        let of = |version| {
            let component = openssl(version);
            let found = find(DATA.as_bytes(), &[&component]).unwrap();
            let row = |one: &Advisory| format!("{} {} {:?}", one.id, one.severity.name(), one.fixed_in);
            found.iter().map(row).collect::<Vec<_>>().join("\n")
        };
        let open = "CVE-2025-2 info []";
        let temporary = "TEMP-1 medium []";
        let flaw = "CVE-2025-1 unknown [\"3.5.1-1+deb13u1\"]";
        let older = "CVE-2025-4 low [\"3.5.1-1\"]";
        assert_eq!(of("3.5.1-1"), [flaw, open, temporary].join("\n"));
        assert_eq!(of("3.5.0-2"), [flaw, open, older, temporary].join("\n"));
        assert_eq!(of("3.5.1-1+deb13u2"), [open, temporary].join("\n"));
    }

    #[test]
    fn another_releases_and_packages_are_not_listed() {
        let sid = Component { release: Some("forky".into()), ..openssl("1") };
        let unknown = Component { release: None, ..openssl("1") };
        let missing = Component { name: "none".into(), ..openssl("1") };
        assert_eq!(find(DATA.as_bytes(), &[&sid, &unknown, &missing]).unwrap(), []);
    }

    #[test]
    fn other_data_is_an_error() {
        for broken in ["", "[]", "<html>", r#"{"openssl": {"CVE-1": 3}}"#, &DATA[..DATA.len() - 4]] {
            assert!(find(broken.as_bytes(), &[&openssl("1")]).is_err(), "{broken}");
        }
    }
}
