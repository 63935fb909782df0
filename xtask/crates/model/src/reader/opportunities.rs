//! The allowlist of opportunities: `[opportunities]` and `[[opportunities.known]]`.

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error;

use crate::allowlist::{AllowedOpportunity, Allowlist};
use crate::edition::Edition;
use crate::manifest::Service;
use crate::names::Unknown;
use crate::opportunity_kind::OpportunityKind;
use crate::reader::editions;
use crate::reader::fields::Fields;

/// Reads the table; missing fields have defaults.
pub(super) fn read(root: &mut Fields<'_, '_>, services: &[Service], editions: &[Edition]) -> Allowlist {
    let default = Allowlist::default();
    let Some(mut table) = root.table("opportunities") else {
        return default;
    };
    let min_size = table.size("least").unwrap_or(default.min_size);
    let entries =
        table.tables("known").into_iter().filter_map(|entry| read_entry(entry, services, editions)).collect();
    table.finish();
    Allowlist { min_size, entries }
}

fn read_entry(
    mut table: Fields<'_, '_>,
    services: &[Service],
    known_editions: &[Edition],
) -> Option<AllowedOpportunity> {
    let kind = table.text("kind").and_then(|name| match kind(name) {
        Ok(kind) => Some(kind),
        Err(error) => {
            table.fault("kind", error);
            None
        }
    });
    let names = table.texts("services");
    if names.is_empty() {
        table.fault_here("has no services: add services = [\"NAME\"]");
    }
    let known = || services.iter().map(|service| service.name.as_str());
    for name in names.iter().filter(|name| !known().any(|known| known == **name)) {
        table.fault("services", Unknown::new("service", name, known()));
    }
    let mut editions = Vec::new();
    for name in table.texts("editions") {
        match editions::find(&name, known_editions) {
            Ok(edition) => editions.push(edition),
            Err(unknown) => table.fault("editions", unknown),
        }
    }
    if !table.has("bytes") {
        table.fault_here("has no size: add bytes = \"1.2MB\"");
    }
    let bytes = table.size("bytes");
    let reason = table.text("reason").map(str::to_owned);
    table.finish();
    Some(AllowedOpportunity { kind: kind?, services: names, editions, bytes: bytes?, reason: reason? })
}

/// The kind by its name in JSON.
fn kind(name: &str) -> Result<OpportunityKind, Error> {
    OpportunityKind::deserialize(name.into_deserializer())
}
