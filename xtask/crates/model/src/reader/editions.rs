//! Differences between editions: `[service.NAME.editions]`.

use std::collections::{BTreeMap, BTreeSet};

use crate::additions::{Addition, Additions};
use crate::edition::Edition;
use crate::reader::fields::Fields;

/// Reads the table, which names all editions or does not exist.
pub(super) fn read(service: &mut Fields<'_, '_>) -> Additions {
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
        match key.parse::<Edition>() {
            Ok(edition) => drop(found.insert(edition, addition)),
            Err(unknown) => service.fault("editions", unknown),
        }
    }
    for edition in Edition::ALL {
        if !found.contains_key(&edition) {
            service.fault("editions", format!("`{edition}` is missing: add what it adds, or `{{}}`"));
        }
    }
    refuse_contradictions(service, &found);
    Additions::new(found)
}

/// Nothing is added twice, and every edition has every limit.
fn refuse_contradictions(service: &Fields<'_, '_>, found: &BTreeMap<Edition, Addition>) {
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
    let all: BTreeSet<&String> = found.values().flat_map(|addition| addition.limits.keys()).collect();
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
