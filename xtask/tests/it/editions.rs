//! Each service's page in `docs/services` says what an edition adds, as the manifest declares it. `engine_images` holds the
//! manifest against the images.

use std::collections::BTreeSet;
use std::fs;

use model::edition::Edition;
use model::manifest::Service;

use crate::support::containers::{root, the_manifest};

const BEGIN: &str = "<!-- table of editions -->\n";
const END: &str = "<!-- end of the table -->\n";

/// Set it to write the tables instead.
const WRITE: &str = "WRITE_EDITIONS";

#[test]
fn every_page_has_the_declared_editions() {
    let is_writing = std::env::var_os(WRITE).is_some();
    for service in &the_manifest().services {
        let path = root().join(format!("docs/services/{}.md", service.name));
        let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (before, rest) =
            page.split_once(BEGIN).unwrap_or_else(|| panic!("{} has no table", path.display()));
        let (found, after) = rest.split_once(END).unwrap();
        let expected = table(service);
        if is_writing {
            fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        } else {
            assert_eq!(
                found,
                expected,
                "{} is out of date: {WRITE}=1 cargo test --package xtask --test it editions",
                path.display()
            );
        }
        says_what_differs(service, before);
    }
}

/// The text above the table explains every capability, or says what else differs.
fn says_what_differs(service: &Service, text: &str) {
    let editions = &service.editions;
    let capabilities = editions.capabilities(Edition::named("enterprise"));
    for name in &capabilities {
        assert!(text.contains(&format!("| `{name}` |")), "docs/services/{}.md: explain {name}", service.name);
    }
    if capabilities.is_empty() {
        assert!(
            editions.packages(Edition::named("enterprise")).is_empty(),
            "{}: packages for what?",
            service.name
        );
        let what = if editions.is_empty() { "name only" } else { "limits only" };
        let says = format!("The editions of {} differ in {what}", service.name);
        assert!(text.contains(&says), "docs/services/{}.md: say {says:?}", service.name);
    }
}

fn table(service: &Service) -> String {
    let editions = &service.editions;
    let names: BTreeSet<&str> =
        crate::support::editions().iter().flat_map(|each| editions.limits(*each).into_keys()).collect();
    let mut rows = Vec::new();
    for name in names {
        let values = crate::support::editions().map(|edition| {
            editions.limits(edition).get(name).map_or_else(|| "–".to_owned(), |value| quantity(name, *value))
        });
        rows.push((format!("`{name}`"), values));
    }
    let added = |of: &dyn Fn(Edition) -> Vec<String>| {
        let mut known = BTreeSet::new();
        crate::support::editions().map(|edition| {
            let new: Vec<String> =
                of(edition).into_iter().filter(|name| known.insert(name.clone())).collect();
            if new.is_empty() { "–".to_owned() } else { new.join(", ") }
        })
    };
    let packages = added(&|edition| editions.packages(edition).into_iter().map(str::to_owned).collect());
    if packages.iter().any(|cell| cell != "–") {
        rows.push(("adds the packages".to_owned(), packages));
    }
    if rows.is_empty() {
        return String::new();
    }
    let line = |first: &str, cells: &[String; 3]| format!("| {first} | {} |\n", cells.join(" | "));
    let head = line("limit", &crate::support::editions().map(|edition| edition.to_string()));
    let rows = rows.iter().map(|(name, cells)| line(name, cells));
    format!("{head}|---|---:|---:|---:|\n{}", rows.collect::<String>())
}

/// A limit: bytes in the unit that gives the smallest whole number, other numbers with separators.
fn quantity(name: &str, value: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1_000_000, "MB"), (1_000, "kB")];
    let exact = units.iter().filter(|(size, _)| name.ends_with("_bytes") && value.is_multiple_of(*size));
    let unit = exact.min_by_key(|(size, _)| value / size);
    match unit {
        Some((size, unit)) => format!("{} {unit}", separated(value / size)),
        None => separated(value),
    }
}

fn separated(value: u64) -> String {
    let digits = value.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

#[test]
fn quantities_are_readable_and_exact() {
    for (name, value, expected) in [
        ("max_body_bytes", 8_388_608, "8 MiB"),
        ("max_upload_bytes", 4_294_967_296, "4 GiB"),
        ("max_body_bytes", 16_000_000, "16 MB"),
        ("max_text_bytes", 40_000, "40 kB"),
        ("max_body_bytes", 1_000_001, "1,000,001"),
        ("max_texts", 1_000, "1,000"),
        ("max_texts", 32, "32"),
    ] {
        assert_eq!(quantity(name, value), expected);
    }
}
