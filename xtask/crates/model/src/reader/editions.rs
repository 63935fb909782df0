//! Differences between editions: `[service.NAME.editions]`.

use std::collections::{BTreeMap, BTreeSet};

use crate::additions::{Addition, Additions};
use crate::edition::Edition;
use crate::names::Unknown;
use crate::reader::fields::Fields;

/// The editions of guide.md, which a manifest of schema 1 has without declaring them.
const OF_SCHEMA_1: [&str; 3] = ["simple", "community", "enterprise"];

/// Reads the manifest's `editions`.
pub(super) fn declared(root: &mut Fields<'_, '_>, is_first: bool) -> Vec<Edition> {
    if !root.has("editions") {
        return if is_first { OF_SCHEMA_1.map(Edition::named).into() } else { vec![Edition::NONE] };
    }
    let names = root.texts("editions");
    for (index, name) in names.iter().enumerate() {
        if !Edition::is_valid(name) || name == "all" {
            let what = format!(
                "invalid edition `{name}`: use at most 17 lower-case letters, digits and `-`, and not `all`"
            );
            root.fault("editions", what);
        }
        if names[..index].contains(name) {
            root.fault("editions", format!("`{name}` is listed twice: remove one"));
        }
    }
    if names.is_empty() {
        vec![Edition::NONE]
    } else {
        names.iter().map(|name| Edition::named(name)).collect()
    }
}

/// The declared edition of this name.
pub(super) fn find(name: &str, editions: &[Edition]) -> Result<Edition, Unknown> {
    let known = || editions.iter().filter(|edition| !edition.is_none()).map(|edition| edition.name());
    let found = editions.iter().find(|edition| edition.name() == name && !edition.is_none());
    found.copied().ok_or_else(|| Unknown::new("edition", name, known()))
}

/// Reads the table, which names all editions or does not exist.
pub(super) fn read(service: &mut Fields<'_, '_>, editions: &[Edition]) -> Additions {
    let Some(table) = service.table("editions") else {
        return Additions::default();
    };
    let mut found = BTreeMap::new();
    for (key, mut row) in table.named_tables() {
        let addition = Addition {
            packages: row.texts("packages").into_iter().collect(),
            capabilities: row.texts("capabilities").into_iter().collect(),
            limits: row.table("limits").map(Fields::named_numbers).unwrap_or_default().into_iter().collect(),
        };
        row.finish();
        match find(&key, editions) {
            Ok(edition) => drop(found.insert(edition, addition)),
            Err(unknown) => service.fault("editions", unknown),
        }
    }
    for edition in editions {
        if !found.contains_key(edition) {
            service.fault("editions", format!("`{edition}` is missing: add what it adds, or `{{}}`"));
        }
    }
    let in_order: Vec<_> = editions.iter().filter_map(|edition| found.get_key_value(edition)).collect();
    refuse_contradictions(service, &in_order);
    Additions::new(editions, found)
}

/// Nothing is added twice, and every edition has every limit.
fn refuse_contradictions(service: &Fields<'_, '_>, found: &[(&Edition, &Addition)]) {
    let mut seen = BTreeMap::new();
    for (edition, addition) in found {
        for name in addition.packages.iter().chain(&addition.capabilities) {
            if let Some(first) = seen.insert(name, edition) {
                service.fault(
                    "editions",
                    format!("{edition} adds `{name}`, which {first} already adds: remove it"),
                );
            }
        }
    }
    let all: BTreeSet<&String> = found.iter().flat_map(|(_, addition)| addition.limits.keys()).collect();
    for (edition, addition) in found {
        for name in &all {
            if !addition.limits.contains_key(*name) {
                service.fault(
                    "editions",
                    format!("{edition} lacks the limit `{name}` of another edition: add it"),
                );
            }
        }
    }
}
