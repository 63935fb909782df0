//! Relaxed rules of `check`: `[check]` and `[[check.allow]]`.

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error;

use crate::check_rules::{Allowance, CheckRules, FindingKind};
use crate::manifest::Service;
use crate::names::Unknown;
use crate::reader::fields::Fields;

/// Reads the table; without it, every rule applies.
pub(super) fn read(root: &mut Fields<'_, '_>, services: &[Service]) -> CheckRules {
    let Some(mut table) = root.table("check") else {
        return CheckRules::default();
    };
    let allowances =
        table.tables("allow").into_iter().filter_map(|entry| allowance(entry, services)).collect();
    let mut warnings = Vec::new();
    for kind in FindingKind::RELAXABLE {
        match table.optional_text(kind.name()) {
            None | Some("error") => {}
            Some("warn") => warnings.push(kind),
            Some(_) => table.fault(kind.name(), "must be \"warn\" or \"error\""),
        }
    }
    table.finish();
    CheckRules { warnings, allowances }
}

fn allowance(mut table: Fields<'_, '_>, services: &[Service]) -> Option<Allowance> {
    let kind = table.text("kind").and_then(|name| {
        let kind = FindingKind::deserialize(name.into_deserializer()).map_err(|_: Error| ());
        let kind = kind.ok().filter(|kind| FindingKind::RELAXABLE.contains(kind));
        if kind.is_none() {
            table.fault("kind", Unknown::new("kind", name, FindingKind::RELAXABLE.map(FindingKind::name)));
        }
        kind
    });
    let path = table.text("path").map(str::to_owned);
    if path.as_deref().is_some_and(|path| path == "/") {
        table.fault("path", "`/` would allow everything: name a file or a folder");
    }
    let names = table.texts("services");
    let known = || services.iter().map(|service| service.name.as_str());
    for name in names.iter().filter(|name| !known().any(|known| known == **name)) {
        table.fault("services", Unknown::new("service", name, known()));
    }
    let reason = table.text("reason").map(str::to_owned);
    table.finish();
    Some(Allowance { kind: kind?, path: path?, services: names, reason: reason? })
}
