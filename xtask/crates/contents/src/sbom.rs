//! Software bill of materials in CycloneDX 1.6 (ECMA-424). It is reproducible: no timestamps, no random numbers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::facts::Part;
use crate::owner::{Owner, OwnerKind};
use crate::purl::{self, encoded};
use crate::record::Contents;
use model::bytes::Bytes;

/// The bill of materials of an image. `project` prefixes the names of custom properties.
pub fn cyclonedx(contents: &Contents, project: &str) -> Value {
    // One component per reference, sorted.
    let mut components: BTreeMap<String, Value> = BTreeMap::new();
    for owner in &contents.owners {
        // Neither is a component: unowned files, and files of packages that are components themselves.
        if owner.kind == OwnerKind::Unowned || owner.is_rest_of_packages() {
            continue;
        }
        components.insert(reference(owner), component(owner, project));
        for part in &owner.parts {
            components.entry(part_reference(part)).or_insert_with(|| part_component(part));
        }
    }
    let depends = |owner: &Owner| {
        let mut parts: Vec<String> = owner.parts.iter().map(part_reference).collect();
        parts.sort();
        parts.dedup();
        json!({"ref": reference(owner), "dependsOn": parts})
    };
    let mut dependencies =
        vec![json!({"ref": contents.id, "dependsOn": components.keys().collect::<Vec<_>>()})];
    let mut programs: Vec<&Owner> = contents.owners.iter().filter(|owner| !owner.parts.is_empty()).collect();
    programs.sort_by_key(|owner| reference(owner));
    dependencies.extend(programs.into_iter().map(depends));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "images", "version": env!("CARGO_PKG_VERSION")}]},
            "component": image(contents, project),
        },
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies,
    })
}

fn image(contents: &Contents, project: &str) -> Value {
    let (name, tag) = match contents.image.rsplit_once(':') {
        // A colon before the last slash is part of the registry's address.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (contents.image.as_str(), "latest"),
    };
    let digest = contents.id.trim_start_matches("sha256:");
    let mut component = json!({
        "type": "container",
        "bom-ref": contents.id,
        "name": name,
        "version": tag,
        "properties": properties(contents.bytes, project, &[("platform", &contents.platform)]),
    });
    if digest.len() == 64 {
        component["hashes"] = json!([{"alg": "SHA-256", "content": digest}]);
    }
    component
}

/// An owner's `bom-ref`: its package URL, if it has one.
fn reference(owner: &Owner) -> String {
    owner.purl.clone().unwrap_or_else(|| {
        let version =
            owner.version.as_ref().map(|version| format!("@{}", encoded(version))).unwrap_or_default();
        format!("{}:{}{version}", format!("{:?}", owner.kind).to_lowercase(), encoded(&owner.name))
    })
}

fn component(owner: &Owner, project: &str) -> Value {
    let kind = match owner.kind {
        OwnerKind::Model => "machine-learning-model",
        OwnerKind::Rust | OwnerKind::Go | OwnerKind::Program | OwnerKind::Own => "application",
        OwnerKind::Runtime => "platform",
        OwnerKind::Static => "data",
        _ => "library",
    };
    let mut component = json!({
        "type": kind,
        "bom-ref": reference(owner),
        "name": owner.name,
        "properties": properties(owner.bytes, project, &[("kind", owner.kind.name())]),
    });
    if let Some(version) = &owner.version {
        component["version"] = json!(version);
    }
    if let Some(purl) = &owner.purl {
        component["purl"] = json!(purl);
    }
    if let Some(licence) = &owner.licence {
        // A declared licence may not be an SPDX expression; a name may be anything.
        component["licenses"] = json!([{"license": {"name": licence}}]);
    }
    component
}

fn part_component(part: &Part) -> Value {
    let mut component = json!({"type": "library", "bom-ref": part_reference(part), "name": part.name});
    if !part.version.is_empty() {
        component["version"] = json!(part.version);
    }
    if let Some(purl) = purl::part(part) {
        component["purl"] = json!(purl);
    }
    component
}

/// The `bom-ref` of a package that was built into another: its package URL, if it has one.
fn part_reference(part: &Part) -> String {
    purl::part(part).unwrap_or_else(|| format!("part:{}@{}", encoded(&part.name), encoded(&part.version)))
}

fn properties(bytes: Bytes, project: &str, others: &[(&str, &str)]) -> Value {
    let mut all = vec![json!({"name": format!("{project}:bytes"), "value": bytes.0.to_string()})];
    all.extend(
        others.iter().map(|(name, value)| json!({"name": format!("{project}:{name}"), "value": value})),
    );
    Value::Array(all)
}
