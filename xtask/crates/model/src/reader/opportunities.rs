//! What images could do without and keep for a reason: `[opportunities]` and `[[opportunities.known]]`.

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error;

use crate::allowlist::{Known, Meant};
use crate::edition::Edition;
use crate::manifest::Service;
use crate::names::Unknown;
use crate::opportunity_kind::OpportunityKind;
use crate::reader::fields::Fields;
use crate::reader::load::size;

/// Reads the table; what is not said is as usual.
pub(super) fn read(root: &mut Fields<'_, '_>, services: &[Service]) -> Meant {
    let usual = Meant::default();
    let Some(mut table) = root.table("opportunities") else {
        return usual;
    };
    let least = size(&mut table, "least").unwrap_or(usual.least);
    let known = table.tables("known").into_iter().filter_map(|known| one(known, services)).collect();
    table.finish();
    Meant { least, known }
}

fn one(mut table: Fields<'_, '_>, services: &[Service]) -> Option<Known> {
    let kind = table.text("kind").and_then(|name| match kind(name) {
        Ok(kind) => Some(kind),
        Err(error) => {
            table.fault("kind", error);
            None
        }
    });
    let names = table.texts("services");
    if names.is_empty() {
        table.fault_here("name the services whose images have it: services = [\"NAME\"]");
    }
    let known = || services.iter().map(|service| service.name.as_str());
    for name in names.iter().filter(|name| !known().any(|known| known == **name)) {
        table.fault("services", Unknown::new("service", name, known()));
    }
    let mut editions = Vec::new();
    for name in table.texts("editions") {
        match name.parse::<Edition>() {
            Ok(edition) => editions.push(edition),
            Err(unknown) => table.fault("editions", unknown),
        }
    }
    if !table.has("bytes") {
        table.fault_here("say how large it is: bytes = \"1.2MB\"");
    }
    let bytes = size(&mut table, "bytes");
    let reason = table.text("reason").map(str::to_owned);
    table.finish();
    Some(Known { kind: kind?, services: names, editions, bytes: bytes?, reason: reason? })
}

/// A kind as records and tables of `analyze` in JSON name it.
fn kind(name: &str) -> Result<OpportunityKind, Error> {
    OpportunityKind::deserialize(name.into_deserializer())
}
